/** Walking dense arrays by strides: the one way in which interpreter ops address elements. */
import type { Data } from './interpret-value.js';

/** Strides, in elements, of a row-major array. */
export function denseStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis]!;
  }
  return strides;
}

/** Where an operand's elements lie: element at index i is at offset + Σ i·stride. */
export interface Layout {
  readonly offset: number;
  readonly strides: readonly number[];
}

/** One row: `count` elements from offsets[k], each steps[k] after the other, per operand k. */
export type VisitRow = (
  offsets: readonly number[],
  count: number,
  steps: readonly number[],
) => void;

interface Walk {
  readonly shape: number[];
  readonly strides: number[][];
}

/** Merges neighbouring axes that all operands walk as one, so that rows get long. */
function mergeAxes(shape: readonly number[], operands: readonly Layout[]): Walk {
  const merged: Walk = { shape: [], strides: operands.map(() => []) };
  for (let axis = 0; axis < shape.length; axis++) {
    const size = shape[axis]!;
    if (size === 1) continue;
    const last = merged.shape.length - 1;
    const joins =
      last >= 0 && operands.every((o, k) => merged.strides[k]![last] === o.strides[axis]! * size);
    if (joins) merged.shape[last]! *= size;
    else merged.shape.push(size);
    operands.forEach((o, k) => {
      merged.strides[k]![merged.shape.length - 1] = o.strides[axis]!;
    });
  }
  return merged;
}

/** Visits every index of `shape` once, in row-major order, as rows along the last axis. */
export function forEachRow(
  shape: readonly number[],
  operands: readonly Layout[],
  visit: VisitRow,
): void {
  if (shape.includes(0)) return;
  const walk = mergeAxes(shape, operands);
  const count = walk.shape.pop() ?? 1;
  const steps = walk.strides.map((strides) => strides.pop() ?? 0);
  const offsets = operands.map((o) => o.offset);
  const index = walk.shape.map(() => 0);
  for (;;) {
    visit(offsets, count, steps);
    let axis = index.length - 1;
    for (; axis >= 0; axis--) {
      const wraps = index[axis]! + 1 === walk.shape[axis];
      const move = wraps ? -index[axis]! : 1;
      index[axis]! += move;
      for (let k = 0; k < offsets.length; k++) offsets[k]! += move * walk.strides[k]![axis]!;
      if (!wraps) break;
    }
    if (axis < 0) return;
  }
}

/** Copies the elements of `shape` from one layout to another, whatever their type. */
export function copyStrided(
  shape: readonly number[],
  source: Data,
  from: Layout,
  target: Data,
  to: Layout,
): void {
  forEachRow(shape, [from, to], ([a, b], count, [stepA, stepB]) => {
    if (source instanceof Float64Array && target instanceof Float64Array) {
      copyNumbers(source, a!, stepA!, target, b!, stepB!, count);
    } else copyAny(source, a!, stepA!, target as { [i: number]: unknown }, b!, stepB!, count);
  });
}

function copyNumbers(
  source: Float64Array,
  from: number,
  fromStep: number,
  target: Float64Array,
  to: number,
  toStep: number,
  count: number,
): void {
  if (fromStep === 1 && toStep === 1 && count > 16) {
    target.set(source.subarray(from, from + count), to);
    return;
  }
  for (let i = 0; i < count; i++) target[to + i * toStep] = source[from + i * fromStep]!;
}

function copyAny(
  source: Data,
  from: number,
  fromStep: number,
  target: { [i: number]: unknown },
  to: number,
  toStep: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) target[to + i * toStep] = source[from + i * fromStep];
}
