/**
 * A graph's outputs written out over given values: the way in which bodies of regions are opened.
 * Sizes follow: symbols of the graph get the sizes and elements of the new values.
 */
import { type Expression, type Size, substitute, variable } from '../base/expression.js';
import { elementSize } from './build-indexed.js';
import { input } from './build-sources.js';
import { graphOf } from './graph-of.js';
import { make } from './make.js';
import type { Attributes, Graph, Node, OpName } from './node.js';
import { nodesOf } from './order.js';
import { freeVariablesOf, variablesOfNode } from './symbols.js';

type Sizes = ReadonlyMap<string, Size>;
let renamed = 1;

/** `symbols` gives values to symbols from outside, as the iteration number. */
export function instantiate(
  graph: Graph,
  values: readonly Node[],
  symbols: Sizes = new Map(),
): readonly Node[] {
  const sizes = new Map(symbols);
  const minimum = new Map<string, number>();
  const elements = new Map<Node, (readonly [string, number])[]>();
  for (const [name, source] of graph.symbols) {
    if (source.from === 'size') {
      const at = graph.inputs.findIndex((node) => (node as Node) === source.input);
      sizes.set(name, values[at]!.shape[source.axis]!);
    } else if (source.from === 'element') {
      elements.set(source.node, [...(elements.get(source.node) ?? []), [name, source.index]]);
    }
  }
  const order = nodesOf(graph);
  for (const node of order) {
    for (const symbol of variablesOfNode(node)) minimum.set(symbol.name, symbol.minimum);
  }
  const made = new Map<Node, Node>();
  graph.inputs.forEach((node, i) => {
    made.set(node as Node, values[i]!);
  });
  for (const node of order) {
    const copy = made.get(node) ?? copyNode(node, made, sizes);
    made.set(node, copy);
    for (const [name, index] of elements.get(node) ?? []) {
      sizes.set(name, elementSize(copy, index, { minimum: minimum.get(name) ?? 0 }));
    }
  }
  return graph.outputs.map((node) => made.get(node)!);
}

function copyNode(node: Node, made: ReadonlyMap<Node, Node>, sizes: Sizes): Node {
  const inputs = node.inputs.map((value) => made.get(value)!);
  const changed = variablesOfNode(node).some(({ name }) => sizes.has(name));
  if (!changed && inputs.every((value, i) => value === node.inputs[i])) return node;
  const attributes = changed ? replaceAttributes(node, sizes) : node.attributes;
  return make(node.op, inputs, attributes as Attributes[OpName]);
}

const replaceIn = (size: Expression, sizes: Sizes): Expression =>
  substitute(size, (name) => sizes.get(name));

function replaceValue(value: unknown, sizes: Sizes): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((member) => replaceValue(member, sizes));
  if ('terms' in value) return replaceIn(value as Size, sizes);
  if ('data' in value) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, replaceValue(member, sizes)]),
  );
}

/** Attributes with other sizes; iteration numbers are renamed so that no size is captured. */
function replaceAttributes(node: Node, sizes: Sizes): Attributes[OpName] {
  switch (node.op) {
    case 'composite':
      return { ...node.attributes, body: replaceBody(node.attributes.body, sizes) };
    case 'if': {
      const { then, else: otherwise } = node.attributes;
      return { then: replaceBody(then, sizes), else: replaceBody(otherwise, sizes) };
    }
    case 'loop': {
      const trip = replaceIn(node.attributes.trip, sizes);
      return { ...node.attributes, trip, ...replaceLoop(node.attributes, trip, sizes) };
    }
    case 'while': {
      const limit = replaceIn(node.attributes.limit, sizes);
      return { ...node.attributes, limit, ...replaceLoop(node.attributes, limit, sizes) };
    }
    default:
      return replaceValue(node.attributes, sizes) as Attributes[OpName];
  }
}

function replaceLoop(
  { body, iteration }: { readonly body: Graph; readonly iteration: string },
  trip: Size,
  sizes: Sizes,
): { readonly body: Graph; readonly iteration: string } {
  if (!freeVariablesOf(body).some(({ name }) => sizes.has(name))) return { body, iteration };
  const name = `i_${renamed++}`;
  const inner = new Map(sizes).set(iteration, variable(name, trip));
  return { body: replaceBody(body, inner, name), iteration: name };
}

function replaceBody(body: Graph, sizes: Sizes, iteration?: string): Graph {
  if (!freeVariablesOf(body).some(({ name }) => sizes.has(name))) return body;
  const inputs = body.inputs.map(({ attributes: { name, type } }) =>
    input(name, { dtype: type.dtype, shape: type.shape.map((size) => replaceIn(size, sizes)) }),
  );
  const outputs = instantiate(body, inputs, sizes);
  const options = iteration === undefined ? {} : { iteration };
  return graphOf(inputs, outputs, [], { region: true, ...options });
}
