/**
 * sin, cos, tan and their inverses as tile arithmetic on f32 or f64.
 *
 * Arguments are reduced by multiples of π/2 whose constant is split into short parts (Cody and
 * Waite), large ones in integers.
 * Coefficients are this project's own minimax fits (Remez exchange in 45 digits); the error of a
 * fit relative to the function is stated beside it.
 */
import type { Value } from './builder.js';
import type { Floats } from './math-floats.js';
import { largeAngle, type ReducedAngle, reduceLargeAngle } from './math-large-angle.js';

/** π/2 in parts; n·part is exact for all but the last and n < 2^16 (f32), 2^20 (f64). */
const halfPi = {
  single: [
    1.5703125, 0.0004825592041015625, 1.2665987014770508e-6, 9.89530235528946e-10,
    2.5579538487363607e-12, 5.390302953474238e-15,
  ],
  double: [1.5707963267341256, 6.077100506303966e-11, 2.0222662487111665e-21, 8.4784276603689e-32],
};

/** (sin r − r)/r³ in r² for |r| ≤ π/4: 2^−28.0 and 2^−58.0. */
const sineTail = {
  single: [-0.1666665487, 0.008332173534, -0.0001951665482],
  double: [
    -0.16666666666666632, 0.008333333333322316, -0.0001984126982972539, 2.755731366212219e-6,
    -2.5050753274468944e-8, 1.589650550191765e-10,
  ],
};

/** (cos r − 1 + r²/2)/r⁴ in r² for |r| ≤ π/4: 2^−33.2 and 2^−64.1. */
const cosineTail = {
  single: [0.04166664675, -0.001388736164, 2.443774951e-5],
  double: [
    0.0416666666666666, -0.001388888888887399, 2.4801587289395143e-5, -2.755731432609288e-7,
    2.087571956695542e-9, -1.1359449092803712e-11,
  ],
};

interface Quadrant {
  readonly sine: Value;
  readonly cosine: Value;
  /** Number of quarter turns, modulo 4 in the low bits. */
  readonly turns: Value;
  /** Whether the number of quarter turns is odd. */
  readonly odd: Value;
}

/** Nearest multiple of π/2 and the rest; integer arithmetic where some lane is large. */
function reduceToQuarter(m: Floats, x: Value): ReducedAngle {
  const { b } = m;
  const { number, word } = m.nearest(x, 2 / Math.PI);
  const parts = m.pick(halfPi.single, halfPi.double);
  const near = parts.reduce((rest, part) => m.multiplyAdd(number, -part, rest), x);
  const a = m.absolute(x);
  const large = b.and(m.less(a, Number.POSITIVE_INFINITY), m.less(largeAngle(m), a));
  const r = b.variable(near);
  const turns = b.variable(word);
  b.if(b.reduceAll('or', large), () => {
    const far = reduceLargeAngle(m, x);
    b.assign(r, b.select(large, far.r, near));
    b.assign(turns, b.select(large, far.turns, word));
  });
  return { r: b.read(r), turns: b.read(turns) };
}

function reduceAngle(m: Floats, x: Value): Quadrant {
  const { r, turns } = reduceToQuarter(m, x);
  const z = m.multiply(r, r);
  const tail = m.polynomial(z, m.pick(sineTail.single, sineTail.double));
  const half = m.multiply(z, 0.5);
  const base = m.subtract(1, half);
  // What 1 − z/2 lost in rounding.
  const lost = m.subtract(m.subtract(1, base), half);
  const far = m.polynomial(z, m.pick(cosineTail.single, cosineTail.double));
  return {
    sine: m.multiplyAdd(m.multiply(r, z), tail, r),
    cosine: m.add(base, m.multiplyAdd(m.multiply(z, z), far, lost)),
    turns,
    odd: m.b.equal(m.andWord(turns, 1n), m.word(1n)),
  };
}

/** sin x, over the whole range; f32 within 3.5 ulp, f64 within 2.5 ulp. */
export function sine(m: Floats, x: Value): Value {
  const { sine: s, cosine: c, turns, odd } = reduceAngle(m, x);
  const signed = m.negateByBit1(m.select(odd, c, s), turns);
  return m.select(m.equal(x, 0), x, signed);
}

/** cos x, over the whole range; f32 within 3.5 ulp, f64 within 2.5 ulp. */
export function cosine(m: Floats, x: Value): Value {
  const { sine: s, cosine: c, turns, odd } = reduceAngle(m, x);
  return m.negateByBit1(m.select(odd, s, c), m.addWord(turns, 1n));
}

