/** e^x for weights of a softmax on vectors: x is never above 0, and what is below normal is 0. */
import type { KernelBuilder, Value } from './builder.js';
import { exponentialTail } from './math-exponential.js';
import { Floats } from './math-floats.js';

/** Rounds to ln 2^−127, whose power of two is 0. */
const least = -88;

/** e^r for |r| ≤ ½·ln 2. */
const series = [1, 1, ...exponentialTail.single];

/**
 * e^x of f32 values x ≤ 0; 0 below ln 2^−126.5, NaN for NaN. Relative error 1 ulp + |x|·2^−25, or
 * |x|·2^−24 where no multiply-add is fused: what rounding x itself, a difference of scores, costs
 * too. Reduction x = k·ln 2 + r with ln 2 rounded once; k comes from the low bits of a sum with
 * 1.5·2^23.
 */
export function weightOf(b: KernelBuilder, x: Value): Value {
  const m = new Floats(b, 'f32');
  // With the bias inside, the low bits are the exponent of 2^k.
  const anchor = 1.5 * 2 ** 23 + m.bias;
  const inside = m.atLeast(x, least);
  const sum = m.multiplyAdd(inside, Math.fround(Math.LOG2E), anchor);
  const r = m.multiplyAdd(m.subtract(sum, anchor), -Math.fround(Math.LN2), inside);
  // The anchor's own bits shift out; NaN stays in the other factor.
  const power = m.fromBits(m.left(m.bits(sum), 23));
  return m.multiply(m.polynomial(r, series), power);
}
