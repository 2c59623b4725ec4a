/** Derivatives of window: again windows, or through gathered patches for what is not linear. */
import { add, multiply, type Size, subtract } from '../base/expression.js';
import {
  and,
  divide,
  equal,
  flip,
  gather,
  iota,
  less,
  lessEqual,
  subtract as minus,
  pad,
  permute,
  add as plus,
  range,
  reduce,
  remainder,
  reshape,
  select,
  size,
  multiply as times,
  transpose,
  window,
} from './build.js';
import { inputOf, type Pullback } from './gradient-rule.js';
import type { Attributes, Node, NodeOf } from './node.js';
import { dilatedExtent } from './ops-reductions.js';

type Sizes = Attributes['window'];

/** Padding with which the window over the seed gives exactly the input's positions back. */
function transposedPadding(x: Node, y: { readonly shape: readonly Size[] }, a: Sizes) {
  return a.kernel.map((kernel, i): readonly [Size, Size] => {
    const low = subtract(multiply(subtract(kernel, 1), a.kernelDilation[i]!), a.padding[i]![0]);
    const reach = multiply(subtract(x.shape[i + 2]!, 1), a.inputDilation[i]!);
    const extent = dilatedExtent(y.shape[i + 2]!, a.strides[i]!);
    const kernelExtent = dilatedExtent(kernel, a.kernelDilation[i]!);
    return [low, subtract(add(reach, kernelExtent), add(extent, low))];
  });
}

const swapped = (x: Node, node: NodeOf<'window'>) => ({
  strides: node.attributes.inputDilation,
  inputDilation: node.attributes.strides,
  kernelDilation: node.attributes.kernelDilation,
  padding: transposedPadding(x, node, node.attributes),
  groups: node.attributes.groups,
});

/** w[O, C/G, …] → [C, O/G, …] with the kernel turned around. */
function turnedWeights(w: Node, groups: number): Node {
  const [outputs, perGroup, ...kernel] = w.shape as [Size, Size, ...Size[]];
  const own = typeof outputs === 'number' ? outputs / groups : outputs;
  const split = reshape(w, [groups, own, perGroup, ...kernel]);
  const turned = transpose(split, 1, 2);
  const flipped = flip(
    reshape(turned, [multiply(groups, perGroup), own, ...kernel]),
    range(kernel.length).map((i) => i + 2),
  );
  return flipped;
}

/** The derivative of the weights: x and the seed convolved with batch and channels exchanged. */
function weightsPullback(node: NodeOf<'window'>, seed: Node): Node {
  const [x, w] = [inputOf(node, 0), inputOf(node, 1)];
  const { groups, kernel, kernelDilation, strides, inputDilation, padding } = node.attributes;
  const [batch, , ...space] = x.shape as [Size, Size, ...Size[]];
  const perGroup = w.shape[1]!;
  const rest = range(space.length).map((i) => i + 3);
  const grouped = permute(reshape(x, [batch, groups, perGroup, ...space]), [2, 1, 0, ...rest]);
  const channels = reshape(grouped, [perGroup, multiply(groups, batch), ...space]);
  const result = window('convolve', channels, transpose(seed, 0, 1), {
    strides: kernelDilation,
    kernelDilation: strides,
    inputDilation,
    groups,
    padding: kernel.map((extent, i): readonly [Size, Size] => {
      const low = padding[i]![0];
      const reach = multiply(subtract(extent, 1), kernelDilation[i]!);
      const seedExtent = dilatedExtent(node.shape[i + 2]!, strides[i]!);
      const have = add(dilatedExtent(space[i]!, inputDilation[i]!), low);
      return [low, subtract(add(reach, seedExtent), have)];
    }),
  });
  return transpose(result, 0, 1);
}

/** For each output position and kernel place of an axis, the input index; `extent` for none. */
function placesOf(x: Node, node: NodeOf<'window'>, i: number): Node {
  const { strides, kernelDilation, inputDilation, padding, kernel } = node.attributes;
  const extent = x.shape[i + 2]!;
  const type = { dtype: 'i64', shape: [node.shape[i + 2]!, kernel[i]!] } as const;
  const at = minus(
    plus(times(iota(type, 0), strides[i]!), times(iota(type, 1), kernelDilation[i]!)),
    size(padding[i]![0]),
  );
  const index = divide(at, inputDilation[i]!);
  const inside = and(lessEqual(0, at), less(index, size(extent)));
  const exact = equal(remainder(at, inputDilation[i]!), 0);
  return select(and(inside, exact), index, size(extent));
}

const identities = {
  sum: 0,
  product: 1,
  minimum: Number.POSITIVE_INFINITY,
  maximum: Number.NEGATIVE_INFINITY,
} as const;

/** The same pooling as a reduction over patches [N, C, o₁, k₁, o₂, k₂, …]. */
function poolOfPatches(x: Node, node: NodeOf<'window'>): Node {
  const kind = node.attributes.kind as keyof typeof identities;
  let patches = x;
  const kernelAxes: number[] = [];
  node.attributes.kernel.forEach((_, i) => {
    const axis = 2 + 2 * i;
    const none: Size[] = patches.shape.map(() => 0);
    const after = none.with(axis, 1);
    const open = pad(patches, { before: none, after, value: identities[kind] });
    patches = gather(open, placesOf(x, node, i), axis);
    kernelAxes.push(axis + 1);
  });
  return reduce(kind, patches, kernelAxes);
}

export const windowPullback: Pullback<'window'> = (node, seed, { needs, pullback }) => {
  const x = inputOf(node, 0);
  const { kind, groups, kernel } = node.attributes;
  if (kind === 'sum') return [window('sum', seed, undefined, { kernel, ...swapped(x, node) })];
  if (kind !== 'convolve') return pullback([poolOfPatches(x, node)], [x], [seed]);
  const weights = (): Node => turnedWeights(inputOf(node, 1), groups);
  return [
    needs(0) ? window('convolve', seed, weights(), swapped(x, node)) : undefined,
    needs(1) ? weightsPullback(node, seed) : undefined,
  ];
};
