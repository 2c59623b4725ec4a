/** What the schedule takes: a graph of primitives only, simplified. */
import type { Target } from '../base/target.js';
import { interpretNode } from '../graph/interpret.js';
import type { Graph, Node } from '../graph/node.js';
import { mayHoldAttention, recogniseAttention } from '../graph/recognise.js';
import { simplify } from '../graph/simplify.js';
import { openComposites, openOtherComposites, splitConcats } from './open.js';
import { widenProducts } from './widen.js';

/**
 * Opens every composite but those that `isTaken` keeps whole, plain ones found again; splits what
 * reads more values than a kernel of the target can bind, and widens small floats where it has no
 * unit for them.
 */
export function primitivesOf(
  graph: Graph,
  isTaken?: (node: Node) => boolean,
  target?: Target,
): Graph {
  const evaluate = { evaluate: interpretNode };
  if (isTaken === undefined) {
    return fitted(simplify(openComposites(graph), evaluate), target);
  }
  const found = mayHoldAttention(graph)
    ? recogniseAttention(simplify(graph, evaluate), isTaken)
    : graph;
  return fitted(simplify(openOtherComposites(found, isTaken), evaluate), target);
}

function fitted(graph: Graph, target: Target | undefined): Graph {
  const short = splitConcats(graph, target?.maxBindings ?? Number.POSITIVE_INFINITY);
  return target === undefined ? short : widenProducts(short, target);
}
