/** The nodes of a graph in an order of work: each after what it needs, found without recursion. */
import type { Graph, Node } from './node.js';
import { variablesOfNode } from './symbols.js';

/** The nodes whose elements give symbols of the graph, by symbol. */
export function elementNodesOf(graph: Graph): ReadonlyMap<string, Node> {
  const nodes = new Map<string, Node>();
  for (const [name, source] of graph.symbols) {
    if (source.from === 'element') nodes.set(name, source.node);
  }
  return nodes;
}

/** The nodes that a node waits for: its inputs, and those that give the symbols of its sizes. */
function neededBy(node: Node, sources: ReadonlyMap<string, Node>): readonly Node[] {
  if (sources.size === 0) return node.inputs;
  const given = variablesOfNode(node).flatMap(({ name }) => sources.get(name) ?? []);
  return [...node.inputs, ...given];
}

/** Everything that the roots need, the roots included. */
export function orderOf(
  roots: readonly Node[],
  sources: ReadonlyMap<string, Node> = new Map(),
): readonly Node[] {
  const order: Node[] = [];
  const state = new Map<Node, 'open' | 'done'>();
  const stack = [...roots].reverse();
  while (stack.length > 0) {
    const node = stack[stack.length - 1]!;
    if (state.has(node)) {
      stack.pop();
      if (state.get(node) === 'open') order.push(node);
      state.set(node, 'done');
      continue;
    }
    state.set(node, 'open');
    for (const needed of neededBy(node, sources)) if (!state.has(needed)) stack.push(needed);
  }
  return order;
}

/** All nodes of a graph, with those that give its symbols. */
export function nodesOf(graph: Graph): readonly Node[] {
  const sources = elementNodesOf(graph);
  return orderOf([...sources.values(), ...graph.outputs], sources);
}
