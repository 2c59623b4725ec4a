/**
 * erf as tile arithmetic: 1 − e^Q(|x|) with Q near log erfc, in f64 with a polynomial of its own
 * near zero. Coefficients are this project's own minimax fits (Remez exchange in 45 digits, Q
 * weighted by erfc/erf); the error of a fit relative to erf is stated beside it.
 */
import type { Value } from './builder.js';
import { exponentialOf, minusExponentialMinusOne } from './math-exponential.js';
import type { Floats } from './math-floats.js';

/** −log(erfc x)/x − 1 for 0 ≤ x ≤ 4: 2^−27.8. */
const single = [
  0.1283791711, 0.6366193957, 0.1027777285, -0.0191527392, -0.0001609250814, 0.001667501621,
  -0.0006330722787, 0.0001177017279, -9.262507433e-6,
];

/** erf(x)/x − 1 in x² for |x| ≤ 1: 2^−62.7. */
const near = [
  0.1283791670955126, -0.3761263890318375, 0.11283791670954885, -0.026866170645077878,
  0.005223977624828436, -0.0008548326981425367, 0.00012055331132935364, -1.49255957714418e-5,
  1.6461008463181336e-6, -1.6350396048659911e-7, 1.466032747410898e-8, -1.1374950764263803e-9,
  5.960676872518907e-11,
];

/** log erfc(x) for 1 ≤ x ≤ 6: 2^−62.3. */
const far = [
  -2.7813123276971424e-8, -1.1283789156148705, -0.636620734662029, -0.10277081439371868,
  0.01912804217991119, 0.0002023083201892093, -0.0016749688825160407, 0.0005523630537423727,
  2.2007496076549283e-5, -0.00011078406388212792, 6.476159636803586e-5, -2.4280514010908802e-5,
  6.78423837672865e-6, -1.4697280482775468e-6, 2.481430570800659e-7, -3.2195214053522986e-8,
  3.108221174868429e-9, -2.1052833653610242e-10, 8.928863940284919e-12, -1.7838782694963468e-13,
];

/** erf x; f32 within 2.5 ulp, f64 within 1.5 ulp. */
export function errorFunction(m: Floats, x: Value): Value {
  // Beyond the bound erf rounds to ±1.
  const a = m.atMost(m.absolute(x), m.pick(4, 6));
  if (m.dtype === 'f32') {
    const exponent = m.multiplyAdd(a, m.polynomial(a, single), a);
    return m.withSign(minusExponentialMinusOne(m, m.b.unary('negate', exponent)), x);
  }
  const low = m.polynomial(m.multiply(a, a), near);
  const outer = m.subtract(1, exponentialOf(m, m.polynomial(a, far)));
  return m.withSign(m.select(m.less(a, 1), m.multiplyAdd(a, low, a), outer), x);
}
