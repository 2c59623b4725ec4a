/**
 * Reduction of large angles modulo π/2 in integers: x·2/π with as many bits of 2/π as matter
 * (M. Payne and R. Hanek, "Radian reduction for trigonometric functions", SIGNUM 18, 1983).
 */
import type { Value } from './builder.js';
import type { Floats } from './math-floats.js';

/** floor(2/π · 2^1216): enough for every f64. */
const twoOverPi = BigInt(
  [
    '0xa2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbc561b7246e3a424d',
    'd2e006492eea09d1921cfe1deb1cb129a73ee88235f52ebb4484e99c7026b45f7e413991d639',
    '835339f49c845f8bbdf9283b1ff897ffde05980fef2f118b5a0a6d1f6d367ecf27cb09b74f46',
    '3f669e5fea2d7527bac7ebe5f17b3d0739f78a5292ea6bfb5fb11f8d5d0856033046fc7b6bab',
  ].join(''),
);

/** Exponent field from which on angles are large: |x| ≥ 2^16 (f32), 2^20 (f64). */
const leastExponent = (m: Floats): number => m.pick(143, 1043);

/** Angles below it are reduced in floating point. */
export const largeAngle = (m: Floats): number => 2 ** (leastExponent(m) - m.bias);

/** Words of 2/π, first bit of weight 2^(mantissa bits + 1 − exponent) at the least exponent. */
function wordsOfTwoOverPi(m: Floats): Value[] {
  const width = m.pick(32, 64);
  // Before the binary point of 2/π there are zeros.
  const zeros = m.mantissaBits + 2 - (leastExponent(m) - m.bias);
  const steps = 2 * m.bias - leastExponent(m);
  const count = Math.floor(steps / width) + 4;
  return Array.from({ length: count }, (_, i) => {
    const bits = twoOverPi >> BigInt(1216 - ((i + 1) * width - zeros));
    return m.word(BigInt.asUintN(width, bits));
  });
}

/** The four words from `index` on: one halving of the choice per bit of the index. */
function wordsFrom(m: Floats, index: Value): Value[] {
  let words = wordsOfTwoOverPi(m);
  for (let bit = m.pick(1, 3); bit >= 0; bit--) {
    const step = 2 ** bit;
    const set = m.b.notEqual(m.andWord(index, BigInt(step)), m.word(0n));
    const kept = Math.min(words.length, step + 3);
    words = Array.from({ length: kept }, (_, i) => {
      const [near, far] = [words[i] as Value, words[i + step]];
      return far === undefined ? near : m.b.select(set, far, near);
    });
  }
  return words;
}

/** Upper word of integer · word for an integer of a significand's length. */
function upperProduct(m: Floats, integer: Value, word: Value): Value {
  const { b } = m;
  const [split, half] = m.pick([12, 16], [27, 32]);
  const low = m.andWord(integer, (1n << BigInt(split)) - 1n);
  const high = m.right(integer, split);
  const times = (part: Value, carry: Value | undefined): Value => {
    const lower = b.multiply(low, part);
    const sum = m.right(carry === undefined ? lower : b.add(lower, carry), split);
    return m.right(b.add(b.multiply(high, part), sum), half - split);
  };
  const first = times(m.andWord(word, (1n << BigInt(half)) - 1n), undefined);
  return times(m.right(word, half), first);
}

export interface ReducedAngle {
  /** x − turns·π/2, at most π/4 in magnitude. */
  readonly r: Value;
  /** Quarter turns, modulo 4 in the low bits. */
  readonly turns: Value;
}

/** Reduces finite angles of at least `largeAngle`; within 1.5 ulp of the reduced angle. */
export function reduceLargeAngle(m: Floats, x: Value): ReducedAngle {
  const { b } = m;
  const width = m.pick(32, 64);
  const bits = m.bits(m.absolute(x));
  const shift = m.subtractWord(m.right(bits, m.mantissaBits), BigInt(leastExponent(m)));
  const one = 1n << BigInt(m.mantissaBits);
  const integer = b.or(m.andWord(bits, one - 1n), m.word(one));
  const inner = m.andWord(shift, BigInt(width - 1));
  const rest = b.subtract(m.word(BigInt(width - 1)), inner);
  const words = wordsFrom(m, m.right(shift, Math.log2(width)));
  const window = [0, 1, 2].map((i) => {
    const next = b.binary('shiftRight', m.right(words[i + 1] as Value, 1), rest);
    return b.or(b.binary('shiftLeft', words[i] as Value, inner), next);
  });
  const [w0, w1, w2] = window as [Value, Value, Value];
  // The low three words of integer · window are the turns in units of 2^(2 − 3·width).
  const carried = upperProduct(m, integer, w2);
  const middle = b.add(b.multiply(integer, w1), carried);
  const over = b.convert(b.less(middle, carried), m.wordType);
  const upper = b.add(b.multiply(integer, w0), upperProduct(m, integer, w1));
  const top = b.add(upper, over);
  const turns = m.right(m.addWord(top, 1n << BigInt(width - 3)), width - 2);
  const high = b.or(m.left(top, 2), m.right(middle, width - 2));
  const low = m.left(middle, 2);
  const negative = b.less(m.word((1n << BigInt(width - 1)) - 1n), high);
  const flip = b.select(negative, m.word((1n << BigInt(width)) - 1n), m.word(0n));
  const number = (word: Value): Value => {
    const signed = b.bitcast(word, m.pick('i32', 'i64'));
    return b.convert(signed, m.dtype);
  };
  const large = m.multiply(number(b.binary('xor', high, flip)), 2 ** -width);
  const small = m.multiply(number(m.right(b.binary('xor', low, flip), 1)), 2 ** (1 - 2 * width));
  const r = m.multiply(m.add(large, small), Math.PI / 2);
  const below = m.less(x, 0);
  const mirrored = b.binary('xor', negative, below);
  return {
    r: b.select(mirrored, b.unary('negate', r), r),
    turns: b.select(below, b.subtract(m.word(0n), turns), turns),
  };
}
