/** Methods that rearrange: shapes, slices, padding, indices; and the arithmetic of their axes. */
import { failure } from '../base/errors.js';
import * as b from '../graph/build.js';
import * as c from '../graph/composites.js';
import type { Node, ScatterKind } from '../graph/node.js';
import { ElementwiseTensor } from './elementwise.js';
import { nodeOf, type Scalar } from './handle.js';
import { plainNode } from './operand.js';

/**
 * One axis of a slice, as in Python: an index drops the axis, [start, stop, step] keeps it,
 * null takes all; negative numbers count from the end.
 */
export type SliceItem =
  | number
  | readonly [start?: number | null, stop?: number | null, step?: number]
  | null;

export type Axes = number | readonly number[];

export const axesOf = (axes: Axes | undefined): readonly number[] | undefined =>
  typeof axes === 'number' ? [axes] : axes;

const wrong = (op: string, reason: string): Error => failure('OC-SHAPE-03', { op, reason });

const sizesOf = (x: Node): readonly number[] => x.shape as readonly number[];

/** Replaces one −1 by the size that is left. */
function completeShape(x: Node, shape: readonly number[]): readonly number[] {
  const open = shape.indexOf(-1);
  if (open < 0) return shape;
  const count = sizesOf(x).reduce((total, size) => total * size, 1);
  const others = shape.reduce((total, size, i) => (i === open ? total : total * size), 1);
  if (others <= 0 || count % others !== 0) {
    throw wrong('reshape', `${count} elements do not fit [${shape}]`);
  }
  return shape.with(open, count / others);
}

interface Span {
  readonly start: number;
  readonly count: number;
  readonly step: number;
}

const clampTo = (value: number, low: number, high: number): number =>
  Math.min(Math.max(value, low), high);

/** Python's rules for start:stop:step of an axis. */
function spanOf(item: SliceItem, size: number): Span {
  if (item === null) return { start: 0, count: size, step: 1 };
  if (typeof item === 'number') {
    const start = item < 0 ? item + size : item;
    if (!Number.isInteger(item) || start < 0 || start >= size) {
      throw failure('OC-RUN-02', { op: 'slice', index: item, size });
    }
    return { start, count: 1, step: 1 };
  }
  const [first, last, step = 1] = item;
  if (!Number.isInteger(step) || step === 0) throw wrong('slice', `a step of ${step}`);
  const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
  const place = (value: number | null | undefined, absent: number): number =>
    value == null ? absent : clampTo(value < 0 ? value + size : value, low, high);
  const start = place(first, step > 0 ? low : high);
  const stop = place(last, step > 0 ? high : low);
  return { start, count: Math.max(0, Math.ceil((stop - start) / step)), step };
}

function sliceNode(x: Node, items: readonly SliceItem[]): Node {
  const sizes = sizesOf(x);
  if (items.length > sizes.length) {
    throw wrong('slice', `${items.length} axes of ${sizes.length}`);
  }
  const spans = sizes.map((size, axis) => spanOf(items[axis] ?? null, size));
  const cut = b.slice(x, {
    starts: spans.map(({ start, count, step }) =>
      count === 0 ? 0 : step > 0 ? start : start + (count - 1) * step,
    ),
    sizes: spans.map(({ count }) => count),
    steps: spans.map(({ step }) => Math.abs(step)),
  });
  const turned = spans.flatMap(({ step }, axis) => (step < 0 ? [axis] : []));
  const kept = spans.flatMap(({ count }, i) => (typeof items[i] === 'number' ? [] : [count]));
  return b.reshape(b.flip(cut, turned), kept);
}

/** Row-major number of the element that each index along `axis` picks (indices: x's rank). */
function flatPlaces(x: Node, indices: Node, axis: number): Node {
  const sizes = sizesOf(x);
  const type = { dtype: 'i64', shape: indices.shape } as const;
  const strides = sizes.map((_, i) => sizes.slice(i + 1).reduce((total, size) => total * size, 1));
  const wrapped = c.wrapIndices(b.cast(indices, 'i64'), sizes[axis] as number);
  return sizes
    .map((_, i) => b.multiply(i === axis ? wrapped : b.iota(type, i), strides[i] as number))
    .reduce((total, part) => b.add(total, part));
}

