/** Buffers of an open device: handles, and a pool so that programs of one shape reuse memory. */
import type { Memory } from '@open-claw/core/device';
import { failure } from '@open-claw/core/device';
import { healed, type Poison, poisoned, poisonIn } from './poison.js';

/** Numbers of GPUBufferUsage and GPUMapMode, which Node.js has only inside of the package. */
export const usage = {
  mapRead: 0x1,
  copySource: 0x4,
  copyTarget: 0x8,
  uniform: 0x40,
  storage: 0x80,
} as const;
export const mapForRead = 0x1;

/** Every binding and copy is a multiple of words; 16 bytes hold any element. */
const granule = 16;
const roundUp = (bytes: number): number => Math.ceil(Math.max(bytes, 1) / granule) * granule;

/** Bytes of released buffers that are kept for the next allocations. */
const mostSpare = 2 ** 28;

export const invalid = (reason: string): Error => failure('OC-DEVICE-03', { reason });

/** A buffer with the size that it was asked for; what lies beyond is padding. */
export class GpuMemory implements Memory {
  readonly bytes: number;
  /** Undefined once it is freed. */
  buffer: GPUBuffer | undefined;
  private poison: Poison = [];

  constructor(bytes: number, buffer: GPUBuffer) {
    this.bytes = bytes;
    this.buffer = buffer;
  }

  /** The error of the first unreadable byte. */
  errorIn(offset: number, bytes: number): Error | undefined {
    return poisonIn(this.poison, offset, offset + bytes);
  }

  mark(offset: number, bytes: number, error: Error | undefined): void {
    const end = offset + bytes;
    this.poison =
      error === undefined
        ? healed(this.poison, offset, end)
        : poisoned(this.poison, offset, end, error);
  }
}

export class MemoryPool {
  private readonly gpu: GPUDevice;
  private readonly limit: number;
  private readonly live = new Set<GpuMemory>();
  private readonly spare = new Map<number, GPUBuffer[]>();
  private spareBytes = 0;
  private liveBytes = 0;

  /** `limit` in bytes, of everything that is not freed. */
  constructor(gpu: GPUDevice, limit: number) {
    this.gpu = gpu;
    this.limit = limit;
  }

  get freeBytes(): number {
    return this.limit - this.liveBytes;
  }

  /** Zeroed memory; undefined where there is not enough. */
  async allocate(bytes: number): Promise<GpuMemory | undefined> {
    const size = roundUp(bytes);
    if (size > this.freeBytes || size > this.gpu.limits.maxBufferSize) return undefined;
    // Counted before waiting, so that allocations at the same time cannot exceed the limit.
    this.liveBytes += size;
    const buffer = this.reuse(size) ?? (await this.create(size));
    if (buffer === undefined) {
      this.liveBytes -= size;
      return undefined;
    }
    const memory = new GpuMemory(bytes, buffer);
    this.live.add(memory);
    return memory;
  }

  private reuse(size: number): GPUBuffer | undefined {
    const buffer = this.spare.get(size)?.pop();
    if (buffer === undefined) return undefined;
    this.spareBytes -= size;
    const encoder = this.gpu.createCommandEncoder();
    encoder.clearBuffer(buffer);
    this.gpu.queue.submit([encoder.finish()]);
    return buffer;
  }

  private async create(size: number): Promise<GPUBuffer | undefined> {
    const descriptor = { size, usage: usage.storage | usage.copySource | usage.copyTarget };
    for (;;) {
      this.gpu.pushErrorScope('out-of-memory');
      const buffer = this.gpu.createBuffer(descriptor);
      if ((await this.gpu.popErrorScope()) === null) return buffer;
      buffer.destroy();
      if (this.spareBytes === 0) return undefined;
      this.clear();
    }
  }

  release(memory: GpuMemory): void {
    if (!this.live.delete(memory) || memory.buffer === undefined) return;
    const { buffer } = memory;
    memory.buffer = undefined;
    this.liveBytes -= buffer.size;
    if (this.spareBytes + buffer.size > mostSpare) {
      buffer.destroy();
      return;
    }
    this.spareBytes += buffer.size;
    const list = this.spare.get(buffer.size) ?? [];
    list.push(buffer);
    this.spare.set(buffer.size, list);
  }

  /** Destroys what nobody holds. */
  clear(): void {
    for (const list of this.spare.values()) for (const buffer of list) buffer.destroy();
    this.spare.clear();
    this.spareBytes = 0;
  }

  /** The handle as this device's own. */
  own(handle: Memory): GpuMemory {
    if (!(handle instanceof GpuMemory)) throw invalid('memory of another device');
    if (this.live.has(handle)) return handle;
    throw invalid('memory that is freed or of another device');
  }

  /** The buffer behind a handle, for a range that fits. */
  locate(handle: Memory, offset: number, bytes: number): GPUBuffer {
    const memory = this.own(handle);
    if (!(offset >= 0 && bytes >= 0 && offset + bytes <= memory.bytes)) {
      throw invalid(`bytes ${offset} to ${offset + bytes} of a memory of ${memory.bytes}`);
    }
    return memory.buffer as GPUBuffer;
  }
}
