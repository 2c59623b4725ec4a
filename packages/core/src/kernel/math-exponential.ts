/**
 * exp, log and the hyperbolic functions and their inverses as tile arithmetic on f32 or f64.
 *
 * Method: reduction by powers of two (Muller, Elementary Functions, ch. 11: Cody and Waite's split
 * of ln 2), then polynomials. Coefficients are this project's own minimax fits (Remez exchange in
 * 45 digits); the error of a fit relative to the function is stated beside it.
 */
import type { Value } from './builder.js';
import type { Floats, Whole } from './math-floats.js';

const log2e = Math.LOG2E;
/** High parts short enough that k·high is exact for every exponent k. */
export const ln2 = {
  single: { high: 0.693145751953125, low: 1.428606765330187e-6 },
  double: { high: 0.6931471805592082, low: 7.371002565167799e-13 },
};

/** (e^r − 1 − r)/r² for |r| ≤ ½·ln 2: 2^−28.2 and 2^−58.0. */
export const exponentialTail = {
  single: [0.5000000095, 0.1666651861, 0.04166620497, 0.008368917565, 0.001395054696],
  double: [
    0.5000000000000013, 0.166666666666667, 0.041666666666515056, 0.008333333333307115,
    0.0013888888947123895, 0.00019841269917547224, 2.4801489817365845e-5, 2.755721616975119e-6,
    2.763132926218053e-7, 2.511790126989521e-8,
  ],
};

/** (log(1 + f) − f + f²/2)/f³ for √½ − 1 ≤ f ≤ √2 − 1: 2^−30.3. */
const logarithmTail = [
  0.3333331045, -0.2499998668, 0.2000222609, -0.1666924686, 0.1421866509, -0.1238441711,
  0.1187299435, -0.1178942605, 0.06914873747,
];

/** (2·atanh s − 2s)/s³ in s² for |s| ≤ 3 − 2√2: 2^−59.4. */
const atanhTail = [
  0.6666666666666735, 0.39999999999411096, 0.2857142874326384, 0.2222219847574775,
  0.1818356975567812, 0.15313902787423594, 0.14797512643245386,
];

interface Reduced {
  /** The integer k of x = k·ln 2 + r. */
  readonly k: Whole;
  readonly r: Value;
  /** e^r − 1. */
  readonly minusOne: Value;
}

/** Reduction of high + low, |high| below 2·bias·ln 2; `low` is a small correction. */
function reduceExponent(m: Floats, high: Value, low?: Value): Reduced {
  const split = m.pick(ln2.single, ln2.double);
  const k = m.nearestExponent(high, log2e);
  const first = m.multiplyAdd(k.number, -split.high, high);
  const rest = m.multiplyAdd(k.number, -split.low, first);
  const r = low === undefined ? rest : m.add(rest, low);
  return { k, r, minusOne: exponentialMinusOne(m, r) };
}

/** e^r − 1 for |r| ≤ ½·ln 2. */
export function exponentialMinusOne(m: Floats, r: Value): Value {
  const square = m.multiply(r, r);
  if (m.dtype === 'f64') {
    return m.multiplyAdd(square, m.polynomial(r, exponentialTail.double), r);
  }
  // Estrin's scheme: three steps in a row instead of four.
  const [c0 = 0, c1 = 0, c2 = 0, c3 = 0, c4 = 0] = exponentialTail.single;
  const low = m.multiplyAdd(c1, r, c0);
  const high = m.multiplyAdd(c4, square, m.multiplyAdd(c3, r, c2));
  return m.multiplyAdd(square, m.multiplyAdd(high, square, low), r);
}

/** Beyond these e^x is 0 or infinite. */
export const exponentialRange = (m: Floats): readonly [number, number] =>
  m.pick([-104, 89], [-746, 710]);

/** e^(high + low) for high in `exponentialRange`. */
export function exponentialOf(m: Floats, high: Value, low?: Value): Value {
  const { k, minusOne } = reduceExponent(m, high, low);
  return m.scale(m.add(1, minusOne), k);
}

/** e^x; f32 within 1.25 ulp, f64 within 1 ulp. */
export function exponential(m: Floats, x: Value): Value {
  const [low, high] = exponentialRange(m);
  return exponentialOf(m, m.atLeast(m.atMost(x, high), low));
}

/** 1 − e^x for x ≤ 0 above −bias·ln 2, with the digits of a small result. */
export function minusExponentialMinusOne(m: Floats, x: Value): Value {
  const { k, minusOne } = reduceExponent(m, x);
  const factor = m.powerOfTwo(k);
  return m.subtract(m.subtract(1, factor), m.multiply(minusOne, factor));
}

export interface LogarithmParts {
  /** log x = k·ln 2 + log(1 + f), √½ ≤ 1 + f < √2. */
  readonly k: Value;
  readonly f: Value;
}

