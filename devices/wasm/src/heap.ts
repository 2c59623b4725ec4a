/** Bookkeeping of a linear memory: which ranges are free. First fit; neighbours are joined. */

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Every block starts and ends at a multiple of this. */
export const alignment = 64;

const aligned = (bytes: number): number => Math.max(1, Math.ceil(bytes / alignment)) * alignment;

export class Heap {
  /** Sorted, none touches the next. */
  private free: readonly Range[];
  freeBytes: number;

  /** Gives out addresses in [start, end), both multiples of the alignment. */
  constructor(start: number, end: number) {
    this.free = [{ start, end }];
    this.freeBytes = end - start;
  }

  /** Address of a block of at least so many bytes; undefined where none fits. */
  allocate(bytes: number): number | undefined {
    const size = aligned(bytes);
    const at = this.free.findIndex(({ start, end }) => end - start >= size);
    const found = this.free[at];
    if (found === undefined) return undefined;
    const rest = { start: found.start + size, end: found.end };
    this.free = this.free.toSpliced(at, 1, ...(rest.start < rest.end ? [rest] : []));
    this.freeBytes -= size;
    return found.start;
  }

  /** Takes a block back, with the address and the bytes of `allocate`. */
  release(start: number, bytes: number): void {
    const end = start + aligned(bytes);
    const before = this.free.filter((range) => range.end < start);
    const after = this.free.filter((range) => range.start > end);
    const joined = this.free.slice(before.length, this.free.length - after.length);
    const first = Math.min(start, joined[0]?.start ?? start);
    const last = Math.max(end, joined.at(-1)?.end ?? end);
    this.free = [...before, { start: first, end: last }, ...after];
    this.freeBytes += end - start;
  }
}
