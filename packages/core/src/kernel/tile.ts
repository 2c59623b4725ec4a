/**
 * The tile program: one kernel as structured code over tiles and uniform scalars. No threads, no
 * lanes, no vector width in the code; a family of languages maps tile operations to its machine.
 *
 * A kernel is a grid of independent tasks. Values are static single assignments: `let` names the
 * result of an operation by number; mutable state is in variables and memory.
 */
import type { Expression } from '../base/expression.js';
import type { ComputeType, MemoryType } from '../base/target.js';

/** Number of a `let`; unique within a kernel. */
export type ValueId = number;
export type VariableId = number;

/** A block of static shape: [] is a uniform scalar, [n] a vector, [m, n] rows of vectors. */
export interface TileType {
  readonly dtype: ComputeType;
  readonly shape: readonly number[];
}

export type TileUnary =
  | 'negate'
  | 'absolute'
  | 'floor'
  | 'ceil'
  | 'truncate'
  | 'roundEven'
  | 'squareRoot'
  /** Bits of an integer, truth of a bool. */
  | 'not'
  /** Only where target.math lists it; the kernel room expands the others. */
  | MathName;

export type MathName =
  | 'exp'
  | 'log'
  | 'sin'
  | 'cos'
  | 'tan'
  | 'asin'
  | 'acos'
  | 'atan'
  | 'sinh'
  | 'cosh'
  | 'tanh'
  | 'asinh'
  | 'acosh'
  | 'atanh'
  | 'erf';

export type TileBinary =
  | 'add'
  | 'subtract'
  | 'multiply'
  /** Floats: IEEE. Integers: truncating; the divisor is never 0, nor −1 with the least dividend. */
  | 'divide'
  /** Integers only: sign of the dividend; divisor as for divide. */
  | 'remainder'
  /** NaN if either is NaN; −0 < +0 is not promised. */
  | 'minimum'
  | 'maximum'
  | 'and'
  | 'or'
  | 'xor'
  /** Amount in [0, bits). Right shift of a signed type keeps the sign. */
  | 'shiftLeft'
  | 'shiftRight'
  /** Only where target.math lists it. */
  | 'power'
  /** a · 2^b for a whole b of the float type, rounded once. Only where target.math lists it. */
  | 'scaleByPower'
  /**
   * a / b within 1 ulp for b from 2^−100 to 2^100 and a normal quotient, where that is cheaper
   * than the exact one. Only where target.math lists it.
   */
  | 'nearDivide';

export type TileCompare = 'equal' | 'notEqual' | 'less' | 'lessEqual';
export type TileReduction = 'add' | 'multiply' | 'minimum' | 'maximum' | 'and' | 'or' | 'xor';

/** Lanes of one tile axis that are touched: low ≤ lane < high. An absent bound is none. */
export interface Limit {
  readonly low?: Expression;
  readonly high?: Expression;
}

/** Elements address + Σ lane_d · strides[d] of a buffer, where limits and mask allow. */
export interface Access {
  /** Name of a buffer parameter or of a scratch array. */
  readonly buffer: string;
  /** In elements; uniform. */
  readonly address: Expression;
  /** In elements, one per tile axis. */
  readonly strides: readonly Expression[];
  /** One per tile axis where present. */
  readonly limits?: readonly Limit[];
  /** bool tile of the access's shape. */
  readonly mask?: ValueId;
  /** A load's elements so far beyond these are loaded soon, too: a hint. */
  readonly ahead?: number;
  /**
   * A load's elements from this address on, a line of the cache, are loaded some time later: a hint
   * that they may come to the second cache. In elements; uniform.
   */
  readonly later?: Expression;
  /** A load's elements are not loaded again soon: a hint to keep others in the first cache. */
  readonly once?: true;
}