const squareRootOfHalfBits = { single: 0x3f3504f3n, double: 0x3fe6a09e667f3bcdn };

/** Parts of a positive normal number. */
function decompose(m: Floats, x: Value): LogarithmParts {
  const bits = m.bits(x);
  const root = m.pick(squareRootOfHalfBits.single, squareRootOfHalfBits.double);
  // With the bias kept the exponent is positive and fits an unsigned shift.
  const shifted = m.addWord(bits, m.oneBits - root);
  const biased = m.right(shifted, m.mantissaBits);
  const anchor = 2 ** m.mantissaBits;
  const anchorBits = BigInt(m.bias + m.mantissaBits) << BigInt(m.mantissaBits);
  const number = m.fromBits(m.b.or(biased, m.word(anchorBits)));
  const exponent = m.left(biased, m.mantissaBits);
  const mantissa = m.b.subtract(m.addWord(bits, m.oneBits), exponent);
  return {
    k: m.subtract(number, anchor + m.bias),
    f: m.subtract(m.fromBits(mantissa), 1),
  };
}

/** Parts of any positive finite number; denormals are scaled up first. */
export function logarithmParts(m: Floats, x: Value): LogarithmParts {
  const small = m.less(x, 2 ** (1 - m.bias));
  const up = m.mantissaBits + 1;
  const { k, f } = decompose(m, m.select(small, m.multiply(x, 2 ** up), x));
  return { k: m.subtract(k, m.select(small, up, 0)), f };
}

/** k·ln 2 + log(1 + f) + correction. */
function joinLogarithm(m: Floats, { k, f }: LogarithmParts, correction?: Value): Value {
  const split = m.pick(ln2.single, ln2.double);
  const square = m.multiply(f, f);
  const half = m.multiply(square, 0.5);
  const scaled = m.multiply(k, split.low);
  const low = correction === undefined ? scaled : m.add(scaled, correction);
  let rest: Value;
  if (m.dtype === 'f32') {
    const cubic = m.multiply(f, m.polynomial(f, logarithmTail));
    rest = m.subtract(m.multiplyAdd(square, cubic, low), half);
  } else {
    const s = m.divide(f, m.add(2, f));
    const z = m.multiply(s, s);
    const tail = m.multiply(z, m.polynomial(z, atanhTail));
    rest = m.subtract(m.multiplyAdd(s, m.add(half, tail), low), half);
  }
  return m.multiplyAdd(k, split.high, m.add(f, rest));
}

/** `result` for 0 < x < ∞, else the logarithm's special values. */
function guardLogarithm(m: Floats, x: Value, result: Value): Value {
  const ordinary = m.b.and(m.less(0, x), m.less(x, Number.POSITIVE_INFINITY));
  const zero = m.select(m.equal(x, 0), Number.NEGATIVE_INFINITY, x);
  return m.select(ordinary, result, m.select(m.less(x, 0), Number.NaN, zero));
}

/** log x; f32 within 1 ulp, f64 within 1 ulp. */
export function logarithm(m: Floats, x: Value): Value {
  return guardLogarithm(m, x, joinLogarithm(m, logarithmParts(m, x)));
}

/**
 * 1 + w and what it lost, for |w| < 1 by way of an integer: shader compilers may cancel a two-sum,
 * and then small results lose half of their digits.
 */
function onePlusSmall(
  m: Floats,
  w: Value,
  sum: Value,
  twoSum: Value,
): { readonly u: Value; readonly lost: Value } {
  const isSmall = m.less(m.b.unary('absolute', w), 1);
  const inside = m.select(isSmall, w, 0);
  const steps = m.b.convert(m.b.unary('roundEven', m.multiply(inside, 2 ** m.mantissaBits)), 'i32');
  const near = m.multiply(m.b.convert(steps, 'f32'), 2 ** -m.mantissaBits);
  return {
    u: m.select(isSmall, m.add(1, near), sum),
    lost: m.select(isSmall, m.subtract(w, near), twoSum),
  };
}

/** log(1 + w) + (0 or ln 2 where `doubled`), for w ≥ −1; within 2 ulp. */
function logarithmOnePlus(m: Floats, w: Value, doubled?: Value): Value {
  const sum = m.add(1, w);
  // What the sum lost, exactly (Knuth's two-sum).
  const part = m.subtract(sum, 1);
  const twoSum = m.add(m.subtract(1, m.subtract(sum, part)), m.subtract(w, part));
  const { u, lost } =
    m.dtype === 'f32' ? onePlusSmall(m, w, sum, twoSum) : { u: sum, lost: twoSum };
  const parts = decompose(m, u);
  const k = doubled === undefined ? parts.k : m.add(parts.k, m.select(doubled, 1, 0));
  return guardLogarithm(m, u, joinLogarithm(m, { k, f: parts.f }, m.divide(lost, u)));
}

