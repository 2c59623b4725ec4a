/** What the schedule takes: a graph of primitives only, simplified. */
import { interpretNode } from '../graph/interpret.js';
import type { Graph, Node } from '../graph/node.js';
import { simplify } from '../graph/simplify.js';
import { openComposites, openOtherComposites, splitConcats } from './open.js';

/** Opens every composite but those that `isTaken` keeps whole. */
export function primitivesOf(graph: Graph, isTaken?: (node: Node) => boolean): Graph {
  const opened =
    isTaken === undefined ? openComposites(graph) : openOtherComposites(graph, isTaken);
  return splitConcats(simplify(opened, { evaluate: interpretNode }));
}
