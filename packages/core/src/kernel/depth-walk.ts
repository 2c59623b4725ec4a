/**
 * The walk of a register tile along the depth. Its loop does as many steps at once as make
 * counting cheap, and between stretches of it the tile asks for memory that later tiles need.
 */
import { add, type Expression, equal, floorDivide, minimum, multiply } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Axis } from './axes.js';
import type { KernelBuilder } from './builder.js';
import { type Bindings, writeLoops } from './nest.js';

/** What is asked for at a step, for the steps up to the next request. */
export interface Requests {
  /** Steps from one request to the next. */
  readonly every: number;
  readonly ask: (step: Expression) => void;
}

/** Steps that a turn of the loop does where a tile is small. */
const mostCopies = 4;

/**
 * Steps of a tile per turn of the loop. Counting takes three instructions, which matter beside the
 * twenty of a step where registers are few, most of all where threads share a core.
 */
export const copiesOfStep = ({ vectorRegisters, vectorBytes, operandsAhead }: Target): number =>
  vectorBytes > 0 && vectorRegisters < 32 && operandsAhead !== true ? mostCopies : 1;

/** Writes `body` for every position of the depth; requests are for a depth of one axis. */
export function walkDepth(
  b: KernelBuilder,
  axes: readonly Axis[],
  bindings: Bindings,
  copies: number,
  requests: Requests | undefined,
  body: () => void,
): void {
  const [last] = axes.slice(-1);
  if (last === undefined) {
    body();
    return;
  }
  const { name, extent } = last;
  const walk = (from: Expression, to: Expression): void => {
    const step = (index: Expression): void => {
      bindings.set(name, index);
      body();
    };
    b.for(from, to, 1, step, copies > 1 ? { unroll: copies } : {});
  };
  if (requests === undefined || axes.length > 1) {
    writeLoops(b, axes.slice(0, -1), bindings, () => walk(0, extent));
    return;
  }
  const { every, ask } = requests;
  // Short stretches have a constant number of steps: what is left is a walk of its own. They are
  // loops, too: written out, compilers load so much of the next step that sums leave registers.
  const isShort = every <= mostCopies;
  const even = multiply(floorDivide(extent, every), every);
  const isWhole = isShort || equal(even, extent);
  b.for(0, isShort ? even : extent, every, (from) => {
    ask(from);
    const to = add(from, every);
    walk(from, isWhole ? to : minimum(to, extent));
  });
  if (isShort && !equal(even, extent)) walk(even, extent);
}
