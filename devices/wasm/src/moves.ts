/** Copies and fills of the linear memory, in slices. */
import type { MemoryArgument } from '@open-claw/core/device/contract';
import type { LinearMemory } from './memory.js';
import type { Job } from './queue.js';

/** Bytes that are copied or filled between two looks at the clock. */
export const copySlice = 4 * 2 ** 20;

/** Bytes of a pattern that fills memory; the first cache holds it. */
const fillBlock = 2 ** 14;

export function* fill(linear: LinearMemory, start: number, bytes: number, byte: number): Job {
  // Engines fill memory that threads share byte by byte, and copy it as fast as any.
  const block = new Uint8Array(Math.min(bytes, fillBlock)).fill(byte);
  for (let at = 0; at < bytes; at += block.length) {
    if (at > 0 && at % copySlice === 0) yield;
    const part = block.subarray(0, bytes - at);
    linear.put(start + at, part);
  }
}

export function* copy(linear: LinearMemory, from: MemoryArgument, to: MemoryArgument): Job {
  const { bytes } = to;
  const source = linear.locate(from.memory, from.offset, bytes);
  const target = linear.locateArgument(to);
  if (source < target + bytes && target < source + bytes) {
    linear.move(target, source, bytes);
    return;
  }
  for (let at = 0; at < bytes; at += copySlice) {
    if (at > 0) yield;
    const end = Math.min(at + copySlice, bytes);
    linear.move(target + at, source + at, end - at);
  }
}