export type Operation =
  /** Uniform; i64 and u64 as bigint, bool as 0 or 1. */
  | { readonly kind: 'literal'; readonly value: number | bigint }
  /** Uniform integer (i32 or i64) from indices, sizes and uniform values. */
  | { readonly kind: 'scalar'; readonly expression: Expression }
  /** Lane numbers 0 … n−1 (i32 or i64), shape [n]. */
  | { readonly kind: 'iota' }
  /**
   * Elements from a uniform access to the next address that is a multiple of a line of so many of
   * that memory, a power of two: uniform index below them. Only where target.streamBytes is.
   */
  | { readonly kind: 'untilLine'; readonly access: Access; readonly line: number }
  /** Untouched lanes hold `other` (0 where absent). */
  | { readonly kind: 'load'; readonly access: Access; readonly other?: number }
  /** Element index[lane] of a buffer; lanes without mask hold 0. */
  | {
      readonly kind: 'gather';
      readonly buffer: string;
      readonly index: ValueId;
      readonly mask?: ValueId;
    }
  | { readonly kind: 'unary'; readonly name: TileUnary; readonly a: ValueId }
  /** Operands of equal shape, or one uniform. */
  | { readonly kind: 'binary'; readonly name: TileBinary; readonly a: ValueId; readonly b: ValueId }
  | {
      readonly kind: 'compare';
      readonly name: TileCompare;
      readonly a: ValueId;
      readonly b: ValueId;
    }
  | {
      readonly kind: 'select';
      readonly condition: ValueId;
      readonly a: ValueId;
      readonly b: ValueId;
    }
  /** a·b + c with one rounding where target.fusedMultiplyAdd, else with two. */
  | {
      readonly kind: 'multiplyAdd';
      readonly a: ValueId;
      readonly b: ValueId;
      readonly c: ValueId;
    }
  /**
   * C semantics: integers wrap, integer → float rounds to nearest even, float → integer truncates
   * (in range, the kernel room has clamped), bool → 0 or 1, number → bool is ≠ 0.
   */
  | { readonly kind: 'convert'; readonly a: ValueId }
  | { readonly kind: 'bitcast'; readonly a: ValueId }
  /**
   * f32 from the bits of an f16 (u32 in [0, 65536)), exact; and those bits of the nearest f16,
   * ties to even, overflow to infinity. Only where target.math lists `half`.
   */
  | { readonly kind: 'widenHalf' | 'narrowHalf'; readonly a: ValueId }
  /** [] → any shape; [n] → [m, n] (axis 1) or [n, m] (axis 0). */
  | { readonly kind: 'broadcast'; readonly a: ValueId; readonly axis: number }
  /** Removes one axis. Order of the lanes is the machine's. */
  | {
      readonly kind: 'reduce';
      readonly name: TileReduction;
      readonly a: ValueId;
      readonly axis: number;
    }
  /** Inclusive prefix along the only axis. */
  | { readonly kind: 'scan'; readonly name: TileReduction; readonly a: ValueId }
  | { readonly kind: 'transpose'; readonly a: ValueId }
  /**
   * accumulator[m, n] + a[m, k] · b[k, n]. With `unit`, one of target.matrixUnits: tiles are
   * multiples of the unit's; a and b hold elements' raw bits as memory holds them (bf16 and f16 as
   * u32, int8 as i32 or u32), which the unit decodes; b is as memory holds it, too:
   * [k / interleave, n · interleave]; the accumulator is of the unit's type. The order of the
   * unit's additions is its own, and it may take denormal numbers as zero. Of a unit with operands
   * in registers a and b are words of 32 bits, each with several elements of the depth, low first.
   */
  | {
      readonly kind: 'dot';
      readonly a: ValueId;
      readonly b: ValueId;
      readonly accumulator: ValueId;
      readonly unit?: string;
    }
  /** Current content of a variable. */
  | { readonly kind: 'read'; readonly variable: VariableId };

