/** Powers and remainders as tile operations: floats by IEEE 754 and C, integers wrapping. */
import { type DType, dtypeFacts, isUnsigned } from '../base/dtype.js';
import type { KernelBuilder, Value } from './builder.js';
import { exponentialOf, exponentialRange, ln2, logarithmParts } from './math-exponential.js';
import type { Floats } from './math-floats.js';

interface Pair {
  readonly high: Value;
  readonly low: Value;
}

/** Two thirds with an upper half of few digits. */
const twoThirds = (m: Floats): { readonly high: number; readonly low: number } => {
  const digits = 2 ** m.pick(12, 26);
  return { high: Math.floor((digits * 2) / 3) / digits, low: 2 / 3 / digits };
};

/** 3/2 · (2·atanh s − 2s)/s³ − 1 in s² for |s| ≤ 3 − 2√2: 2^−37.6 and 2^−66.7 of atanh. */
const cubicTail = {
  single: [-1.54e-8, 0.6000050434, 0.4280585668, 0.3537536838],
  double: [
    -8.6e-17, 0.6000000000000943, 0.42857142853609614, 0.3333333397310711, 0.27272663263918956,
    0.2308064643782301, 0.1987494371927715, 0.19879127424739942,
  ],
};

/**
 * log(1 + f) = ⅔·s·(3 + s² + …) with s = f/(2 + f), as an unevaluated sum: products of halves are
 * exact, and only small terms are rounded.
 */
function preciseLogarithmOnePlus(m: Floats, f: Value): Pair {
  const divisor = m.add(2, f);
  const s = m.divide(f, divisor);
  const sHigh = m.upperHalf(s);
  const dHigh = m.upperHalf(divisor);
  const dLow = m.subtract(f, m.subtract(dHigh, 2));
  const remainder = m.subtract(m.subtract(f, m.multiply(sHigh, dHigh)), m.multiply(sHigh, dLow));
  const sLow = m.divide(remainder, divisor);
  const z = m.multiply(s, s);
  const square = m.multiply(sHigh, sHigh);
  const small = m.multiplyAdd(
    m.polynomial(z, m.pick(cubicTail.single, cubicTail.double)),
    z,
    m.multiply(sLow, m.add(s, sHigh)),
  );
  const tHigh = m.upperHalf(m.add(m.add(3, square), small));
  const tLow = m.subtract(small, m.subtract(m.subtract(tHigh, 3), square));
  const main = m.multiply(sHigh, tHigh);
  const rest = m.multiplyAdd(sLow, tHigh, m.multiply(tLow, s));
  const high = m.upperHalf(m.add(main, rest));
  const low = m.subtract(rest, m.subtract(high, main));
  const factor = twoThirds(m);
  return {
    high: m.multiply(high, factor.high),
    low: m.multiplyAdd(high, factor.low, m.multiply(low, 2 / 3)),
  };
}

/** log a for a finite a > 0 as an unevaluated sum with some ten more bits than the type. */
function preciseLogarithm(m: Floats, a: Value): Pair {
  const { k, f } = logarithmParts(m, a);
  const split = m.pick(ln2.single, ln2.double);
  const fraction = preciseLogarithmOnePlus(m, f);
  const first = m.multiply(k, split.high);
  const sum = m.add(first, fraction.high);
  // Knuth's two-sum: what the sum lost.
  const part = m.subtract(sum, first);
  const far = m.subtract(first, m.subtract(sum, part));
  const lost = m.add(far, m.subtract(fraction.high, part));
  const low = m.add(lost, m.multiplyAdd(k, split.low, fraction.low));
  const high = m.add(sum, low);
  return { high, low: m.subtract(low, m.subtract(high, sum)) };
}

/** a^y for a ≥ 0; NaN operands are the caller's. */
function powerOfMagnitude(m: Floats, a: Value, y: Value): Value {
  const infinite = Number.POSITIVE_INFINITY;
  const log = preciseLogarithm(m, a);
  const zero = m.select(m.equal(a, 0), -infinite, log.high);
  const high = m.select(m.equal(a, infinite), infinite, zero);
  const estimate = m.multiply(high, y);
  const [least, most] = exponentialRange(m);
  const above = m.less(most, estimate);
  const below = m.less(estimate, least);
  const outside = m.b.or(above, below);
  const limit = m.select(above, most, least);
  const upper = m.upperHalf(high);
  const lower = m.add(m.subtract(high, upper), log.low);
  const yUpper = m.upperHalf(y);
  const yLower = m.subtract(y, yUpper);
  const rest = m.multiplyAdd(y, lower, m.multiply(yLower, upper));
  const exponent = m.select(outside, limit, m.multiply(yUpper, upper));
  return exponentialOf(m, exponent, m.select(outside, 0, rest));
}

