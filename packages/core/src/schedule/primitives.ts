/** What the schedule takes: a graph of primitives only, simplified. */
import type { Target } from '../base/target.js';
import { interpretNode } from '../graph/interpret.js';
import type { Graph, Node } from '../graph/node.js';
import { mayHoldAttention, recogniseAttention } from '../graph/recognise.js';
import { simplify } from '../graph/simplify.js';
import { openComposites, openOtherComposites, splitConcats } from './open.js';
import { splitPhases } from './phases.js';
import { sumSingles } from './single.js';
import { widenProducts } from './widen.js';

/**
 * Opens every composite but those that `isTaken` keeps whole, plain ones found again; splits
 * convolutions over gaps into phases. For a target, also splits what reads more values than its
 * kernels can bind, adds up products with a vector, and widens small floats that it has no unit
 * for.
 */
export function primitivesOf(
  graph: Graph,
  isTaken?: (node: Node) => boolean,
  target?: Target,
): Graph {
  const evaluate = { evaluate: interpretNode };
  if (isTaken === undefined) {
    return fitted(simplify(splitPhases(openComposites(graph)), evaluate), target);
  }
  const found = mayHoldAttention(graph)
    ? recogniseAttention(simplify(graph, evaluate), isTaken)
    : graph;
  const open = splitPhases(openOtherComposites(found, isTaken));
  return fitted(simplify(open, evaluate), target);
}

function fitted(graph: Graph, target: Target | undefined): Graph {
  const short = splitConcats(graph, target?.maxBindings ?? Number.POSITIVE_INFINITY);
  return target === undefined ? short : widenProducts(sumSingles(short, target), target);
}