export type Statement =
  | {
      readonly kind: 'let';
      readonly id: ValueId;
      readonly type: TileType;
      readonly operation: Operation;
      /** Where the value lives: registers unless said. */
      readonly space?: 'register' | 'shared';
    }
  /** A uniform integer value as a name in expressions. */
  | { readonly kind: 'name'; readonly name: string; readonly value: ValueId }
  | {
      readonly kind: 'variable';
      readonly id: VariableId;
      readonly type: TileType;
      readonly initial: ValueId;
    }
  | { readonly kind: 'assign'; readonly variable: VariableId; readonly value: ValueId }
  | {
      readonly kind: 'store';
      readonly access: Access;
      readonly value: ValueId;
      /** Where not 0, the value is not read again soon: it may bypass the cache. */
      readonly streaming?: Expression;
    }
  /** These elements are loaded or stored soon: a hint, also beyond the end of the buffer. */
  | {
      readonly kind: 'touch';
      readonly buffer: string;
      readonly address: Expression;
      readonly count: number;
      /** Not so soon: they may come to the second cache. */
      readonly isLater?: true;
    }
  | {
      readonly kind: 'scatter';
      readonly buffer: string;
      readonly index: ValueId;
      readonly value: ValueId;
      readonly mask?: ValueId;
    }
  /** On 32-bit integers. */
  | {
      readonly kind: 'atomic';
      readonly name: 'add' | 'minimum' | 'maximum' | 'exchange';
      readonly buffer: string;
      readonly index: ValueId;
      readonly value: ValueId;
      readonly mask?: ValueId;
    }
  /** index from start, below end, by step; `index` is a name in expressions. */
  | {
      readonly kind: 'for';
      readonly index: string;
      readonly start: Expression;
      readonly end: Expression;
      readonly step: Expression;
      readonly body: readonly Statement[];
      /** Copies of the body that a generator may make; 1 where absent. */
      readonly unroll?: number;
    }
  /** Runs head, stops when `condition` (uniform bool made in head) is false, else runs body. */
  | {
      readonly kind: 'while';
      readonly head: readonly Statement[];
      readonly condition: ValueId;
      readonly body: readonly Statement[];
    }
  | {
      readonly kind: 'if';
      /** 0 is false; or a uniform bool value. */
      readonly condition: Expression | { readonly value: ValueId };
      readonly then: readonly Statement[];
      readonly else: readonly Statement[];
    }
  /** Where a lane of `when` is true, stores code by atomic minimum into the status word. */
  | { readonly kind: 'fail'; readonly when: ValueId; readonly code: number };

export interface BufferParameter {
  readonly name: string;
  readonly memory: MemoryType;
  readonly access: 'read' | 'write' | 'readWrite';
}

/** Task-private memory; contents are undefined at the start of a task. */
export interface Scratch {
  readonly name: string;
  readonly memory: MemoryType;
  readonly length: number;
  readonly space: 'scratch' | 'shared';
}

export interface GridAxis {
  readonly name: string;
  readonly extent: Expression;
}

export interface TileProgram {
  readonly contract: 1;
  /** A C identifier made by us, never from a model. */
  readonly name: string;
  /** Id of the target that it was made for. */
  readonly target: string;
  /** Elements of a hardware vector in this kernel (1: scalar); the last axis of a tile is a
   * multiple of it or 1. For threads: the group size. */
  readonly lanes: number;
  /** Threads of a group; 1 for vector targets. */
  readonly group: number;
  readonly buffers: readonly BufferParameter[];
  /** Names of the sizes that are passed as integers, in order. */
  readonly sizes: readonly string[];
  readonly indexType: 'i32' | 'i64';
  readonly scratch: readonly Scratch[];
  /** Tasks, outermost axis first. */
  readonly grid: readonly GridAxis[];
  readonly body: readonly Statement[];
  /** Whether any statement may fail; then the status word is the last buffer, i32. */
  readonly mayFail: boolean;
}
