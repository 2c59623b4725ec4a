/** What the CPU device gives out: memory, modules and recordings, each of one device. */
import type { Command, Entry, Memory, Module, Recording } from '@open-claw/core/device/contract';
import type { EntryPoint, Packed } from './commands.js';
import type { Address } from './runtime.js';

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
  /** Takes the nanoseconds of runs that are not measured. */
  readonly times: BigInt64Array;

  constructor(owner: object, packed: Packed, list: readonly Command[]) {
    this.owner = owner;
    this.packed = packed;
    this.times = new BigInt64Array(new ArrayBuffer(Math.max(packed.count, 8) * 8));
    this.list = list;
    this.commands = packed.count;
  }
}

/** Commands with those of recordings in their place. */
export const plainCommands = (commands: readonly Command[]): readonly Command[] =>
  commands.flatMap((command) => {
    const isOurs = command.kind === 'replay' && command.recording instanceof NativeRecording;
    return isOurs ? plainCommands(command.recording.list) : [command];
  });
