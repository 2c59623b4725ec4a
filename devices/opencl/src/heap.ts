/** A device's memory: what is given out, what is kept for reuse, and what is free. */
import { freemem } from 'node:os';
import { failure, type OpenClawError, type Target } from '@open-claw/core/device';
import { memoryCodes } from './constants.js';
import type { Driver, Handle } from './driver.js';
import type { Loss } from './loss.js';
import { largePagesFrom } from './pages.js';

export interface HeapPlace {
  readonly driver: Driver;
  readonly context: Handle;
  readonly queue: Handle;
  readonly target: Target;
  /** Whether device memory is the host's. */
  readonly onHost: boolean;
}

/** Part of the memory that may be kept for reuse. */
const keptPart = 1 / 16;

export class Heap {
  private readonly place: HeapPlace;
  private readonly loss: Loss;
  private readonly pool: Pool;
  private allocated = 0;

  constructor(place: HeapPlace, loss: Loss) {
    this.place = place;
    this.loss = loss;
    this.pool = new Pool(place.driver, Math.floor(place.target.memoryBytes * keptPart));
  }

  freeBytes(): number {
    const { onHost, target } = this.place;
    const left = Math.max(0, target.memoryBytes - this.allocated);
    return onHost ? Math.min(left, freemem()) : left;
  }

  /** A buffer with old contents. Throws OC-DEVICE-01, OC-DEVICE-09. */
  take(bytes: number): { readonly buffer: Handle; readonly capacity: number } {
    const capacity = capacityOf(bytes);
    const most = Math.min(this.freeBytes(), this.place.target.maxBufferBytes);
    const buffer =
      capacity <= most ? (this.pool.take(capacity) ?? this.create(capacity)) : undefined;
    if (buffer === undefined) throw this.outOfMemory(bytes);
    this.allocated += capacity;
    return { buffer, capacity };
  }

  /** Takes a buffer back, for reuse. */
  give(buffer: Handle, bytes: number): void {
    const capacity = capacityOf(bytes);
    this.allocated -= capacity;
    this.pool.give(buffer, capacity);
  }

  /** Takes back a buffer that the driver cannot use; gives the error. */
  refuse(buffer: Handle, bytes: number, code: number): OpenClawError {
    this.allocated -= capacityOf(bytes);
    this.place.driver.release('memory', buffer);
    const error = this.loss.failureOf('allocate', code);
    return this.loss.gone === undefined && memoryCodes.has(code) ? this.outOfMemory(bytes) : error;
  }

  /** Gives everything that is kept back to the driver. */
  drain(): void {
    this.pool.drain();
  }

  /** A buffer of the driver, if need be after giving back what is kept. */
  private create(capacity: number): Handle | undefined {
    const { driver, context, queue, onHost } = this.place;
    for (const attempt of [0, 1]) {
      if (attempt === 1) this.pool.drain();
      const { object, code } = driver.createBuffer(context, capacity);
      if (code === 0) {
        if (onHost && capacity >= largePagesFrom) driver.useLargePages(queue, object, capacity);
        return object;
      }
      this.loss.check(code);
    }
    return undefined;
  }

  private outOfMemory(asked: number): OpenClawError {
    const details = { asked, free: this.freeBytes() };
    return failure('OC-DEVICE-01', details, { kind: 'transient', retry: 'smaller' });
  }
}

/** Buffers of one size class are alike. */
const capacityOf = (bytes: number): number => {
  const grain = bytes <= 4096 ? 256 : 4096;
  return Math.max(grain, Math.ceil(bytes / grain) * grain);
};

/** Freed buffers by capacity, oldest first out. */
class Pool {
  private readonly driver: Driver;
  private readonly mostBytes: number;
  private readonly kept: { readonly buffer: Handle; readonly capacity: number }[] = [];
  private bytes = 0;

  constructor(driver: Driver, mostBytes: number) {
    this.driver = driver;
    this.mostBytes = mostBytes;
  }

  take(capacity: number): Handle | undefined {
    const at = this.kept.findLastIndex((each) => each.capacity === capacity);
    if (at < 0) return undefined;
    this.bytes -= capacity;
    return this.kept.splice(at, 1)[0]?.buffer;
  }

  give(buffer: Handle, capacity: number): void {
    this.kept.push({ buffer, capacity });
    this.bytes += capacity;
    while (this.bytes > this.mostBytes) this.dropOldest();
  }

  /** Gives everything back to the driver. */
  drain(): void {
    while (this.kept.length > 0) this.dropOldest();
  }

  private dropOldest(): void {
    const oldest = this.kept.shift();
    if (oldest === undefined) return;
    this.bytes -= oldest.capacity;
    this.driver.release('memory', oldest.buffer);
  }
}
