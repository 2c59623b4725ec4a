/**
 * Compiled kernels as bytes: the source text, which any device can build, and the compiled form
 * of one driver, which may be empty.
 */
import { failure } from '@open-claw/core/device';

export const binaryFormat = 'opencl/1';

export interface Kernels {
  readonly text: string;
  readonly compiled: Uint8Array;
}

export function joinKernels({ text, compiled }: Kernels): Uint8Array {
  const source = Buffer.from(text);
  const head = Buffer.alloc(4);
  head.writeUInt32LE(source.byteLength, 0);
  return Buffer.concat([head, source, compiled]);
}

/** Throws OC-DEVICE-03 where the lengths do not add up. */
export function splitKernels(bytes: Uint8Array): Kernels {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = view.length >= 4 ? 4 + view.readUInt32LE(0) : 0;
  if (end < 4 || end > view.length) {
    throw failure('OC-DEVICE-03', { reason: 'the compiled kernels are damaged' });
  }
  return { text: view.toString('utf8', 4, end), compiled: view.subarray(end) };
}
