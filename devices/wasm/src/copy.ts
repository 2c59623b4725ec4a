/** Copies of bytes, also where threads share one side. */

interface FillOfNode {
  readonly prototype: {
    fill(this: Uint8Array, value: Uint8Array, begin: number, end: number): unknown;
  };
}

/** Shorter ones are not worth the way through Node. */
const leastBytes = 4096;

/** Absent outside of Node. */
const fill = (globalThis as { Buffer?: FillOfNode }).Buffer?.prototype.fill;

const isShared = ({ buffer }: Uint8Array): boolean =>
  typeof SharedArrayBuffer !== 'undefined' && buffer instanceof SharedArrayBuffer;

/** Writes `source` into `target` from `at` on; they must not overlap. */
export function copyBytes(target: Uint8Array, at: number, source: Uint8Array): void {
  const bytes = source.byteLength;
  // Engines copy what threads share word by word; filling with as many bytes is C's own copy.
  if (fill !== undefined && bytes >= leastBytes && (isShared(target) || isShared(source))) {
    fill.call(target, source, at, at + bytes);
  } else {
    target.set(source, at);
  }
}
