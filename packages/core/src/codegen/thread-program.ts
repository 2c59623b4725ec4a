/**
 * The thread program: what one thread of a group does, as structured scalar code. `threads.ts`
 * makes it from a tile program, `thread-barriers.ts` adds the barriers, and the printers of GPU
 * text and of shader text say it.
 */
import { add, type Expression } from '../base/expression.js';
import type { ComputeType, MemoryType } from '../base/target.js';
import type {
  GridAxis,
  TileBinary,
  TileCompare,
  TileReduction,
  TileUnary,
} from '../kernel/tile.js';

/** A value of one thread: a name that is already made, or a constant. */
export type Operand =
  | { readonly kind: 'name'; readonly name: string; readonly dtype: ComputeType }
  | { readonly kind: 'literal'; readonly value: number | bigint; readonly dtype: ComputeType };

/** Holds where every part holds: expressions that are not 0, bools that are true. */
export type Guard = readonly (Expression | Operand)[];

/** One element of a buffer or of shared memory. */
export interface Element {
  readonly memory: string;
  readonly address: Expression;
  readonly guard: Guard;
  /**
   * Which thread touches which element: accesses of one memory with equal patterns need no
   * barrier between them, because a thread meets only its own elements. Empty: any thread any.
   */
  readonly pattern: string;
}

export type ScalarOperation =
  | { readonly kind: 'copy'; readonly a: Operand }
  /** The same in all threads; says so to languages that want it proven. */
  | { readonly kind: 'uniform'; readonly a: Operand }
  | { readonly kind: 'index'; readonly expression: Expression }
  /** `other` where the guard does not hold. */
  | { readonly kind: 'load'; readonly element: Element; readonly other: number }
  | { readonly kind: 'unary'; readonly name: TileUnary; readonly a: Operand }
  | { readonly kind: 'binary'; readonly name: TileBinary; readonly a: Operand; readonly b: Operand }
  | {
      readonly kind: 'compare';
      readonly name: TileCompare;
      readonly a: Operand;
      readonly b: Operand;
    }
  | {
      readonly kind: 'select';
      readonly condition: Operand;
      readonly a: Operand;
      readonly b: Operand;
    }
  | {
      readonly kind: 'multiplyAdd';
      readonly a: Operand;
      readonly b: Operand;
      readonly c: Operand;
    }
  | { readonly kind: 'convert'; readonly a: Operand }
  | { readonly kind: 'bitcast'; readonly a: Operand }
  /** Between the bits of an f16 and f32, where target.math lists `half`. */
  | { readonly kind: 'widenHalf' | 'narrowHalf'; readonly a: Operand }
  /** Over the threads that the chip runs together, where target.features lists `bundles`. */
  | { readonly kind: 'bundle'; readonly name: TileReduction; readonly a: Operand };

export type ThreadStatement =
  | {
      readonly kind: 'let';
      readonly name: string;
      readonly dtype: ComputeType;
      readonly operation: ScalarOperation;
    }
  /** An integer of the index type that expressions may name. */
  | { readonly kind: 'index'; readonly name: string; readonly value: Expression | Operand }
  | {
      readonly kind: 'variable';
      readonly name: string;
      readonly dtype: ComputeType;
      readonly initial: Operand;
    }
  | {
      readonly kind: 'assign';
      readonly name: string;
      readonly dtype: ComputeType;
      readonly operation: ScalarOperation;
    }
  | { readonly kind: 'store'; readonly element: Element; readonly value: Operand }
  /** `names.length` elements side by side, all or none; the address is a multiple of the length. */
  | {
      readonly kind: 'loadVector';
      readonly names: readonly string[];
      readonly dtype: ComputeType;
      readonly element: Element;
      readonly other: number;
    }
  | {
      readonly kind: 'storeVector';
      readonly element: Element;
      readonly values: readonly Operand[];
    }
  | {
      readonly kind: 'atomic';
      readonly name: 'add' | 'minimum' | 'maximum' | 'exchange';
      readonly element: Element;
      readonly value: Operand;
    }
  | {
      readonly kind: 'for';
      readonly index: string;
      readonly start: Expression;
      readonly end: Expression;
      readonly step: Expression;
      readonly unroll: number;
      readonly body: readonly ThreadStatement[];
    }
  | {
      readonly kind: 'while';
      readonly head: readonly ThreadStatement[];
      readonly condition: Operand;
      readonly body: readonly ThreadStatement[];
    }
  | {
      readonly kind: 'if';
      readonly guard: Guard;
      readonly then: readonly ThreadStatement[];
      readonly else: readonly ThreadStatement[];
    }
  /** One call of a matrix unit by a bundle of threads; `sums` are variables that it adds to. */
  | {
      readonly kind: 'matrix';
      readonly unit: string;
      readonly sums: readonly string[];
      readonly left: readonly Operand[];
      readonly right: readonly Operand[];
    }
  | { readonly kind: 'fail'; readonly when: Operand; readonly code: number }
  /** Ends the group where the guard does not hold; the guard is the same in all threads. */
  | { readonly kind: 'leaveUnless'; readonly guard: Guard }
  /** `global`: writes to buffers become visible too. */
  | { readonly kind: 'barrier'; readonly global: boolean }
  /** Threads pass values through `memory`; barriers inside are in the body already. */
  | {
      readonly kind: 'exchange';
      readonly memory: string;
      readonly body: readonly ThreadStatement[];
    };

export interface ThreadBuffer {
  readonly name: string;
  readonly memory: MemoryType;
  readonly access: 'read' | 'write' | 'readWrite';
  /** Touched by atomic statements. */
  readonly atomic: boolean;
}

export interface SharedArray {
  readonly name: string;
  readonly memory: MemoryType;
  readonly length: number;
}

export interface ThreadProgram {
  readonly name: string;
  /** Threads of a group, all along one axis; their number is `lane`. */
  readonly group: number;
  readonly buffers: readonly ThreadBuffer[];
  readonly sizes: readonly string[];
  readonly indexType: 'i32' | 'i64';
  readonly shared: readonly SharedArray[];
  readonly sharedBytes: number;
  /** Most bytes of one access; 0 where there are no vectors. */
  readonly accessBytes: number;
  /** Whether a launch has one axis and exactly as many groups as tasks; else it may have more. */
  readonly exactGrid: boolean;
  readonly grid: readonly GridAxis[];
  readonly body: readonly ThreadStatement[];
  readonly mayFail: boolean;
}

/** A vector access as accesses of one element each, for languages without them. */
export function elementwise(
  s: Extract<ThreadStatement, { kind: 'loadVector' | 'storeVector' }>,
): readonly ThreadStatement[] {
  const at = (i: number): Element => ({ ...s.element, address: add(s.element.address, i) });
  if (s.kind === 'storeVector') {
    return s.values.map((value, i) => ({ kind: 'store', element: at(i), value }));
  }
  return s.names.map((name, i) => ({
    kind: 'let',
    name,
    dtype: s.dtype,
    operation: { kind: 'load', element: at(i), other: s.other },
  }));
}

/** Names that every thread program may use in expressions: thread in group, group in grid. */
export const laneName = 'lane';
export const taskName = 'task';

/** Where there are bundles: which one of the group, of how many, and the thread's place in it. */
export const bundleName = 'bundle';
export const bundleCountName = 'bundles';
export const bundleLaneName = 'bundle_lane';
