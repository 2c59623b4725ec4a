/** Reproducible chance, and what the makers of random operations are given. */
import type { DType } from '../base/dtype.js';
import type { Node } from './node.js';

/** Reproducible choices. */
export interface Chance {
  /** A whole number in [0, count). */
  readonly below: (count: number) => number;
  /** A real number in [low, high). */
  readonly between: (low: number, high: number) => number;
  readonly pick: <T>(list: readonly T[]) => T;
}

/** What a maker of operations may use. */
export interface Workshop {
  readonly chance: Chance;
  readonly dtypes: readonly DType[];
  /** A value made so far (or a new input) that satisfies the test. */
  readonly value: (accepts?: (node: Node) => boolean) => Node;
  /** A new input of random values; integers are in [low, high]. */
  readonly fresh: (
    dtype: DType,
    shape: readonly number[],
    range?: readonly [number, number],
  ) => Node;
  readonly shape: (rank?: number) => number[];
  readonly extent: () => number;
}

/** xorshift32 (Marsaglia, "Xorshift RNGs", 2003), its start mixed from the seed. */
export function chanceFrom(seed: number): Chance {
  let state = (Math.imul(seed + 1, 0x9e3779b1) ^ 0x85ebca6b) >>> 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
  for (let i = 0; i < 8; i++) next();
  const below = (count: number): number => Math.floor(next() * count);
  return {
    below,
    between: (low, high) => low + next() * (high - low),
    pick: (list) => list[below(list.length)]!,
  };
}
