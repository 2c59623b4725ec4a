/** Builders of views and of concat: reshape, permute, expand, slice, pad, flip, unpack, update. */
import type { DType } from '../base/dtype.js';
import { failure } from '../base/errors.js';
import {
  choose,
  equal,
  equalTo,
  keyOf,
  provablyAtLeast,
  type Size,
  subtract,
} from '../base/expression.js';
import { make } from './make.js';
import { isOp, type Node } from './node.js';
import { printShape, shapeError } from './rule.js';

export const sameShape = (a: readonly Size[], b: readonly Size[]): boolean =>
  a.length === b.length && a.every((size, axis) => equal(size, b[axis] as Size));

/** An axis counted from the end when negative; throws outside the rank. */
export function normalizeAxis(op: string, axis: number, rank: number): number {
  const found = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || found < 0 || found >= rank) {
    throw shapeError(op, `axis ${axis} is outside −${rank} … ${rank - 1}`);
  }
  return found;
}

export const range = (count: number): readonly number[] =>
  Array.from({ length: count }, (_, i) => i);

/** Same elements in row-major order, another shape. */
export function reshape(x: Node, shape: readonly Size[]): Node {
  if (sameShape(x.shape, shape)) return x;
  if (isOp(x, 'reshape')) {
    const source = x.inputs[0] as Node;
    return sameShape(source.shape, shape) ? source : make('reshape', [source], { shape });
  }
  return make('reshape', [x], { shape });
}

/** Output axis i is input axis axes[i]. */
export function permute(x: Node, axes: readonly number[]): Node {
  const order = axes.map((axis) => normalizeAxis('permute', axis, x.shape.length));
  if (order.length === x.shape.length && order.every((axis, i) => axis === i)) return x;
  if (isOp(x, 'permute')) {
    const inner = x.attributes.axes;
    return permute(
      x.inputs[0] as Node,
      order.map((axis) => inner[axis] as number),
    );
  }
  return make('permute', [x], { axes: order });
}

/** Swaps two axes. */
export function transpose(x: Node, a = -1, b = -2): Node {
  const rank = x.shape.length;
  const [i, j] = [normalizeAxis('transpose', a, rank), normalizeAxis('transpose', b, rank)];
  return permute(x, range(rank).with(i, j).with(j, i));
}

/** Repeats axes of size 1 up to `shape`, which has the same rank. */
export function expand(x: Node, shape: readonly Size[]): Node {
  if (sameShape(x.shape, shape)) return x;
  return make('expand', [x], { shape });
}

/** NumPy broadcasting of one value to a shape of at least its rank. */
export function broadcastTo(x: Node, shape: readonly Size[]): Node {
  if (x.shape.length > shape.length) {
    throw failure('OC-SHAPE-01', {
      op: 'broadcast',
      left: printShape(x.shape),
      right: printShape(shape),
      reason: 'the rank would shrink',
    });
  }
  const ones = range(shape.length - x.shape.length).map(() => 1);
  return expand(reshape(x, [...ones, ...x.shape]), shape);
}

/** The size that two sizes broadcast to: the other where one is 1. */
function broadcastSize(a: Size, b: Size): Size {
  if (equal(a, b) || b === 1) return a;
  if (a === 1) return b;
  // A number other than 1, or a size known to be above 1, can only be kept.
  if (typeof a === 'number' || provablyAtLeast(a, 2)) return a;
  if (typeof b === 'number' || provablyAtLeast(b, 2)) return b;
  const [low, high] = keyOf(a) < keyOf(b) ? [a, b] : [b, a];
  return choose(equalTo(low, 1), high, low);
}

/** The shape that all shapes broadcast to (NumPy). */
export function broadcastShapes(...shapes: readonly (readonly Size[])[]): readonly Size[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  return range(rank).map((axis) =>
    shapes.reduce<Size>((size, shape) => {
      const at = axis - (rank - shape.length);
      return at < 0 ? size : broadcastSize(size, shape[at] as Size);
    }, 1),
  );
}