/** Half of e^a ∓ 1 before a last factor, for 0 ≤ a: e^a/2 may overflow where sinh does not. */
function halfExponential(m: Floats, a: Value): { e: Value; minusHalf: Value; last: Value } {
  const { k, minusOne } = reduceExponent(m, m.atMost(a, m.pick(90, 711)));
  const biased = m.addWord(k.word, BigInt(m.bias - 1));
  const limited = m.b.binary('minimum', biased, m.word(BigInt(2 * m.bias)));
  const factor = m.fromBits(m.left(limited, m.mantissaBits));
  const over = m.addWord(m.b.subtract(biased, limited), BigInt(m.bias));
  return {
    e: m.multiplyAdd(minusOne, factor, factor),
    minusHalf: m.multiplyAdd(minusOne, factor, m.subtract(factor, 0.5)),
    last: m.fromBits(m.left(over, m.mantissaBits)),
  };
}

/** sinh x; f32 within 2.5 ulp, f64 within 2.5 ulp. */
export function hyperbolicSine(m: Floats, x: Value): Value {
  const a = m.absolute(x);
  const { minusHalf, last } = halfExponential(m, a);
  // With t = e^a − 1: sinh a = (t + t/(t + 1))/2.
  const sum = m.add(minusHalf, m.divide(minusHalf, m.multiplyAdd(2, minusHalf, 1)));
  const tiny = m.less(a, 2 ** -m.mantissaBits);
  return m.withSign(m.select(tiny, a, m.multiply(sum, last)), x);
}

/** cosh x; f32 within 2 ulp, f64 within 2 ulp. */
export function hyperbolicCosine(m: Floats, x: Value): Value {
  const { e, last } = halfExponential(m, m.absolute(x));
  return m.multiply(m.add(e, m.divide(0.25, e)), last);
}

/** tanh x; f32 within 3 ulp, f64 within 3 ulp. */
export function hyperbolicTangent(m: Floats, x: Value): Value {
  // Beyond the bound the result rounds to ±1.
  const a = m.atMost(m.absolute(x), m.pick(10, 20));
  const { k, minusOne } = reduceExponent(m, m.add(a, a));
  const factor = m.powerOfTwo(k);
  const t = m.multiplyAdd(minusOne, factor, m.subtract(factor, 1));
  return m.withSign(m.nearDivide(t, m.add(t, 2)), x);
}

/**
 * 1 + e^x of f32 values, infinite beyond the range of e^x. Relative error 2 ulp + max(x, 0)·2^−25:
 * what rounding x itself costs too. Reduction x = k·ln 2 + r with ln 2 rounded once.
 */
export function onePlusExponential(m: Floats, x: Value): Value {
  // At the upper bound 2^k is infinite and its factor is not 0; below the lower one 1 is left.
  const inside = m.atLeast(m.atMost(x, 89), -87);
  const k = m.nearestExponent(inside, log2e);
  const r = m.multiplyAdd(k.number, -Math.fround(Math.LN2), inside);
  return m.multiplyAdd(m.add(1, exponentialMinusOne(m, r)), m.powerOfTwo(k), 1);
}

/** asinh x; f32 within 2 ulp, f64 within 3 ulp. */
export function inverseHyperbolicSine(m: Floats, x: Value): Value {
  const a = m.absolute(x);
  const large = m.less(m.pick(2 ** 30, 2 ** 60), a);
  const square = m.multiply(a, a);
  const root = m.squareRoot(m.add(square, 1));
  const w = m.add(a, m.divide(square, m.add(root, 1)));
  const result = logarithmOnePlus(m, m.select(large, a, w), large);
  return m.withSign(m.select(m.less(a, 2 ** -m.mantissaBits), a, result), x);
}

/** acosh x; f32 within 2.5 ulp, f64 within 3 ulp. */
export function inverseHyperbolicCosine(m: Floats, x: Value): Value {
  const large = m.less(m.pick(2 ** 30, 2 ** 60), x);
  const t = m.subtract(x, 1);
  const w = m.add(t, m.squareRoot(m.multiply(t, m.add(t, 2))));
  const result = logarithmOnePlus(m, m.select(large, t, w), large);
  return m.select(m.less(x, 1), Number.NaN, result);
}

/** atanh x; f32 within 2.5 ulp, f64 within 3 ulp. */
export function inverseHyperbolicTangent(m: Floats, x: Value): Value {
  const a = m.absolute(x);
  const w = m.divide(m.add(a, a), m.subtract(1, a));
  const result = m.multiply(logarithmOnePlus(m, w), 0.5);
  return m.withSign(m.select(m.less(a, 2 ** -m.mantissaBits), a, result), x);
}
