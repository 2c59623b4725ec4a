/** Derivatives of views: the elements go back to where they came from. */
import {
  add,
  equal as equalSizes,
  maximum,
  multiply,
  type Size,
  subtract,
} from '../base/expression.js';
import {
  flip,
  iota,
  minimum,
  subtract as minus,
  pad,
  permute,
  range,
  reshape,
  scatter,
  size,
  slice,
  sliceAxis,
  sum,
} from './build.js';
import { axisBack, axisFirst, inputOf, type Pullback, zeros } from './gradient-rule.js';
import type { Node } from './node.js';

const reshapePullback: Pullback<'reshape'> = (node, seed) => [
  reshape(seed, inputOf(node, 0).shape),
];

const permutePullback: Pullback<'permute'> = (node, seed) => {
  const { axes } = node.attributes;
  return [
    permute(
      seed,
      range(axes.length).map((axis) => axes.indexOf(axis)),
    ),
  ];
};

/** Sums an axis that may have been repeated: row i came from row min(i, size − 1). */
function sumRepeated(seed: Node, axis: number, from: Size): Node {
  const rows = axisFirst(seed, axis);
  const type = { dtype: 'i64', shape: [rows.shape[0]!] } as const;
  const source = minimum(iota(type, 0), minus(size(from), 1));
  const target = zeros({ dtype: seed.dtype, shape: rows.shape.with(0, from) });
  return axisBack(scatter('sum', target, source, rows), axis);
}

const expandPullback: Pullback<'expand'> = (node, seed) => {
  const x = inputOf(node, 0);
  const repeated = range(x.shape.length).filter(
    (axis) => !equalSizes(x.shape[axis]!, node.shape[axis]!),
  );
  const known = repeated.filter((axis) => x.shape[axis] === 1);
  const summed = known.length === 0 ? seed : sum(seed, known, { keep: true });
  return [
    repeated
      .filter((axis) => x.shape[axis] !== 1)
      .reduce((result, axis) => sumRepeated(result, axis, x.shape[axis]!), summed),
  ];
};

/** Puts step − 1 zeros after each element of an axis. */
function spread(x: Node, axis: number, step: number): Node {
  const apart = reshape(x, x.shape.toSpliced(axis + 1, 0, 1));
  const none = apart.shape.map(() => 0);
  const padded = pad(apart, { before: none, after: none.with(axis + 1, step - 1) });
  return reshape(padded, x.shape.with(axis, multiply(x.shape[axis]!, step)));
}

const slicePullback: Pullback<'slice'> = (node, seed) => {
  const { starts, steps } = node.attributes;
  const x = inputOf(node, 0);
  let result = seed;
  steps.forEach((step, axis) => {
    if (step === 1) return;
    const left = subtract(x.shape[axis]!, starts[axis]!);
    const apart = spread(result, axis, step);
    const missing = maximum(subtract(left, apart.shape[axis]!), 0);
    const none: Size[] = x.shape.map(() => 0);
    result = sliceAxis(
      pad(apart, { before: none, after: none.with(axis, missing) }),
      axis,
      0,
      left,
    );
  });
  const after = x.shape.map((extent, axis) =>
    subtract(extent, add(starts[axis]!, result.shape[axis]!)),
  );
  return [pad(result, { before: starts, after })];
};

const padPullback: Pullback<'pad'> = (node, seed) => [
  slice(seed, { starts: node.attributes.before, sizes: inputOf(node, 0).shape }),
];

const flipPullback: Pullback<'flip'> = (node, seed) => [flip(seed, node.attributes.axes)];

const concatPullback: Pullback<'concat'> = (node, seed) => {
  const { axis } = node.attributes;
  let start: Size = 0;
  return node.inputs.map((piece) => {
    const extent = piece.shape[axis]!;
    const own = sliceAxis(seed, axis, start, extent);
    start = add(start, extent);
    return own;
  });
};

export const viewPullbacks = {
  reshape: reshapePullback,
  permute: permutePullback,
  expand: expandPullback,
  slice: slicePullback,
  pad: padPullback,
  flip: flipPullback,
  concat: concatPullback,
};