/** Inserts axes of size 1 at these places of the result. */
export function unsqueeze(x: Node, axes: readonly number[]): Node {
  const rank = x.shape.length + axes.length;
  const places = new Set(axes.map((axis) => normalizeAxis('unsqueeze', axis, rank)));
  if (places.size !== axes.length) throw shapeError('unsqueeze', 'an axis stands twice');
  const rest = [...x.shape];
  return reshape(
    x,
    range(rank).map((axis) => (places.has(axis) ? 1 : (rest.shift() as Size))),
  );
}

/** Removes axes of size 1; all that are provably 1 when none are named. */
export function squeeze(x: Node, axes?: readonly number[]): Node {
  const rank = x.shape.length;
  const places = axes?.map((axis) => normalizeAxis('squeeze', axis, rank));
  const gone = (axis: number): boolean => places?.includes(axis) ?? x.shape[axis] === 1;
  return reshape(
    x,
    x.shape.filter((_, axis) => !gone(axis)),
  );
}

export interface SliceArguments {
  readonly starts: readonly Size[];
  readonly sizes: readonly Size[];
  readonly steps?: readonly number[];
}

/** Element i of each axis is input element start + i·step; sizes count the results. */
export function slice(x: Node, { starts, sizes, steps }: SliceArguments): Node {
  const step = steps ?? x.shape.map(() => 1);
  const whole = step.every((by) => by === 1) && starts.every((start) => start === 0);
  if (whole && sameShape(sizes, x.shape)) return x;
  return make('slice', [x], { starts, sizes, steps: step });
}

/** The part [start, start + count) of one axis. */
export function sliceAxis(x: Node, axis: number, start: Size, count: Size): Node {
  const at = normalizeAxis('slice', axis, x.shape.length);
  return slice(x, {
    starts: x.shape.map((_, i) => (i === at ? start : 0)),
    sizes: x.shape.with(at, count),
  });
}

/** Equal or given parts of one axis. */
export function split(x: Node, axis: number, counts: readonly Size[]): readonly Node[] {
  let start: Size = 0;
  return counts.map((count) => {
    const piece = sliceAxis(x, axis, start, count);
    start = subtract(start, subtract(0, count));
    return piece;
  });
}

export interface PadArguments {
  readonly before: readonly Size[];
  readonly after: readonly Size[];
  readonly value?: number | bigint;
}

/** Puts `value` (0) before and after each axis; amounts are not negative. */
export function pad(x: Node, { before, after, value = 0 }: PadArguments): Node {
  if ([...before, ...after].every((amount) => amount === 0)) return x;
  return make('pad', [x], { before, after, value });
}

/** Reverses axes. */
export function flip(x: Node, axes: readonly number[]): Node {
  const places = axes.map((axis) => normalizeAxis('flip', axis, x.shape.length));
  const turned = places.filter((axis) => x.shape[axis] !== 1);
  return turned.length === 0 ? x : make('flip', [x], { axes: turned.sort((a, b) => a - b) });
}

/** Joins along an axis. */
export function concat(xs: readonly Node[], axis: number): Node {
  const [only] = xs;
  if (only === undefined) throw shapeError('concat', 'nothing to join');
  const at = normalizeAxis('concat', axis, only.shape.length);
  return xs.length === 1 ? only : make('concat', xs, { axis: at });
}

/** Joins along a new axis. */
export function stack(xs: readonly Node[], axis = 0): Node {
  return concat(
    xs.map((x) => unsqueeze(x, [axis])),
    axis,
  );
}

/** u8[…, n] → dtype[…, n·8/bits], low bits first. */
export function unpack(x: Node, dtype: DType): Node {
  return make('unpack', [x], { dtype });
}

/** `data` with `piece` written at `offsets` (i64[rank], clamped so that the piece fits). */
export function update(data: Node, piece: Node, offsets: Node): Node {
  return make('update', [data, piece, offsets], {});
}
