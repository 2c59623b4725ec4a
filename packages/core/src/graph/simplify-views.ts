/** Rules of views and of operations that are views or simpler operations in disguise. */
import { add, equal, multiply, provablyAtLeast, type Size, subtract } from '../base/expression.js';
import { readElement } from '../base/host-tensor.js';
import { contract } from './build-reductions.js';
import { concat, expand, flip, pad, permute, reshape, slice } from './build-views.js';
import { isOp, type Node, type OpName } from './node.js';
import { inputOf, type Rule, tensorOf } from './simplify-match.js';

const isSingle = (node: Node): boolean => node.shape.every((size) => size === 1);
const ones = (count: number): readonly Size[] => Array.from({ length: count }, () => 1);

/** A view of one repeated element is that element repeated. */
const ofRepeated: Rule = (node) => {
  const x = inputOf(node, 0);
  if (!isOp(x, 'expand') || !isSingle(inputOf(x, 0))) return undefined;
  return expand(reshape(inputOf(x, 0), ones(node.shape.length)), node.shape);
};

const expanded: Rule = (node) => {
  const x = inputOf(node, 0);
  return isOp(x, 'expand') ? expand(inputOf(x, 0), node.shape) : undefined;
};

/** A permutation that only moves axes of size 1 is a reshape. */
const permuted: Rule = (node) => {
  if (!isOp(node, 'permute')) return undefined;
  const x = inputOf(node, 0);
  const moved = node.attributes.axes.filter((axis) => x.shape[axis] !== 1);
  const ordered = moved.every((axis, i) => i === 0 || (moved[i - 1] as number) < axis);
  return ordered ? reshape(x, node.shape) : undefined;
};

const sliced: Rule = (node) => {
  if (!isOp(node, 'slice')) return undefined;
  const x = inputOf(node, 0);
  const { starts, sizes, steps } = node.attributes;
  if (isOp(x, 'slice')) {
    const inner = x.attributes;
    const step = (axis: number): number => inner.steps[axis] as number;
    return slice(inputOf(x, 0), {
      starts: starts.map((start, i) => add(inner.starts[i] as Size, multiply(start, step(i)))),
      sizes,
      steps: steps.map((by, i) => by * step(i)),
    });
  }
  return isOp(x, 'concat') ? sliceOfConcat(node, x, starts, sizes, steps) : undefined;
};

/** A slice that lies in one of the joined pieces reads that piece. */
function sliceOfConcat(
  node: Node,
  x: Extract<Node, { op: 'concat' }>,
  starts: readonly Size[],
  sizes: readonly Size[],
  steps: readonly number[],
): Node | undefined {
  const { axis } = x.attributes;
  const [start, count, step] = [starts[axis] as Size, sizes[axis] as Size, steps[axis] as number];
  const last = add(start, multiply(subtract(count, 1), step));
  let offset: Size = 0;
  for (const piece of x.inputs) {
    const extent = piece.shape[axis] as Size;
    const end: Size = add(offset, extent);
    if (provablyAtLeast(start, offset) && provablyAtLeast(subtract(end, 1), last)) {
      const others = node.shape.every(
        (_, i) => i === axis || equal(piece.shape[i] as Size, x.shape[i] as Size),
      );
      if (!others || provablyAtLeast(0, count)) return undefined;
      return slice(piece, { starts: starts.with(axis, subtract(start, offset)), sizes, steps });
    }
    offset = end;
  }
  return undefined;
}

const padded: Rule = (node) => {
  const x = inputOf(node, 0);
  if (!isOp(node, 'pad') || !isOp(x, 'pad')) return undefined;
  const { before, after, value } = node.attributes;
  const inner = x.attributes;
  if (!Object.is(inner.value, value)) return undefined;
  return pad(inputOf(x, 0), {
    before: before.map((amount, i) => add(amount, inner.before[i] as Size)),
    after: after.map((amount, i) => add(amount, inner.after[i] as Size)),
    value,
  });
};

