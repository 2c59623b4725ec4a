/** What every language gives: source text or bytes for a set of kernels, as plain data. */
import type { Target } from '../base/target.js';
import type { TileProgram } from '../kernel/tile.js';

/** One kernel inside a source: what a launch must know. */
export interface Entry {
  readonly name: string;
  /** Threads per group; [1, 1, 1] for vector targets. */
  readonly group: readonly [number, number, number];
  readonly sharedBytes: number;
  /** Bytes of task-private scratch that the device provides per running task. */
  readonly scratchBytes: number;
  /** Buffers in binding order with the access that the kernel needs; status word last if any. */
  readonly buffers: readonly { readonly name: string; readonly write: boolean }[];
  /** Integer parameters in order. */
  readonly sizes: readonly string[];
  readonly indexType: 'i32' | 'i64';
  /** Number of grid axes. */
  readonly axes: number;
}

/** Many kernels in one source, so that one compiler call serves a program. */
export interface Source {
  readonly language: string;
  readonly target: string;
  readonly text?: string;
  readonly bytes?: Uint8Array;
  readonly entries: readonly Entry[];
}

export interface Language {
  readonly name: string;
  /**
   * optional: names the code behind `emit`; another code has another name. Programs of a language
   * with it may be kept between runs.
   */
  readonly build?: string;
  /** optional: loads what `emit` needs; the door of the core has it loaded already. */
  ready?(): Promise<void>;
  /** Throws refused(reason), or tooLarge(resource, need, have): then the compiler re-tiles. */
  emit(kernels: readonly TileProgram[], target: Target): Source;
}
