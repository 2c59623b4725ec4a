/**
 * Running error analysis: with every value of a graph, how far another evaluation may be from it
 * when each operation stays within its bound of the op table. Fuzzing and bisecting compare by it.
 */
import { isFloat } from '../base/dtype.js';
import { evaluate } from '../base/expression.js';
import type { HostTensor } from '../base/host-tensor.js';
import { type ErrorBound, epsilonOf } from './bounds.js';
import type { Context } from './interpret-context.js';
import { type Bounded, type Propagated, propagate, unknown, zerosOf } from './interpret-errors.js';
import { evaluateNode } from './interpret-ops.js';
import { allocate, decode, encode, integerAt, numbersOf, type Value } from './interpret-value.js';
import { writePiece } from './interpret-views.js';
import type { Graph, Node, NodeOf, TensorType } from './node.js';
import { boundOf } from './ops.js';
import { nodesOf } from './traverse.js';

export type { Bounded } from './interpret-errors.js';

/** An output of the interpreter and how far another evaluation's elements may be from it. */
export interface BoundedTensor {
  readonly tensor: HostTensor;
  /** Infinite where nothing is promised: past a comparison or index that rounding may turn. */
  readonly error: Float64Array;
}

type Lookup = (name: string) => number | undefined;

/** As `interpret`, with the error of every output element. */
export function interpretWithBounds(graph: Graph, inputs: readonly HostTensor[]): BoundedTensor[] {
  const values = inputs.map((tensor): Bounded => ({ value: decode(tensor), error: undefined }));
  return runBounded(graph, values, () => undefined).map(tensorOf);
}

export const boundedInput = (tensor: HostTensor): Bounded => ({
  value: decode(tensor),
  error: undefined,
});

export function tensorOf({ value, error }: Bounded): BoundedTensor {
  return { tensor: encode(value), error: numbersOf(error ?? zerosOf(value)) };
}

function runBounded(graph: Graph, inputs: readonly Bounded[], outer: Lookup): readonly Bounded[] {
  const symbols = new Map<string, number>();
  const lookup: Lookup = (name) => symbols.get(name) ?? outer(name);
  const values = new Map<Node, readonly Bounded[]>();
  const bind = (node: Node): void => {
    for (const [name, source] of graph.symbols) {
      if (source.from !== 'element' || source.node !== node) continue;
      symbols.set(name, integerAt(values.get(node)![0]!.value, source.index));
    }
  };
  graph.inputs.forEach((node, i) => {
    values.set(node as Node, [inputs[i]!]);
    for (const [name, source] of graph.symbols) {
      if (source.from !== 'size' || source.input !== (node as Node)) continue;
      symbols.set(name, inputs[i]!.value.shape[source.axis]!);
    }
  });
  for (const node of nodesOf(graph)) {
    if (!values.has(node)) {
      const given = node.inputs.map((input) => values.get(input)!);
      values.set(node, resultsOf(node, given, lookup));
    }
    bind(node);
  }
  return graph.outputs.map((node) => values.get(node)![0]!);
}

function resultsOf(
  node: Node,
  given: readonly (readonly Bounded[])[],
  lookup: Lookup,
): readonly Bounded[] {
  if (node.op === 'part') return [given[0]![node.attributes.index]!];
  return boundedNode(
    node,
    given.map((results) => results[0]!),
    lookup,
  );
}

/** The results of one node with their errors. */
export function boundedNode(
  node: Node,
  inputs: readonly Bounded[],
  lookup: Lookup = () => undefined,
): readonly Bounded[] {
  switch (node.op) {
    case 'composite':
      return runBounded(node.attributes.body, inputs, lookup);
    case 'if': {
      const [condition, ...captures] = inputs;
      const { then, else: otherwise } = node.attributes;
      const chosen = numbersOf(condition!.value)[0] !== 0 ? then : otherwise;
      const results = runBounded(chosen, captures, lookup);
      return condition!.error === undefined ? results : results.map(promiseNothing);
    }
    case 'loop':
      return boundedLoop(node as NodeOf<'loop'>, inputs, lookup);
    case 'while':
      return boundedWhile(node as NodeOf<'while'>, inputs, lookup);
    default:
      return primitive(node, inputs, lookup);
  }
}

function contextOf(lookup: Lookup): Context {
  return {
    size: (size) => (typeof size === 'number' ? size : evaluate(size, lookup)),
    run: (body, inputs) => {
      const bounded = inputs.map((value): Bounded => ({ value, error: undefined }));
      return runBounded(body, bounded, lookup).map(({ value }) => value);
    },
  };
}

