/** Walks over graphs without recursion over nodes: order and users. */
import type { Graph, Node, SymbolSource } from './node.js';
import { variablesOfNode } from './symbols.js';

const noSymbols: ReadonlyMap<string, SymbolSource> = new Map();

/** Nodes that must be known before this one: its inputs, and tensors that give its sizes. */
function neededBy(node: Node, symbols: ReadonlyMap<string, SymbolSource>): readonly Node[] {
  const variables = variablesOfNode(node);
  if (variables.length === 0) return node.inputs;
  const sources = variables.flatMap((symbol) => {
    const source = symbols.get(symbol.name);
    return source?.from === 'element' ? [source.node] : [];
  });
  return sources.length === 0 ? node.inputs : [...sources, ...node.inputs];
}

/**
 * All nodes that the roots need, each after what it needs. The order follows the structure alone,
 * not the ids, so it is the same in every process.
 */
export function nodesFrom(
  roots: readonly Node[],
  symbols: ReadonlyMap<string, SymbolSource> = noSymbols,
): Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  for (const root of roots) {
    if (seen.has(root)) continue;
    seen.add(root);
    const stack = [{ node: root, needs: neededBy(root, symbols), next: 0 }];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const value = top.needs[top.next++];
      if (value === undefined) {
        order.push(top.node);
        stack.pop();
      } else if (!seen.has(value)) {
        seen.add(value);
        stack.push({ node: value, needs: neededBy(value, symbols), next: 0 });
      }
    }
  }
  return order;
}

/** Graphs never change, and every pass asks. */
const orders = new WeakMap<Graph, readonly Node[]>();

/** All nodes of a graph (not of its bodies): inputs first, then each after what it needs. */
export function nodesOf(graph: Graph): readonly Node[] {
  const known = orders.get(graph);
  if (known !== undefined) return known;
  const sources = [...graph.symbols.values()].flatMap((source) =>
    source.from === 'element' ? [source.node] : [],
  );
  const roots = [...(graph.inputs as readonly Node[]), ...graph.outputs, ...sources];
  const order = nodesFrom(roots, graph.symbols);
  orders.set(graph, order);
  return order;
}

/** Who uses each node as an input, each user once; outputs are not users. */
export function usersOf(graph: Graph): ReadonlyMap<Node, readonly Node[]> {
  const users = new Map<Node, Node[]>();
  for (const node of nodesOf(graph)) {
    users.set(node, []);
    node.inputs.forEach((value, i) => {
      if (node.inputs.indexOf(value) === i) users.get(value)?.push(node);
    });
  }
  return users;
}
