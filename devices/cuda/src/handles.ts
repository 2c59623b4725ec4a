/** What a device gives out: memory, modules and recordings, and the checks of what comes back. */
import {
  type Entry,
  failure,
  type Memory,
  type MemoryArgument,
  type Module,
  type OpenClawError,
  type Recording,
} from '@open-claw/core/device';
import { Poison } from './poison.js';

export class GpuMemory implements Memory {
  readonly bytes: number;
  readonly owner: object;
  readonly poison = new Poison();
  /** The caller has freed it; the stream may still use it. */
  freed = false;
  /** 0 once the driver has it back. */
  address: bigint;

  constructor(owner: object, address: bigint, bytes: number) {
    this.owner = owner;
    this.address = address;
    this.bytes = bytes;
  }
}

export class GpuModule implements Module {
  readonly entries: readonly Entry[];
  readonly owner: object;
  readonly functions: ReadonlyMap<string, LoadedEntry>;
  /** The caller has freed it; the stream may still use it. */
  freed = false;
  /** 0 once the driver has it back. */
  handle: bigint;

  constructor(
    owner: object,
    handle: bigint,
    entries: readonly Entry[],
    functions: ReadonlyMap<string, LoadedEntry>,
  ) {
    this.owner = owner;
    this.handle = handle;
    this.entries = entries;
    this.functions = functions;
  }
}

export interface LoadedEntry {
  readonly entry: Entry;
  readonly handle: bigint;
}

/** What commands read and write. */
export interface Touched {
  readonly reads: readonly MemoryArgument[];
  readonly writes: readonly MemoryArgument[];
}

export class GpuRecording implements Recording {
  readonly commands: number;
  readonly owner: object;
  readonly touched: Touched;
  /** The caller has freed it; the stream may still use it. */
  freed = false;
  /** 0 once the driver has it back. */
  handle: bigint;

  constructor(owner: object, handle: bigint, commands: number, touched: Touched) {
    this.owner = owner;
    this.handle = handle;
    this.commands = commands;
    this.touched = touched;
  }
}

/** A recording of this owner whose memory is still there. Throws OC-DEVICE-03. */
export function recordingIn(owner: object, recording: Recording): GpuRecording {
  if (!(recording instanceof GpuRecording) || recording.owner !== owner || recording.freed) {
    throw failure('OC-DEVICE-03', { reason: 'a recording that is freed or of another device' });
  }
  const { reads, writes } = recording.touched;
  for (const argument of [...reads, ...writes]) addressOfArgument(owner, argument);
  return recording;
}

/** The address of bytes in a memory of this owner. Throws OC-DEVICE-03. */
export function addressIn(owner: object, memory: Memory, offset: number, bytes: number): bigint {
  if (!(memory instanceof GpuMemory) || memory.owner !== owner || memory.freed) {
    throw failure('OC-DEVICE-03', { reason: 'memory that is freed or of another device' });
  }
  if (!(offset >= 0 && bytes >= 0 && offset + bytes <= memory.bytes)) {
    const reason = `bytes ${offset} to ${offset + bytes} of a memory of ${memory.bytes}`;
    throw failure('OC-DEVICE-03', { reason });
  }
  return memory.address + BigInt(offset);
}

export const addressOfArgument = (owner: object, a: MemoryArgument): bigint =>
  addressIn(owner, a.memory, a.offset, a.bytes);

/** Marks the bytes of an argument as written, or as spoiled by an error. */
export function mark({ memory, offset, bytes }: MemoryArgument, error?: OpenClawError): void {
  if (!(memory instanceof GpuMemory)) return;
  if (error === undefined) memory.poison.heal(offset, offset + bytes);
  else memory.poison.spoil(offset, offset + bytes, error);
}

/** The error of the first argument that may not be read. */
export function spoiledBy(arguments_: readonly MemoryArgument[]): OpenClawError | undefined {
  for (const { memory, offset, bytes } of arguments_) {
    const error =
      memory instanceof GpuMemory ? memory.poison.errorIn(offset, offset + bytes) : undefined;
    if (error !== undefined) return error;
  }
  return undefined;
}

/** A kernel of a module of this owner. Throws OC-DEVICE-03. */
export function entryIn(owner: object, module: Module, name: string): LoadedEntry {
  const owned = module instanceof GpuModule && module.owner === owner && !module.freed;
  const found = owned ? module.functions.get(name) : undefined;
  if (found !== undefined) return found;
  throw failure('OC-DEVICE-03', { reason: `no kernel ${name} in a module of this device` });
}
