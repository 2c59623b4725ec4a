/** Closes nodes into a Graph: finds everything between inputs and outputs, and every symbol. */
import { internal } from '../base/errors.js';
import { keyOf, type Variable } from '../base/expression.js';
import { requirementsOf } from './make.js';
import type { Graph, Node, NodeOf, Requirement, SymbolSource } from './node.js';
import {
  elementSourceOf,
  loneVariable,
  setFreeVariables,
  sizeOfVariable,
  variablesOfNode,
  variablesOfRequirement,
} from './symbols.js';

export interface GraphOptions {
  /** A region's body may use symbols from outside; a program may not. */
  readonly region?: boolean;
  /** Symbol of the iteration number, in bodies of loops. */
  readonly iteration?: string;
  /** Sources that count before those that the symbols were made with (after a rewrite). */
  readonly sources?: ReadonlyMap<string, SymbolSource>;
}

/** Whether a node can be computed from the inputs; memoized over one search. */
function reaches(start: Node, inputs: ReadonlySet<Node>, foreign: Map<Node, boolean>): boolean {
  const stack: Node[] = [start];
  const seen = new Set<Node>(stack);
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (foreign.get(node) === true || (node.op === 'input' && !inputs.has(node))) {
      foreign.set(start, true);
      return false;
    }
    if (foreign.get(node) === false) continue;
    for (const value of node.inputs) {
      if (!seen.has(value)) {
        seen.add(value);
        stack.push(value);
      }
    }
  }
  for (const node of seen) foreign.set(node, false);
  return true;
}

function inputSizes(inputs: readonly NodeOf<'input'>[]): Map<string, SymbolSource> {
  const sources = new Map<string, SymbolSource>();
  for (const input of inputs) {
    input.shape.forEach((size, axis) => {
      const symbol = loneVariable(size);
      if (symbol === undefined || sources.has(symbol.name)) return;
      sources.set(symbol.name, { from: 'size', input: input as Node, axis });
    });
  }
  return sources;
}

const requirementKey = ({ relation, left, right }: Requirement): string =>
  `${relation} ${keyOf(left)} ${keyOf(right)}`;

/**
 * The graph of `outputs` over `inputs`. Throws when an output needs an input that is not listed,
 * or a symbol that nothing gives.
 */
export function graphOf(
  inputs: readonly Node[],
  outputs: readonly Node[],
  requirements: readonly Requirement[] = [],
  options: GraphOptions = {},
): Graph {
  for (const node of inputs) {
    if (node.op !== 'input') throw internal(`a graph's input is made by ${node.op}`);
  }
  const listed = inputs as readonly NodeOf<'input'>[];
  const own = new Set<Node>(inputs);
  const fromInputs = inputSizes(listed);
  const foreign = new Map<Node, boolean>();
  const symbols = new Map<string, SymbolSource>();
  const free: Variable[] = [];
  const found = new Map<string, Requirement>();
  const seen = new Set<Node>();
  const stack: Node[] = [];
  const push = (node: Node): void => {
    if (seen.has(node)) return;
    seen.add(node);
    stack.push(node);
  };
  const sourceOf = (symbol: Variable): SymbolSource => {
    const fromInput = fromInputs.get(symbol.name);
    if (fromInput !== undefined) return fromInput;
    if (symbol.name === options.iteration) return { from: 'iteration' };
    const given = options.sources?.get(symbol.name);
    if (given !== undefined && given.from !== 'size') return given;
    const element = elementSourceOf(symbol);
    if (element !== undefined && (!options.region || reaches(element.node, own, foreign))) {
      return { from: 'element', ...element };
    }
    if (options.region) return { from: 'outer' };
    throw internal(`no input gives the size ${symbol.name}`);
  };
  const addSymbol = (symbol: Variable): void => {
    if (symbols.has(symbol.name)) return;
    const source = sourceOf(symbol);
    symbols.set(symbol.name, source);
    if (source.from === 'outer' || source.from === 'size') free.push(symbol);
    if (source.from === 'element') push(source.node);
    if (source.from === 'element' || symbol.minimum > 0) {
      const size = sizeOfVariable(symbol);
      addRequirement({
        relation: 'atLeast',
        left: size,
        right: symbol.minimum,
        what: source.from === 'element' ? 'a size computed from data' : 'a size of an input',
      });
    }
  };
  function addRequirement(requirement: Requirement): void {
    const key = requirementKey(requirement);
    if (found.has(key)) return;
    found.set(key, requirement);
    for (const symbol of variablesOfRequirement(requirement)) addSymbol(symbol);
  }
  for (const node of [...inputs, ...outputs]) push(node);
  for (const requirement of requirements) addRequirement(requirement);
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (node.op === 'input' && !own.has(node)) {
      throw internal(`a value from outside is used without being an input (node ${node.id})`);
    }
    for (const symbol of variablesOfNode(node)) addSymbol(symbol);
    for (const requirement of requirementsOf(node)) addRequirement(requirement);
    for (const value of node.inputs) push(value);
  }
  const graph: Graph = Object.freeze({
    inputs: listed,
    outputs,
    symbols,
    requirements: [...found.values()],
  });
  setFreeVariables(graph, free, options.region === true);
  return graph;
}
