/** Shared by the tests of this package; nothing else imports it. */
import { isFailure } from './core.js';

/** The code of the OpenCLAW error that `run` throws, 'no error', or any other error itself. */
export function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isFailure(error)) return error.code;
    throw error;
  }
  return 'no error';
}

/** A generator of integers in [0, bound), the same for the same seed. */
export function randomIntegers(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

/** A copy with up to `most` bytes replaced, cut short in one of `cuts` cases. */
export function mutate(
  bytes: Uint8Array,
  random: (bound: number) => number,
  most: number,
  cuts: number,
): Uint8Array {
  const end = random(cuts) === 0 ? random(bytes.length) : bytes.length;
  const copy = bytes.slice(0, end);
  for (let i = random(most); i >= 0; i--) copy[random(copy.length)] = random(256);
  return copy;
}
