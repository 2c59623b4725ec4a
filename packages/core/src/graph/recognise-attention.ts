/** Finds attention in matmul – scale – bias – softmax – matmul. */
import { isFloat } from '../base/dtype.js';
import { equal, type Size } from '../base/expression.js';
import { permute } from './build-views.js';
import { type AttentionOptions, attention } from './composites-attention.js';
import { isOp, type Node } from './node.js';
import { compositeOf, numberIn } from './recognise-match.js';
import { inputOf, type Rule } from './simplify-match.js';

type Contract = Extract<Node, { op: 'contract' }>;

/** Products of matrices over two equal batch axes: [b, h, m, k] · [b, h, …]. */
function isBatched(node: Contract): boolean {
  const { batch, contracted } = node.attributes;
  return (
    contracted.length === 1 &&
    batch.length === 2 &&
    batch.every(([l, r], i) => l === i && r === i) &&
    inputOf(node, 0).shape.length === 4 &&
    inputOf(node, 1).shape.length === 4
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

/** The operand with the contracted axis last: [b, h, n, d]. */
function rowsOf(x: Node, contracted: number): Node | undefined {
  if (contracted === 3) return x;
  return contracted === 2 ? permute(x, [0, 1, 3, 2]) : undefined;
}

export const attentionOf: Rule = (node) => {
  if (!isOp(node, 'contract') || !isBatched(node) || !isFloat(node.dtype)) return undefined;
  const [[left, right]] = node.attributes.contracted as readonly [readonly [number, number]];
  const chances = compositeOf(inputOf(node, 0), 'softmax');
  if (chances === undefined || left !== 3) return undefined;
  if (chances.attributes.parameters['axis'] !== 3) return undefined;
  const given = inputOf(chances, 0);
  const found = biased(given);
  if (found === undefined) return undefined;
  const { scores, scale } = found;
  const [[atQuery, atKey]] = scores.attributes.contracted as readonly [readonly [number, number]];
  const query = unscaled(inputOf(scores, 0));
  const key = unscaled(inputOf(scores, 1));
  const q = rowsOf(query.x, atQuery);
  const k = rowsOf(key.x, atKey);
  // Values have their keys first: [b, h, n, d].
  const v = right === 2 ? inputOf(node, 1) : permute(inputOf(node, 1), [0, 1, 3, 2]);
  if (q === undefined || k === undefined) return undefined;
  if (!equal(q.shape[1] as Size, k.shape[1] as Size)) return undefined;
  const options: AttentionOptions = {
    scale: scale * query.scale * key.scale,
    blind: 'nan',
  };
  return attention(q, k, v, found.bias === undefined ? options : { ...options, bias: found.bias });
};

interface Found {
  readonly scores: Contract;
  readonly scale: number;
  readonly bias: Node | undefined;
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
