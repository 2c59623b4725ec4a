/**
 * The order of a graph: every node after its inputs and after the nodes whose elements its sizes
 * stand for. Takes a graph; gives an array and the users of each node.
 */
import type { Graph, Node } from '../graph/node.js';
import { variablesOfNode } from '../graph/symbols.js';

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

/** Sorts all nodes that the outputs and the symbols need. Deep graphs do not deepen the stack. */
export function orderOf(graph: Graph): Order {
  const sources = symbolNodes(graph);
  const nodes: Node[] = [];
  const position = new Map<Node, number>();
  const users = new Map<Node, Node[]>();
  const needs = (node: Node): readonly Node[] => {
    if (sources.size === 0) return node.inputs;
    const extra = variablesOfNode(node).flatMap(({ name }) => sources.get(name) ?? []);
    return extra.length === 0 ? node.inputs : [...node.inputs, ...extra];
  };
  const visited = new Set<Node>();
  const visit = (root: Node): void => {
    const stack = [{ node: root, rest: needs(root), next: 0 }];
    if (visited.has(root)) return;
    visited.add(root);
    while (stack.length > 0) {
      const top = stack[stack.length - 1] as (typeof stack)[number];
      const child = top.rest[top.next++];
      if (child === undefined) {
        stack.pop();
        position.set(top.node, nodes.length);
        nodes.push(top.node);
        for (const input of new Set(top.node.inputs)) {
          const known = users.get(input);
          if (known === undefined) users.set(input, [top.node]);
          else known.push(top.node);
        }
      } else if (!visited.has(child)) {
        visited.add(child);
        stack.push({ node: child, rest: needs(child), next: 0 });
      }
    }
  };
  for (const input of graph.inputs) visit(input as Node);
  for (const node of sources.values()) visit(node);
  for (const output of graph.outputs) visit(output);
  return { nodes, position, users };
}
