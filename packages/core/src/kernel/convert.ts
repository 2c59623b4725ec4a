/**
 * Small floats to and from f32 by integer operations on tiles: f16, bf16, the eight-bit formats,
 * f4e2m1. A language needs no type for them; rounding is to nearest even, as in float-format.ts.
 */
import { dtypeFacts, type FloatFormat, type FloatType } from '../base/dtype.js';
import { internal } from '../base/errors.js';
import { encodeFloat } from '../base/float-format.js';
import type { KernelBuilder, Value } from './builder.js';

function formatOf(dtype: FloatType): FloatFormat {
  const { float } = dtypeFacts[dtype];
  if (float === undefined) throw internal(`${dtype} has no float format`);
  return float;
}

/** Words of integer tile arithmetic on u32, with literals as plain numbers. */
class Words {
  private readonly b: KernelBuilder;
  constructor(b: KernelBuilder) {
    this.b = b;
  }
  word = (value: number): Value => this.b.literal('u32', value);
  and = (a: Value, mask: number): Value => this.b.and(a, this.word(mask));
  left = (a: Value, by: number): Value =>
    by === 0 ? a : this.b.binary('shiftLeft', a, this.word(by));
  right = (a: Value, by: number): Value =>
    by === 0 ? a : this.b.binary('shiftRight', a, this.word(by));
  add = (a: Value, by: number): Value => this.b.add(a, this.word(by));
  below = (a: Value, limit: number): Value => this.b.less(a, this.word(limit));
  equals = (a: Value, value: number): Value => this.b.equal(a, this.word(value));
}

const quietNaN = 0x7fc00000;
const infinity = 0x7f800000;

/** f32 from the bits (u32) of a small float. Exact: every value of these formats is an f32. */
export function widenSmall(b: KernelBuilder, dtype: FloatType, bits: Value): Value {
  const value = dtype === 'f16' && b.halves ? b.widenHalf(bits) : widenBits(b, dtype, bits);
  b.noteWidened(value, dtype, bits);
  return value;
}

function widenBits(b: KernelBuilder, dtype: FloatType, bits: Value): Value {
  const w = new Words(b);
  if (dtype === 'bf16') return b.bitcast(w.left(bits, 16), 'f32');
  const { exponentBits, mantissaBits, bias, special } = formatOf(dtype);
  if (special === 'scale') {
    // Exponent field 0 is 2^-127: a denormal f32.
    const normal = w.left(bits, 23);
    const small = b.select(w.equals(bits, 0), w.word(0x00400000), normal);
    return b.bitcast(b.select(w.equals(bits, 255), w.word(quietNaN), small), 'f32');
  }
  const width = exponentBits + mantissaBits;
  const magnitude = w.and(bits, 2 ** width - 1);
  const sign = w.left(w.and(bits, 2 ** width), 31 - width);
  const shift = 23 - mantissaBits;
  const normal = w.add(w.left(magnitude, shift), (127 - bias) * 2 ** 23);
  // A denormal is an integer times the smallest step; the product is exact.
  const steps = b.multiply(
    b.convert(magnitude, 'f32'),
    b.literal('f32', 2 ** (1 - bias - mantissaBits)),
  );
  const finite = b.select(w.below(magnitude, 2 ** mantissaBits), b.bitcast(steps, 'u32'), normal);
  const special32 = specialBits(b, w, dtype, magnitude, bits, finite);
  return b.bitcast(b.or(special32, sign), 'f32');
}

function specialBits(
  b: KernelBuilder,
  w: Words,
  dtype: FloatType,
  magnitude: Value,
  bits: Value,
  finite: Value,
): Value {
  const { exponentBits, mantissaBits, special } = formatOf(dtype);
  const width = exponentBits + mantissaBits;
  const top = (2 ** exponentBits - 1) * 2 ** mantissaBits;
  if (special === 'ieee') {
    const nan = b.select(w.equals(magnitude, top), w.word(infinity), w.word(quietNaN));
    return b.select(w.below(magnitude, top), finite, nan);
  }
  if (special === 'fn') {
    return b.select(w.equals(magnitude, 2 ** width - 1), w.word(quietNaN), finite);
  }
  if (special === 'fnuz') return b.select(w.equals(bits, 2 ** width), w.word(quietNaN), finite);
  return finite;
}

