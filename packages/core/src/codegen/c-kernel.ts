/** The state of printing one kernel: what its values are called and how tiles are laid out. */

import { internal } from '../base/errors.js';
import type { Expression } from '../base/expression.js';
import type { ComputeType, MemoryType } from '../base/target.js';
import type { TileProgram, TileType, ValueId, VariableId } from '../kernel/tile.js';
import * as functions from './c-functions.js';
import type { MatrixState } from './c-matrix-state.js';
import type { Prelude } from './c-prelude.js';
import {
  checkedName,
  cLikeTokens,
  type ExpressionTokens,
  printExpression,
} from './expression-text.js';

/**
 * A tile as C variables: `rows` (all axes but the last, flattened) of `parts` each. A part is a
 * vector of `width` lanes, or a scalar where the last axis is no multiple of the vector.
 */
export interface Layout {
  readonly rows: number;
  readonly parts: number;
  readonly width: number;
}

export interface Value {
  readonly type: TileType;
  readonly layout: Layout;
  /** One C expression per part, row by row. */
  readonly parts: readonly string[];
  /** Parts are vectors of this element type although the value's type is wider. */
  readonly element?: MemoryType;
}

export interface Kernel {
  readonly program: TileProgram;
  readonly prelude: Prelude;
  /** Element type of masks: the width of the widest vector of the kernel. */
  readonly mask: functions.Mask;
  readonly fused: boolean;
  readonly math: readonly string[];
  readonly values: Map<ValueId, Value>;
  readonly variables: Map<VariableId, Value>;
  /** How often each value is an operand. */
  readonly uses: ReadonlyMap<ValueId, number>;
  readonly memory: ReadonlyMap<string, MemoryType>;
  /** u32 values that are kept as u16, as memory holds them. */
  readonly narrow: ReadonlySet<ValueId>;
  /** Tiles in a matrix unit's registers, where the kernel has some. */
  readonly matrix?: MatrixState;
  line(text: string): void;
}

export function layoutOf(shape: readonly number[], lanes: number): Layout {
  const last = shape.at(-1) ?? 1;
  const rows = shape.slice(0, -1).reduce((a, b) => a * b, 1);
  const width = last >= lanes && last % lanes === 0 ? lanes : 1;
  return { rows, parts: last / width, width };
}

export const partCount = (layout: Layout): number => layout.rows * layout.parts;

/** Element type of one part of a tile; bools are masks in vectors and i32 0 or 1 in scalars. */
export const elementOf = (k: Kernel, dtype: ComputeType, width: number): MemoryType =>
  dtype !== 'bool' ? dtype : width === 1 ? 'i32' : k.mask;

/** C type of one part. */
export const partType = (k: Kernel, dtype: ComputeType, width: number): string =>
  k.prelude.type(elementOf(k, dtype, width), width);

/** u16 where the parts of a value are kept as memory holds them. */
export function shortElement(k: Kernel, id: ValueId, type: TileType): 'u16' | undefined {
  const isVector = layoutOf(type.shape, k.program.lanes).width > 1;
  return isVector && k.narrow.has(id) ? 'u16' : undefined;
}

export function tileOf(k: Kernel, id: ValueId): Value {
  const value = k.values.get(id);
  if (value === undefined) throw internal(`value ${id} is used before it is made`);
  return value;
}

/** One part of a value in the wanted layout; uniform values are spread. */
export function fit(k: Kernel, value: Value, layout: Layout, index: number): string {
  const uniform = value.parts.length === 1 && value.layout.width === 1;
  if (!uniform) {
    const text = value.parts[index];
    if (text === undefined || value.layout.width !== layout.width) {
      throw internal('operands of one operation have different shapes');
    }
    return text;
  }
  return spread(k, value.type.dtype, value.parts[0] as string, layout.width);
}

/** A scalar of a compute type in all lanes. */
export function spread(k: Kernel, dtype: ComputeType, text: string, width: number): string {
  if (width === 1) return text;
  const call = functions.splat(k.prelude, elementOf(k, dtype, width), width);
  return `${call}(${dtype === 'bool' ? `-(${k.mask})${text}` : text})`;
}

/** A kernel mask as the mask of vectors with elements of `bytes`. */
export function maskFor(k: Kernel, mask: string, bytes: number, width: number): string {
  const wanted = bytes === 8 ? 'i64' : 'i32';
  if (wanted === k.mask) return mask;
  return `${functions.convert(k.prelude, k.mask, wanted, width)}(${mask})`;
}

/** The result of a vector comparison of elements of `bytes` as the kernel's mask. */
export function maskFrom(k: Kernel, text: string, bytes: number, width: number): string {
  const made = bytes === 8 ? 'i64' : 'i32';
  if (made === k.mask) return `(${k.prelude.type(k.mask, width)})(${text})`;
  const call = functions.convert(k.prelude, made, k.mask, width);
  return `${call}((${k.prelude.type(made, width)})(${text}))`;
}

export function memoryOf(k: Kernel, buffer: string): MemoryType {
  const memory = k.memory.get(buffer);
  if (memory === undefined) throw internal(`buffer ${buffer} is not a parameter`);
  return memory;
}

export const bufferName = (name: string): string => `b_${checkedName(name)}`;
/** The exclusive end of an index, and its step. */
export const extentName = (name: string): string => `e_${checkedName(name)}`;
export const stepName = (name: string): string => `s_${checkedName(name)}`;
export const indexName = (name: string): string => `n_${checkedName(name)}`;

const tokens: ExpressionTokens = {
  ...cLikeTokens,
  variable: indexName,
  // Literals of 64 bits, so that no product of literals and casts is done in 32.
  literal: (value) => (Math.abs(value) < 2 ** 31 ? String(value) : `${BigInt(value)}ll`),
  minimum: (a, b) => `min_index(${a}, ${b})`,
  maximum: (a, b) => `max_index(${a}, ${b})`,
};

/** An integer expression in 64-bit arithmetic. */
export const indexText = (e: Expression): string => printExpression(e, tokens);
