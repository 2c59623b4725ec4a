/** Where the symbols in sizes come from, and which of them a node mentions. */
import {
  add,
  type Size,
  substitute,
  termsOf,
  type Variable,
  variable,
  variablesOf,
} from '../base/expression.js';
import type { Graph, Node, Requirement } from './node.js';

interface ElementSource {
  readonly node: Node;
  readonly index: number;
}

// Keyed by the variable object, so that a source lives exactly as long as a size mentions it.
const elementSources = new WeakMap<Variable, ElementSource>();
let nextSymbol = 1;

/** A new symbol for an unknown size ≥ `minimum`. */
export function sizeSymbol(minimum = 0): Size {
  return variable(`s${nextSymbol++}`, undefined, minimum);
}

/** The variable that a size consists of, if it is nothing else. */
export function loneVariable(size: Size): Variable | undefined {
  const term = termsOf(size)[0];
  if (typeof size === 'number' || size.constant !== 0 || size.terms.length !== 1) return undefined;
  if (term?.coefficient !== 1 || term.atoms.length !== 1) return undefined;
  const atom = term.atoms[0];
  return atom?.kind === 'variable' ? atom : undefined;
}

/** A symbol that holds element `index` of an integer tensor, at least `minimum`. */
export function elementSymbol(node: Node, index: number, minimum: number): Size {
  const size = variable(`e${node.id}_${index}`, undefined, minimum);
  elementSources.set(loneVariable(size) as Variable, { node, index });
  return size;
}

/** The tensor element behind a symbol made by `elementSymbol`. */
export const elementSourceOf = (symbol: Variable): ElementSource | undefined =>
  elementSources.get(symbol);

/** All sizes that a node mentions: of its results, and of attributes that no result shows. */
export function sizesOf(node: Node): readonly Size[] {
  const sizes = node.results.flatMap((result) => result.shape);
  switch (node.op) {
    case 'size':
      return [node.attributes.value];
    case 'slice':
      return [...sizes, ...node.attributes.starts];
    case 'pad':
      return [...sizes, ...node.attributes.before, ...node.attributes.after];
    case 'window': {
      const { kernel, padding } = node.attributes;
      return [...sizes, ...kernel, ...padding.flat()];
    }
    case 'loop':
      return [...sizes, node.attributes.trip];
    case 'while':
      return [...sizes, node.attributes.limit];
    default:
      return sizes;
  }
}

/** Graphs inside a node. */
export function bodiesOf(node: Node): readonly Graph[] {
  switch (node.op) {
    case 'if':
      return [node.attributes.then, node.attributes.else];
    case 'loop':
    case 'while':
    case 'composite':
      return [node.attributes.body];
    default:
      return [];
  }
}

const nothing: readonly Variable[] = [];
const mentioned = new WeakMap<Node, readonly Variable[]>();
const free = new WeakMap<Graph, readonly Variable[]>();
const regions = new WeakSet<Graph>();

/** Remembers the symbols that a graph takes from around it. */
export function setFreeVariables(
  graph: Graph,
  variables: readonly Variable[],
  region: boolean,
): void {
  free.set(graph, variables);
  if (region) regions.add(graph);
}

/** Whether the graph is the body of a region rather than a program. */
export const isRegionBody = (graph: Graph): boolean => regions.has(graph);

/** Symbols of a graph that it does not make itself. */
export function freeVariablesOf(graph: Graph): readonly Variable[] {
  return free.get(graph) ?? nothing;
}

function collectVariables(sizes: readonly Size[], into: Map<string, Variable>): void {
  for (const size of sizes) if (typeof size !== 'number') variablesOf(size, into);
}

/** Operations whose attributes mention sizes, or that have bodies. */
const withSizes: ReadonlySet<Node['op']> = new Set<Node['op']>([
  'size',
  'slice',
  'pad',
  'window',
  'if',
  'loop',
  'while',
  'composite',
]);

/** Most nodes: cheaper to look at than to remember. */
const isFixed = ({ op, results }: Node): boolean =>
  !withSizes.has(op) &&
  results.every(({ shape }) => shape.every((size) => typeof size === 'number'));

/** Symbols that a node mentions, those of its bodies included. */
export function variablesOfNode(node: Node): readonly Variable[] {
  if (isFixed(node)) return nothing;
  const known = mentioned.get(node);
  if (known !== undefined) return known;
  const found = new Map<string, Variable>();
  collectVariables(sizesOf(node), found);
  for (const body of bodiesOf(node)) {
    for (const symbol of freeVariablesOf(body)) found.set(symbol.name, symbol);
  }
  const list = found.size === 0 ? nothing : [...found.values()];
  mentioned.set(node, list);
  return list;
}

/** Symbols that a requirement mentions. */
export function variablesOfRequirement(requirement: Requirement): readonly Variable[] {
  const found = new Map<string, Variable>();
  collectVariables([requirement.left, requirement.right], found);
  return [...found.values()];
}

/** A size with numbers or other sizes in the place of symbols. */
export function substituteSizes(
  sizes: readonly Size[],
  replacement: (name: string) => Size | undefined,
): readonly Size[] {
  return sizes.map((size) => (typeof size === 'number' ? size : substitute(size, replacement)));
}

/** The variable as a size. */
export const sizeOfVariable = (symbol: Variable): Size =>
  add({
    kind: 'sum',
    constant: 0,
    terms: [{ coefficient: 1, atoms: [symbol], key: symbol.key }],
    key: `(${symbol.key})`,
  });