export class ShapedTensor extends ElementwiseTensor {
  /** The same elements in row-major order; one size may be −1. */
  reshape(...shape: readonly number[] | readonly [readonly number[]]): this {
    return this.unary((x) => b.reshape(x, completeShape(x, shape.flat() as readonly number[])));
  }
  /** Joins the axes from `start` to `end` into one. */
  flatten(start = 0, end = -1): this {
    return this.unary((x) => {
      if (x.shape.length === 0) return b.reshape(x, [1]);
      const [first, last] = [start, end].map((a) => b.normalizeAxis('flatten', a, x.shape.length));
      const sizes = sizesOf(x);
      const joined = sizes.slice(first, (last as number) + 1).reduce((all, size) => all * size, 1);
      return b.reshape(x, [...sizes.slice(0, first), joined, ...sizes.slice((last as number) + 1)]);
    });
  }
  /** Swaps two axes, the last two unless said. */
  transpose(a = -1, other = -2): this {
    return this.unary((x) => b.transpose(x, a, other));
  }
  /** Axis i of the result is axis axes[i]. */
  permute(...axes: readonly number[] | readonly [readonly number[]]): this {
    return this.unary((x) => b.permute(x, axes.flat() as readonly number[]));
  }
  squeeze(axes?: Axes): this {
    return this.unary((x) => b.squeeze(x, axesOf(axes)));
  }
  unsqueeze(axes: Axes): this {
    return this.unary((x) => b.unsqueeze(x, axesOf(axes) ?? []));
  }
  /** NumPy's broadcast_to. */
  expand(...shape: readonly number[] | readonly [readonly number[]]): this {
    return this.unary((x) => b.broadcastTo(x, shape.flat() as readonly number[]));
  }
  /** One item per axis; absent axes are taken whole. */
  slice(...items: readonly SliceItem[]): this {
    return this.unary((x) => sliceNode(x, items));
  }
  /** Row `index` of the first axis; negative from the end. */
  at(...indices: readonly number[]): this {
    return this.unary((x) => sliceNode(x, indices));
  }
  /** [before, after] for each axis. */
  pad(amounts: readonly (readonly [number, number])[], value: number | bigint = 0): this {
    return this.unary((x) => {
      plainNode('pad', x.dtype, x.dtype === 'bool' ? value !== 0 : value);
      if (amounts.length !== x.shape.length) {
        throw wrong('pad', `${amounts.length} amounts for rank ${x.shape.length}`);
      }
      const [before, after] = [amounts.map(([low]) => low), amounts.map(([, high]) => high)];
      return b.pad(x, { before, after, value });
    });
  }
  flip(axes: Axes): this {
    return this.unary((x) => b.flip(x, axesOf(axes) ?? []));
  }
  /** Repeats the whole along each axis (NumPy's tile). */
  tile(...counts: readonly number[]): this {
    return this.unary((x) =>
      counts.reduce((all, count, i) => {
        const axis = all.shape.length - counts.length + i;
        return count === 1
          ? all
          : b.concat(
              Array.from({ length: count }, () => all),
              axis,
            );
      }, x),
    );
  }
  /** Equal parts by number, or parts of given sizes. */
  split(parts: number | readonly number[], axis = 0): this[] {
    const at = axis < 0 ? axis + this.rank : axis;
    const size = this.shape[at] ?? 0;
    const sizes =
      typeof parts === 'number' ? Array.from({ length: parts }, () => size / parts) : parts;
    let start = 0;
    return sizes.map((count) => {
      const piece = this.unary((x) => {
        if (!Number.isInteger(count)) throw wrong('split', `${size} is not a multiple of ${parts}`);
        return b.sliceAxis(x, axis, start, count);
      });
      start += count;
      return piece;
    });
  }

  /** Rows by number along an axis (NumPy's take); negative numbers count from the end. */
  take(indices: this, axis = 0): this {
    return this.unary((x) => {
      const at = b.normalizeAxis('take', axis, x.shape.length);
      return b.gather(x, c.wrapIndices(nodeOf(indices), sizesOf(x)[at] as number), at);
    });
  }
  /** Elements by number along an axis; `indices` has this rank (PyTorch's gather). */
  gather(axis: number, indices: this): this {
    return this.unary((x) => {
      const at = b.normalizeAxis('gather', axis, x.shape.length);
      const places = flatPlaces(x, nodeOf(indices), at);
      return b.gather(b.reshape(x, [this.size]), places, 0);
    });
  }
  /** Writes or combines rows of `updates` at rows `indices` of the first axis, in order. */
  scatter(indices: this, updates: this, kind: ScatterKind = 'replace'): this {
    return this.unary((x) => {
      const places = c.wrapIndices(nodeOf(indices), sizesOf(x)[0] as number);
      return b.scatter(kind, x, places, nodeOf(updates));
    });
  }
  /** A new last axis of `depth`, 1 at the index. */
  oneHot(depth: number, options: Pick<c.OneHotOptions, 'axis' | 'dtype'> = {}): this {
    return this.unary((x) => c.oneHot(x, depth, options));
  }
  /** Zero above a diagonal. */
  tril(diagonal = 0): this {
    return this.unary((x) => c.triangle(x, { diagonal }));
  }
  /** Zero below a diagonal. */
  triu(diagonal = 0): this {
    return this.unary((x) => c.triangle(x, { upper: true, diagonal }));
  }
  /** `value` where the mask is true. */
  maskedFill(mask: this, value: Scalar): this {
    return this.unary((x) => b.select(nodeOf(mask), plainNode('maskedFill', x.dtype, value), x));
  }
}