/** tan x, over the whole range; f32 within 5 ulp, f64 within 4 ulp. */
export function tangent(m: Floats, x: Value): Value {
  const { sine: s, cosine: c, turns, odd } = reduceAngle(m, x);
  const quotient = m.divide(m.select(odd, c, s), m.select(odd, s, c));
  const signed = m.negateByBit1(quotient, m.left(turns, 1));
  return m.select(m.equal(x, 0), x, signed);
}

/** (asin x − x)/x³ in x² for |x| ≤ ½: 2^−27.5 and 2^−59.8. */
const arcSineTail = {
  single: [0.1666675392, 0.07495242172, 0.04547704911, 0.02414784068, 0.04221817317],
  double: [
    0.16666666666666763, 0.0749999999997026, 0.04464285717512628, 0.03038194268330496,
    0.022372215669454118, 0.01735159992995848, 0.013980963313353183, 0.011397761558270108,
    0.010786605178891791, 0.003682772047628394, 0.021764115248384217, -0.021078110413795856,
    0.03267737041651428,
  ],
};

interface ArcSine {
  /** |x| ≤ ½, where the rest is of x itself; else of √((1 − |x|)/2). */
  readonly small: Value;
  readonly base: Value;
  /** asin(base) − base. */
  readonly rest: Value;
}

function reduceArcSine(m: Floats, a: Value): ArcSine {
  const small = m.less(a, 0.5);
  const half = m.multiply(m.subtract(1, a), 0.5);
  const z = m.select(small, m.multiply(a, a), half);
  const base = m.select(small, a, m.squareRoot(half));
  const tail = m.polynomial(z, m.pick(arcSineTail.single, arcSineTail.double));
  return { small, base, rest: m.multiply(m.multiply(base, z), tail) };
}

const circle = {
  single: { high: 3.1415927410125732, low: -8.742277657347586e-8 },
  double: { high: Math.PI, low: 1.2246467991473532e-16 },
};

/** asin x; f32 within 2 ulp, f64 within 2 ulp; NaN beyond ±1. */
export function arcSine(m: Floats, x: Value): Value {
  const { small, base, rest } = reduceArcSine(m, m.absolute(x));
  const pi = m.pick(circle.single, circle.double);
  const far = m.add(m.multiplyAdd(base, -2, pi.high / 2), m.multiplyAdd(rest, -2, pi.low / 2));
  return m.withSign(m.select(small, m.add(base, rest), far), x);
}

/** acos x; f32 within 1.5 ulp, f64 within 2 ulp; NaN beyond ±1. */
export function arcCosine(m: Floats, x: Value): Value {
  const { small, base, rest } = reduceArcSine(m, m.absolute(x));
  const pi = m.pick(circle.single, circle.double);
  const negative = m.less(x, 0);
  const signedBase = m.withSign(base, x);
  const signedRest = m.withSign(rest, x);
  const near = m.add(m.subtract(pi.high / 2, signedBase), m.subtract(pi.low / 2, signedRest));
  const twice = m.multiply(m.add(base, rest), 2);
  const other = m.add(m.multiplyAdd(base, -2, pi.high), m.multiplyAdd(rest, -2, pi.low));
  return m.select(small, near, m.select(negative, other, twice));
}

/** (atan t − t)/t³ in t² for |t| ≤ √2 − 1: 2^−30.5 and 2^−59.4. */
const arcTangentTail = {
  single: [-0.3333331547, 0.1999848678, -0.1424379454, 0.1059557505, -0.06082313253],
  double: [
    -0.333333333333332, 0.19999999999953885, -0.14285714280227185, 0.11111110785014067,
    -0.09090897802690512, 0.07692061013799725, -0.06663113064456222, 0.058479541007633626,
    -0.05039592042926161, 0.038071727885769326, -0.017914901984402095,
  ],
};

/** atan x; f32 within 2 ulp, f64 within 2 ulp. */
export function arcTangent(m: Floats, x: Value): Value {
  const a = m.absolute(x);
  const middle = m.less(Math.SQRT2 - 1, a);
  const large = m.less(Math.SQRT2 + 1, a);
  const numerator = m.select(large, -1, m.select(middle, m.subtract(a, 1), a));
  const denominator = m.select(large, a, m.select(middle, m.add(a, 1), 1));
  const t = m.divide(numerator, denominator);
  const z = m.multiply(t, t);
  const tail = m.polynomial(z, m.pick(arcTangentTail.single, arcTangentTail.double));
  const pi = m.pick(circle.single, circle.double);
  const high = m.select(large, pi.high / 2, m.select(middle, pi.high / 4, 0));
  const low = m.select(large, pi.low / 2, m.select(middle, pi.low / 4, 0));
  const rest = m.multiplyAdd(m.multiply(t, z), tail, low);
  return m.withSign(m.add(high, m.add(t, rest)), x);
}
