/** Values in device memory, and the memory of released ones for the next. */
import type { DType } from '../base/dtype.js';
import type { Device, Memory } from './contract.js';
import type { OpenDevice } from './registry.js';

/** A tensor in the memory of one device; whoever holds it releases it. */
export interface Resident {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly opened: OpenDevice;
  readonly memory: Memory;
}

/** Bytes that a device's pool keeps for the next values. */
const mostPooled = 2 ** 28;

/**
 * Bytes of memory for a value: at most an eighth more, so that one that grows from call to call, as
 * a key/value cache does, finds the memory of those before it.
 */
function roomFor(bytes: number): number {
  const step = Math.max(64, 2 ** (Math.floor(Math.log2(Math.max(bytes, 1))) - 3));
  return Math.ceil(bytes / step) * step;
}

/**
 * Memory of released values by size: a training loop asks for the same sizes again and again. Of
 * several the oldest is given, so that a run after the release of the last one's results finds each
 * where it lay, and its commands as they were.
 */
export class Pool {
  private readonly device: Device;
  /** Youngest first. */
  private readonly spare = new Map<number, Memory[]>();
  private readonly births = new WeakMap<Memory, number>();
  private allocations = 0;
  private bytes = 0;

  constructor(device: Device) {
    this.device = device;
  }

  /** Memory of at least so many bytes, with anything in it. */
  async allocate(bytes: number): Promise<Memory> {
    const room = roomFor(bytes);
    const known = this.spare.get(room)?.pop();
    if (known !== undefined) {
      this.bytes -= room;
      return known;
    }
    const number = this.allocations++;
    const memory = await this.allocateNew(bytes, room);
    this.births.set(memory, number);
    return memory;
  }

  /** Takes these very memories where all of them are spare; false where one is not. */
  take(memories: readonly Memory[]): boolean {
    for (let i = 0; i < memories.length; i++) {
      const memory = memories[i] as Memory;
      const list = this.spare.get(memory.bytes);
      const at = list === undefined ? -1 : list.lastIndexOf(memory);
      if (list === undefined || at < 0) {
        for (let before = 0; before < i; before++) this.release(memories[before] as Memory);
        return false;
      }
      if (at === list.length - 1) list.pop();
      else list.splice(at, 1);
      this.bytes -= memory.bytes;
    }
    return true;
  }

  private async allocateNew(bytes: number, room: number): Promise<Memory> {
    try {
      return await this.device.allocate(room);
    } catch (error) {
      if (this.bytes === 0 && room === bytes) throw error;
      this.clear();
      return this.device.allocate(bytes);
    }
  }

  /** Commands made so far still see the memory: the device's order of calls is order of work. */
  release(memory: Memory): void {
    const isRoom = roomFor(memory.bytes) === memory.bytes;
    if (!isRoom || this.bytes + memory.bytes > mostPooled) {
      this.device.free(memory);
      return;
    }
    this.bytes += memory.bytes;
    const list = this.spare.get(memory.bytes);
    if (list === undefined) {
      this.spare.set(memory.bytes, [memory]);
      return;
    }
    if (list.length === 0) {
      list.push(memory);
      return;
    }
    const birth = this.birthOf(memory);
    const at = list.findLastIndex((other) => this.birthOf(other) > birth);
    list.splice(at + 1, 0, memory);
  }

  /** Memory that came from elsewhere is the youngest. */
  private birthOf(memory: Memory): number {
    return this.births.get(memory) ?? Number.POSITIVE_INFINITY;
  }

  private clear(): void {
    for (const list of this.spare.values()) for (const memory of list) this.device.free(memory);
    this.spare.clear();
    this.bytes = 0;
  }
}

const pools = new WeakMap<Device, Pool>();

export function poolOf({ device }: OpenDevice): Pool {
  const known = pools.get(device);
  if (known !== undefined) return known;
  const made = new Pool(device);
  pools.set(device, made);
  return made;
}
