/** What a chip's plug-in gives. Plain data in and out; order of calls is order of work; no call
 * holds the caller's thread over 5 ms. */
import type { ErrorCode, Retry } from '../base/errors.js';
import type { Target } from '../base/target.js';
import type { Entry, Language, Source } from '../codegen/language.js';
import type { Override, OverrideParameters } from '../codegen/override.js';
import type { Graph } from '../graph/node.js';

export const contractVersion = 1;

/** A device that is there. `driver` and `marks` are what core derives the evidence from. */
export interface Found {
  /** `family/row:ordinal`, `native`, `wasm`. */
  readonly id: string;
  readonly model: string;
  readonly driver: string;
  readonly target: Target;
  readonly freeBytes: number;
  /** Ids of devices that can copy from this one directly. */
  readonly peers: readonly string[];
  /** What the probe saw: a software adapter, an emulator, a stub's marker symbol, a pretence. */
  readonly marks: readonly ('software' | 'emulator' | 'stub' | 'pretend')[];
}

/** A device that is not there, why, and how to get it. */
export interface Absent {
  readonly id: string;
  readonly reason: string;
  readonly fix: string;
}

/** Compiled kernels, cacheable as bytes. */
export interface Binary {
  readonly format: string;
  readonly target: string;
  readonly toolchain: string;
  readonly bytes: Uint8Array;
  readonly entries: readonly Entry[];
}

/** Opaque handles; a device gives and takes its own only. */
export type Memory = { readonly bytes: number };
export type Module = { readonly entries: readonly Entry[] };
export type Recording = { readonly commands: number };

/** A buffer: memory with an offset (a multiple of target.offsetAlignment) and a length. */
export interface MemoryArgument {
  readonly memory: Memory;
  readonly offset: number;
  readonly bytes: number;
  readonly access: 'read' | 'write' | 'readWrite';
}

export type Command =
  | {
      readonly kind: 'launch';
      readonly module: Module;
      readonly entry: string;
      /** Tasks per grid axis, outermost first; one 0 means nothing to do. */
      readonly grid: readonly number[];
      readonly buffers: readonly MemoryArgument[];
      /** Values of Entry.sizes; exact integers. The device encodes them as indexType says. */
      readonly sizes: readonly number[];
      /** optional: bytes w of each buffer: task t touches t·w to (t + 1)·w of it alone; 0: any. */
      readonly windows?: readonly number[];
      /** Estimated cost, for the choice between inline and off the event loop. */
      readonly microseconds: number;
    }
  /** Copies `to.bytes`; offsets are multiples of the element size only. */
  | { readonly kind: 'copy'; readonly from: MemoryArgument; readonly to: MemoryArgument }
  | { readonly kind: 'fill'; readonly to: MemoryArgument; readonly byte: number }
  | {
      /** An override of the plug-in, by name: inputs, outputs, workspace; sizes of all inputs. */
      readonly kind: 'operator';
      readonly name: string;
      readonly buffers: readonly MemoryArgument[];
      readonly sizes: readonly number[];
      readonly parameters?: OverrideParameters;
    }
  | { readonly kind: 'replay'; readonly recording: Recording };

/** Why a device is gone. */
export type Lost = { readonly code: ErrorCode; readonly reason: string; readonly retry: Retry };

export interface Status {
  readonly freeBytes: number;
  readonly load?: number;
  readonly watts?: number;
}

/** When the work shall end; checked between tasks. */
export interface Stop {
  readonly signal?: AbortSignalLike;
  /** Milliseconds from submit. */
  readonly timeLimit?: number;
}
export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason?: unknown;
  addEventListener(type: 'abort', listener: () => void): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

export interface DevicePlugin {
  readonly contract: 1;
  readonly name: string;
  readonly targets: readonly Target[];
  readonly language: Language;
  probe(): Promise<readonly (Found | Absent)[]>;
  /** Needs no card. Errors carry the compiler's own text. */
  compile(source: Source, target: Target): Promise<Binary>;
  open(id: string): Promise<Device>;
  /** optional: operators that replace a composite; removing them changes no answer. */
  readonly overrides?: readonly Override[];
  /** optional: node ids that a graph-level chip takes whole; pure, asked before scheduling. */
  claims?(graph: Graph, target: Target): readonly (readonly number[])[];
}

export interface Device {
  /** Settles once; from then on every call rejects and every handle is void. */
  readonly lost: Promise<Lost>;
  /** Zeroed. Rejects with the out-of-memory error. */
  allocate(bytes: number): Promise<Memory>;
  /** Takes effect after the commands submitted so far. */
  free(handle: Memory | Module | Recording): void;
  /** Resolves when `bytes` may be reused. */
  write(to: Memory, offset: number, bytes: Uint8Array): Promise<void>;
  /** After all earlier commands; rejects if one that it depends on failed. */
  read(from: Memory, offset: number, into: Uint8Array): Promise<void>;
  load(binary: Binary): Promise<Module>;
  /** A failure rejects the next read or sync, with the command's index. */
  submit(commands: readonly Command[], stop?: Stop): void;
  /** After all work; the caller's timers get a turn if they had none for some milliseconds. */
  sync(): Promise<void>;
  close(): Promise<void>;
  /** optional: captures commands for cheap replay. */
  record?(commands: readonly Command[]): Promise<Recording>;
  /** optional: now, on this thread: data in, a replay, data out by access; false: not now. */
  call?(of: Recording, places: readonly MemoryArgument[], data: readonly Uint8Array[]): boolean;
  /** optional: nanoseconds of each command of the last submit, and whose clock. */
  time?(): Promise<{ readonly nanoseconds: readonly number[]; readonly clock: 'device' | 'host' }>;
  /** optional: the caller's own memory as device memory where they share it; until freed. */
  wrap?(bytes: Uint8Array): Memory | undefined;
  /** optional: a zeroed array of the host for results, placed as kernels like to write it. */
  newArray?(bytes: number): Uint8Array<ArrayBuffer>;
  /** optional: the caller's own memory for launches that have windows of it; until freed. */
  lend?(bytes: Uint8Array): Memory | undefined;
  /** optional: free memory and load. */
  status?(): Promise<Status>;
}
