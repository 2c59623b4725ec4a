/**
 * Launches on arrays of the host: the part that some tasks have to themselves is copied in, worked
 * on and copied out while the cache holds it, so that the data crosses the memory once.
 */
import type { MemoryArgument } from '@open-claw/core/device/contract';
import { failure } from '@open-claw/core/device/contract';
import type { Launch } from './commands.js';
import { bufferBlock, type LinearMemory, type WasmMemory } from './memory.js';

/** Bytes in windows at a time, of all arrays together: the second cache holds them. */
const windowBytes = 2 ** 19;
const windowAlignment = 64;

/** A buffer that is an array of the host. */
export interface HostArray {
  readonly buffer: number;
  readonly argument: MemoryArgument;
  readonly array: Uint8Array;
  /** Bytes that a task has to itself. */
  readonly window: number;
}

/** The arrays of a launch; those that have shrunk, or that it has no window of, are refused. */
export function hostArrays(linear: LinearMemory, { buffers, windows }: Launch): HostArray[] {
  return buffers.flatMap((argument, buffer) => {
    const { memory, offset, bytes } = argument;
    const { array } = linear.own(memory);
    const window = windows?.[buffer] ?? 0;
    if (array === undefined) return [];
    // What is behind the last window no task touches.
    if (!(window > 0) || offset + bytes > array.byteLength) {
      throw failure('OC-DEVICE-03', { reason: 'an array of the host without windows' });
    }
    return [{ buffer, argument, array: array.subarray(offset, offset + bytes), window }];
  });
}

/** How many tasks have their windows in memory at a time. */
export function tasksOfWindow(arrays: readonly HostArray[], tasks: number): number {
  const each = arrays.reduce((sum, { window }) => sum + window, 0);
  return Math.min(tasks, Math.max(1, Math.floor(windowBytes / each)));
}

/** Where the windows of so many tasks lie, in memory that is theirs until they are released. */
export class Windows {
  private readonly linear: LinearMemory;
  private readonly arrays: readonly HostArray[];
  private readonly block: WasmMemory;
  private readonly places: readonly number[];
  /** Of all buffers; those of the arrays' are other ones for each part of the tasks. */
  private readonly addresses: number[];

  /** Throws OC-DEVICE-01. */
  constructor(
    linear: LinearMemory,
    { buffers }: Launch,
    arrays: readonly HostArray[],
    tasks: number,
  ) {
    this.linear = linear;
    this.arrays = arrays;
    let bytes = 0;
    const offsets = arrays.map(({ window }) => {
      const offset = bytes;
      bytes += Math.ceil((window * tasks) / windowAlignment) * windowAlignment;
      return offset;
    });
    const isArray = (buffer: number): boolean => arrays.some((each) => each.buffer === buffer);
    this.addresses = buffers.map((argument, buffer) =>
      isArray(buffer) ? 0 : linear.locateArgument(argument),
    );
    const found = linear.allocate(bytes);
    if (found === undefined) throw linear.outOfMemory(bytes);
    this.block = found.handle;
    const start = linear.locate(this.block, 0, bytes);
    this.places = offsets.map((offset) => start + offset);
  }

  /** Before tasks run: what they read, where they look for it. */
  take(begin: number, end: number): void {
    const { linear, addresses } = this;
    this.arrays.forEach(({ buffer, argument, array, window }, i) => {
      const place = this.places[i] as number;
      if (argument.access !== 'write')
        linear.put(place, array.subarray(begin * window, end * window));
      addresses[buffer] = place - begin * window;
    });
    linear.writeAddresses(bufferBlock, addresses);
  }

  /** After they have run: what they wrote. */
  give(begin: number, end: number): void {
    this.arrays.forEach(({ argument, array, window }, i) => {
      if (argument.access === 'read') return;
      const part = array.subarray(begin * window, end * window);
      part.set(this.linear.at(this.places[i] as number, part.byteLength));
    });
  }

  /** A block that stayed would lie amid the memory of programs that come later. */
  release(): void {
    this.linear.release(this.block);
  }
}
