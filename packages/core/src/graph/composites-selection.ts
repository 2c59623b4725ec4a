/** Composites that find, mark or pick elements: argMax, topK, oneHot, triangle, embedding. */
import { type DType, isFloat, isUnsigned } from '../base/dtype.js';
import type { Size } from '../base/expression.js';
import {
  add,
  cast,
  equal,
  greaterEqual,
  less,
  lessEqual,
  type Operand,
  or,
  select,
  subtract,
  unary,
} from './build-elementwise.js';
import { gather, sort } from './build-indexed.js';
import { maximumOver, minimumOver } from './build-reductions.js';
import { composite } from './build-regions.js';
import { iota, scalar, size } from './build-sources.js';
import { normalizeAxis, sliceAxis, unsqueeze } from './build-views.js';
import { fewOf, isFewOf } from './composites-top.js';
import type { Node } from './node.js';
import { shapeError } from './rule.js';

export interface ArgOptions {
  readonly keep?: boolean;
  /** Of equal elements the last instead of the first. */
  readonly selectLast?: boolean;
}

function argument(name: 'argMax' | 'argMin', x: Node, axis: number, options: ArgOptions): Node {
  const at = normalizeAxis(name, axis, x.shape.length);
  const { keep = false, selectLast = false } = options;
  return composite(name, { axis: at, keep, selectLast }, [x], ([value]) => {
    const v = value as Node;
    const extreme = (name === 'argMax' ? maximumOver : minimumOver)(v, [at], { keep: true });
    const equals = equal(v, extreme);
    // NaN is the extreme of its row, and the first NaN its place.
    const hit = isFloat(v.dtype) ? or(equals, unary('isNaN', v)) : equals;
    const line = v.shape.map((extent, i) => (i === at ? extent : 1));
    const places = iota({ dtype: 'i32', shape: line }, at);
    const found = selectLast
      ? maximumOver(select(hit, places, -1), [at], { keep })
      : minimumOver(select(hit, places, 0x7fffffff), [at], { keep });
    return [cast(found, 'i64')];
  })[0] as Node;
}

/** Index (i64) of the largest element along an axis. */
export const argMax = (x: Node, axis = -1, options: ArgOptions = {}): Node =>
  argument('argMax', x, axis, options);

export const argMin = (x: Node, axis = -1, options: ArgOptions = {}): Node =>
  argument('argMin', x, axis, options);

export interface TopKOptions {
  readonly axis?: number;
  /** The smallest instead when false. */
  readonly largest?: boolean;
}

/** The k largest along an axis, sorted, and their indices (i64); equal ones in index order. */
export function topK(x: Node, k: Size, options: TopKOptions = {}): [values: Node, indices: Node] {
  const at = normalizeAxis('topK', options.axis ?? -1, x.shape.length);
  const largest = options.largest ?? true;
  const best = (from: Node): [values: Node, indices: Node] => {
    if (isFewOf(from, k, at)) return fewOf(from, k, largest);
    const line = iota({ dtype: 'i64', shape: from.shape }, at);
    const [values, indices] = sort(from, [line], { axis: at, descending: largest });
    return [sliceAxis(values as Node, at, 0, k), sliceAxis(indices as Node, at, 0, k)];
  };
  if (typeof k !== 'number' || k < 1 || typeof x.shape[at] !== 'number') return best(x);
  const [values, indices] = composite('topK', { axis: at, largest, k }, [x], ([line]) =>
    best(line as Node),
  );
  return [values as Node, indices as Node];
}

export interface OneHotOptions {
  /** Where the new axis goes in the result. */
  readonly axis?: number;
  readonly on?: Operand;
  readonly off?: Operand;
  /** Of the result, where `on` and `off` are plain numbers. */
  readonly dtype?: DType;
}

/**
 * A new axis of `depth` that is `on` at the index, else `off`; negative indices count from the
 * end.
 */
export function oneHot(indices: Node, depth: Size, options: OneHotOptions = {}): Node {
  const rank = indices.shape.length + 1;
  const axis = normalizeAxis('oneHot', options.axis ?? -1, rank);
  const node = (value: Operand): Node =>
    typeof value === 'object' ? value : scalar(options.dtype ?? 'f32', value);
  const inputs = [indices, node(options.on ?? 1), node(options.off ?? 0)];
  return composite('oneHot', { axis }, inputs, (values) => {
    const [place, on, off] = values as [Node, Node, Node];
    const given = unsqueeze(place, [axis]);
    const count = cast(size(depth), place.dtype);
    const wrapped = isUnsigned(place.dtype)
      ? given
      : select(less(given, 0), add(given, count), given);
    const shape = given.shape.map((_, i) => (i === axis ? depth : 1));
    return [select(equal(wrapped, iota({ dtype: place.dtype, shape }, axis)), on, off)];
  })[0] as Node;
}

export interface TriangleOptions {
  /** The upper part; the lower when false. */
  readonly upper?: boolean;
  /** Diagonal that still belongs to the part: 0 the main one, above it positive. */
  readonly diagonal?: number | Node;
}

/** Zero outside of the upper or lower triangle of the last two axes. */
export function triangle(x: Node, options: TriangleOptions = {}): Node {
  const rank = x.shape.length;
  if (rank < 2) throw shapeError('triangle', `rank ${rank} has no diagonal`);
  const { upper = false, diagonal = 0 } = options;
  const fixed = typeof diagonal === 'number' ? diagonal : undefined;
  const inputs = typeof diagonal === 'number' ? [x] : [x, diagonal];
  const parameters = fixed === undefined ? { upper } : { upper, diagonal: fixed };
  return composite('triangle', parameters, inputs, ([value, given]) => {
    const v = value as Node;
    const [rows, columns] = [v.shape[rank - 2] as Size, v.shape[rank - 1] as Size];
    const row = iota({ dtype: 'i64', shape: [rows, 1] }, 0);
    const column = iota({ dtype: 'i64', shape: [1, columns] }, 1);
    const offset = given === undefined ? (fixed ?? 0) : cast(given, 'i64');
    const distance = subtract(column, row);
    const kept = upper ? greaterEqual(distance, offset) : lessEqual(distance, offset);
    return [select(kept, v, zeroOf(v))];
  })[0] as Node;
}

const zeroOf = (x: Node): Node => scalar(x.dtype, x.dtype === 'bool' ? false : 0);

/** Rows of a table by number. */
export const embedding = (table: Node, indices: Node): Node => gather(table, indices, 0);

/** indices where negative ones count from the end of an axis of `count`. */
export function wrapIndices(indices: Node, count: Size): Node {
  if (isUnsigned(indices.dtype)) return indices;
  const end = cast(size(count), indices.dtype);
  return select(less(indices, 0), add(indices, end), indices);
}
