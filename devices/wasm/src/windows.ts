/**
 * Launches on arrays of the host: the part that some tasks have to themselves is copied in, worked
 * on and copied out while the cache holds it, so that the data crosses the memory once.
 */
import type { MemoryArgument } from '@open-claw/core/device/contract';
import { failure } from '@open-claw/core/device/contract';
import type { Launch } from './commands.js';
import { copyBytes } from './copy.js';
import type { LinearMemory, WasmMemory } from './memory.js';

/** Bytes in windows at a time per thread, of all arrays together: the second cache holds them. */
const windowBytes = 2 ** 19;
const windowAlignment = 64;
const bytesOfAddress = 8;

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

/** How many tasks have their windows in one of the slots, of which each thread has so many. */
export function tasksOfSlot(arrays: readonly HostArray[], tasks: number, slots: number): number {
  const each = arrays.reduce((sum, { window }) => sum + window, 0);
  return Math.min(tasks, Math.max(1, Math.floor(windowBytes / slots / each)));
}

const aligned = (bytes: number): number => Math.ceil(bytes / windowAlignment) * windowAlignment;

/**
 * Slots where the windows of some tasks lie, each behind the addresses of all buffers; the memory
 * is theirs until they are released.
 */
export class Windows {
  /** Bytes of a slot. */
  readonly stride: number;
  private readonly linear: LinearMemory;
  private readonly arrays: readonly HostArray[];
  private readonly block: WasmMemory;
  private readonly start: number;
  /** Of the arrays' windows in a slot. */
  private readonly offsets: readonly number[];
  /** Of all buffers; those of the arrays' are other ones for each part of the tasks. */
  private readonly addresses: number[];

  /** `tasks` of one slot. Throws OC-DEVICE-01. */
  constructor(
    linear: LinearMemory,
    { buffers }: Launch,
    arrays: readonly HostArray[],
    tasks: number,
    slots: number,
  ) {
    this.linear = linear;
    this.arrays = arrays;
    let bytes = aligned(bytesOfAddress * buffers.length);
    this.offsets = arrays.map(({ window }) => {
      const offset = bytes;
      bytes += aligned(window * tasks);
      return offset;
    });
    this.stride = bytes;
    const isArray = (buffer: number): boolean => arrays.some((each) => each.buffer === buffer);
    this.addresses = buffers.map((argument, buffer) =>
      isArray(buffer) ? 0 : linear.locateArgument(argument),
    );
    const found = linear.allocate(bytes * slots);
    if (found === undefined) throw linear.outOfMemory(bytes * slots);
    this.block = found.handle;
    this.start = linear.locate(this.block, 0, bytes * slots);
  }

  /** Where kernels find the addresses of buffers. */
  argumentsOf(slot: number): number {
    return this.start + slot * this.stride;
  }

  /** Before tasks run: what they read, where they look for it. */
  take(slot: number, begin: number, end: number): void {
    const { linear, addresses } = this;
    const start = this.argumentsOf(slot);
    this.arrays.forEach(({ buffer, argument, array, window }, i) => {
      const place = start + (this.offsets[i] as number);
      if (argument.access !== 'write')
        linear.put(place, array.subarray(begin * window, end * window));
      addresses[buffer] = place - begin * window;
    });
    linear.writeAddresses(start, addresses);
  }

  /** After they have run: what they wrote. */
  give(slot: number, begin: number, end: number): void {
    const start = this.argumentsOf(slot);
    this.arrays.forEach(({ argument, array, window }, i) => {
      if (argument.access === 'read') return;
      const at = begin * window;
      const bytes = Math.min(array.byteLength, end * window) - at;
      if (bytes <= 0) return;
      copyBytes(array, at, this.linear.at(start + (this.offsets[i] as number), bytes));
    });
  }

  /** A block that stayed would lie amid the memory of programs that come later. */
  release(): void {
    this.linear.release(this.block);
  }
}