/**
 * Bits (u32) of the nearest value of a small float, ties to even. Overflow gives what
 * `encodeFloat` gives: the largest finite value when `saturate`, else infinity or NaN.
 */
export function narrowSmall(
  b: KernelBuilder,
  dtype: FloatType,
  value: Value,
  saturate: boolean,
): Value {
  const known = b.bitsOf(value, dtype);
  if (known !== undefined) return known;
  if (dtype === 'f16' && b.halves && !saturate) return b.narrowHalf(value);
  const w = new Words(b);
  const format = formatOf(dtype);
  const bits = b.bitcast(value, 'u32');
  const magnitude = w.and(bits, 0x7fffffff);
  const isNaN32 = b.less(w.word(infinity), magnitude);
  const code = (x: number): Value => w.word(encodeFloat(format, x, saturate));
  if (format.special === 'scale') {
    return b.select(isNaN32, code(Number.NaN), narrowScale(b, w, magnitude, saturate));
  }
  const { exponentBits, mantissaBits, bias } = format;
  const width = exponentBits + mantissaBits;
  const shift = 23 - mantissaBits;
  // Round to nearest even by adding just under half, plus the lowest kept bit.
  const odd = w.and(w.right(magnitude, shift), 1);
  const rounded = b.add(w.add(magnitude, 2 ** (shift - 1) - 1), odd);
  const smallestNormal = (127 + 1 - bias) * 2 ** 23;
  const normal = w.right(b.subtract(rounded, w.word((127 - bias) * 2 ** 23)), shift);
  const least = Math.max(0, smallestNormal);
  const small =
    least <= 2 ** 23
      ? normal
      : b.select(w.below(magnitude, least), denormalUnits(b, w, magnitude, format), normal);
  const largest = encodeFloat(format, Number.MAX_VALUE, true);
  const over = b.less(w.word(largest), small);
  const limited = b.select(over, code(Number.MAX_VALUE), small);
  // With as many exponents as f32, rounding itself ends at infinity.
  const carries = exponentBits === 8 && format.special === 'ieee' && !saturate;
  const finite = carries
    ? small
    : b.select(w.equals(magnitude, infinity), code(Number.POSITIVE_INFINITY), limited);
  const sign = w.right(w.and(bits, 0x80000000), 31 - width);
  const signed = signedCode(b, w, dtype, finite, sign);
  return b.select(isNaN32, code(Number.NaN), signed);
}

/** Rounds |x| / step to an integer by adding a number whose last place is the step. */
function denormalUnits(b: KernelBuilder, w: Words, magnitude: Value, format: FloatFormat): Value {
  const step = 2 ** (1 - format.bias - format.mantissaBits);
  const anchor = b.literal('f32', step * 2 ** 23);
  const sum = b.add(b.bitcast(magnitude, 'f32'), anchor);
  return b.subtract(b.bitcast(sum, 'u32'), w.word((Math.log2(step) + 23 + 127) * 2 ** 23));
}

function signedCode(
  b: KernelBuilder,
  w: Words,
  dtype: FloatType,
  finite: Value,
  sign: Value,
): Value {
  const { special, exponentBits, mantissaBits } = formatOf(dtype);
  const joined = b.or(finite, sign);
  if (special !== 'fnuz') return joined;
  // Zero has no sign there, and overflow's NaN is the sign bit alone.
  const nan = 2 ** (exponentBits + mantissaBits);
  const plain = b.or(w.equals(finite, 0), w.equals(finite, nan));
  return b.select(plain, finite, joined);
}

function narrowScale(b: KernelBuilder, w: Words, magnitude: Value, saturate: boolean): Value {
  // Denormals have no leading one: 2^-127 is code 0, and 1.5 · 2^-127 rounds up to code 1.
  const tiny = b.select(w.below(magnitude, 0x00600000), w.word(0), w.word(1));
  const normal = w.right(w.add(magnitude, 0x00400000), 23);
  const carried = b.select(w.below(magnitude, 0x00800000), tiny, normal);
  const overflow = w.word(saturate ? 254 : 255);
  const limited = b.select(b.less(w.word(254), carried), overflow, carried);
  return b.select(w.equals(magnitude, infinity), overflow, limited);
}
