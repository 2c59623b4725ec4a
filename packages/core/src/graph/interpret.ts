/**
 * The interpreter: a graph and input tensors → output tensors, by plain loops. It is the oracle:
 * floats are computed in f64 and rounded once per op, integers are exact and wrap.
 */
import { failure, internal } from '../base/errors.js';
import { evaluate, variablesOf } from '../base/expression.js';
import type { HostTensor } from '../base/host-tensor.js';
import type { Context } from './interpret-context.js';
import { evaluateNode } from './interpret-ops.js';
import { decode, encode, integerAt, type Value } from './interpret-value.js';
import type { Graph, Node, Requirement } from './node.js';
import { loneVariable } from './symbols.js';
import { nodesOf } from './traverse.js';

export interface InterpretOptions {
  /** Called before every node; throws to stop (an abort, a time limit). */
  readonly check?: () => void;
  /** Numbers of symbols that the graph takes from outside of it. */
  readonly symbols?: (name: string) => number | undefined;
}

/**
 * Runs a graph. Throws OC-SHAPE-04 and OC-DTYPE-02 for inputs that do not fit it, OC-RUN-01 and
 * OC-RUN-02 for a division by zero or an index out of range.
 */
export function interpret(
  graph: Graph,
  inputs: readonly HostTensor[],
  options: InterpretOptions = {},
): HostTensor[] {
  const run: Run = { options, bodies: new Map() };
  const outer = options.symbols ?? (() => undefined);
  return runGraph(graph, inputs.map(decode), outer, run, undefined).map(encode);
}

/** Runs one node on given inputs; for constant folding and steps on the host. */
export function interpretNode(
  node: Node,
  inputs: readonly HostTensor[],
  options: InterpretOptions = {},
): HostTensor[] {
  const lookup = options.symbols ?? (() => undefined);
  const context = contextOf(lookup, { options, bodies: new Map() });
  const values = inputs.map(decode);
  const results =
    node.op === 'part' && values.length === 1 ? [values[0]!] : evaluateNode(node, values, context);
  return results.map(encode);
}

type Lookup = (name: string) => number | undefined;

/** What lasts for one call of `interpret`. */
interface Run {
  readonly options: InterpretOptions;
  /** Decoded constants of bodies, kept because a body may run many times. */
  readonly bodies: Map<Graph, Map<Node, readonly Value[]>>;
}

function contextOf(lookup: Lookup, run: Run): Context {
  return {
    size: (size) => (typeof size === 'number' ? size : evaluate(size, lookup)),
    run: (body, inputs, symbols) => {
      const constants = run.bodies.get(body) ?? new Map<Node, readonly Value[]>();
      run.bodies.set(body, constants);
      const outer: Lookup = (name) => symbols?.get(name) ?? lookup(name);
      return runGraph(body, inputs, outer, run, constants);
    },
  };
}

/** Order of work of a graph, found once. */
interface Plan {
  readonly order: readonly Node[];
  /** Values that are not needed after order[i]. */
  readonly dead: readonly (readonly Node[])[];
  /** Symbols that node gives, by node. */
  readonly gives: ReadonlyMap<Node, readonly (readonly [string, number])[]>;
}

const plans = new WeakMap<Graph, Plan>();

function planOf(graph: Graph): Plan {
  const known = plans.get(graph);
  if (known !== undefined) return known;
  const plan = makePlan(graph);
  plans.set(graph, plan);
  return plan;
}

function makePlan(graph: Graph): Plan {
  const gives = new Map<Node, (readonly [string, number])[]>();
  for (const [name, source] of graph.symbols) {
    if (source.from !== 'element') continue;
    gives.set(source.node, [...(gives.get(source.node) ?? []), [name, source.index]]);
  }
  const order = nodesOf(graph);
  const kept = new Set<Node>(graph.outputs);
  const last = new Map<Node, number>();
  order.forEach((node, i) => {
    for (const used of [node, ...node.inputs]) last.set(used, i);
  });
  const dead: Node[][] = order.map(() => []);
  for (const [node, at] of last) if (!kept.has(node)) dead[at]!.push(node);
  return { order, dead, gives };
}

