/** Several shared libraries in one byte array: their number, their lengths, their contents. */
import { failure } from '@open-claw/core/device/contract';

export const binaryFormat = 'native/1';

export function joinLibraries(parts: readonly Uint8Array[]): Uint8Array {
  const head = Buffer.alloc(4 * (parts.length + 1));
  head.writeUInt32LE(parts.length, 0);
  for (const [i, part] of parts.entries()) head.writeUInt32LE(part.byteLength, 4 * (i + 1));
  return Buffer.concat([head, ...parts]);
}

/** Throws OC-DEVICE-03 where the lengths do not add up. */
export function splitLibraries(bytes: Uint8Array): readonly Uint8Array[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view.length >= 4 ? view.readUInt32LE(0) : 0;
  let at = 4 * (count + 1);
  const parts: Uint8Array[] = [];
  for (let i = 0; i < count && at <= view.length; i++) {
    const length = view.readUInt32LE(4 * (i + 1));
    parts.push(view.subarray(at, at + length));
    at += length;
  }
  if (count === 0 || at !== view.length) {
    throw failure('OC-DEVICE-03', { reason: 'the compiled kernels are damaged' });
  }
  return parts;
}
