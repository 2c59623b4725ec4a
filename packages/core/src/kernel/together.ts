/** Nodes that cost less together with those that they are made of, on vectors of a CPU. */
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import { maximumBelow, maximumOfShares } from '../graph/recognise-softmax.js';
import { isUniform, uniformValue } from '../graph/simplify-match.js';
import type { KernelBuilder, Value } from './builder.js';
import { onePlusExponential } from './math-exponential.js';
import { Floats } from './math-floats.js';
import { weightOf } from './softmax-weight.js';

type ValueAt = (node: Node) => Value;

/** Undefined for all other nodes, and where the target has instructions that are as quick. */
export function madeTogether(
  { builder: b, target }: { readonly builder: KernelBuilder; readonly target: Target },
  node: Node,
  valueAt: ValueAt,
): Value | undefined {
  if (node.dtype !== 'f32' || target.execution !== 'vector') return undefined;
  switch (node.op) {
    case 'exp':
      // Of a softmax: its argument is never above 0.
      if (b.math.has('scaleByPower') || maximumBelow(node) === undefined) return undefined;
      return weightOf(b, valueAt(node.inputs[0] as Node));
    case 'divide':
      return b.math.has('nearDivide') ? undefined : share(b, node, valueAt);
    case 'add':
      return onePlus(b, target, node, valueAt);
    case 'multiply':
      return halfOfTwo(b, target, node, valueAt);
    default:
      return undefined;
  }
}

/** Of a softmax: the sum is between 1 and the count, so that its reciprocal is as good. */
function share(b: KernelBuilder, node: Node, valueAt: ValueAt): Value | undefined {
  if (maximumOfShares(node) === undefined) return undefined;
  const [weight, sum] = node.inputs.map(valueAt) as [Value, Value];
  return b.multiply(weight, b.divide(b.literal('f32', 1), sum));
}

/** What tanh x + 1 = 2/(1 + e^−2x) divides 2 by: gelu and gates want no more of the function. */
function belowTwo(
  b: KernelBuilder,
  { math }: Target,
  node: Node,
  valueAt: ValueAt,
): Value | undefined {
  if (node.op !== 'add' || math.includes('tanh')) return undefined;
  const [tanh, one] = ordered(node, ({ op }) => op === 'tanh');
  if (tanh === undefined || one === undefined || !isUniform(one, 1)) return undefined;
  const m = new Floats(b, 'f32');
  const x = tanh.inputs[0] as Node;
  // One product instead of two, with one rounding instead of two.
  const [factor, inner] = x.op === 'multiply' ? ordered(x, isNumber) : [];
  const by = factor === undefined ? undefined : uniformValue(factor);
  const twice =
    typeof by === 'number' && inner !== undefined
      ? m.multiply(valueAt(inner), -2 * by)
      : m.multiply(valueAt(x), -2);
  return onePlusExponential(m, twice);
}

function onePlus(
  b: KernelBuilder,
  target: Target,
  node: Node,
  valueAt: ValueAt,
): Value | undefined {
  const below = belowTwo(b, target, node, valueAt);
  return below === undefined ? undefined : new Floats(b, 'f32').divide(2, below);
}

/** x·½·(tanh y + 1), as in gelu: a half of two is no rounding. */
function halfOfTwo(
  b: KernelBuilder,
  target: Target,
  node: Node,
  valueAt: ValueAt,
): Value | undefined {
  const [sum, half] = ordered(node, ({ op }) => op === 'add');
  if (sum === undefined || half?.op !== 'multiply') return undefined;
  const [factor, x] = ordered(half, isNumber);
  if (factor === undefined || x === undefined || !isUniform(factor, 0.5)) return undefined;
  const below = belowTwo(b, target, sum, valueAt);
  return below === undefined ? undefined : b.divide(valueAt(x), below);
}

const isNumber = (node: Node): boolean => uniformValue(node) !== undefined;

/** Both inputs, the one that is of a kind first; nothing where none is. */
function ordered(node: Node, isOfKind: (node: Node) => boolean): readonly [Node?, Node?] {
  const [x, y] = node.inputs as [Node, Node];
  if (isOfKind(x)) return [x, y];
  return isOfKind(y) ? [y, x] : [];
}