function runGraph(
  graph: Graph,
  inputs: readonly Value[],
  outer: Lookup,
  run: Run,
  constants: Map<Node, readonly Value[]> | undefined,
): readonly Value[] {
  const { order, dead, gives } = planOf(graph);
  const symbols = new Map<string, number>();
  const lookup: Lookup = (name) => symbols.get(name) ?? outer(name);
  const context = contextOf(lookup, run);
  bindInputs(graph, inputs, symbols, context);
  let open = checkRequirements(graph.requirements, lookup, context);
  const values = new Map<Node, readonly Value[]>();
  graph.inputs.forEach((node, i) => {
    values.set(node, [inputs[i]!]);
  });
  order.forEach((node, i) => {
    run.options.check?.();
    const known = values.get(node) ?? (node.op === 'constant' ? constants?.get(node) : undefined);
    const results = known ?? resultsOf(node, values, context);
    values.set(node, results);
    if (node.op === 'constant') constants?.set(node, results);
    for (const [name, index] of gives.get(node) ?? []) {
      symbols.set(name, boundSize(results[0]!, index));
      open = checkRequirements(open, lookup, context);
    }
    for (const old of dead[i]!) values.delete(old);
  });
  return graph.outputs.map((node) => values.get(node)![0]!);
}

function resultsOf(
  node: Node,
  values: ReadonlyMap<Node, readonly Value[]>,
  context: Context,
): readonly Value[] {
  if (node.op === 'part') {
    const picked = values.get(node.inputs[0]!)?.[node.attributes.index];
    if (picked === undefined) throw internal('part of a value that is not there');
    return [picked];
  }
  const inputs = node.inputs.map((input) => values.get(input)![0]!);
  return evaluateNode(node, inputs, context);
}

/** An element of an integer tensor as a size. */
function boundSize(value: Value, index: number): number {
  const size = integerAt(value, index);
  if (!Number.isSafeInteger(size)) throw internal(`size out of range: ${size}`);
  return size;
}

const sizeError = (what: string, left: number | string, right: number | string): Error =>
  failure('OC-SHAPE-04', { what, left, right });

/** Checks the inputs' types and gives their sizes to the symbols. */
function bindInputs(
  graph: Graph,
  inputs: readonly Value[],
  symbols: Map<string, number>,
  context: Context,
): void {
  if (inputs.length !== graph.inputs.length) {
    throw sizeError('number of inputs', inputs.length, graph.inputs.length);
  }
  graph.inputs.forEach((node, i) => {
    const { dtype, shape } = inputs[i]!;
    const what = `input ${node.attributes.name}`;
    if (dtype !== node.dtype) {
      throw failure('OC-DTYPE-02', { op: what, left: dtype, right: node.dtype });
    }
    if (shape.length !== node.shape.length) {
      throw sizeError(`${what}, rank`, shape.length, node.shape.length);
    }
  });
  for (const [name, source] of graph.symbols) {
    if (source.from !== 'size') continue;
    const at = graph.inputs.indexOf(source.input as Graph['inputs'][number]);
    const size = inputs[at]?.shape[source.axis];
    if (size === undefined) throw internal(`symbol ${name} of an input that is not there`);
    symbols.set(name, size);
  }
  graph.inputs.forEach((node, i) => {
    node.shape.forEach((size, axis) => {
      const [left, right] = [inputs[i]!.shape[axis]!, context.size(size)];
      const minimum = loneVariable(size)?.minimum ?? 0;
      const what = `input ${node.attributes.name}, axis ${axis}`;
      if (left !== right) throw sizeError(what, left, right);
      if (left < minimum) throw sizeError(what, left, `≥ ${minimum}`);
    });
  });
}

/** Checks those whose symbols all have numbers; gives back the others. */
function checkRequirements(
  requirements: readonly Requirement[],
  lookup: Lookup,
  context: Context,
): readonly Requirement[] {
  return requirements.filter(({ relation, left, right, what }) => {
    const names = [...variablesOf(left).keys(), ...variablesOf(right).keys()];
    if (names.some((name) => lookup(name) === undefined)) return true;
    const [a, b] = [context.size(left), context.size(right)];
    if (relation === 'equal' ? a !== b : a < b) throw sizeError(what, a, b);
    return false;
  });
}
