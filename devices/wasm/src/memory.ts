/** The linear memory of an open device and the handles into it. */
import type { Entry, Memory, MemoryArgument, Module } from '@open-claw/core/device/contract';
import { failure } from '@open-claw/core/device/contract';
import { copyBytes } from './copy.js';
import { Heap } from './heap.js';
import type { Poison } from './poison.js';
import { grow, pageBytes, wideMemory, widthOfEngine } from './wide.js';

/** Where the arguments of the running kernel lie. */
export const bufferBlock = 1024;
export const sizesBlock = 16384;
/** Below are arguments of kernels; kernels rely on buffers starting at or above. */
const heapStart = 65536;
const growPages = 16;

export class WasmMemory implements Memory {
  readonly bytes: number;
  readonly owner: LinearMemory;
  /** Undefined once it is freed, and of an array of the host. */
  address: number | undefined;
  /** An array of the host, which kernels see by windows; undefined once it is freed. */
  array: Uint8Array | undefined;
  poison: Poison = [];

  constructor(owner: LinearMemory, bytes: number, where: number | Uint8Array) {
    this.owner = owner;
    this.bytes = bytes;
    if (typeof where === 'number') this.address = where;
    else this.array = where;
  }
}

export type EntryFunction = (
  buffers: number,
  sizes: number,
  scratch: number,
  begin: bigint,
  end: bigint,
) => void;

type WideFunction = (
  buffers: bigint,
  sizes: bigint,
  scratch: bigint,
  begin: bigint,
  end: bigint,
) => void;

/** The kernels of an instance; those of a wide memory take addresses as integers of 64 bits. */
export function entryFunctions(
  exports: WebAssembly.Exports,
  wide: boolean,
): Readonly<Record<string, EntryFunction>> {
  if (!wide) return exports as unknown as Readonly<Record<string, EntryFunction>>;
  const all = Object.entries(exports as unknown as Readonly<Record<string, WideFunction>>);
  return Object.fromEntries(
    all.map(([name, run]): [string, EntryFunction] => [
      name,
      (buffers, sizes, scratch, begin, end) =>
        run(BigInt(buffers), BigInt(sizes), BigInt(scratch), begin, end),
    ]),
  );
}

export class WasmModule implements Module {
  readonly entries: readonly Entry[];
  readonly owner: LinearMemory;
  /** Undefined once it is freed. */
  functions: Readonly<Record<string, EntryFunction>> | undefined;
  /** Milliseconds of the last launch of a kernel over its estimate in microseconds, by name. */
  readonly rates = new Map<string, number>();
  /** Where workers find it; absent where the device has none. */
  readonly place: ModulePlace | undefined;

  constructor(
    owner: LinearMemory,
    entries: readonly Entry[],
    functions: Readonly<Record<string, EntryFunction>>,
    place: ModulePlace | undefined,
  ) {
    this.owner = owner;
    this.entries = entries;
    this.functions = functions;
    this.place = place;
  }
}

/** A module's bytes in the linear memory, for workers to compile. */
export interface ModulePlace {
  readonly slot: number;
  readonly version: number;
  readonly code: WasmMemory;
  /** Names of the exports, in order. */
  readonly names: readonly string[];
}

const invalid = (reason: string): Error => failure('OC-DEVICE-03', { reason });

function wideMemoryOf(initial: number, maximum: number, shared: boolean): WebAssembly.Memory {
  try {
    return wideMemory(initial, maximum, shared);
  } catch (cause) {
    const details = { asked: initial * pageBytes, free: 0 };
    throw failure('OC-DEVICE-01', details, { kind: 'transient', retry: 'smaller', cause });
  }
}

export class LinearMemory {
  readonly memory: WebAssembly.Memory;
  private readonly heap: Heap;
  /** Nothing at or above was ever used, so it holds zeros. */
  private untouched = heapStart;
  private bytes: Uint8Array | undefined;

  /** Whether addresses have 64 bits. */
  readonly isWide: boolean;

  /**
   * `limit` in bytes, all of the memory; `shared` with other threads; `wide` with addresses of 64
   * bits. Throws OC-DEVICE-01 where the engine does not give so much.
   */
  constructor(limit: number, shared: boolean, wide = false) {
    const end = Math.max(heapStart, limit - (limit % pageBytes));
    const initial = 2;
    // What threads share has its place reserved from the start.
    const maximum = Math.max(initial, end / pageBytes);
    this.isWide = wide;
    // An engine whose memories do not grow that far gives address space at once, and bytes as
    // they are touched.
    const first = wide && widthOfEngine() === 'fixed' ? maximum : initial;
    this.memory = wide
      ? wideMemoryOf(first, maximum, shared)
      : new WebAssembly.Memory(shared ? { initial, maximum, shared } : { initial });
    this.heap = new Heap(heapStart, end);
  }

  get freeBytes(): number {
    return this.heap.freeBytes;
  }

