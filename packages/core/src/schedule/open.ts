/**
 * Opens composites: each is replaced by its body in primitives, in the bodies of regions too.
 * Takes and gives a graph.
 */
import { type Expression, type Size, substitute } from '../base/expression.js';
import { part } from '../graph/build.js';
import { graphOf } from '../graph/graph-of.js';
import { make } from '../graph/make.js';
import type { Attributes, Graph, Node, OpName, Requirement } from '../graph/node.js';
import { bodiesOf, elementSymbol, variablesOfNode } from '../graph/symbols.js';
import { orderOf } from './order.js';

/** Sizes that stand for renamed symbols: a body's own ones differ at each place it is put. */
type Names = Map<string, Size>;

/** The graph without composites; the same object where it has none. */
export function openComposites(graph: Graph): Graph {
  if (!hasComposite(graph)) return graph;
  return rewriteGraph(graph, new Map(), {});
}

const known = new WeakMap<Graph, boolean>();

function hasComposite(graph: Graph): boolean {
  const seen = known.get(graph);
  if (seen !== undefined) return seen;
  const found = orderOf(graph).nodes.some(
    (node) => node.op === 'composite' || bodiesOf(node).some(hasComposite),
  );
  known.set(graph, found);
  return found;
}

interface Region {
  readonly iteration?: string;
  readonly region?: boolean;
}

function rewriteGraph(graph: Graph, names: Names, options: Region): Graph {
  const inputs = graph.inputs.map((input) => rename(input as Node, [], names));
  const own = new Map(names);
  const outputs = place(graph, inputs, own);
  const requirements = graph.requirements.map(
    (requirement): Requirement => ({
      ...requirement,
      left: renameSize(requirement.left, own),
      right: renameSize(requirement.right, own),
    }),
  );
  return graphOf(inputs, outputs, requirements, options);
}

/** Puts a graph's nodes in the place of itself, over other inputs; gives its outputs there. */
function place(graph: Graph, inputs: readonly Node[], names: Names): Node[] {
  const there = new Map<Node, readonly Node[]>();
  graph.inputs.forEach((input, i) => {
    there.set(input as Node, [inputs[i] as Node]);
  });
  const elements = elementSymbols(graph);
  const placed = (node: Node): Node => (there.get(node) as readonly Node[])[0] as Node;
  for (const node of orderOf(graph).nodes) {
    const moved = there.get(node) ?? [];
    if (moved.length === 0) there.set(node, placeNode(node, there, placed, names));
    const value = placed(node);
    if (value === node) continue;
    for (const { name, index, minimum } of elements.get(node) ?? []) {
      names.set(name, elementSymbol(value, index, minimum));
    }
  }
  return graph.outputs.map(placed);
}

function placeNode(
  node: Node,
  there: ReadonlyMap<Node, readonly Node[]>,
  placed: (node: Node) => Node,
  names: Names,
): readonly Node[] {
  if (node.op === 'part') {
    const whole = there.get(node.inputs[0] as Node) as readonly Node[];
    const { index } = node.attributes;
    const isOpened = (node.inputs[0] as Node).op === 'composite';
    return [isOpened ? (whole[index] as Node) : part(whole[0] as Node, index)];
  }
  const inputs = node.inputs.map(placed);
  if (node.op === 'composite') return place(node.attributes.body, inputs, new Map(names));
  return [rename(node, inputs, names)];
}

interface ElementSymbol {
  readonly name: string;
  readonly index: number;
  readonly minimum: number;
}

function elementSymbols(graph: Graph): ReadonlyMap<Node, readonly ElementSymbol[]> {
  const found = new Map<Node, ElementSymbol[]>();
  for (const [name, source] of graph.symbols) {
    if (source.from !== 'element') continue;
    const minimum = Number.MIN_SAFE_INTEGER;
    const list = found.get(source.node) ?? [];
    list.push({ name, index: source.index, minimum });
    found.set(source.node, list);
  }
  if (found.size === 0) return found;
  // The least value of a symbol is written at the places that mention it.
  const minimums = new Map<string, number>();
  for (const node of orderOf(graph).nodes) {
    for (const symbol of variablesOfNode(node)) minimums.set(symbol.name, symbol.minimum);
  }
  return new Map(
    [...found].map(([node, list]) => [
      node,
      list.map((symbol) => ({ ...symbol, minimum: minimums.get(symbol.name) ?? 0 })),
    ]),
  );
}

const renameSize = (size: Size, names: Names): Expression =>
  names.size === 0 ? size : substitute(size, (name) => names.get(name));

/** The same operation on other inputs, with renamed symbols and with its bodies opened. */
function rename(node: Node, inputs: readonly Node[], names: Names): Node {
  const mentions = variablesOfNode(node).some(({ name }) => names.has(name));
  const bodies = bodiesOf(node).some(hasComposite);
  const same = inputs.every((input, i) => input === node.inputs[i]);
  if (same && !mentions && !bodies) return node;
  const attributes = mentions || bodies ? renameIn(node.attributes, names) : node.attributes;
  return make(node.op, inputs, attributes as Attributes[OpName]);
}

/** Attributes with every size renamed and every body rewritten. */
function renameIn(value: unknown, names: Names): unknown {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) return value.map((member) => renameIn(member, names));
  if ((value as { kind?: unknown }).kind === 'sum') return renameSize(value as Size, names);
  const iteration = (value as { iteration?: unknown }).iteration;
  const entries = Object.entries(value).map(([name, member]): [string, unknown] => {
    if (member !== null && typeof member === 'object' && 'outputs' in member) {
      const options =
        typeof iteration === 'string' ? { region: true, iteration } : { region: true };
      return [name, rewriteGraph(member as Graph, names, options)];
    }
    return [name, renameIn(member, names)];
  });
  return Object.fromEntries(entries);
}
