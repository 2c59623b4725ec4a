/** Arrays of the host that begin at a line of the cache. */
import type { Address } from './runtime.js';

/** Bytes of a line, and of the widest vector. */
const lineBytes = 64;

/**
 * Zeroed bytes that begin at a line: a new array of JavaScript begins behind a header, so that
 * every store of a whole line would touch two. A view into a slightly larger buffer.
 */
export function lineArray(
  bytes: number,
  addressOf: (bytes: Uint8Array) => Address,
): Uint8Array<ArrayBuffer> {
  const buffer = new ArrayBuffer(bytes + lineBytes);
  const past = addressOf(new Uint8Array(buffer)) % lineBytes;
  return new Uint8Array(buffer, (lineBytes - past) % lineBytes, bytes);
}
