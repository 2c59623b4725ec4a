/** reduce, cumulate and sort. Sums and products of floats run in f64 and are rounded once. */
import { type DType, isWide } from '../base/dtype.js';
import { elementCount } from '../base/host-tensor.js';
import { denseStrides, forEachRow, type Layout } from './interpret-strides.js';
import {
  allocate,
  combineNumbers,
  combineWides,
  type Data,
  fillData,
  identityOf,
  numbersOf,
  rounding,
  type Value,
} from './interpret-value.js';
import type { ReductionKind } from './node.js';

type Cells<T> = { [i: number]: T };

/** Joins every element of x into the cell that it belongs to. */
function accumulateInto<T>(
  x: Value,
  cells: Cells<T>,
  to: Layout,
  combine: (a: T, b: T) => T,
): void {
  const source = x.data as unknown as Cells<T>;
  const from = { offset: 0, strides: denseStrides(x.shape) };
  forEachRow(x.shape, [from, to], ([a, b], count, [stepA, stepB]) => {
    for (let i = 0; i < count; i++) {
      const cell = b! + i * stepB!;
      cells[cell] = combine(cells[cell]!, source[a! + i * stepA!]!);
    }
  });
}

/** Rounds what was accumulated in f64 into the dtype. */
function roundAll(data: Data, dtype: DType): void {
  if (!(data instanceof Float64Array) || dtype === 'f64') return;
  const round = rounding(dtype);
  for (let i = 0; i < data.length; i++) data[i] = round(data[i]!);
}

/** Integers wrap in `accumulate`, which is the result's dtype or wider. */
export function reduceValue(
  kind: ReductionKind,
  x: Value,
  axes: readonly number[],
  dtype: DType,
): Value {
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const shape = kept.map((axis) => x.shape[axis]!);
  const dense = denseStrides(shape);
  const strides = x.shape.map((_, axis) => dense[kept.indexOf(axis)] ?? 0);
  const out = allocate(dtype, shape);
  fillData(out.data, identityOf(kind, dtype));
  const to = { offset: 0, strides };
  if (isWide(dtype)) {
    accumulateInto(x, out.data as unknown as Cells<bigint>, to, combineWides(kind, dtype));
  } else accumulateInto(x, numbersOf(out), to, combineNumbers(kind, dtype));
  roundAll(out.data, dtype);
  return out;
}

interface CumulateOptions {
  readonly axis: number;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

function cumulateLines<T>(
  x: Value,
  out: Cells<T>,
  start: T,
  combine: (a: T, b: T) => T,
  { axis, exclusive, reverse }: CumulateOptions,
): void {
  const source = x.data as unknown as Cells<T>;
  const size = x.shape[axis]!;
  forEachLine(x.shape, axis, (offset, step) => {
    let total = start;
    for (let i = 0; i < size; i++) {
      const at = offset + (reverse ? size - 1 - i : i) * step;
      const next = combine(total, source[at]!);
      out[at] = exclusive ? total : next;
      total = next;
    }
  });
}

/** Visits every line along an axis: its first offset and the step from element to element. */
function forEachLine(
  shape: readonly number[],
  axis: number,
  visit: (offset: number, step: number) => void,
): void {
  const inner = elementCount(shape.slice(axis + 1));
  const outer = elementCount(shape.slice(0, axis));
  const block = inner * shape[axis]!;
  if (block === 0) return;
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) visit(o * block + i, inner);
  }
}

export function cumulateValue(kind: ReductionKind, x: Value, options: CumulateOptions): Value {
  const out = allocate(x.dtype, x.shape);
  const start = identityOf(kind, x.dtype);
  if (isWide(x.dtype)) {
    const cells = out.data as unknown as Cells<bigint>;
    cumulateLines(x, cells, start as bigint, combineWides(kind, x.dtype), options);
  } else {
    const combine = combineNumbers(kind, x.dtype);
    cumulateLines(x, numbersOf(out), start as number, combine, options);
  }
  roundAll(out.data, x.dtype);
  return out;
}

type Ordered = number | bigint | string;

/** Order of keys: NaN after everything, whatever the direction; equal keys compare as 0. */
function compareKeys(a: Ordered, b: Ordered, descending: boolean): number {
  const [aNaN, bNaN] = [Number.isNaN(a), Number.isNaN(b)];
  if (aNaN || bNaN) return Number(aNaN) - Number(bNaN);
  const order = a < b ? -1 : a > b ? 1 : 0;
  return descending ? -order : order;
}

/** Sorts lines of the keys, stably, and takes the payloads along. */
export function sortValues(values: readonly Value[], axis: number, descending: boolean): Value[] {
  const keys = values[0]!;
  const size = keys.shape[axis]!;
  const results = values.map((value) => allocate(value.dtype, value.shape));
  forEachLine(keys.shape, axis, (offset, step) => {
    const key = (i: number): Ordered => keys.data[offset + i * step] as Ordered;
    const order = Array.from({ length: size }, (_, i) => i);
    order.sort((i, j) => compareKeys(key(i), key(j), descending));
    values.forEach((value, k) => {
      const to = results[k]!.data as { [i: number]: unknown };
      order.forEach((from, i) => {
        to[offset + i * step] = value.data[offset + from * step];
      });
    });
  });
  return results;
}
