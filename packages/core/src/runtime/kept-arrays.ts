/**
 * The caller's arrays as device memory from one run to the next: where the same arrays come again,
 * launches, and a recording of them, stay as they are. Kept are only arrays that came before, so
 * that results nobody gives again are not held.
 */
import type { Device, Memory } from './contract.js';

/** Below this a copy costs less than the handle; of an array that came before, less than that. */
const leastBytes = 2 ** 16;
const leastAgain = 2 ** 10;

interface Kept {
  readonly memory: Memory;
  readonly offset: number;
  readonly length: number;
  isUsed: boolean;
}

export class KeptArrays {
  private readonly device: Device;
  /** Buffers that the device takes arrays for: any where it shares the host's memory. */
  private readonly streamed: ReadonlySet<number> | undefined;
  /** By their buffer; one that is detached has no bytes left and matches nothing. */
  private readonly kept = new Map<ArrayBufferLike, Kept[]>();
  private readonly seen = new WeakSet<ArrayBufferLike>();
  /** Buffers of this run that no earlier run had. */
  private met: ArrayBufferLike[] = [];
  private single: Memory[] = [];
  private isNew = false;
  /** Whether the last run took only arrays that were there already. */
  isSteady = false;

  /** With `streamed`, arrays are used for these buffers alone and by a device that copies them. */
  constructor(device: Device, streamed?: ReadonlySet<number>) {
    this.device = device;
    this.streamed = streamed;
  }

  /** Whether arrays are used for a buffer. */
  takes(buffer: number): boolean {
    return this.streamed?.has(buffer) ?? true;
  }

  /** Whether an array of so many bytes is worth being used for a buffer. */
  suits(buffer: number, bytes: Uint8Array): boolean {
    if (!this.takes(buffer)) return false;
    const isShort = this.comesAgain(bytes) && this.streamed === undefined;
    return bytes.byteLength >= (isShort ? leastAgain : leastBytes);
  }

  /** Zeroed bytes for a result; undefined where any array is as good. */
  newArray(bytes: number): Uint8Array<ArrayBuffer> | undefined {
    return this.device.newArray?.(bytes);
  }

  /** Whether an earlier run was given the array's buffer. */
  comesAgain({ buffer }: Uint8Array): boolean {
    if (this.seen.has(buffer)) return true;
    this.met.push(buffer);
    return false;
  }

  /** Memory for this run; undefined where the device cannot use the array. */
  wrap(bytes: Uint8Array): Memory | undefined {
    const { buffer, byteOffset: offset, byteLength: length } = bytes;
    const list = this.kept.get(buffer) ?? [];
    const known = list.find((each) => each.offset === offset && each.length === length);
    if (known !== undefined) {
      known.isUsed = true;
      return known.memory;
    }
    const { device, streamed } = this;
    const memory = streamed === undefined ? device.wrap?.(bytes) : device.lend?.(bytes);
    if (memory === undefined) return undefined;
    this.isNew = true;
    if (this.comesAgain(bytes)) {
      this.kept.set(buffer, [...list, { memory, offset, length, isUsed: true }]);
    } else this.single.push(memory);
    return memory;
  }

  /** After a run: what it did not use is let go; all where it failed. */
  end(isWhole: boolean): void {
    this.isSteady = isWhole && !this.isNew;
    this.isNew = false;
    for (const buffer of this.met) this.seen.add(buffer);
    this.met = [];
    for (const memory of this.single) this.device.free(memory);
    this.single = [];
    for (const [buffer, list] of [...this.kept]) {
      const stays = list.filter((each) => isWhole && each.isUsed);
      for (const each of list) if (!stays.includes(each)) this.device.free(each.memory);
      for (const each of stays) each.isUsed = false;
      if (stays.length === 0) this.kept.delete(buffer);
      else if (stays.length < list.length) this.kept.set(buffer, stays);
    }
  }

  release(): void {
    this.end(false);
  }
}
