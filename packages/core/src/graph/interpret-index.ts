/** Primitives that address elements by data: gather, scatter, compact, update. */
import { isWide } from '../base/dtype.js';
import { failure } from '../base/errors.js';
import { elementCount } from '../base/host-tensor.js';
import {
  allocate,
  combineNumbers,
  combineWides,
  type Data,
  integerAt,
  numbersOf,
  rounding,
  type Value,
} from './interpret-value.js';
import { writePiece } from './interpret-views.js';
import type { ReductionKind, ScatterKind } from './node.js';

type Cells = { [i: number]: unknown };

function copyRun(source: Data, from: number, target: Data, to: number, count: number): void {
  for (let i = 0; i < count; i++) (target as Cells)[to + i] = source[from + i];
}

/** Index `i` of an index tensor, refused by name when it is not in [0, size). */
function checkedIndex(op: string, indices: Value, i: number, size: number): number {
  const index = integerAt(indices, i);
  if (index >= 0 && index < size) return index;
  throw failure('OC-RUN-02', { op, index, size });
}

/** data[:axis] + indices.shape + data[axis+1:]. */
export function gatherValue(data: Value, indices: Value, axis: number): Value {
  const [before, after] = [data.shape.slice(0, axis), data.shape.slice(axis + 1)];
  const out = allocate(data.dtype, [...before, ...indices.shape, ...after]);
  const size = data.shape[axis]!;
  const inner = elementCount(after);
  const count = indices.data.length;
  for (let i = 0; i < count; i++) {
    const index = checkedIndex('gather', indices, i, size);
    for (let o = 0; o < elementCount(before); o++) {
      const from = (o * size + index) * inner;
      copyRun(data.data, from, out.data, (o * count + i) * inner, inner);
    }
  }
  return out;
}

/** A copy whose elements may be written. */
const copyOf = (value: Value): Value => ({ ...value, data: value.data.slice() as Data });

/** Rows of updates go to rows of a copy of data, in index order. */
export function scatterValue(
  kind: ScatterKind,
  data: Value,
  indices: Value,
  updates: Value,
): Value {
  const out = copyOf(data);
  const size = data.shape[0]!;
  const inner = elementCount(data.shape.slice(1));
  const join = kind === 'replace' ? undefined : joiner(kind, data);
  for (let i = 0; i < indices.data.length; i++) {
    const to = checkedIndex('scatter', indices, i, size) * inner;
    if (join === undefined) copyRun(updates.data, i * inner, out.data, to, inner);
    else join(out.data, to, updates.data, i * inner, inner);
  }
  if (isWide(data.dtype) || join === undefined) return out;
  const round = rounding(data.dtype);
  const cells = numbersOf(out);
  for (let i = 0; i < cells.length; i++) cells[i] = round(cells[i]!);
  return out;
}

type Join = (target: Data, to: number, source: Data, from: number, count: number) => void;

function joiner(kind: ReductionKind, { dtype }: Value): Join {
  const combine = (isWide(dtype) ? combineWides : combineNumbers)(kind, dtype) as (
    a: unknown,
    b: unknown,
  ) => unknown;
  return (target, to, source, from, count) => {
    for (let i = 0; i < count; i++) {
      (target as Cells)[to + i] = combine(target[to + i], source[from + i]);
    }
  };
}

/** Rows whose mask is 1 first, in order, the rest zero; and how many they are. */
export function compactValue(mask: Value, values: Value): [Value, Value] {
  const out = allocate(values.dtype, values.shape);
  const chosen = numbersOf(mask);
  const inner = elementCount(values.shape.slice(1));
  let count = 0;
  for (let i = 0; i < chosen.length; i++) {
    if (chosen[i] === 0) continue;
    copyRun(values.data, i * inner, out.data, count * inner, inner);
    count += 1;
  }
  return [out, { dtype: 'i64', shape: [], data: BigInt64Array.of(BigInt(count)) }];
}

/** data with the piece written at the offsets, which are clamped so that it lies inside. */
export function updateValue(data: Value, piece: Value, offsets: Value): Value {
  const out = copyOf(data);
  const index = data.shape.map((size, axis) => {
    const last = size - piece.shape[axis]!;
    return Math.min(Math.max(integerAt(offsets, axis), 0), last);
  });
  writePiece(out, piece, index);
  return out;
}
