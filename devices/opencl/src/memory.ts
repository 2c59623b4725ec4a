/** Device memory: handles, parts of buffers as kernels take them, and buffers kept for reuse. */
import { failure, type Memory } from '@open-claw/core/device';
import { nameOf } from './constants.js';
import type { Driver, Handle } from './driver.js';

/** Parts of one buffer that are kept; a plan uses few, over and over. */
const mostParts = 256;

export class ClMemory implements Memory {
  readonly bytes: number;
  readonly owner: object;
  /** 0 once the driver has it back. */
  buffer: Handle;
  /** Set by free; commands that were submitted before still use the buffer. */
  isFreed = false;
  private readonly driver: Driver;
  private readonly parts = new Map<string, Handle>();

  constructor(owner: object, driver: Driver, buffer: Handle, bytes: number) {
    this.owner = owner;
    this.driver = driver;
    this.buffer = buffer;
    this.bytes = bytes;
  }

  /** The buffer from an offset on. Throws OC-DEVICE-02. */
  part(offset: number, bytes: number): Handle {
    if (offset === 0) return this.buffer;
    const key = `${offset}+${bytes}`;
    const kept = this.parts.get(key);
    if (kept !== undefined) return kept;
    if (this.parts.size >= mostParts) this.releaseParts();
    const { object, code } = this.driver.createSubBuffer(this.buffer, offset, Math.max(bytes, 1));
    if (code !== 0) {
      const reason = `a buffer from byte ${offset} on: ${nameOf(code)}`;
      throw failure('OC-DEVICE-02', { command: 'launch', reason });
    }
    this.parts.set(key, object);
    return object;
  }

  /** The driver keeps what queued commands use. */
  releaseParts(): void {
    for (const part of this.parts.values()) this.driver.release('memory', part);
    this.parts.clear();
  }
}
