/** if, loop, while and composite: by running their bodies. */
import { internal } from '../base/errors.js';
import type { Context } from './interpret-context.js';
import { allocate, numbersOf, type Value } from './interpret-value.js';
import { writePiece } from './interpret-views.js';
import type { NodeOf, TensorType } from './node.js';

const isTrue = (value: Value): boolean => numbersOf(value)[0] !== 0;

export function ifValues(
  node: NodeOf<'if'>,
  inputs: readonly Value[],
  context: Context,
): readonly Value[] {
  const { then, else: otherwise } = node.attributes;
  return context.run(isTrue(inputs[0]!) ? then : otherwise, inputs.slice(1));
}

export function compositeValues(
  node: NodeOf<'composite'>,
  inputs: readonly Value[],
  context: Context,
): readonly Value[] {
  return context.run(node.attributes.body, inputs);
}

/** Puts the values of one iteration into row `index` of the stacks. */
function stack(stacks: readonly Value[], values: readonly Value[], index: number): void {
  values.forEach((value, k) => {
    const row = { ...value, shape: [1, ...value.shape] };
    writePiece(stacks[k]!, row, [index, ...value.shape.map(() => 0)]);
  });
}

const allocateStacks = (results: readonly TensorType[], context: Context): readonly Value[] =>
  results.map(({ dtype, shape }) => allocate(dtype, shape.map(context.size)));

export function loopValues(
  node: NodeOf<'loop'>,
  inputs: readonly Value[],
  context: Context,
): readonly Value[] {
  const { trip, carried, body, iteration } = node.attributes;
  const stacks = allocateStacks(node.results.slice(carried), context);
  const invariants = inputs.slice(carried);
  const count = context.size(trip);
  let state = inputs.slice(0, carried);
  for (let i = 0; i < count; i++) {
    const results = context.run(body, [...state, ...invariants], new Map([[iteration, i]]));
    state = results.slice(0, carried);
    stack(stacks, results.slice(carried), i);
  }
  return [...state, ...stacks];
}

export function whileValues(
  node: NodeOf<'while'>,
  inputs: readonly Value[],
  context: Context,
): readonly Value[] {
  const { limit, carried, body, iteration } = node.attributes;
  const stacks = allocateStacks(node.results.slice(carried, -1), context);
  const invariants = inputs.slice(1 + carried);
  const most = context.size(limit);
  let state = inputs.slice(1, 1 + carried);
  let goOn = inputs[0] ?? fail();
  let count = 0;
  for (; isTrue(goOn) && count < most; count++) {
    const symbols = new Map([[iteration, count]]);
    const results = context.run(body, [...state, ...invariants], symbols);
    goOn = results[0] ?? fail();
    state = results.slice(1, 1 + carried);
    stack(stacks, results.slice(1 + carried), count);
  }
  const counted: Value = { dtype: 'i64', shape: [], data: BigInt64Array.of(BigInt(count)) };
  return [...state, ...stacks, counted];
}

function fail(): never {
  throw internal('while without a condition');
}
