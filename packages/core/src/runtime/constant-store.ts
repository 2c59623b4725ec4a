/**
 * Constants in the memory of one device, shared by all programs that are loaded there: by content,
 * and by layout where kernels have packed them. Freed with their last user.
 */
import type { HostTensor } from '../base/host-tensor.js';
import type { Device, Memory, MemoryArgument } from './contract.js';
import { tensorBytes } from './session.js';

/** One allocation, which small constants share. */
export interface Block {
  readonly memory: Memory;
  /** Constants in it that somebody uses. */
  live: number;
}

export interface Stored {
  readonly key: string;
  readonly place: MemoryArgument;
  readonly block: Block;
  users: number;
}

interface Content {
  readonly id: number;
  readonly bytes: Uint8Array;
  readonly sample: number;
  users: number;
}

/** Words of a constant that its sample looks at. */
const sampledWords = 1024;

export class ConstantStore {
  private readonly device: Device;
  private readonly stored = new Map<string, Stored>();
  private readonly bySample = new Map<number, readonly Content[]>();
  private readonly names = new Map<string, number>();
  private nextId = 0;

  constructor(device: Device) {
    this.device = device;
  }

  /** The content of a tensor: equal bytes are one. Its arrays must not change while it is used. */
  contentOf(tensor: HostTensor): Content {
    const bytes = tensorBytes(tensor);
    const sample = sampleOf(bytes);
    const alike = this.bySample.get(sample) ?? [];
    const known = alike.find((content) => isEqual(content.bytes, bytes));
    const content = known ?? { id: this.nextId++, bytes, sample, users: 0 };
    if (known === undefined) this.bySample.set(sample, [...alike, content]);
    content.users++;
    return content;
  }

  releaseContent(content: Content): void {
    if (--content.users > 0) return;
    const alike = this.bySample.get(content.sample) ?? [];
    const others = alike.filter((other) => other !== content);
    if (others.length > 0) this.bySample.set(content.sample, others);
    else this.bySample.delete(content.sample);
  }

  /** A short name for a long key. */
  nameOf(key: string): number {
    const name = this.names.get(key) ?? this.names.size;
    this.names.set(key, name);
    return name;
  }

  find(key: string): Stored | undefined {
    return this.stored.get(key);
  }

  /** Makes constants known whose bytes are in place. */
  add(entry: Stored): void {
    this.stored.set(entry.key, entry);
  }

  release(entry: Stored): void {
    if (--entry.users > 0) return;
    if (this.stored.get(entry.key) === entry) this.stored.delete(entry.key);
    if (--entry.block.live === 0) this.device.free(entry.block.memory);
  }
}

export type { Content };

const stores = new WeakMap<Device, ConstantStore>();

export function storeOf(device: Device): ConstantStore {
  const store = stores.get(device) ?? new ConstantStore(device);
  stores.set(device, store);
  return store;
}

/** FNV-1a over bytes that lie evenly apart: equal for equal bytes, and cheap. */
function sampleOf(bytes: Uint8Array): number {
  const step = Math.max(1, Math.floor(bytes.length / (4 * sampledWords)));
  let hash = 0x811c9dc5 ^ bytes.length;
  for (let i = 0; i < bytes.length; i += step) {
    hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  }
  return hash >>> 0;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.byteLength !== b.byteLength) return false;
  if (a.buffer === b.buffer && a.byteOffset === b.byteOffset) return true;
  const isAligned = [a, b].every(({ byteOffset }) => byteOffset % 8 === 0);
  const words = isAligned ? Math.floor(a.length / 8) : 0;
  const [left, right] = [a, b].map(
    ({ buffer, byteOffset }) => new BigUint64Array(buffer, isAligned ? byteOffset : 0, words),
  ) as [BigUint64Array, BigUint64Array];
  for (let i = 0; i < words; i++) if (left[i] !== right[i]) return false;
  for (let i = words * 8; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
