/**
 * Mathematical functions for languages without them, as tile operations on f32 or f64 values:
 * no library function, no table in memory, no branch on a lane. f32 functions use 32-bit
 * operations only, so that vectors keep their lanes. Error bounds stand beside each function.
 */
import { type DType, isFloat } from '../base/dtype.js';
import type { Target } from '../base/target.js';
import type { KernelBuilder, Value } from './builder.js';
import { errorFunction } from './math-error-function.js';
import {
  exponential,
  hyperbolicCosine,
  hyperbolicSine,
  hyperbolicTangent,
  inverseHyperbolicCosine,
  inverseHyperbolicSine,
  inverseHyperbolicTangent,
  logarithm,
} from './math-exponential.js';
import { Floats } from './math-floats.js';
import { floatPower, floatRemainder, integerPower } from './math-power.js';
import { arcCosine, arcSine, arcTangent, cosine, sine, tangent } from './math-trigonometric.js';
import type { MathName } from './tile.js';

const expansions: Readonly<Record<MathName, (m: Floats, x: Value) => Value>> = {
  exp: exponential,
  log: logarithm,
  sin: sine,
  cos: cosine,
  tan: tangent,
  asin: arcSine,
  acos: arcCosine,
  atan: arcTangent,
  sinh: hyperbolicSine,
  cosh: hyperbolicCosine,
  tanh: hyperbolicTangent,
  asinh: inverseHyperbolicSine,
  acosh: inverseHyperbolicCosine,
  atanh: inverseHyperbolicTangent,
  erf: errorFunction,
};

const floatsOf = (b: KernelBuilder, x: Value): Floats =>
  new Floats(b, x.type.dtype === 'f64' ? 'f64' : 'f32');

/** A function of an f32 or f64 value, tile or uniform. */
export function expandMath(b: KernelBuilder, _target: Target, name: MathName, x: Value): Value {
  return expansions[name](floatsOf(b, x), x);
}

/** C's fmod of two f32 or f64 values: exact, with the sign of x. */
export function expandRemainder(b: KernelBuilder, _target: Target, x: Value, y: Value): Value {
  return floatRemainder(floatsOf(b, x), x, y);
}

/** x^y of values of a dtype: floats as C's pow, integers wrapping. */
export function expandPower(
  b: KernelBuilder,
  target: Target,
  dtype: DType,
  x: Value,
  y: Value,
): Value {
  if (!isFloat(dtype)) return integerPower(b, dtype, x, y);
  if (target.math.includes('power')) return b.binary('power', x, y);
  return floatPower(floatsOf(b, x), x, y);
}