const flipped: Rule = (node) => {
  const x = inputOf(node, 0);
  if (!isOp(node, 'flip') || !isOp(x, 'flip')) return undefined;
  const [outer, inner] = [node.attributes.axes, x.attributes.axes];
  const once = [...outer, ...inner].filter((a) => outer.includes(a) !== inner.includes(a));
  return flip(inputOf(x, 0), once);
};

/** Longer lists of pieces are left nested. */
const mostPieces = 8;

const joined: Rule = (node) => {
  if (!isOp(node, 'concat')) return undefined;
  const { axis } = node.attributes;
  const nested = node.inputs.some((x) => isOp(x, 'concat') && x.attributes.axis === axis);
  const empty = node.inputs.some((x) => x.shape[axis] === 0);
  if (!nested && !(empty && node.inputs.length > 1)) return undefined;
  const pieces = node.inputs.flatMap((x) =>
    isOp(x, 'concat') && x.attributes.axis === axis ? x.inputs : [x],
  );
  const filled = pieces.filter((x) => x.shape[axis] !== 0);
  if (filled.length > node.inputs.length && filled.length > mostPieces) return undefined;
  return concat(filled.length === 0 ? pieces.slice(0, 1) : filled, axis);
};

/** One row by a number known now is a slice. */
const gathered: Rule = (node) => {
  if (!isOp(node, 'gather')) return undefined;
  const [data, indices] = [inputOf(node, 0), inputOf(node, 1)];
  const tensor = tensorOf(indices);
  if (tensor === undefined || tensor.data.length !== 1) return undefined;
  const { axis } = node.attributes;
  const [index, extent] = [Number(readElement(tensor, 0)), data.shape[axis]];
  if (typeof extent !== 'number' || index < 0 || index >= extent) return undefined;
  const row = slice(data, {
    starts: data.shape.map((_, i) => (i === axis ? index : 0)),
    sizes: data.shape.with(axis, 1),
  });
  return reshape(row, node.shape);
};

/** A convolution whose kernel is one element is a contraction over channels. */
const pointwise: Rule = (node) => {
  if (!isOp(node, 'window') || node.inputs.length !== 2) return undefined;
  const { kind, strides, padding, groups, inputDilation, accumulate } = node.attributes;
  const [x, w] = [inputOf(node, 0), inputOf(node, 1)];
  const plain =
    kind === 'convolve' &&
    groups === 1 &&
    w.shape.slice(2).every((size) => size === 1) &&
    [...strides, ...inputDilation].every((by) => by === 1) &&
    padding.flat().every((amount) => amount === 0);
  if (!plain) return undefined;
  const [outputs, channels] = w.shape as readonly [Size, Size];
  const shared = expand(reshape(w, [1, outputs, channels]), [
    x.shape[0] as Size,
    outputs,
    channels,
  ]);
  return contract(shared, x, {
    batch: [[0, 0]],
    contracted: [[2, 1]],
    accumulate,
    dtype: node.dtype,
  });
};

const either =
  (...rules: readonly Rule[]): Rule =>
  (node) => {
    for (const rule of rules) {
      const result = rule(node);
      if (result !== undefined) return result;
    }
    return undefined;
  };

const reshaped: Rule = (node) => {
  const x = inputOf(node, 0);
  return isOp(x, 'reshape') ? reshape(inputOf(x, 0), node.shape) : undefined;
};

const permutedTwice: Rule = (node) => {
  const x = inputOf(node, 0);
  return isOp(node, 'permute') && isOp(x, 'permute') ? permute(x, node.attributes.axes) : undefined;
};

export const viewSimplifications: Readonly<Partial<Record<OpName, Rule>>> = {
  reshape: either(reshaped, ofRepeated),
  permute: either(permutedTwice, permuted, ofRepeated),
  expand: expanded,
  slice: either(sliced, ofRepeated),
  pad: padded,
  flip: either(flipped, ofRepeated),
  concat: joined,
  gather: gathered,
  window: pointwise,
};
