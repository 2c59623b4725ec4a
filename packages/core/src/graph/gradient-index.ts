/** Derivatives of gather, scatter, sort, compact and update. */
import { equal as equalSizes, multiply as product, type Size } from '../base/expression.js';
import {
  add,
  cast,
  cumulate,
  divide,
  equal,
  gather,
  iota,
  maximum,
  minimum,
  multiply,
  permute,
  range,
  reshape,
  scatter,
  select,
  size,
  sliceAxis,
  sort,
  subtract,
  update,
} from './build.js';
import { asNode, axisBack, inputOf, type Pullback, scatterAlong, zeros } from './gradient-rule.js';
import type { Node, NodeOf } from './node.js';

export const gatherPullback: Pullback<'gather'> = (node, seed) => {
  const [data, indices] = [inputOf(node, 0), inputOf(node, 1)];
  const { axis } = node.attributes;
  const width = indices.shape.length;
  const places = range(width).map((i) => axis + i);
  const others = range(seed.shape.length).filter((i) => !places.includes(i));
  const count = indices.shape.reduce<Size>((total, extent) => product(total, extent), 1);
  const rest = data.shape.toSpliced(axis, 1);
  const rows = reshape(permute(seed, [...places, ...others]), [count, ...rest]);
  const target = zeros({ dtype: data.dtype, shape: [data.shape[axis]!, ...rest] });
  return [axisBack(scatter('sum', target, reshape(indices, [count]), rows), axis)];
};

/** Row i of m, repeated over the rest of the shape. */
const rowsLike = (row: Node, like: Node): Node =>
  reshape(row, [row.shape[0]!, ...like.shape.slice(1).map(() => 1)]);

/** Only the last writer of a row has an influence. */
function replacePullback(node: NodeOf<'scatter'>, seed: Node): readonly Node[] {
  const [data, indices, updates] = node.inputs as readonly [Node, Node, Node];
  const writer = iota({ dtype: 'i64', shape: indices.shape }, 0);
  const none = zeros({ dtype: 'i64', shape: [data.shape[0]!] });
  const last = scatter('replace', none, indices, writer);
  const wins = equal(gather(last, indices, 0), writer);
  return [
    scatter('replace', seed, indices, zeros(updates)),
    select(rowsLike(wins, updates), gather(seed, indices, 0), 0),
  ];
}

/** Product of the other factors, by counting zeros: no factor is divided out that is zero. */
function productPullback(node: NodeOf<'scatter'>, seed: Node): readonly Node[] {
  const [data, indices, updates] = node.inputs as readonly [Node, Node, Node];
  const isZero = (x: Node): Node => cast(equal(x, 0), x.dtype);
  const withoutZeros = (x: Node): Node => select(equal(x, 0), 1, x);
  const zeroCount = scatter('sum', isZero(data), indices, isZero(updates));
  const rest = scatter('product', withoutZeros(data), indices, withoutZeros(updates));
  const own = (x: Node, count: Node, product: Node): Node =>
    select(equal(subtract(count, isZero(x)), 0), divide(product, withoutZeros(x)), zeros(x));
  const rows = (x: Node): Node => gather(x, indices, 0);
  return [
    multiply(seed, own(data, zeroCount, rest)),
    multiply(rows(seed), own(updates, rows(zeroCount), rows(rest))),
  ];
}

/** All that equal the extreme share equally. */
function extremePullback(node: NodeOf<'scatter'>, seed: Node): readonly Node[] {
  const [data, indices, updates] = node.inputs as readonly [Node, Node, Node];
  const rows = (x: Node): Node => gather(x, indices, 0);
  const dataHit = equal(data, asNode(node));
  const updateHit = equal(updates, rows(asNode(node)));
  const hits = scatter('sum', cast(dataHit, data.dtype), indices, cast(updateHit, data.dtype));
  // An update that lost leaves a count of at least one from the winner.
  const share = divide(seed, hits);
  return [select(dataHit, share, 0), select(updateHit, rows(share), 0)];
}

export const scatterPullback: Pullback<'scatter'> = (node, seed) => {
  const { kind } = node.attributes;
  const spread = (pair: readonly Node[]) => [pair[0], undefined, pair[1]];
  if (kind === 'sum') return spread([seed, gather(seed, inputOf(node, 1), 0)]);
  if (kind === 'replace') return spread(replacePullback(node, seed));
  return spread((kind === 'product' ? productPullback : extremePullback)(node, seed));
};

export const sortPullback: Pullback<'sort'> = (node, _, { seeds, needs }) => {
  const keys = inputOf(node, 0);
  const { axis, descending } = node.attributes;
  const place = iota({ dtype: 'i64', shape: keys.shape }, axis);
  const order = sort(keys, [place], { axis, descending })[1]!;
  return seeds.map((seed, i) =>
    seed === undefined || !needs(i)
      ? undefined
      : scatterAlong('replace', seed, order, axis, keys.shape),
  );
};

export const compactPullback: Pullback<'compact'> = (node, _, { seeds }) => {
  const [mask, values] = [inputOf(node, 0), inputOf(node, 1)];
  const seed = seeds[0];
  if (seed === undefined) return [];
  const place = cumulate('sum', cast(mask, 'i64'), 0, { exclusive: true });
  return [undefined, select(rowsLike(mask, values), gather(seed, place, 0), 0)];
};

/** Reads back the window that was written, at the offsets as they were clamped. */
export const updatePullback: Pullback<'update'> = (node, seed, { needs }) => {
  const [data, piece, offsets] = node.inputs as readonly [Node, Node, Node];
  const read = (): Node =>
    data.shape.reduce<Node>((result, extent, axis) => {
      const own = piece.shape[axis]!;
      if (equalSizes(own, extent)) return result;
      const offset = reshape(sliceAxis(offsets, 0, axis, 1), []);
      const start = maximum(minimum(offset, subtract(size(extent), size(own))), 0);
      const places = add(iota({ dtype: 'i64', shape: [own] }, 0), start);
      return gather(result, places, axis);
    }, seed);
  return [
    needs(0) ? update(seed, zeros(piece), offsets) : undefined,
    needs(1) ? read() : undefined,
  ];
};
