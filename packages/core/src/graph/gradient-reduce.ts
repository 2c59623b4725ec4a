/** Derivatives of reduce, contract and cumulate. */
import { product, type Size, subtract } from '../base/expression.js';
import {
  add,
  cast,
  contract,
  cumulate,
  divide,
  equal,
  expand,
  flip,
  gather,
  iota,
  less,
  loop,
  multiply,
  pad,
  permute,
  range,
  reshape,
  select,
  size,
  sliceAxis,
  sum,
} from './build.js';
import {
  asNode,
  axisBack,
  axisFirst,
  inputOf,
  type Pullback,
  scatterAlong,
  zeros,
} from './gradient-rule.js';
import type { Node, NodeOf } from './node.js';

/** A reduced value repeated over the axes that were reduced. */
function spreadOver(value: Node, x: Node, axes: readonly number[]): Node {
  const kept = x.shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
  return expand(reshape(value, kept), x.shape);
}

/** Product of all other elements: those before times those after, right also for zeros. */
function productPullback(node: NodeOf<'reduce'>, seed: Node): Node {
  const x = inputOf(node, 0);
  const { axes } = node.attributes;
  const kept = range(x.shape.length).filter((axis) => !axes.includes(axis));
  const order = [...kept, ...axes];
  const moved = permute(x, order);
  const count = product(axes.map((axis) => x.shape[axis]!));
  const lines = reshape(moved, [...kept.map((axis) => x.shape[axis]!), count]);
  const others = multiply(
    cumulate('product', lines, -1, { exclusive: true }),
    cumulate('product', lines, -1, { exclusive: true, reverse: true }),
  );
  const back = permute(
    reshape(others, moved.shape),
    range(order.length).map((axis) => order.indexOf(axis)),
  );
  return multiply(back, spreadOver(seed, x, axes));
}

export const reducePullback: Pullback<'reduce'> = (node, seed) => {
  const x = inputOf(node, 0);
  const { kind, axes } = node.attributes;
  if (kind === 'sum') return [spreadOver(seed, x, axes)];
  if (kind === 'product') return [productPullback(node, seed)];
  const hits = equal(x, spreadOver(asNode(node), x, axes));
  const count = sum(cast(hits, x.dtype), axes);
  return [select(hits, spreadOver(divide(seed, count), x, axes), 0)];
};

type Pairs = readonly (readonly [number, number])[];

/** One operand's derivative: the seed contracted with the other operand over its free axes. */
function operandPullback(seed: Node, node: NodeOf<'contract'>, k: 0 | 1): Node {
  const [x, other] = [inputOf(node, k), inputOf(node, 1 - k)];
  const { batch, contracted } = node.attributes;
  const axesOf = (pairs: Pairs, side: number) => pairs.map((pair) => pair[side] as number);
  const freeOf = (value: Node, side: number) => {
    const bound = [...axesOf(batch, side), ...axesOf(contracted, side)];
    return range(value.shape.length).filter((axis) => !bound.includes(axis));
  };
  const free = freeOf(x, k);
  const otherFree = freeOf(other, 1 - k);
  const firstFree = batch.length + (k === 0 ? free.length : 0);
  const result = contract(seed, cast(other, seed.dtype), {
    batch: axesOf(batch, 1 - k).map((axis, i) => [i, axis] as const),
    contracted: otherFree.map((axis, i) => [firstFree + i, axis] as const),
  });
  // Axes of the result: batch, own free axes, contracted axes in the other operand's order.
  const byOther = [...contracted].sort((a, b) => a[1 - k]! - b[1 - k]!);
  const order = [...axesOf(batch, k), ...free, ...axesOf(byOther, k)];
  const back = permute(
    result,
    range(order.length).map((axis) => order.indexOf(axis)),
  );
  return cast(back, x.dtype);
}

export const contractPullback: Pullback<'contract'> = (node, seed, { needs }) => [
  needs(0) ? operandPullback(seed, node, 0) : undefined,
  needs(1) ? operandPullback(seed, node, 1) : undefined,
];

/** Moves rows one place towards the front, with zeros at the end. */
function shiftBack(x: Node): Node {
  const none: Size[] = x.shape.map(() => 0);
  const padded = pad(x, { before: none, after: none.with(0, 1) });
  return sliceAxis(padded, 0, 1, x.shape[0]!);
}

/**
 * d xⱼ = (Π before j)·Rⱼ with Rⱼ = seedⱼ + xⱼ₊₁·Rⱼ₊₁: no division, so zeros do no harm.
 * Along axis 0, inclusive.
 */
function cumulateProduct(x: Node, seed: Node): Node {
  const trip = x.shape[0]!;
  const row = { dtype: x.dtype, shape: x.shape.slice(1) };
  const [, rests] = loop({
    trip,
    carried: [zeros(row)],
    invariants: [shiftBack(x), seed],
    body: ([rest], [next, seeds], i) => {
      const at = size(subtract(subtract(trip, 1), i));
      const found = add(gather(seeds!, at, 0), multiply(gather(next!, at, 0), rest!));
      return { carried: [found], stacked: [found] };
    },
  });
  return multiply(cumulate('product', x, 0, { exclusive: true }), flip(rests!, [0]));
}

/** To the first element that set the running extreme. Along axis 0, inclusive. */
function cumulateExtreme(kind: 'minimum' | 'maximum', x: Node, seed: Node): Node {
  const before = cumulate(kind, x, 0, { exclusive: true });
  const sets = kind === 'maximum' ? less(before, x) : less(x, before);
  const place = iota({ dtype: 'i64', shape: x.shape }, 0);
  const setter = cumulate('maximum', select(sets, place, 0), 0);
  return scatterAlong('sum', seed, setter, 0, x.shape);
}

export const cumulatePullback: Pullback<'cumulate'> = (node, seed) => {
  const { kind, axis, exclusive, reverse } = node.attributes;
  if (kind === 'sum') return [cumulate('sum', seed, axis, { exclusive, reverse: !reverse })];
  const arrange = (value: Node): Node => {
    const first = axisFirst(value, axis);
    return reverse ? flip(first, [0]) : first;
  };
  const x = arrange(inputOf(node, 0));
  const own = exclusive ? shiftBack(arrange(seed)) : arrange(seed);
  const result = kind === 'product' ? cumulateProduct(x, own) : cumulateExtreme(kind, x, own);
  return [axisBack(reverse ? flip(result, [0]) : result, axis)];
};
