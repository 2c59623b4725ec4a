/** Rebuilds graphs: node by node in order, with other inputs, other sizes or other bodies. */
import { internal } from '../base/errors.js';
import {
  equal,
  keyOf,
  provablyAtLeast,
  type Size,
  substitute,
  variablesOf,
} from '../base/expression.js';
import { retypedInput } from './body-input.js';
import { elementSize } from './build-indexed.js';
import { type GraphOptions, graphOf } from './graph-of.js';
import { make } from './make.js';
import type { Attributes, Graph, Node, OpName, Requirement, TensorType } from './node.js';
import { shapeError } from './rule.js';
import { isRegionBody, substituteSizes, variablesOfNode } from './symbols.js';
import { nodesOf } from './traverse.js';

/** What stands for a node afterwards: a node, or one node for each of its results. */
export type Replacement = Node | readonly Node[];

/**
 * Looks at a node that is already rebuilt on its new inputs, and returns what shall stand for it;
 * undefined keeps it.
 */
export type Visit = (node: Node, original: Node) => Replacement | undefined;

type Sizes = Map<string, Size>;

const isList = (value: Replacement): value is readonly Node[] => Array.isArray(value);

/** Attributes with sizes replaced; bodies are rebuilt too. */
function withSizes(node: Node, sizes: Sizes): Attributes[OpName] {
  const replace = (list: readonly Size[]): readonly Size[] =>
    substituteSizes(list, (name) => sizes.get(name));
  const single = (size: Size): Size => replace([size])[0] as Size;
  const type = (old: TensorType): TensorType => ({ dtype: old.dtype, shape: replace(old.shape) });
  switch (node.op) {
    case 'input':
    case 'iota':
      return { ...node.attributes, type: type(node.attributes.type) };
    case 'size':
      return { value: single(node.attributes.value) };
    case 'randomBits':
    case 'reshape':
    case 'expand':
      return { shape: replace(node.attributes.shape) };
    case 'slice': {
      const { starts, sizes: counts, steps } = node.attributes;
      return { starts: replace(starts), sizes: replace(counts), steps };
    }
    case 'pad': {
      const { before, after, value } = node.attributes;
      return { before: replace(before), after: replace(after), value };
    }
    case 'window': {
      const { kernel, padding } = node.attributes;
      return {
        ...node.attributes,
        kernel: replace(kernel),
        padding: padding.map(([low, high]) => [single(low), single(high)] as const),
      };
    }
    case 'if': {
      const { then: yes, else: no } = node.attributes;
      return { then: resizeBody(yes, sizes), else: resizeBody(no, sizes) };
    }
    case 'loop': {
      const { trip, body } = node.attributes;
      return { ...node.attributes, trip: single(trip), body: resizeBody(body, sizes) };
    }
    case 'while': {
      const { limit, body } = node.attributes;
      return { ...node.attributes, limit: single(limit), body: resizeBody(body, sizes) };
    }
    case 'composite':
      return { ...node.attributes, body: resizeBody(node.attributes.body, sizes) };
    default:
      return node.attributes;
  }
}

/** Options that close a rewritten graph in the way the original was. */
export function optionsOf(graph: Graph): GraphOptions {
  const region = isRegionBody(graph);
  for (const [name, source] of graph.symbols) {
    if (source.from === 'iteration') return { region, iteration: name };
  }
  return { region };
}

const isProven = ({ relation, left, right }: Requirement): boolean =>
  relation === 'equal' ? equal(left, right) : provablyAtLeast(left, right);

function requirementsIn(graph: Graph, sizes: Sizes): readonly Requirement[] {
  if (sizes.size === 0) return graph.requirements;
  const replace = (size: Size): Size =>
    typeof size === 'number' ? size : substitute(size, (name) => sizes.get(name));
  return graph.requirements
    .map((r) => ({ ...r, left: replace(r.left), right: replace(r.right) }))
    .filter((r) => !isProven(r));
}

function resizeBody(body: Graph, outer: Sizes): Graph {
  for (const [name, source] of body.symbols) {
    if (source.from !== 'iteration') continue;
    for (const size of outer.values()) {
      if (variablesOf(size).has(name)) throw internal(`the symbol ${name} would be captured`);
    }
  }
  return resized(body, outer);
}

