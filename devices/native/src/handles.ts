/** What the CPU device gives out: memory, modules and recordings, each of one device. */
import {
  type Command,
  type Entry,
  failure,
  type Memory,
  type Module,
  type Recording,
} from '@open-claw/core/device/contract';
import type { EntryPoint, Packed } from './commands.js';
import type { Address, Run } from './runtime.js';

export class NativeMemory implements Memory {
  readonly bytes: number;
  readonly owner: object;
  address: Address;
  /** The caller's array, which must not be collected; absent for memory of the device. */
  held: Uint8Array | undefined;

  constructor(owner: object, address: Address, bytes: number) {
    this.owner = owner;
    this.address = address;
    this.bytes = bytes;
  }
}

export class NativeModule implements Module {
  readonly entries: readonly Entry[];
  readonly owner: object;
  readonly points: ReadonlyMap<string, EntryPoint>;
  handles: readonly Address[];

  constructor(
    owner: object,
    entries: readonly Entry[],
    points: ReadonlyMap<string, EntryPoint>,
    handles: readonly Address[],
  ) {
    this.owner = owner;
    this.entries = entries;
    this.points = points;
    this.handles = handles;
  }
}

export class NativeRecording implements Recording {
  readonly commands: number;
  readonly owner: object;
  readonly packed: Packed;
  readonly list: readonly Command[];
  /** What a call runs; its times are those of the last one. */
  readonly run: Run;
  /** All that the commands need, and how often the device had freed something when it was there. */
  private readonly handles: readonly (NativeMemory | NativeModule)[];
  private checked: number;

  constructor(owner: object, packed: Packed, list: readonly Command[], run: Run, frees: number) {
    this.owner = owner;
    this.packed = packed;
    this.run = run;
    this.list = list;
    this.commands = packed.count;
    this.handles = [...new Set(list.flatMap(handlesOf))];
    this.checked = frees;
  }

  /** Whether nothing that it needs is among all that was freed so far. */
  isWhole(frees: number): boolean {
    if (frees === this.checked) return true;
    const isWhole = this.handles.every((each) =>
      each instanceof NativeMemory ? each.address !== 0 : each.handles.length > 0,
    );
    if (isWhole) this.checked = frees;
    return isWhole;
  }
}

function handlesOf(command: Command): readonly (NativeMemory | NativeModule)[] {
  switch (command.kind) {
    case 'launch':
      return ours([command.module, ...command.buffers.map(({ memory }) => memory)]);
    case 'copy':
      return ours([command.from.memory, command.to.memory]);
    case 'fill':
      return ours([command.to.memory]);
    default:
      return [];
  }
}

const ours = (all: readonly (Memory | Module)[]): (NativeMemory | NativeModule)[] =>
  all.filter((each) => each instanceof NativeMemory || each instanceof NativeModule);

/** Commands with those of recordings in their place. */
export const plainCommands = (commands: readonly Command[]): readonly Command[] =>
  commands.flatMap((command) => {
    const isOurs = command.kind === 'replay' && command.recording instanceof NativeRecording;
    return isOurs ? plainCommands(command.recording.list) : [command];
  });

/** Where bytes of a device's memory lie. Throws OC-DEVICE-03. */
export function addressIn(owner: object, memory: Memory, offset: number, bytes: number): Address {
  if (!(memory instanceof NativeMemory) || memory.owner !== owner || memory.address === 0) {
    throw failure('OC-DEVICE-03', { reason: 'memory that is freed or of another device' });
  }
  if (!(offset >= 0 && bytes >= 0 && offset + bytes <= memory.bytes)) {
    const reason = `bytes ${offset} to ${offset + bytes} of a memory of ${memory.bytes}`;
    throw failure('OC-DEVICE-03', { reason });
  }
  return memory.address + offset;
}

/** A kernel of a device's module. Throws OC-DEVICE-03. */
export function entryIn(owner: object, module: Module, name: string): EntryPoint {
  const owned = module instanceof NativeModule && module.owner === owner;
  const point = owned && module.handles.length > 0 ? module.points.get(name) : undefined;
  if (point !== undefined) return point;
  throw failure('OC-DEVICE-03', { reason: `no kernel ${name} in a module of this device` });
}
