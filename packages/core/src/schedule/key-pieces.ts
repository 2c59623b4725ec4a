/** Attention with few queries, and keys that lie in pieces: caches with new rows behind them. */
import { equal, type Size } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node, NodeOf } from '../graph/node.js';

/** Queries of all heads that share one head of keys, up to which one task takes them together. */
const mostRows = 8;

/** Whether a task's vectors lie along the elements of a head instead of along the queries. */
export function hasFewQueries({ inputs }: NodeOf<'composite'>, target: Target): boolean {
  const [q, k] = inputs as [Node, Node];
  const [, heads, queries] = q.shape;
  if (target.execution !== 'vector' || typeof queries !== 'number' || queries < 1) return false;
  return (queries * (heads as number)) / (k.shape[1] as number) <= mostRows;
}

/** Pieces of keys with the values of the same rows; undefined where they are not in such pieces. */
export function keyPieces(k: Node, v: Node): readonly (readonly [Node, Node])[] | undefined {
  if (k.op !== 'concat' || v.op !== 'concat') return undefined;
  if (k.attributes.axis !== 2 || v.attributes.axis !== 2) return undefined;
  const isPaired = k.inputs.length === v.inputs.length;
  const rows = (node: Node | undefined): Size => node?.shape[2] ?? 0;
  if (!isPaired || !k.inputs.every((piece, i) => equal(rows(piece), rows(v.inputs[i])))) {
    return undefined;
  }
  return k.inputs.map((piece, i) => [piece, v.inputs[i] as Node] as const);
}

/** What of an attention's operands is read where it lies. */
export function attentionOperands(
  node: NodeOf<'composite'>,
  target: Target,
): readonly Node[] | undefined {
  if (node.attributes.name !== 'attention' || !hasFewQueries(node, target)) return undefined;
  const [q, k, v, ...rest] = node.inputs as [Node, Node, Node, ...Node[]];
  const pieces = keyPieces(k, v);
  return pieces === undefined ? undefined : [q, ...pieces.flat(), ...rest];
}
