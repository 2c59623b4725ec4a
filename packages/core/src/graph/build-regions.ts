/** Builders of regions: ifThen, loop, whileLoop, composite. */
import { keyOf, type Size, variable } from '../base/expression.js';
import { bodyInput } from './body-input.js';
import { part } from './build-indexed.js';
import { size } from './build-sources.js';
import { concat, reshape, sameShape } from './build-views.js';
import { type GraphOptions, graphOf } from './graph-of.js';
import { make } from './make.js';
import type { Attributes, Graph, Node, TensorType } from './node.js';
import { shapeError } from './rule.js';
import { elementSymbol } from './symbols.js';
import { weakTable } from './weak-table.js';

/** Depth of nested bodies under construction: inputs of different depths are different nodes. */
let depth = 0;
const bodies = weakTable<Graph>();

/**
 * The graph of a body that takes values of these types. `build` may use its arguments and
 * constants only; values from outside are passed as captures.
 */
export function bodyOf(
  types: readonly TensorType[],
  build: (values: readonly Node[], iteration: string) => readonly Node[],
  withIteration = false,
): { readonly graph: Graph; readonly iteration: string } {
  depth++;
  try {
    const iteration = `i${depth}`;
    const inputs = types.map((type, i) => bodyInput(depth, i, type));
    const outputs = build(inputs, iteration);
    const options: GraphOptions = withIteration ? { region: true, iteration } : { region: true };
    const ids = (nodes: readonly Node[]): string => nodes.map((node) => node.id).join(',');
    const key = `${ids(inputs)}>${ids(outputs)}${withIteration ? iteration : ''}`;
    return { graph: bodies.get(key, () => graphOf(inputs, outputs, [], options)), iteration };
  } finally {
    depth--;
  }
}

const partsOf = (node: Node): Node[] => node.results.map((_, index) => part(node, index));

type BodyBuilder = (values: readonly Node[]) => readonly Node[];

/**
 * Values of one of two branches; `captures` are given to both. Where the branches' sizes differ,
 * the sizes are computed first, by the same condition.
 */
export function ifThen(
  condition: Node,
  captures: readonly Node[],
  thenBuild: BodyBuilder,
  elseBuild: BodyBuilder,
): Node[] {
  const yes = bodyOf(captures, thenBuild).graph;
  const no = bodyOf(captures, elseBuild).graph;
  const same = yes.outputs.every((value, i) => {
    const other = no.outputs[i];
    return other !== undefined && sameShape(value.shape, other.shape);
  });
  if (same || yes.outputs.length !== no.outputs.length) return ifNode(condition, captures, yes, no);
  const sizesOfOutputs =
    (graph: Graph): BodyBuilder =>
    (values) =>
      reopen(graph, values).map((value) =>
        value.shape.length === 0
          ? size(0)
          : concat(
              value.shape.map((extent) => reshape(size(extent), [1])),
              0,
            ),
      );
  const sizes = ifNode(
    condition,
    captures,
    bodyOf(captures, sizesOfOutputs(yes)).graph,
    bodyOf(captures, sizesOfOutputs(no)).graph,
  );
  const shapes = yes.outputs.map((value, i) => {
    const other = no.outputs[i] as Node;
    if (value.shape.length !== other.shape.length) {
      throw shapeError(
        'if',
        `the branches give ranks ${value.shape.length}, ${other.shape.length}`,
      );
    }
    return value.shape.map(
      (extent, axis): Size =>
        keyOf(extent) === keyOf(other.shape[axis] as Size)
          ? extent
          : elementSymbol(sizes[i] as Node, axis, 0),
    );
  });
  const shaped =
    (graph: Graph): BodyBuilder =>
    (values) =>
      reopen(graph, values).map((value, i) => reshape(value, shapes[i] as readonly Size[]));
  return ifNode(
    condition,
    captures,
    bodyOf(captures, shaped(yes)).graph,
    bodyOf(captures, shaped(no)).graph,
  );
}

/** A body's outputs; its inputs are the values it is reopened with, because they are shared. */
function reopen(graph: Graph, values: readonly Node[]): readonly Node[] {
  if (graph.inputs.some((node, i) => (node as Node) !== values[i])) {
    throw shapeError('if', 'the branches take other values than the condition');
  }
  return graph.outputs;
}

function ifNode(condition: Node, captures: readonly Node[], yes: Graph, no: Graph): Node[] {
  if (yes.outputs.length === 0) return [];
  return partsOf(make('if', [condition, ...captures], { then: yes, else: no }));
}

export interface LoopArguments {
  /** Number of iterations. */
  readonly trip: Size;
  readonly carried: readonly Node[];
  readonly invariants?: readonly Node[];
  /** Carried values, then values to stack along a new first axis. */
  readonly body: (
    carried: readonly Node[],
    invariants: readonly Node[],
    iteration: Size,
  ) => { readonly carried: readonly Node[]; readonly stacked?: readonly Node[] };
}

/** Final carried values, then stacked values [trip, …]. */
export function loop({ trip, carried, invariants = [], body }: LoopArguments): Node[] {
  const count = carried.length;
  const inputs = [...carried, ...invariants];
  const { graph, iteration } = bodyOf(
    inputs,
    (values, name) => {
      const made = body(values.slice(0, count), values.slice(count), variable(name, trip));
      if (made.carried.length !== count) {
        throw shapeError('loop', `${made.carried.length} carried values given back of ${count}`);
      }
      return [...made.carried, ...(made.stacked ?? [])];
    },
    true,
  );
  if (graph.outputs.length === 0) return [];
  return partsOf(make('loop', inputs, { trip, carried: count, body: graph, iteration }));
}

export interface WhileArguments {
  /** Whether the first iteration runs: bool[]. */
  readonly condition: Node;
  /** At most this many iterations. */
  readonly limit: Size;
  readonly carried: readonly Node[];
  readonly invariants?: readonly Node[];
  readonly body: (
    carried: readonly Node[],
    invariants: readonly Node[],
    iteration: Size,
  ) => {
    readonly condition: Node;
    readonly carried: readonly Node[];
    readonly stacked?: readonly Node[];
  };
}

/** Final carried values, stacked values [limit, …] (rest zero), and the count of iterations. */
export function whileLoop(options: WhileArguments): Node[] {
  const { condition, limit, carried, invariants = [], body } = options;
  const count = carried.length;
  const inputs = [...carried, ...invariants];
  const { graph, iteration } = bodyOf(
    inputs,
    (values, name) => {
      const made = body(values.slice(0, count), values.slice(count), variable(name, limit));
      if (made.carried.length !== count) {
        throw shapeError('while', `${made.carried.length} carried values given back of ${count}`);
      }
      return [made.condition, ...made.carried, ...(made.stacked ?? [])];
    },
    true,
  );
  const attributes = { limit, carried: count, body: graph, iteration };
  return partsOf(make('while', [condition, ...inputs], attributes));
}

export type Parameters = Attributes['composite']['parameters'];

/** A named region: `build` gives its definition in primitives. Results by part. */
export function composite(
  name: string,
  parameters: Parameters,
  inputs: readonly Node[],
  build: BodyBuilder,
): Node[] {
  const { graph } = bodyOf(inputs, build);
  return partsOf(make('composite', inputs, { name, parameters, body: graph }));
}
