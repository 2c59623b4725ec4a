/** Finds attention in matmul – scale – bias – mask – softmax – matmul. */
import { isFloat } from '../base/dtype.js';
import type { Size } from '../base/expression.js';
import { not } from './build-elementwise.js';
import { size } from './build-sources.js';
import { permute, range, reshape } from './build-views.js';
import { type AttentionOptions, attention } from './composites-attention.js';
import { isOp, type Node } from './node.js';
import { causalOffsetOf, forbids } from './recognise-causal.js';
import { compositeOf, numberIn } from './recognise-match.js';
import { softmaxOf } from './recognise-softmax.js';
import { inputOf, type Rule } from './simplify-match.js';

type Contract = Extract<Node, { op: 'contract' }>;

/** Products of matrices over one or two equal batch axes: [b, h, m, k] · [b, h, …]. */
function isBatched(node: Contract): boolean {
  const { batch, contracted } = node.attributes;
  const rank = batch.length + 2;
  return (
    contracted.length === 1 &&
    (rank === 3 || rank === 4) &&
    batch.every(([l, r], i) => l === i && r === i) &&
    inputOf(node, 0).shape.length === rank &&
    inputOf(node, 1).shape.length === rank
  );
}

interface Scaled {
  readonly x: Node;
  readonly scale: number;
}

/** x · scale or x / (1 / scale). */
function unscaled(node: Node): Scaled {
  if (node.op === 'multiply') {
    const [a, b] = [numberIn(inputOf(node, 0)), numberIn(inputOf(node, 1))];
    if (b !== undefined) return { x: inputOf(node, 0), scale: b };
    if (a !== undefined) return { x: inputOf(node, 1), scale: a };
  }
  if (node.op === 'divide') {
    const by = numberIn(inputOf(node, 1));
    if (by !== undefined) return { x: inputOf(node, 0), scale: 1 / by };
  }
  return { x: node, scale: 1 };
}

/** The contract behind scaled scores, with the scale. */
function scoresOf(node: Node): { readonly scores: Contract; readonly scale: number } | undefined {
  const { x, scale } = unscaled(node);
  if (!isOp(x, 'contract') || !isBatched(x)) return undefined;
  return { scores: x, scale };
}

/** The operand with the last two axes exchanged. */
function turned(x: Node): Node {
  const rank = x.shape.length;
  return permute(x, [...range(rank - 2), rank - 1, rank - 2]);
}

/** The operand with the contracted axis last: [b, h, n, d]. */
const rowsOf = (x: Node, contracted: number): Node =>
  contracted === x.shape.length - 1 ? x : turned(x);

/** With an axis of one head where there is none. */
function withHeads(x: Node): Node {
  if (x.shape.length !== 3) return x;
  const [batch, ...rest] = x.shape as [Size, Size, Size];
  return reshape(x, [batch, 1, ...rest]);
}

/** The softmax over the last axis that is the left operand of a product, if it is one. */
export function chancesOf(node: Node): Node | undefined {
  if (!isOp(node, 'contract') || !isBatched(node) || !isFloat(node.dtype)) return undefined;
  const left = inputOf(node, 0);
  const found = compositeOf(left, 'softmax') ?? compositeOf(softmaxOf(left) ?? left, 'softmax');
  const last = left.shape.length - 1;
  const axis = found?.attributes.parameters['axis'];
  return axis === last && node.attributes.contracted[0]?.[0] === last ? found : undefined;
}

/** Attention with the options that the scores before the softmax ask for. */
export const attentionOf: Rule = (node) => {
  const chances = chancesOf(node);
  if (chances === undefined || !isOp(node, 'contract')) return undefined;
  const found = masked(inputOf(chances, 0));
  if (found === undefined) return undefined;
  const { scores, scale, bias, mask, forbidden } = found;
  const [[atQuery, atKey]] = scores.attributes.contracted as readonly [readonly [number, number]];
  const [query, key] = [unscaled(inputOf(scores, 0)), unscaled(inputOf(scores, 1))];
  const rank = node.shape.length;
  const [[, right]] = node.attributes.contracted as readonly [readonly [number, number]];
  // Values have their keys first: [b, h, n, d].
  const v = right === rank - 2 ? inputOf(node, 1) : turned(inputOf(node, 1));
  const { shape } = scores;
  const added = bias && causalOffsetOf(bias, shape);
  const chosen = mask && forbidden <= forbids ? causalOffsetOf(mask, shape) : undefined;
  const options: AttentionOptions = {
    scale: scale * query.scale * key.scale,
    blind: 'nan',
    ...causality(added ?? chosen),
    ...(bias === undefined || added !== undefined ? {} : { bias: withHeads(bias) }),
    ...(mask === undefined || (chosen !== undefined && added === undefined)
      ? {}
      : { mask: withHeads(mask) }),
    ...(forbidden === Number.NEGATIVE_INFINITY ? {} : { forbidden }),
  };
  const [q, k] = [rowsOf(query.x, atQuery), rowsOf(key.x, atKey)];
  if (q.dtype !== node.dtype) return undefined;
  return reshape(attention(withHeads(q), withHeads(k), withHeads(v), options), node.shape);
};

/** Options for a query i that sees keys up to i + offset. */
function causality(offset: number | undefined): AttentionOptions {
  if (offset === undefined) return {};
  return offset === 0 ? { causal: true } : { causal: true, causalOffset: size(offset) };
}

interface Found {
  readonly scores: Contract;
  readonly scale: number;
  readonly bias: Node | undefined;
}

interface Masked extends Found {
  readonly mask: Node | undefined;
  /** What scores are where the mask forbids. */
  readonly forbidden: number;
}

/** Scores with some of them replaced by a number, or all as they are. */
function masked(node: Node): Masked | undefined {
  if (node.op === 'select') {
    const [condition, yes, no] = node.inputs as [Node, Node, Node];
    const [above, below] = [numberIn(yes), numberIn(no)];
    const found = biased(above === undefined ? yes : no);
    const forbidden = above ?? below;
    if (found === undefined || forbidden === undefined) return undefined;
    return { ...found, mask: above === undefined ? condition : not(condition), forbidden };
  }
  const found = biased(node);
  if (found === undefined) return undefined;
  return { ...found, mask: undefined, forbidden: Number.NEGATIVE_INFINITY };
}

/** Scaled scores, alone or with something added to them. */
function biased(node: Node): Found | undefined {
  const plain = scoresOf(node);
  if (plain !== undefined) return { ...plain, bias: undefined };
  if (node.op !== 'add') return undefined;
  for (const [a, b] of [node.inputs, [...node.inputs].reverse()] as [Node, Node][]) {
    const found = scoresOf(a);
    if (found !== undefined) return { ...found, bias: b };
  }
  return undefined;
}
