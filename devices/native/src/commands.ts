/** Commands as 64-bit words for the C runtime: {kind, words, …}, layout in runtime.c. */
import {
  type Command,
  failure,
  type Memory,
  type MemoryArgument,
  type Module,
  type Recording,
  refused,
} from '@open-claw/core/device/contract';
import type { Pace, PacedLaunch } from './pace.js';
import type { Address } from './runtime.js';

/** What a device knows about its handles. */
export interface Handles {
  addressOf(memory: Memory, offset: number, bytes: number): Address;
  entryOf(module: Module, name: string): EntryPoint;
}

export interface EntryPoint {
  readonly address: Address;
  readonly scratchBytes: number;
  readonly buffers: number;
  readonly sizes: number;
  readonly pace: Pace;
}

/** Packed commands, ready to run any number of times. */
export interface Packed {
  readonly words: Uint32Array;
  readonly count: number;
  /** Estimated cost of all. */
  readonly microseconds: number;
  readonly launches: readonly PacedLaunch[];
}

/** A packed list and the number of the submitted command that it starts with. */
export interface Piece {
  readonly packed: Packed;
  readonly first: number;
  /** A replay counts as one command, however many it holds. */
  readonly whole: boolean;
}

const kinds = { launch: 0, copy: 1, fill: 2 } as const;

/** Bytes that a core moves in a microsecond, for the cost of copies and fills. */
const bytesPerMicrosecond = 5000;

/** A chunk shorter than this costs more to hand out than it spreads. */
const shortestChunk = 5;
/** Stops are looked at between chunks. */
const longestChunk = 1000;
/** Chunks per thread, so that one that starts late or is interrupted leaves its part to others. */
const chunksPerThread = 16;

/** Tasks that a thread takes at once. */
export function grainOf(tasks: number, microseconds: number, threads: number): number {
  const perTask = Math.max(microseconds, 0.01) / Math.max(tasks, 1);
  const spread = Math.ceil(tasks / (threads * chunksPerThread));
  const shortest = Math.ceil(shortestChunk / perTask);
  const longest = Math.max(1, Math.floor(longestChunk / perTask));
  return Math.max(1, Math.min(Math.max(spread, shortest), longest, tasks));
}

/** Packs commands. Throws OC-DEVICE-03 for a handle that is not the device's. */
export function packCommands(
  commands: readonly Command[],
  handles: Handles,
  threads: number,
): Packed {
  const values: number[] = [];
  const launches: PacedLaunch[] = [];
  let microseconds = 0;
  const at = (argument: MemoryArgument): Address =>
    handles.addressOf(argument.memory, argument.offset, argument.bytes);
  for (const [index, command] of commands.entries()) {
    const start = values.length;
    switch (command.kind) {
      case 'launch': {
        const entry = handles.entryOf(command.module, command.entry);
        checkCounts(command, entry);
        const tasks = command.grid.reduce((product, extent) => product * extent, 1);
        const grain = grainOf(tasks, command.microseconds, threads);
        microseconds += command.microseconds;
        launches.push({ index, pace: entry.pace, estimate: command.microseconds });
        values.push(kinds.launch, 0, entry.address, tasks, grain, entry.scratchBytes);
        values.push(entry.buffers, entry.sizes, ...command.buffers.map(at), ...command.sizes);
        break;
      }
      case 'copy':
        if (command.from.bytes !== command.to.bytes) {
          throw failure('OC-DEVICE-03', { reason: 'a copy between lengths' });
        }
        microseconds += command.to.bytes / bytesPerMicrosecond;
        values.push(kinds.copy, 0, at(command.to), at(command.from), command.to.bytes);
        break;
      case 'fill':
        microseconds += command.to.bytes / bytesPerMicrosecond;
        values.push(kinds.fill, 0, at(command.to), command.byte, command.to.bytes);
        break;
      default:
        throw refused(`command ${command.kind}`, 'the CPU device has no such command here');
    }
    values[start + 1] = values.length - start;
  }
  return { words: wordsOf(values), count: commands.length, microseconds, launches };
}

/** Packs runs of plain commands; replays are packed already. Throws as packCommands. */
export function packPieces(
  commands: readonly Command[],
  handles: Handles,
  threads: number,
  packedOf: (recording: Recording) => Packed,
): readonly Piece[] {
  const pieces: Piece[] = [];
  let plain: Command[] = [];
  const flush = (end: number): void => {
    if (plain.length === 0) return;
    const packed = packCommands(plain, handles, threads);
    pieces.push({ packed, first: end - plain.length, whole: false });
    plain = [];
  };
  for (const [index, command] of commands.entries()) {
    if (command.kind === 'replay') {
      flush(index);
      pieces.push({ packed: packedOf(command.recording), first: index, whole: true });
    } else plain.push(command);
  }
  flush(commands.length);
  return pieces;
}

function checkCounts(command: Command & { readonly kind: 'launch' }, entry: EntryPoint): void {
  const { buffers, sizes } = command;
  if (buffers.length === entry.buffers && sizes.length === entry.sizes) return;
  const given = `${buffers.length} buffers and ${sizes.length} sizes`;
  const needed = `${entry.buffers} and ${entry.sizes}`;
  throw failure('OC-DEVICE-03', { reason: `${command.entry} got ${given}, takes ${needed}` });
}

/** Safe integers as 64-bit words, low half first. */
function wordsOf(values: readonly number[]): Uint32Array {
  // Its own buffer: a small array inside the JavaScript heap might move during a call.
  const words = new Uint32Array(new ArrayBuffer(Math.max(values.length, 1) * 8));
  for (const [i, value] of values.entries()) {
    words[2 * i] = value;
    words[2 * i + 1] = Math.floor(value / 2 ** 32);
  }
  return words;
}
