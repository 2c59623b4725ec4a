/**
 * Arithmetic on values of one float type with plain numbers as literals, and the bit tricks that
 * the mathematical functions share. Takes a builder and f32 or f64; gives values of that type.
 */
import type { KernelBuilder, Value } from './builder.js';

/** A value or a literal of the float type. */
export type Term = Value | number;

/** An integer k as a float and as the two's complement word of the same width. */
export interface Whole {
  readonly number: Value;
  readonly word: Value;
  /** A word whose low bits are those of k + offset, as many as an exponent has and one more. */
  readonly lowBits: Value;
  readonly offset: number;
}

export class Floats {
  readonly b: KernelBuilder;
  readonly dtype: 'f32' | 'f64';
  /** Unsigned words of the same width. */
  readonly wordType: 'u32' | 'u64';
  readonly mantissaBits: number;
  readonly bias: number;

  constructor(b: KernelBuilder, dtype: 'f32' | 'f64') {
    this.b = b;
    this.dtype = dtype;
    this.wordType = dtype === 'f32' ? 'u32' : 'u64';
    this.mantissaBits = dtype === 'f32' ? 23 : 52;
    this.bias = dtype === 'f32' ? 127 : 1023;
  }

  /** Whether powers of two scale by one instruction. */
  get scales(): boolean {
    return this.b.math.has('scaleByPower');
  }

  /** Whether a bound on values holds by one instruction. */
  private get bounds(): boolean {
    return this.scales || this.b.math.has('bounds');
  }

  /** Whether (x + y) − y is computed as written: no compiler of the language reorders sums. */
  private get keepsSums(): boolean {
    return this.dtype === 'f64' || this.scales || this.b.math.has('keepsSums');
  }

  /** One of two constants, by the type. */
  pick<T>(single: T, double: T): T {
    return this.dtype === 'f32' ? single : double;
  }

  value(x: Term): Value {
    return typeof x === 'number' ? this.b.literal(this.dtype, x) : x;
  }

  add = (x: Term, y: Term): Value => this.b.add(this.value(x), this.value(y));
  subtract = (x: Term, y: Term): Value => this.b.subtract(this.value(x), this.value(y));
  multiply = (x: Term, y: Term): Value => this.b.multiply(this.value(x), this.value(y));
  divide = (x: Term, y: Term): Value => this.b.divide(this.value(x), this.value(y));
  less = (x: Term, y: Term): Value => this.b.less(this.value(x), this.value(y));
  equal = (x: Term, y: Term): Value => this.b.equal(this.value(x), this.value(y));
  absolute = (x: Value): Value => this.b.unary('absolute', x);
  squareRoot = (x: Value): Value => this.b.unary('squareRoot', x);

  /** x·y + z with one rounding or two; every use here is right with either. */
  multiplyAdd(x: Term, y: Term, z: Term): Value {
    return this.b.multiplyAdd(this.value(x), this.value(y), this.value(z));
  }

  /** x/y within 1 ulp, for y from 2^−100 to 2^100 and a normal quotient. */
  nearDivide(x: Value, y: Value): Value {
    const isNear = this.dtype === 'f32' && this.b.math.has('nearDivide');
    return isNear ? this.b.binary('nearDivide', x, y) : this.divide(x, y);
  }

  select(condition: Value, x: Term, y: Term): Value {
    return this.b.select(condition, this.value(x), this.value(y));
  }

  /** Σ coefficients[i] · xⁱ by Horner's rule. */
  polynomial(x: Value, coefficients: readonly number[]): Value {
    const [last, ...rest] = [...coefficients].reverse();
    return rest.reduce<Value>((sum, c) => this.multiplyAdd(sum, x, c), this.value(last ?? 0));
  }

  /** x, at most `high`; NaN stays. */
  atMost(x: Value, high: number): Value {
    if (this.bounds) return this.b.binary('minimum', this.value(high), x);
    return this.select(this.less(high, x), high, x);
  }

  /** x, at least `low`; NaN stays. */
  atLeast(x: Value, low: number): Value {
    if (this.bounds) return this.b.binary('maximum', this.value(low), x);
    return this.select(this.less(x, low), low, x);
  }

