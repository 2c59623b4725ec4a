/** Random numbers for drawings: the same for the same seed on every machine. */

export interface Chance {
  /** Uniform in [low, high). */
  readonly between: (low: number, high: number) => number;
  /** Roughly normal: the sum of four uniform numbers. */
  readonly normal: (deviation: number) => number;
  readonly pick: <T>(choices: readonly T[]) => T;
}

/** xorshift32: Marsaglia, Xorshift RNGs, 2003. */
export function chanceOf(seed: number): Chance {
  let state = (Math.imul(seed, 0x9e3779b1) ^ 0x7f4a7c15) >>> 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
  const between = (low: number, high: number): number => low + (high - low) * next();
  return {
    between,
    normal: (deviation) => (next() + next() + next() + next() - 2) * Math.sqrt(3) * deviation,
    pick: (choices) => choices[Math.floor(next() * choices.length)] as (typeof choices)[number],
  };
}
