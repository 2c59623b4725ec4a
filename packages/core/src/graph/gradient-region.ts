/** Derivatives of if, loop, while and composite: regions around their bodies' derivatives. */
import { isFloat } from '../base/dtype.js';
import { refused } from '../base/errors.js';
import { type Size, subtract } from '../base/expression.js';
import { add, elementSize, gather, ifThen, loop, size, whileLoop } from './build.js';
import { inputOf, type Pullback, type PullbackContext, zeros } from './gradient-rule.js';
import type { Graph, Node } from './node.js';
import { inline } from './rewrite.js';

/** Values with a derivative, and where they stand. */
const floatsOf = (values: readonly Node[]): readonly number[] =>
  values.flatMap((value, i) => (isFloat(value.dtype) ? [i] : []));

const pick = <T>(values: readonly T[], places: readonly number[]): T[] =>
  places.map((i) => values[i]!);

/** Puts values back to their places, undefined elsewhere. */
function placed(values: readonly Node[], places: readonly number[], count: number) {
  const result = new Array<Node | undefined>(count).fill(undefined);
  places.forEach((place, i) => {
    result[place] = values[i];
  });
  return result;
}

export const compositePullback: Pullback<'composite'> = (node, _, { seeds, needs, pullback }) => {
  const outputs = inline(node.attributes.body, node.inputs);
  const wanted = node.inputs.map((_input, i) => i).filter(needs);
  const found = pullback(outputs, pick(node.inputs, wanted), seeds);
  const result = new Array<Node | undefined>(node.inputs.length).fill(undefined);
  wanted.forEach((place, i) => {
    result[place] = found[i];
  });
  return result;
};

export const ifPullback: Pullback<'if'> = (node, _, { seeds, needs, pullback }) => {
  const captures = node.inputs.slice(1);
  const wanted = captures.map((_capture, i) => i).filter((i) => needs(i + 1));
  const live = seeds.flatMap((seed, i) => (seed === undefined ? [] : [i]));
  const given = pick(seeds, live) as Node[];
  const branch = (body: Graph) => (values: readonly Node[]) => {
    const own = values.slice(0, captures.length);
    const outputs = pick(inline(body, own), live);
    const wrt = pick(own, wanted);
    return pullback(outputs, wrt, values.slice(captures.length)).map((d, i) => d ?? zeros(wrt[i]!));
  };
  const { then, else: otherwise } = node.attributes;
  const found = ifThen(inputOf(node, 0), [...captures, ...given], branch(then), branch(otherwise));
  return [undefined, ...placed(found, wanted, captures.length)];
};

/** A loop that ran: what is needed to run it backwards. */
interface Ran {
  readonly body: Graph;
  /** Iterations that ran. */
  readonly trip: Size;
  /** Outputs of the body before the carried ones. */
  readonly first: number;
  readonly carried: readonly Node[];
  readonly invariants: readonly Node[];
  /** Carried values before every iteration, stacked. */
  readonly saved: readonly Node[];
}

/** Derivatives of the carried values at the start and of the invariants. */
function runBackwards(ran: Ran, { seeds, pullback }: PullbackContext): (Node | undefined)[] {
  const { body, trip, carried, invariants, saved } = ran;
  const carriedFloats = floatsOf(carried);
  const invariantFloats = floatsOf(invariants);
  const stackedSeeds = seeds.slice(carried.length);
  const live = stackedSeeds.flatMap((seed, i) => (seed === undefined ? [] : [i]));
  const start = carriedFloats.map((i) => seeds[i] ?? zeros(carried[i]!));
  const sums = invariantFloats.map((i) => zeros(invariants[i]!));
  const results = loop({
    trip,
    carried: [...start, ...sums],
    invariants: [...saved, ...invariants, ...(pick(stackedSeeds, live) as Node[])],
    body: (derivatives, given, step) => {
      const index = subtract(subtract(trip, 1), step);
      const row = (stack: Node): Node => gather(stack, size(index), 0);
      const states = given.slice(0, saved.length).map(row);
      const fixed = given.slice(saved.length, saved.length + invariants.length);
      const rows = given.slice(saved.length + invariants.length).map(row);
      const inputs = [...states, ...fixed];
      const outputs = inline(body, inputs, index);
      const own = outputs.slice(ran.first);
      const wrt = [...pick(states, carriedFloats), ...pick(fixed, invariantFloats)];
      const found = pullback(
        [...pick(own, carriedFloats), ...pick(own.slice(carried.length), live)],
        wrt,
        [...derivatives.slice(0, carriedFloats.length), ...rows],
      );
      const next = found.map((derivative, i) => {
        if (i < carriedFloats.length) return derivative ?? zeros(wrt[i]!);
        return derivative === undefined ? derivatives[i]! : add(derivatives[i]!, derivative);
      });
      return { carried: next };
    },
  });
  const n = carriedFloats.length;
  return [
    ...placed(results.slice(0, n), carriedFloats, carried.length),
    ...placed(results.slice(n), invariantFloats, invariants.length),
  ];
}

export const loopPullback: Pullback<'loop'> = (node, _, context) => {
  const { trip, body, carried: count } = node.attributes;
  const [carried, invariants] = [node.inputs.slice(0, count), node.inputs.slice(count)];
  const saved = loop({
    trip,
    carried,
    invariants,
    body: (states, fixed, i) => {
      const outputs = inline(body, [...states, ...fixed], i);
      return { carried: outputs.slice(0, count), stacked: states };
    },
  }).slice(count);
  return runBackwards({ body, trip, first: 0, carried, invariants, saved }, context);
};

/** Above this many iterations a bound is none: the carried values of each would be kept. */
const largestBound = 2 ** 24;

export const whilePullback: Pullback<'while'> = (node, _, context) => {
  const { limit, body, carried: count } = node.attributes;
  if (typeof limit === 'number' && limit > largestBound) {
    throw refused('the derivative of while', `it needs a bound of at most ${largestBound}`);
  }
  const [condition, ...values] = node.inputs as [Node, ...Node[]];
  const [carried, invariants] = [values.slice(0, count), values.slice(count)];
  const results = whileLoop({
    condition,
    limit,
    carried,
    invariants,
    body: (states, fixed, i) => {
      const [goOn, ...rest] = inline(body, [...states, ...fixed], i);
      return { condition: goOn!, carried: rest.slice(0, count), stacked: states };
    },
  });
  const saved = results.slice(count, -1);
  const trip = elementSize(results.at(-1)!, 0);
  const ran: Ran = { body, trip, first: 1, carried, invariants, saved };
  return [undefined, ...runBackwards(ran, context)];
};
