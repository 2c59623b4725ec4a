/**
 * The order of a graph: every node after its inputs and after the nodes whose elements its sizes
 * stand for. Takes a graph; gives an array and the users of each node.
 */
import type { Graph, Node } from '../graph/node.js';
import { nodesOf, usersOf } from '../graph/traverse.js';

export interface Order {
  readonly nodes: readonly Node[];
  readonly position: ReadonlyMap<Node, number>;
  /** Nodes that read a node's value, each once, in order. */
  readonly users: ReadonlyMap<Node, readonly Node[]>;
}

/** Nodes whose elements give a number to a symbol of the graph. */
export function symbolNodes(graph: Graph): ReadonlyMap<string, Node> {
  const found = new Map<string, Node>();
  for (const [name, source] of graph.symbols) {
    if (source.from === 'element') found.set(name, source.node);
  }
  return found;
}

/** Sorts all nodes that the outputs and the symbols need. */
export function orderOf(graph: Graph): Order {
  const nodes = nodesOf(graph);
  return { nodes, position: new Map(nodes.map((node, i) => [node, i])), users: usersOf(graph) };
}
