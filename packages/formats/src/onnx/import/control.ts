/** If and Loop: regions where that is possible, written out where values or sizes demand it. */
import type { GraphProto } from '../model.js';
import type { OperatorCall } from './context.js';
import { build, type Node, type Size, size } from './core.js';
import { constantValue } from './fold.js';
import type { OperatorTable } from './registry.js';
import { anyInteger } from './slices.js';
import { nodesOf, tensorValue, type Value } from './value.js';

/** Iterations of a loop that is written out; more are refused. */
const unrollLimit = 4096;
/** Iterations of a loop without a stated bound, as large as any counter here may get. */
const endless = 2 ** 31 - 1;

const scalarOf = (node: Node): Node => build.reshape(node, []);

/** Truth of a bool that is known before the run. */
function knownTruth(node: Node): boolean | undefined {
  const value = constantValue(node);
  return value === undefined ? undefined : Number(value.data[0]) !== 0;
}

/** A value's structure as text: branches can be chosen at run time only where it is the same. */
function structureOf(value: Value): string {
  switch (value.kind) {
    case 'tensor':
      return 't';
    case 'sequence':
      return `[${value.items.map(structureOf).join()}]`;
    case 'optional':
      return value.value === null ? 'o' : `o${structureOf(value.value)}`;
    default:
      return value.kind;
  }
}

/** A value of the same structure over other nodes, taken from the front of a list. */
function rebuild(value: Value, nodes: Node[]): Value {
  switch (value.kind) {
    case 'tensor':
      return tensorValue(nodes.shift() as Node);
    case 'sequence':
      return { ...value, items: value.items.map((item) => rebuild(item, nodes)) };
    case 'optional':
      return value.value === null ? value : { ...value, value: rebuild(value.value, nodes) };
    default:
      return value;
  }
}

function conditional(call: OperatorCall): readonly Value[] {
  const condition = call.tensor(0);
  const [yes, no] = [call.graphAttribute('then_branch'), call.graphAttribute('else_branch')];
  const known = knownTruth(condition);
  if (known !== undefined) return call.inline(known ? yes : no, []);
  const captured = call.captures([yes, no]);
  let made: readonly Value[] = [];
  let structure = '';
  const branch = (graph: GraphProto) => (own: readonly Node[]) => {
    const values = call.region(graph, [], captured, own);
    const next = values.map(structureOf).join(' ');
    if (structure === '') [made, structure] = [values, next];
    const plain = !next.includes('strings');
    if (next !== structure || !plain) throw call.refuse('the branches give different kinds');
    return values.flatMap(nodesOf);
  };
  const run = (): Node[] => build.ifThen(scalarOf(condition), captured, branch(yes), branch(no));
  const choice = call.attempt(run);
  if (choice.done) {
    const parts = [...choice.result];
    return made.map((value) => rebuild(value, parts));
  }
  throw call.needValue(0, choice.reason);
}

interface LoopParts {
  readonly body: GraphProto;
  /** Undefined: no bound is stated. */
  readonly trip: Size | undefined;
  readonly condition: Node | undefined;
  readonly initial: readonly Value[];
}

function tripOf(call: OperatorCall): Size | undefined {
  if (!call.has(0)) return undefined;
  const known = call.constantInts(0)?.[0];
  if (known !== undefined) return Math.min(Math.max(known, 0), endless);
  return size.maximum(call.sizes(0, anyInteger)[0] as Size, 0);
}

function partsOf(call: OperatorCall): LoopParts {
  const count = Math.max(call.inputCount - 2, 0);
  return {
    body: call.graphAttribute('body'),
    trip: tripOf(call),
    condition: call.has(1) ? scalarOf(call.tensor(1)) : undefined,
    initial: Array.from({ length: count }, (_, i) => call.value(i + 2)),
  };
}

interface Iteration {
  readonly condition: Node;
  readonly carried: readonly Value[];
  readonly stacked: readonly Node[];
}

/** Splits what a body gives: whether to go on, carried values, values to stack. */
function iterationOf(call: OperatorCall, values: readonly Value[], count: number): Iteration {
  const [first, ...rest] = values;
  if (first?.kind !== 'tensor') throw call.refuse('the body gives no condition');
  const stacked = rest.slice(count).map((value) => {
    if (value.kind === 'tensor') return value.node;
    throw call.refuse('only tensors can be stacked');
  });
  return { condition: scalarOf(first.node), carried: rest.slice(0, count), stacked };
}

const yes = (): Node => build.scalar('bool', true);