/** x^y with the special cases of IEEE 754-2019 §9.2.1 (C's pow); within 2 ulp. */
export function floatPower(m: Floats, x: Value, y: Value): Value {
  const { b } = m;
  const truncate = (v: Value): Value => b.unary('truncate', v);
  const whole = b.equal(truncate(y), y);
  const half = m.multiply(y, 0.5);
  const odd = b.and(whole, b.notEqual(truncate(half), half));
  const magnitude = powerOfMagnitude(m, m.absolute(x), y);
  const signed = m.select(odd, m.withSign(magnitude, x), magnitude);
  const negative = b.and(m.less(x, 0), m.less(Number.NEGATIVE_INFINITY, x));
  const undefinedPower = b.and(negative, b.not(whole));
  const real = m.select(undefinedPower, Number.NaN, signed);
  const sum = m.add(x, y);
  const numbers = b.and(b.equal(x, x), b.equal(y, y));
  const general = m.select(numbers, real, sum);
  const minusOne = b.and(m.equal(x, -1), m.equal(m.absolute(y), Number.POSITIVE_INFINITY));
  const one = b.or(b.or(m.equal(x, 1), m.equal(y, 0)), minusOne);
  return m.select(one, 1, general);
}

/**
 * x^y by squaring, wrapping; a negative exponent gives the truncated reciprocal: 0 but for the
 * bases ±1 (and 0 for base 0).
 */
export function integerPower(b: KernelBuilder, dtype: DType, x: Value, y: Value): Value {
  const type = x.type.dtype;
  const { bits } = dtypeFacts[dtype];
  const shape = x.type.shape.length > 0 ? x.type.shape : y.type.shape;
  const [zero, one] = [b.literal(type, 0), b.literal(type, 1)];
  const spread = (v: Value): Value => b.broadcast(v, shape);
  const result = b.variable(spread(one));
  const square = b.variable(spread(x));
  const rest = b.variable(spread(y));
  b.for(0, bits, 1, () => {
    const exponent = b.read(rest);
    const factor = b.read(square);
    const so = b.read(result);
    const taken = b.equal(b.and(exponent, one), one);
    b.assign(result, b.select(taken, b.multiply(so, factor), so));
    b.assign(square, b.multiply(factor, factor));
    b.assign(rest, b.binary('shiftRight', exponent, one));
  });
  const power = b.read(result);
  if (isUnsigned(dtype)) return power;
  const minusOne = b.literal(type, -1);
  const even = b.equal(b.and(y, one), zero);
  const ofMinusOne = b.select(even, spread(one), spread(minusOne));
  const other = b.select(b.equal(x, one), spread(one), spread(zero));
  const reciprocal = b.select(b.equal(x, minusOne), ofMinusOne, other);
  return b.select(b.less(y, zero), reciprocal, power);
}

/**
 * C's fmod, exactly: the divisor is doubled up to the dividend and subtracted on the way back.
 * Takes as many steps as the quotient of the worst lane has bits, up and down.
 */
export function floatRemainder(m: Floats, x: Value, y: Value): Value {
  const { b } = m;
  const infinite = Number.POSITIVE_INFINITY;
  const shape = x.type.shape.length > 0 ? x.type.shape : y.type.shape;
  const spread = (v: Value): Value => b.broadcast(v, shape);
  const dividend = m.absolute(x);
  const divisor = m.absolute(y);
  const finite = m.less(dividend, infinite);
  const positive = m.less(0, divisor);
  const ordinary = b.and(b.and(finite, positive), m.less(divisor, infinite));
  // Lanes without a quotient must not keep the loops running.
  const rest = b.variable(spread(m.select(ordinary, dividend, 0)));
  const least = spread(m.select(ordinary, divisor, 1));
  const scaled = b.variable(least);
  const any = (lanes: Value): Value => b.reduceAll('or', lanes);
  const half = spread(m.multiply(b.read(rest), 0.5));
  b.while(
    () => any(b.lessEqual(b.read(scaled), half)),
    () => {
      const s = b.read(scaled);
      b.assign(scaled, b.select(b.lessEqual(s, half), b.add(s, s), s));
    },
  );
  b.while(
    () => any(b.lessEqual(least, b.read(scaled))),
    () => {
      const s = b.read(scaled);
      const r = b.read(rest);
      const taken = b.and(b.lessEqual(least, s), b.lessEqual(s, r));
      b.assign(rest, b.select(taken, b.subtract(r, s), r));
      b.assign(scaled, m.multiply(s, 0.5));
    },
  );
  const signed = m.withSign(b.read(rest), x);
  const undefinedQuotient = m.select(b.and(finite, m.equal(divisor, infinite)), x, Number.NaN);
  return m.select(ordinary, signed, undefinedQuotient);
}