function primitive(node: Node, inputs: readonly Bounded[], lookup: Lookup): readonly Bounded[] {
  const context = contextOf(lookup);
  const outputs = evaluateNode(
    node,
    inputs.map(({ value }) => value),
    context,
  );
  if (inputs.length === 0) return outputs.map((value) => ({ value, error: undefined }));
  const bound = boundOf(node, lookup);
  const through = propagate(node, inputs, outputs, context);
  return outputs.map((value, k) => withOwn(value, through[k]!, bound));
}

/** Adds the operation's own error, and half a unit for the rounding of the interpreter. */
function withOwn(value: Value, { error, terms }: Propagated, bound: ErrorBound): Bounded {
  const inexact =
    isFloat(value.dtype) && (bound.result > 0 || bound.terms > 0 || bound.absolute > 0);
  if (!inexact) return { value, error };
  const epsilon = epsilonOf(value.dtype);
  const result = allocate('f64', value.shape);
  const data = numbersOf(result);
  const values = numbersOf(value);
  for (let i = 0; i < data.length; i++) {
    if (!Number.isFinite(values[i]!)) continue;
    const summed = terms === undefined ? 0 : numbersOf(terms)[i]!;
    const own = epsilon * ((bound.result + 0.5) * Math.abs(values[i]!) + bound.terms * summed);
    data[i] = (error === undefined ? 0 : numbersOf(error)[i]!) + own + bound.absolute;
  }
  return { value, error: result };
}

const promiseNothing = ({ value }: Bounded): Bounded => ({ value, error: unknown(value) });

/** Stacks of values and of their errors, filled row by row. */
function stacksOf(results: readonly TensorType[], context: Context) {
  const stacks = results.map(({ dtype, shape }): Bounded => {
    const value = allocate(dtype, shape.map(context.size));
    return { value, error: zerosOf(value) };
  });
  const write = (rows: readonly Bounded[], index: number): void => {
    rows.forEach(({ value, error }, k) => {
      const place = [index, ...value.shape.map(() => 0)];
      const row = (x: Value): Value => ({ ...x, shape: [1, ...x.shape] });
      writePiece(stacks[k]!.value, row(value), place);
      writePiece(stacks[k]!.error!, row(error ?? zerosOf(value)), place);
    });
  };
  return { stacks, write };
}

function boundedLoop(
  node: NodeOf<'loop'>,
  inputs: readonly Bounded[],
  lookup: Lookup,
): readonly Bounded[] {
  const { trip, carried, body, iteration } = node.attributes;
  const context = contextOf(lookup);
  const { stacks, write } = stacksOf(node.results.slice(carried), context);
  let state = inputs.slice(0, carried);
  const count = context.size(trip);
  for (let i = 0; i < count; i++) {
    const inner: Lookup = (name) => (name === iteration ? i : lookup(name));
    const results = runBounded(body, [...state, ...inputs.slice(carried)], inner);
    state = results.slice(0, carried);
    write(results.slice(carried), i);
  }
  return [...state, ...stacks];
}

function boundedWhile(
  node: NodeOf<'while'>,
  inputs: readonly Bounded[],
  lookup: Lookup,
): readonly Bounded[] {
  const { limit, carried, body, iteration } = node.attributes;
  const context = contextOf(lookup);
  const { stacks, write } = stacksOf(node.results.slice(carried, -1), context);
  const most = context.size(limit);
  let [goOn, ...state] = inputs.slice(0, 1 + carried) as [Bounded, ...Bounded[]];
  let sure = goOn.error === undefined;
  let count = 0;
  for (; numbersOf(goOn.value)[0] !== 0 && count < most; count++) {
    const at = count;
    const inner: Lookup = (name) => (name === iteration ? at : lookup(name));
    const results = runBounded(body, [...state, ...inputs.slice(1 + carried)], inner);
    goOn = results[0]!;
    sure &&= goOn.error === undefined || numbersOf(goOn.error)[0] === 0;
    state = results.slice(1, 1 + carried);
    write(results.slice(1 + carried), count);
  }
  const counted: Value = { dtype: 'i64', shape: [], data: BigInt64Array.of(BigInt(count)) };
  const results = [...state, ...stacks, { value: counted, error: undefined }];
  return sure ? results : results.map(promiseNothing);
}