function resized(graph: Graph, sizes: Sizes, visit?: Visit): Graph {
  const inputs = graph.inputs.map((node): Node => {
    const old = node as Node;
    const shape = substituteSizes(old.shape, (name) => sizes.get(name));
    const same = shape.every((size, i) => keyOf(size) === keyOf(old.shape[i] as Size));
    return same ? old : retypedInput(old, { dtype: old.dtype, shape });
  });
  const map = new Map<Node, Replacement>();
  graph.inputs.forEach((node, i) => {
    map.set(node as Node, inputs[i] as Node);
  });
  const own: Sizes = new Map(sizes);
  const outputs = rebuildAll(graph, map, own, visit);
  const unchanged =
    inputs.every((node, i) => node === (graph.inputs[i] as Node)) &&
    outputs.every((node, i) => node === graph.outputs[i]);
  if (unchanged) return graph;
  return graphOf(inputs, outputs, requirementsIn(graph, own), optionsOf(graph));
}

interface Element {
  readonly name: string;
  readonly index: number;
  readonly minimum: number;
}

/** Symbols by the tensor that gives them their number. */
function elementsByNode(graph: Graph, order: readonly Node[]): ReadonlyMap<Node, Element[]> {
  const elements = new Map<Node, Element[]>();
  const minimums = new Map<string, number>();
  for (const [name, source] of graph.symbols) {
    if (source.from !== 'element') continue;
    if (minimums.size === 0) {
      for (const node of order) {
        for (const symbol of variablesOfNode(node)) minimums.set(symbol.name, symbol.minimum);
      }
    }
    const element = { name, index: source.index, minimum: minimums.get(name) ?? 0 };
    elements.set(source.node, [...(elements.get(source.node) ?? []), element]);
  }
  return elements;
}

/** Fills `map` for all nodes of the graph; returns what stands for its outputs. */
function rebuildAll(
  graph: Graph,
  map: Map<Node, Replacement>,
  sizes: Sizes,
  visit: Visit | undefined,
): readonly Node[] {
  const order = nodesOf(graph);
  const elements = elementsByNode(graph, order);
  for (const node of order) {
    let made = map.get(node);
    if (made === undefined) {
      const rebuilt = rebuild(node, map, sizes);
      made = isList(rebuilt) ? rebuilt : (visit?.(rebuilt, node) ?? rebuilt);
      map.set(node, made);
    }
    for (const { name, index, minimum } of elements.get(node) ?? []) {
      const source = isList(made) ? (made[0] as Node) : made;
      if (source !== node) sizes.set(name, elementSize(source, index, { minimum }));
    }
  }
  return graph.outputs.map((node) => single(map, node));
}

function single(map: ReadonlyMap<Node, Replacement>, node: Node): Node {
  const value = map.get(node);
  if (value === undefined) throw internal(`node ${node.id} is outside its graph`);
  if (!isList(value)) return value;
  if (value.length !== 1) throw internal(`node ${node.id} has several results and is no part`);
  return value[0] as Node;
}

function rebuild(node: Node, map: ReadonlyMap<Node, Replacement>, sizes: Sizes): Replacement {
  if (node.op === 'part') {
    const source = map.get(node.inputs[0] as Node);
    if (source !== undefined && isList(source)) return source[node.attributes.index] as Node;
  }
  const inputs = node.inputs.map((value) => single(map, value));
  const touched = sizes.size > 0 && variablesOfNode(node).some(({ name }) => sizes.has(name));
  if (touched) return make(node.op, inputs, withSizes(node, sizes));
  if (inputs.every((value, i) => value === node.inputs[i])) return node;
  return make(node.op, inputs, node.attributes as Attributes[OpName]);
}

/**
 * The graph with every node shown to `visit` after its inputs were rewritten. Bodies are not
 * entered. Returns the same object when nothing changed.
 */
export function rewrite(graph: Graph, visit: Visit): Graph {
  return resized(graph, new Map(), visit);
}

/** The graph with other sizes in the place of symbols: numbers make it a program for one size. */
export function substituteSymbols(graph: Graph, sizes: ReadonlyMap<string, Size>): Graph {
  return resized(graph, new Map(sizes));
}

/**
 * The outputs of a graph computed from `values` in the place of its inputs; sizes of the inputs
 * become those of the values. `iteration` stands for the iteration number of a loop's body.
 */
export function inline(graph: Graph, values: readonly Node[], iteration?: Size): readonly Node[] {
  if (values.length !== graph.inputs.length) {
    throw shapeError('call', `${values.length} values for ${graph.inputs.length} inputs`);
  }
  const map = new Map<Node, Replacement>();
  graph.inputs.forEach((node, i) => {
    map.set(node as Node, values[i] as Node);
  });
  const sizes: Sizes = new Map();
  for (const [name, source] of graph.symbols) {
    if (source.from === 'iteration' && iteration !== undefined) sizes.set(name, iteration);
    if (source.from !== 'size') continue;
    const value = single(map, source.input);
    const size = value.shape[source.axis] as Size;
    if (keyOf(size) !== keyOf(source.input.shape[source.axis] as Size)) sizes.set(name, size);
  }
  return rebuildAll(graph, map, sizes, undefined);
}