  outOfMemory(asked: number): Error {
    const details = { asked, free: this.freeBytes };
    return failure('OC-DEVICE-01', details, { kind: 'transient', retry: 'smaller' });
  }

  /** Bytes from an address on; valid until memory is allocated. */
  at(address: number, bytes: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, address, bytes);
  }

  /** Writes bytes at an address. */
  put(address: number, bytes: Uint8Array): void {
    if (this.isWide) copyBytes(this.at(address, bytes.byteLength), 0, bytes);
    else copyBytes(this.all, address, bytes);
  }

  /** Moves bytes within the memory, as if through another. */
  move(target: number, source: number, bytes: number): void {
    if (this.isWide) this.at(target, bytes).set(this.at(source, bytes));
    else this.all.copyWithin(target, source, source + bytes);
  }

  /** All bytes of a narrow memory; engines show no wide one as a whole. */
  private get all(): Uint8Array {
    const { buffer } = this.memory;
    if (this.bytes?.buffer !== buffer) this.bytes = new Uint8Array(buffer);
    return this.bytes;
  }

  /** Writes the addresses of buffers where a kernel reads them. */
  writeAddresses(at: number, addresses: readonly number[]): void {
    const { buffer } = this.memory;
    if (this.isWide) new BigInt64Array(buffer, at, addresses.length).set(addresses.map(BigInt));
    else new Uint32Array(buffer, at, addresses.length).set(addresses);
  }

  /** Writes sizes where a kernel reads them. */
  writeSizes(at: number, sizes: readonly number[]): void {
    new BigInt64Array(this.memory.buffer, at, sizes.length).set(sizes.map(BigInt));
  }

  /** A block and how many of its first bytes may be other than zero; undefined where none fits. */
  allocate(bytes: number): { readonly handle: WasmMemory; readonly dirty: number } | undefined {
    const address = this.heap.allocate(bytes);
    if (address === undefined) return undefined;
    const end = address + bytes;
    if (!this.reach(end)) {
      this.heap.release(address, bytes);
      return undefined;
    }
    const dirty = Math.max(0, Math.min(bytes, this.untouched - address));
    this.untouched = Math.max(this.untouched, end);
    return { handle: new WasmMemory(this, bytes, address), dirty };
  }

  release(handle: WasmMemory): void {
    handle.array = undefined;
    if (handle.address === undefined) return;
    this.heap.release(handle.address, handle.bytes);
    handle.address = undefined;
  }

  /** Grows the memory to `end` bytes; false where the engine gives no more. */
  private reach(end: number): boolean {
    const have = this.memory.buffer.byteLength / pageBytes;
    const need = Math.ceil(end / pageBytes);
    if (need <= have) return true;
    for (const pages of [Math.max(need - have, growPages), need - have]) {
      try {
        grow(this.memory, pages);
        return true;
      } catch {
        // The engine or the machine has no more; the smaller step may still fit.
      }
    }
    return false;
  }

  /** First byte of a range of a handle, checked. */
  locate(handle: Memory, offset: number, bytes: number): number {
    const memory = this.own(handle);
    if (memory.array !== undefined) throw invalid('an array of the host without windows');
    if (memory.address === undefined) throw invalid('memory that is freed');
    if (!(offset >= 0 && bytes >= 0 && offset + bytes <= memory.bytes)) {
      throw invalid(`bytes ${offset} to ${offset + bytes} of a memory of ${memory.bytes}`);
    }
    return memory.address + offset;
  }

  locateArgument(argument: MemoryArgument): number {
    return this.locate(argument.memory, argument.offset, argument.bytes);
  }

  /** Whether a handle is of memory that lies here. */
  holds(handle: Memory): boolean {
    if (!(handle instanceof WasmMemory)) return false;
    return handle.owner === this && handle.address !== undefined;
  }

  own(handle: Memory): WasmMemory {
    if (handle instanceof WasmMemory && handle.owner === this) return handle;
    throw invalid('memory of another device');
  }

  ownModule(handle: Module): WasmModule {
    if (handle instanceof WasmModule && handle.owner === this) return handle;
    throw invalid('a module of another device');
  }
}

/** Memory for one kernel after the other. */
export class Block {
  private readonly linear: LinearMemory;
  private memory: WasmMemory | undefined;

  constructor(linear: LinearMemory) {
    this.linear = linear;
  }

  /** Address of at least so many bytes with anything in them. Throws OC-DEVICE-01. */
  reach(bytes: number): number {
    const { linear, memory } = this;
    if (memory === undefined || memory.bytes < bytes) {
      const found = linear.allocate(bytes);
      if (found === undefined) throw linear.outOfMemory(bytes);
      if (memory !== undefined) linear.release(memory);
      this.memory = found.handle;
    }
    return linear.locate(this.memory as WasmMemory, 0, bytes);
  }
}
