/** Error bounds of operations: how far a result at level "default" may be from the exact one. */
import { type DType, dtypeFacts } from '../base/dtype.js';

/**
 * |computed − exact| ≤ ε·(result·|exact| + terms·Σ|terms|) + absolute, with ε = epsilonOf(dtype)
 * and Σ|terms| the sum of the magnitudes of what was added up (a reduction's elements, a
 * contraction's products). All zero means bit for bit.
 */
export interface ErrorBound {
  readonly result: number;
  readonly terms: number;
  readonly absolute: number;
}

export const exactBound: ErrorBound = Object.freeze({ result: 0, terms: 0, absolute: 0 });

/** Distance from 1 to the next larger value of a float type (2^−23 for f32); 0 for others. */
export function epsilonOf(dtype: DType): number {
  const { float } = dtypeFacts[dtype];
  return float === undefined ? 0 : 2 ** -float.mantissaBits;
}

/**
 * Below this magnitude a device may flush to zero: the smallest normal value of f64, f32 and bf16.
 * The narrower types are computed in f32, so only their last subnormal bit is open.
 */
function underflowOf(dtype: DType): number {
  const { float } = dtypeFacts[dtype];
  if (float === undefined) return 0;
  const smallestNormal = 2 ** (1 - float.bias);
  return float.exponentBits >= 8 ? smallestNormal : smallestNormal * 2 ** -float.mantissaBits;
}

/** An operation that only moves values. */
export const moved = (): ErrorBound => exactBound;

/** `units` of ε of the result, half of one being a correct rounding; integers are exact. */
export const rounded =
  (units: number) =>
  (dtype: DType): ErrorBound =>
    dtypeFacts[dtype].kind === 'float'
      ? { result: units, terms: 0, absolute: underflowOf(dtype) }
      : exactBound;

/** As `rounded`, plus an error in units of ε against 1 (sines near a multiple of π). */
export const roundedNearOne =
  (units: number, near: number) =>
  (dtype: DType): ErrorBound =>
    dtypeFacts[dtype].kind === 'float'
      ? { result: units, terms: 0, absolute: underflowOf(dtype) + near * epsilonOf(dtype) }
      : exactBound;

/**
 * A sum of `length` terms in any order: (length)·ε_accumulate/2 against Σ|terms|, one rounding of
 * each product, one of the result (Higham, Accuracy and Stability of Numerical Algorithms, §4.2).
 */
export function summed(dtype: DType, length: number, accumulate: DType = dtype): ErrorBound {
  if (dtypeFacts[dtype].kind !== 'float') return exactBound;
  const ratio = epsilonOf(accumulate) / epsilonOf(dtype);
  return { result: 1, terms: (length + 1) * ratio, absolute: (length + 1) * underflowOf(dtype) };
}

/** A product of `length` factors in any order. */
export function multiplied(dtype: DType, length: number, accumulate: DType = dtype): ErrorBound {
  if (dtypeFacts[dtype].kind !== 'float') return exactBound;
  const ratio = epsilonOf(accumulate) / epsilonOf(dtype);
  return { result: 1 + length * ratio, terms: 0, absolute: underflowOf(dtype) };
}