/** Inside a body the condition held, so it is given as true. */
function regionBody(call: OperatorCall, parts: LoopParts, captured: readonly Node[]) {
  return (carried: readonly Node[], own: readonly Node[], iteration: Size): Iteration => {
    const nodes = [...carried];
    const values = parts.initial.map((value) => rebuild(value, nodes));
    const inputs = [tensorValue(build.size(iteration)), tensorValue(yes()), ...values];
    const made = call.region(parts.body, inputs, captured, own);
    const result = iterationOf(call, made, parts.initial.length);
    const before = parts.initial.map(structureOf).join(' ');
    if (result.carried.map(structureOf).join(' ') !== before || before.includes('strings')) {
      throw call.refuse('a carried value changes its kind or length');
    }
    return result;
  };
}

function countedLoop(call: OperatorCall, parts: LoopParts, trip: Size): Node[] {
  const captured = call.captures([parts.body]);
  const run = regionBody(call, parts, captured);
  return build.loop({
    trip,
    carried: parts.initial.flatMap(nodesOf),
    invariants: captured,
    body: (carried, own, iteration) => {
      const made = run(carried, own, iteration);
      if (knownTruth(made.condition) !== true) throw call.refuse('the loop may end early');
      return { carried: made.carried.flatMap(nodesOf), stacked: made.stacked };
    },
  });
}

function openLoop(call: OperatorCall, parts: LoopParts): Node[] {
  const captured = call.captures([parts.body]);
  const run = regionBody(call, parts, captured);
  const carried = parts.initial.flatMap(nodesOf);
  let stacks = 0;
  const results = build.whileLoop({
    condition: parts.condition ?? yes(),
    limit: parts.trip ?? endless,
    carried,
    invariants: captured,
    body: (values, own, iteration) => {
      const made = run(values, own, iteration);
      stacks = made.stacked.length;
      if (stacks > 0 && parts.trip === undefined) {
        throw call.refuse('values are stacked without a bound on their number');
      }
      const { condition, stacked } = made;
      return { condition, carried: made.carried.flatMap(nodesOf), stacked };
    },
  });
  const count = build.elementSize(results.at(-1) as Node, 0);
  return results
    .slice(0, -1)
    .map((node, i) => (i < carried.length ? node : build.sliceAxis(node, 0, 0, count)));
}

/** All iterations written out: lengths of lists and sizes may then change. */
function unroll(call: OperatorCall, parts: LoopParts): readonly Value[] {
  const { trip, initial } = parts;
  if (trip !== undefined && typeof trip !== 'number') {
    throw call.needValue(0, 'the number of iterations must be known before the run');
  }
  const stop = (condition: Node): boolean => {
    const truth = knownTruth(condition);
    if (truth !== undefined) return !truth;
    throw call.needValue(tensorValue(condition), 'when the loop ends must be known before the run');
  };
  let carried = initial;
  const stacks: Node[][] = [];
  let ended = parts.condition !== undefined && stop(parts.condition);
  for (let i = 0; !ended && i < (trip ?? endless); i++) {
    if (i >= unrollLimit) throw call.refuse(`more than ${unrollLimit} iterations to write out`);
    const index = build.scalar('i64', i);
    const made = iterationOf(
      call,
      call.inline(parts.body, [tensorValue(index), tensorValue(yes()), ...carried]),
      initial.length,
    );
    carried = made.carried;
    for (const [k, node] of made.stacked.entries()) {
      stacks[k] ??= [];
      stacks[k].push(node);
    }
    // The condition of the last iteration decides nothing.
    ended = i + 1 < (trip ?? endless) && stop(made.condition);
  }
  const missing = call.outputCount - initial.length;
  if (missing > 0 && stacks.length === 0) throw call.refuse('nothing is stacked');
  return [...carried, ...stacks.map((nodes) => tensorValue(build.stack(nodes, 0)))];
}

function loop(call: OperatorCall): readonly Value[] {
  const parts = partsOf(call);
  const known = parts.condition === undefined ? true : knownTruth(parts.condition);
  const attempts: (() => Node[])[] = [];
  if (known !== undefined && parts.trip !== undefined) {
    const trip = known ? parts.trip : 0;
    attempts.push(() => countedLoop(call, parts, trip));
  }
  attempts.push(() => openLoop(call, parts));
  for (const attempt of attempts) {
    const made = call.attempt(attempt);
    if (!made.done) continue;
    const nodes = [...made.result];
    const carried = parts.initial.map((value) => rebuild(value, nodes));
    return [...carried, ...nodes.map(tensorValue)];
  }
  return unroll(call, parts);
}

export const controlOperators: OperatorTable = {
  If: { versions: [1, 11, 13, 16, 19, 21, 23, 24, 25], import: conditional },
  Loop: { versions: [1, 11, 13, 16, 19, 21, 23, 24, 25], import: loop },
};