  word(bits: bigint): Value {
    return this.b.literal(this.wordType, bits);
  }

  bits(x: Value): Value {
    return this.b.bitcast(x, this.wordType);
  }

  fromBits(word: Value): Value {
    return this.b.bitcast(word, this.dtype);
  }

  addWord = (x: Value, y: bigint): Value => this.b.add(x, this.word(y));
  subtractWord = (x: Value, y: bigint): Value => this.b.subtract(x, this.word(y));
  andWord = (x: Value, y: bigint): Value => this.b.and(x, this.word(y));
  left = (x: Value, by: number): Value => this.b.binary('shiftLeft', x, this.word(BigInt(by)));
  right = (x: Value, by: number): Value => this.b.binary('shiftRight', x, this.word(BigInt(by)));

  /** Bits of 1.0, or of 2^0 in the exponent field. */
  get oneBits(): bigint {
    return BigInt(this.bias) << BigInt(this.mantissaBits);
  }

  private get signBits(): bigint {
    return 1n << BigInt(this.pick(31, 63));
  }

  /** The sign of `from` on a magnitude. */
  withSign(magnitude: Value, from: Value): Value {
    const sign = this.andWord(this.bits(from), this.signBits);
    return this.fromBits(this.b.or(this.bits(magnitude), sign));
  }

  /** x, negated where bit 1 of the word is set. */
  negateByBit1(x: Value, word: Value): Value {
    const sign = this.left(this.andWord(word, 2n), this.pick(30, 62));
    return this.fromBits(this.b.binary('xor', this.bits(x), sign));
  }

  /** Upper half of the digits; products of two such halves are exact. */
  upperHalf(x: Value): Value {
    return this.fromBits(this.andWord(this.bits(x), this.pick(0xfffff000n, 0xfffffffff8000000n)));
  }

  /**
   * x·factor rounded to an integer, for |x·factor| < 2^21 (f32) or 2^50 (f64): adding 1.5·2^23
   * leaves the integer in the low bits, with no conversion that could trap on NaN.
   */
  nearest(x: Value, factor: number, offset = 0): Whole {
    const anchor = 1.5 * 2 ** this.mantissaBits + offset;
    const sum = this.multiplyAdd(x, factor, anchor);
    const anchorBits = this.pick(0x4b400000n, 0x4338000000000000n) + BigInt(offset);
    const lowBits = this.bits(sum);
    const word = this.subtractWord(lowBits, anchorBits);
    if (this.keepsSums) return { number: this.subtract(sum, anchor), word, lowBits, offset };
    // Shader compilers may cancel the anchor; from the bits they cannot.
    const number = this.b.convert(this.b.bitcast(word, 'i32'), 'f32');
    return { number, word, lowBits: word, offset: 0 };
  }

  /** The same for an exponent: with the bias inside, the low bits are those of 2^k. */
  nearestExponent(x: Value, factor: number): Whole {
    return this.nearest(x, factor, this.b.math.has('keepsSums') ? this.bias : 0);
  }

  /** x·2^k for |k| < 2·bias; two factors, so that denormals and overflow come out right. */
  scale(x: Value, { number, word: k }: Whole): Value {
    if (this.scales) return this.b.binary('scaleByPower', x, number);
    const whole = this.addWord(k, BigInt(2 * this.bias));
    const half = this.right(whole, 1);
    const first = this.fromBits(this.left(half, this.mantissaBits));
    const second = this.fromBits(this.left(this.b.subtract(whole, half), this.mantissaBits));
    return this.multiply(this.multiply(x, first), second);
  }

  /** 2^k for −bias < k ≤ bias. */
  powerOfTwo({ number, lowBits, offset }: Whole): Value {
    if (this.scales) {
      const one = this.b.broadcast(this.value(1), number.type.shape);
      return this.b.binary('scaleByPower', one, number);
    }
    const biased = offset === this.bias ? lowBits : this.addWord(lowBits, BigInt(this.bias));
    return this.fromBits(this.left(biased, this.mantissaBits));
  }
}
