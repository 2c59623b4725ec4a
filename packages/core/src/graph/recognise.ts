/**
 * Finds named operations in plain graphs: an exporter that wrote softmax, layer normalization,
 * GELU or attention as primitives gets the composite back. Results agree within the bounds.
 */
import { isFloat } from '../base/dtype.js';
import { equal } from '../base/expression.js';
import { elementSize } from './build-indexed.js';
import { countOver } from './build-reductions.js';
import { range } from './build-views.js';
import { gelu, sigmoid, silu } from './composites-activation.js';
import { layerNormalization } from './composites-normalization.js';
import { type Graph, isOp, type Node, type OpName } from './node.js';
import { attentionOf, chancesOf } from './recognise-attention.js';
import {
  beside,
  compositeOf,
  factorsOf,
  isNear,
  numberIn,
  plus,
  times,
} from './recognise-match.js';
import { softmaxOf, spreadReduction } from './recognise-softmax.js';
import { rewrite } from './rewrite.js';
import { inputOf, type Rule, unexpanded } from './simplify-match.js';
import { nodesOf, usersOf } from './traverse.js';

/** 1 / (1 + exp(−x)). */
const sigmoidOf: Rule = (node) => {
  if (node.op !== 'divide' || numberIn(inputOf(node, 0)) !== 1) return undefined;
  const e = plus(inputOf(node, 1), 1);
  if (e === undefined || e.op !== 'exp') return undefined;
  const inner = inputOf(e, 0);
  return inner.op === 'negate' ? sigmoid(inputOf(inner, 0)) : undefined;
};

/** x · sigmoid(x). */
const siluOf: Rule = (node) => {
  const found = beside(node, 'multiply', (x) => compositeOf(x, 'sigmoid') !== undefined);
  if (found === undefined) return undefined;
  const source = compositeOf(found.found, 'sigmoid') as Node;
  return inputOf(source, 0) === found.other ? silu(found.other) : undefined;
};

/** x² or x³ written with power or products; the exponent is checked. */
function isPowerOf(node: Node, x: Node, exponent: number): boolean {
  if (node.op === 'power') return inputOf(node, 0) === x && numberIn(inputOf(node, 1)) === exponent;
  const { scale, factors } = factorsOf(node);
  const flat = factors.flatMap((f) =>
    f.op === 'power' && inputOf(f, 0) === x
      ? new Array<Node>(numberIn(inputOf(f, 1)) ?? 0).fill(x)
      : [f],
  );
  return scale === 1 && flat.length === exponent && flat.every((f) => f === x);
}

/** ½·x·(1 + erf(x / √2)) or ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))), factors in any order. */
const geluOf: Rule = (node) => {
  if (node.op !== 'multiply' || !isFloat(node.dtype)) return undefined;
  const { scale, factors } = factorsOf(node);
  if (Math.abs(scale - 0.5) > 1e-6 || factors.length !== 2) return undefined;
  for (const [x, gate] of [factors, [...factors].reverse()] as [Node, Node][]) {
    const inner = plus(gate, 1);
    if (inner?.op === 'erf' && times(inputOf(inner, 0), Math.SQRT1_2) === x) return gelu(x, 'erf');
    if (inner?.op === 'tanh' && isGeluPolynomial(inputOf(inner, 0), x)) return gelu(x, 'tanh');
  }
  return undefined;
};

function isGeluPolynomial(node: Node, x: Node): boolean {
  const total = times(node, Math.sqrt(2 / Math.PI));
  if (total === undefined) return false;
  const found = beside(total, 'add', (term) => term === x);
  if (found === undefined) return false;
  const { scale, factors } = factorsOf(found.other);
  if (Math.abs(scale - 0.044715) > 1e-5) return false;
  const flat = factors.flatMap((f) =>
    isPowerOf(f, x, 3) ? [x, x, x] : isPowerOf(f, x, 2) ? [x, x] : [f],
  );
  return flat.length === 3 && flat.every((f) => f === x);
}

