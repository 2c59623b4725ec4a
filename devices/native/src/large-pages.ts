/** Which of the caller's arrays are moved to large pages: those that come again. */

/** Two large pages: one lies within such an array for certain. */
const leastBytes = 2 ** 22;

export class LargePages {
  private readonly seen = new WeakSet<ArrayBufferLike>();
  private readonly moved = new WeakSet<ArrayBufferLike>();

  /** Whether to move it now: it comes a second time, and will be used often enough to pay for it. */
  isDue({ buffer, byteLength }: Uint8Array): boolean {
    const comesAgain = this.seen.has(buffer);
    this.seen.add(buffer);
    if (!comesAgain || byteLength < leastBytes || this.moved.has(buffer)) return false;
    this.moved.add(buffer);
    return true;
  }
}
