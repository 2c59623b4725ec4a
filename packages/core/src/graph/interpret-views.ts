/** Primitives that only move elements: views, concat, pad. */
import { isWide } from '../base/dtype.js';
import { elementCount, hostTensor } from '../base/host-tensor.js';
import { copyStrided, denseStrides, type Layout } from './interpret-strides.js';
import { allocate, decode, fillData, type Value } from './interpret-value.js';

const layout = (strides: readonly number[], offset = 0): Layout => ({ offset, strides });

/** Offset of the element at `index`. */
const offsetOf = (strides: readonly number[], index: readonly number[]): number =>
  strides.reduce((offset, stride, axis) => offset + stride * index[axis]!, 0);

/** Reads x by another layout into a new value. */
function view(x: Value, shape: readonly number[], from: Layout): Value {
  const out = allocate(x.dtype, shape);
  copyStrided(shape, x.data, from, out.data, layout(denseStrides(shape)));
  return out;
}

export const reshapeValue = (x: Value, shape: readonly number[]): Value => ({ ...x, shape });

export function permuteValue(x: Value, axes: readonly number[]): Value {
  if (axes.every((axis, i) => axis === i)) return x;
  const strides = denseStrides(x.shape);
  const shape = axes.map((axis) => x.shape[axis]!);
  return view(x, shape, layout(axes.map((axis) => strides[axis]!)));
}

export function expandValue(x: Value, shape: readonly number[]): Value {
  const strides = denseStrides(x.shape);
  const repeated = strides.map((stride, axis) => (x.shape[axis] === 1 ? 0 : stride));
  return view(x, shape, layout(repeated));
}

export function sliceValue(
  x: Value,
  starts: readonly number[],
  sizes: readonly number[],
  steps: readonly number[],
): Value {
  const strides = denseStrides(x.shape);
  const stepped = strides.map((stride, axis) => stride * steps[axis]!);
  return view(x, sizes, layout(stepped, offsetOf(strides, starts)));
}

export function flipValue(x: Value, axes: readonly number[]): Value {
  const strides = denseStrides(x.shape);
  const last = x.shape.map((size, axis) => (axes.includes(axis) ? size - 1 : 0));
  const turned = strides.map((stride, axis) => (axes.includes(axis) ? -stride : stride));
  return view(x, x.shape, layout(turned, offsetOf(strides, last)));
}

/** A copy of `piece` inside `out` with its first element at `index`. */
export function writePiece(out: Value, piece: Value, index: readonly number[]): void {
  const strides = denseStrides(out.shape);
  const to = layout(strides, offsetOf(strides, index));
  copyStrided(piece.shape, piece.data, layout(denseStrides(piece.shape)), out.data, to);
}

export function padValue(
  x: Value,
  before: readonly number[],
  after: readonly number[],
  fill: number | bigint | string,
): Value {
  const shape = x.shape.map((size, axis) => size + before[axis]! + after[axis]!);
  const out = allocate(x.dtype, shape);
  fillData(out.data, fill);
  writePiece(out, x, before);
  return out;
}

export function concatValues(pieces: readonly Value[], shape: readonly number[], axis: number) {
  const out = allocate(pieces[0]!.dtype, shape);
  const index = shape.map(() => 0);
  for (const piece of pieces) {
    writePiece(out, piece, index);
    index[axis]! += piece.shape[axis]!;
  }
  return out;
}

/** The index along `axis` at every element, rounded or wrapped where the dtype is narrow. */
export function iotaValue(dtype: Value['dtype'], shape: readonly number[], axis: number): Value {
  const inner = elementCount(shape.slice(axis + 1));
  const size = shape[axis] ?? 1;
  const indices = Array.from({ length: elementCount(shape) }, (_, i) => {
    const index = Math.floor(i / inner) % size;
    return isWide(dtype) ? BigInt(index) : index;
  });
  return decode(hostTensor(dtype, shape, indices));
}
