/** The caller's arrays: which are usable, and which move to large pages, those that come again. */

/** Two large pages: one lies within such an array for certain. */
const leastBytes = 2 ** 22;

/** An array that shrinks would leave kernels without memory below them. */
export const mayShrink = ({ buffer }: Uint8Array): boolean =>
  'resizable' in buffer && buffer.resizable === true;

export class LargePages {
  private readonly seen = new WeakSet<ArrayBufferLike>();
  private readonly moved = new WeakSet<ArrayBufferLike>();

  /** Whether to move it now: it comes a second time, and will be used often enough to pay. */
  isDue({ buffer, byteLength }: Uint8Array): boolean {
    const comesAgain = this.seen.has(buffer);
    this.seen.add(buffer);
    if (!comesAgain || byteLength < leastBytes || this.moved.has(buffer)) return false;
    this.moved.add(buffer);
    return true;
  }
}
