/**
 * Affine views: chains of permute, reshape, slice, expand and a widening cast over a value in
 * memory, whose address stays linear in the indices, so that a contraction can read through them.
 */
import { bytesOf } from '../base/dtype.js';
import { type Expression, equal, floorDivide, multiply, type Size } from '../base/expression.js';
import type { Node } from '../graph/node.js';

interface Axis {
  readonly size: Size;
  readonly stride: Expression;
}

/** The value itself: reshape and bitcast name the same memory. */
export function memoryRoot(node: Node): Node {
  let root = node;
  while (root.op === 'reshape' || root.op === 'bitcast') root = root.inputs[0] as Node;
  return root;
}

/** The node below `node` that must be in memory so that the rest is an affine view of it. */
export function operandBase(node: Node, inMemory: (node: Node) => boolean): Node {
  const chain: Node[] = [];
  let base = node;
  while (!inMemory(base) && isView(base, chain)) {
    chain.push(base);
    base = base.inputs[0] as Node;
  }
  let axes = contiguous(base.shape);
  for (const view of chain.reverse()) {
    const next = applyView(view, axes);
    if (next === undefined) base = view;
    axes = next ?? contiguous(view.shape);
  }
  return base;
}

function isView(node: Node, chain: readonly Node[]): boolean {
  if (node.op === 'cast') {
    const from = node.inputs[0] as Node;
    if (from.dtype === 'bool' || chain.some((view) => view.op === 'cast')) return false;
    return bytesOf(from.dtype) < bytesOf(node.dtype);
  }
  return (
    node.op === 'permute' || node.op === 'reshape' || node.op === 'slice' || node.op === 'expand'
  );
}

/** Row-major axes of a value in memory. */
function contiguous(shape: readonly Size[]): readonly Axis[] {
  let stride: Expression = 1;
  const axes = shape.toReversed().map((size) => {
    const axis = { size, stride };
    stride = multiply(stride, size);
    return axis;
  });
  return axes.reverse();
}

function applyView(view: Node, axes: readonly Axis[]): readonly Axis[] | undefined {
  switch (view.op) {
    case 'permute':
      return view.attributes.axes.map((axis) => axes[axis] as Axis);
    case 'expand':
      return axes.map((axis, i) =>
        equal(axis.size, view.shape[i] as Size) ? axis : { size: view.shape[i] as Size, stride: 0 },
      );
    case 'slice':
      return axes.map((axis, i) => ({
        size: view.shape[i] as Size,
        stride: multiply(axis.stride, view.attributes.steps[i] as number),
      }));
    case 'reshape':
      return reshapeAxes(axes, view.shape);
    default:
      return axes;
  }
}

/** Strides of a reshaped view; undefined where merged axes are not adjacent in memory. */
function reshapeAxes(from: readonly Axis[], shape: readonly Size[]): readonly Axis[] | undefined {
  const axes = from.filter((axis) => axis.size !== 1);
  const made: Axis[] = [];
  let used = 0;
  let at = 0;
  while (at < shape.length) {
    if (shape[at] === 1) {
      made.push({ size: 1, stride: 0 });
      at++;
      continue;
    }
    const group = matchGroup(axes, used, shape, at);
    if (group === undefined) return undefined;
    const merged = axes.slice(used, group.axes);
    if (!isAdjacent(merged)) return undefined;
    const sizes = shape.slice(at, group.sizes);
    const strides = contiguous(sizes);
    const inner = merged[merged.length - 1]?.stride ?? 0;
    made.push(...strides.map(({ size, stride }) => ({ size, stride: multiply(stride, inner) })));
    used = group.axes;
    at = group.sizes;
  }
  return used === axes.length ? made : undefined;
}

/** The shortest runs of old axes and of new sizes with equal products. */
function matchGroup(
  axes: readonly Axis[],
  firstAxis: number,
  shape: readonly Size[],
  firstSize: number,
): { readonly axes: number; readonly sizes: number } | undefined {
  let nextAxis = firstAxis + 1;
  let nextSize = firstSize + 1;
  let left = axes[firstAxis]?.size;
  let right = shape[firstSize] as Size;
  while (left !== undefined && !equal(left, right)) {
    if (divides(right, left)) {
      const size = shape[nextSize++];
      if (size === undefined) return undefined;
      right = multiply(right, size);
    } else if (divides(left, right)) {
      const axis = axes[nextAxis++];
      if (axis === undefined) return undefined;
      left = multiply(left, axis.size);
    } else return undefined;
  }
  return left === undefined ? undefined : { axes: nextAxis, sizes: nextSize };
}

/** Whether a smaller product may grow into a larger one: by value, or provably by symbols. */
function divides(small: Size, large: Size): boolean {
  if (small === 0 || large === 0) return false;
  if (typeof small === 'number' && typeof large === 'number') return small < large;
  return equal(multiply(floorDivide(large, small), small), large);
}

const isAdjacent = (axes: readonly Axis[]): boolean =>
  axes.every((axis, i) => {
    const inner = axes[i + 1];
    return inner === undefined || equal(axis.stride, multiply(inner.stride, inner.size));
  });
