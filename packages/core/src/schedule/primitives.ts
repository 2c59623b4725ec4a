/** What the schedule takes: a graph of primitives only, simplified. */
import { interpretNode } from '../graph/interpret.js';
import type { Graph, Node } from '../graph/node.js';
import { mayHoldAttention, recogniseAttention } from '../graph/recognise.js';
import { simplify } from '../graph/simplify.js';
import { openComposites, openOtherComposites, splitConcats } from './open.js';

/**
 * Opens every composite but those that `isTaken` keeps whole, plain ones found again; splits what
 * reads more values than a kernel can bind.
 */
export function primitivesOf(
  graph: Graph,
  isTaken?: (node: Node) => boolean,
  maxBindings = Number.POSITIVE_INFINITY,
): Graph {
  const evaluate = { evaluate: interpretNode };
  if (isTaken === undefined) {
    return splitConcats(simplify(openComposites(graph), evaluate), maxBindings);
  }
  const found = mayHoldAttention(graph)
    ? recogniseAttention(simplify(graph, evaluate), isTaken)
    : graph;
  return splitConcats(simplify(openOtherComposites(found, isTaken), evaluate), maxBindings);
}