/** What is averaged, and over which axes, where a node is a kept mean. */
function meanOf(node: Node): { readonly x: Node; readonly axes: readonly number[] } | undefined {
  const total = unexpanded(node);
  if (total.op !== 'divide' && total.op !== 'multiply') return undefined;
  const sum = spreadReduction(inputOf(total, 0));
  if (sum?.kind !== 'sum') return undefined;
  const count = countOver(sum.x, sum.axes);
  const by = inputOf(total, 1);
  if (total.op === 'multiply') {
    return typeof count === 'number' && isNear(by, 1 / count) ? sum : undefined;
  }
  if (typeof count === 'number') return numberIn(by) === count ? sum : undefined;
  const size = sizeUnder(by);
  return size !== undefined && equal(elementSize(size, 0), count) ? sum : undefined;
}

/** The scalar `size` node below views and casts. */
function sizeUnder(node: Node): Node | undefined {
  let current = node;
  while (['reshape', 'expand', 'cast'].includes(current.op)) current = inputOf(current, 0);
  return current.op === 'size' ? current : undefined;
}

/** (x − mean) / √(mean((x − mean)²) + ε) over the last axes, or times the reciprocal. */
const layerNormalizationOf: Rule = (node) => {
  if (node.op !== 'divide' && node.op !== 'multiply') return undefined;
  const [centered, below] = [inputOf(node, 0), unexpanded(inputOf(node, 1))];
  if (centered.op !== 'subtract') return undefined;
  const root = node.op === 'divide' ? below : reciprocalOf(below);
  if (root?.op !== 'squareRoot') return undefined;
  const x = inputOf(centered, 0);
  const center = meanOf(inputOf(centered, 1));
  const sum = beside(inputOf(root, 0), 'add', (v) => numberIn(v) !== undefined);
  if (center?.x !== x || sum === undefined) return undefined;
  const variance = meanOf(sum.other);
  const epsilon = numberIn(sum.found) as number;
  if (variance === undefined || !isPowerOf(variance.x, centered, 2)) return undefined;
  const rank = x.shape.length;
  const axes = range(rank).slice(rank - center.axes.length);
  if (center.axes.join() !== axes.join() || variance.axes.join() !== axes.join()) return undefined;
  return layerNormalization(x, { axis: axes[0] ?? 0, epsilon });
};

const reciprocalOf = (node: Node): Node | undefined =>
  node.op === 'divide' && numberIn(inputOf(node, 0)) === 1 ? inputOf(node, 1) : undefined;

const rules: Readonly<Partial<Record<OpName, readonly Rule[]>>> = {
  divide: [softmaxOf, sigmoidOf, layerNormalizationOf],
  multiply: [layerNormalizationOf, geluOf, siluOf],
  contract: [attentionOf],
};

/** The graph with plain subgraphs replaced by composites; bodies are left as they are. */
export function recognise(graph: Graph): Graph {
  return rewrite(graph, (node) => {
    for (const rule of rules[node.op] ?? []) {
      const found = rule(node);
      if (found !== undefined) return found;
    }
    return undefined;
  });
}

/** Whether a graph holds products with a softmax, written out or not. */
export const mayHoldAttention = (graph: Graph): boolean =>
  nodesOf(graph).some((node) => chancesOf(node) !== undefined);

/**
 * The graph with plain attention replaced by the composite where `accepts` takes it, and where
 * nothing else reads the probabilities; bodies are left as they are.
 */
export function recogniseAttention(graph: Graph, accepts: (composite: Node) => boolean): Graph {
  const users = usersOf(graph);
  const isShared = (node: Node): boolean =>
    (users.get(node)?.length ?? 0) > 1 || graph.outputs.includes(node);
  return rewrite(graph, (node, original) => {
    const found = attentionOf(node);
    if (found === undefined || isShared(original.inputs[0] as Node)) return undefined;
    let below = found;
    while (below.op !== 'composite') below = inputOf(below, 0);
    return accepts(below) ? found : undefined;
  });
}

/** Names of the composites in a graph, in order; for reports. */
export function compositesIn(nodes: readonly Node[]): readonly string[] {
  return nodes.flatMap((node) => (isOp(node, 'composite') ? [node.attributes.name] : []));
}
