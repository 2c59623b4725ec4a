/**
 * Elementwise graph operations on tile values, dtype by dtype: what a value of a dtype is inside a
 * kernel, and how every operation keeps it one.
 *
 * Floats below 32 bits are f32 values that are rounded after each operation; integers below 32
 * bits are i32 or u32 values that are wrapped; bool is bool.
 */
import {
  type DType,
  dtypeFacts,
  type FloatType,
  type IntegerType,
  integerRange,
  isFloat,
  isInteger,
  isSigned,
  isUnsigned,
  isWide,
} from '../base/dtype.js';
import { internal, refused } from '../base/errors.js';
import type { HostValue } from '../base/host-tensor.js';
import type { ComputeType, MemoryType, Target } from '../base/target.js';
import type { BinaryName, UnaryName } from '../graph/node.js';
import type { KernelBuilder, Value } from './builder.js';
import { narrowSmall, widenSmall } from './convert.js';
import { divideFloats } from './divide.js';
import { expandMath, expandPower, expandRemainder } from './math.js';
import type { MathName, TileBinary, TileUnary } from './tile.js';

/** Called with lanes that an operation refuses. */
export type Failing = (when: Value) => void;

const isSmallFloat = (dtype: DType): dtype is FloatType =>
  isFloat(dtype) && dtype !== 'f32' && dtype !== 'f64';

/** The type that values of a dtype have inside kernels. */
export function computeType(dtype: DType): ComputeType {
  if (dtype === 'string') throw refused('dtype string', 'strings stay on the host');
  if (dtype === 'bool' || dtype === 'f64' || isWide(dtype)) return dtype as ComputeType;
  if (isFloat(dtype)) return 'f32';
  return isSigned(dtype) ? 'i32' : 'u32';
}

/** The type that elements of a dtype have in memory. */
export function memoryType(dtype: DType): MemoryType {
  const { storage } = dtypeFacts[dtype];
  if (storage === 'string') throw refused('dtype string', 'strings stay on the host');
  return storage;
}

/** Type of a raw load: the memory element widened to 32 bits. */
export function rawType(dtype: DType): ComputeType {
  const memory = memoryType(dtype);
  if (memory === 'u8' || memory === 'u16') return 'u32';
  return memory === 'i8' || memory === 'i16' ? 'i32' : memory;
}

/** The value of a loaded raw element. */
export function fromMemory(b: KernelBuilder, dtype: DType, raw: Value): Value {
  if (dtype === 'bool') return b.notEqual(raw, b.literal('u32', 0));
  return isSmallFloat(dtype) ? widenSmall(b, dtype, raw) : raw;
}

/** The raw element to be stored for a value, which the dtype already holds exactly. */
export function toMemory(b: KernelBuilder, dtype: DType, value: Value): Value {
  if (dtype === 'bool') return b.convert(value, 'u32');
  return isSmallFloat(dtype) ? narrowSmall(b, dtype, value, false) : value;
}

/** A uniform value of a dtype. */
export function literalOf(b: KernelBuilder, dtype: DType, value: HostValue): Value {
  return b.literal(computeType(dtype), value as number | bigint);
}

/** Makes the result of f32 or 32-bit arithmetic a value of the dtype again. */
export function settle(b: KernelBuilder, dtype: DType, value: Value, saturate = false): Value {
  if (isSmallFloat(dtype)) return widenSmall(b, dtype, narrowSmall(b, dtype, value, saturate));
  const { bits } = dtypeFacts[dtype];
  if (!isInteger(dtype) || bits >= 32) return value;
  if (isUnsigned(dtype)) return b.and(value, b.literal('u32', 2 ** bits - 1));
  const by = b.literal('i32', 32 - bits);
  return b.binary('shiftRight', b.binary('shiftLeft', value, by), by);
}

const plainUnary: Readonly<Partial<Record<UnaryName, TileUnary>>> = {
  negate: 'negate',
  absolute: 'absolute',
  floor: 'floor',
  ceil: 'ceil',
  round: 'roundEven',
  truncate: 'truncate',
  squareRoot: 'squareRoot',
  not: 'not',
};
const rounding = new Set<UnaryName>(['floor', 'ceil', 'round', 'truncate']);

/**
 * Operations whose result is a value of the dtype wherever the operands are: nothing to round.
 * Formats without a negative zero must meet it again, so they are left out.
 */
const exactNames: ReadonlySet<string> = new Set(
  'negate absolute floor ceil round truncate minimum maximum'.split(' '),
);
const staysExact = (dtype: DType, name: string): boolean =>
  isFloat(dtype) &&
  exactNames.has(name) &&
  // One of two values of a format is one: a reduction's infinity must live beside them.
  (dtypeFacts[dtype].float?.special === 'ieee' || name === 'minimum' || name === 'maximum');

/** Shape as x. */
export function lowerUnary(
  b: KernelBuilder,
  target: Target,
  name: UnaryName,
  dtype: DType,
  x: Value,
): Value {
  const type = computeType(dtype);
  if (name === 'isNaN') return isFloat(dtype) ? b.notEqual(x, x) : b.notEqual(x, x);
  if (name === 'sign') return lowerSign(b, dtype, x);
  const integer = isInteger(dtype);
  if (integer && rounding.has(name)) return x;
  if (name === 'absolute' && isUnsigned(dtype)) return x;
  if (name === 'negate' && isUnsigned(dtype)) {
    return settle(b, dtype, b.subtract(b.literal(type, 0), x));
  }
  const plain = plainUnary[name];
  if (plain !== undefined) {
    const value = b.unary(plain, x);
    return staysExact(dtype, name) ? value : settle(b, dtype, value);
  }
  if (target.math.includes(name)) return settle(b, dtype, b.unary(name as MathName, x));
  return settle(b, dtype, expandMath(b, target, name as MathName, x));
}

function lowerSign(b: KernelBuilder, dtype: DType, x: Value): Value {
  const type = computeType(dtype);
  const [zero, one] = [b.literal(type, 0), b.literal(type, 1)];
  const above = b.select(b.less(zero, x), one, x);
  if (isUnsigned(dtype)) return b.select(b.less(zero, x), one, zero);
  // NaN and ±0 are neither below nor above and stay what they are.
  return b.select(b.less(x, zero), b.literal(type, -1), above);
}

const plainBinary: Readonly<Partial<Record<BinaryName, TileBinary>>> = {
  add: 'add',
  subtract: 'subtract',
  multiply: 'multiply',
  minimum: 'minimum',
  maximum: 'maximum',
  and: 'and',
  or: 'or',
  xor: 'xor',
};

/** Both operands are values of `dtype`; comparisons give bool. */
export function lowerBinary(
  b: KernelBuilder,
  target: Target,
  name: BinaryName,
  dtype: DType,
  x: Value,
  y: Value,
  failing: Failing,
): Value {
  if (name === 'equal' || name === 'less' || name === 'lessEqual') {
    return dtype === 'bool' ? compareBool(b, name, x, y) : b.compare(name, x, y);
  }
  if (dtype === 'bool') return lowerBool(b, name, x, y);
  const plain = plainBinary[name];
  if (plain !== undefined) {
    const value = b.binary(plain, x, y);
    return staysExact(dtype, name) ? value : settle(b, dtype, value);
  }
  if (name === 'divide') {
    if (isFloat(dtype)) return settle(b, dtype, divideFloats(b, x, y));
    return settle(b, dtype, divideIntegers(b, dtype, x, y, failing));
  }
  if (name === 'remainder') {
    if (isFloat(dtype)) return settle(b, dtype, expandRemainder(b, target, x, y));
    return remainderIntegers(b, dtype, x, y, failing);
  }
  if (name === 'power') return settle(b, dtype, expandPower(b, target, dtype, x, y));
  if (name === 'shiftLeft' || name === 'shiftRight') return shift(b, name, dtype, x, y);
  throw internal(`no lowering of ${name} for ${dtype}`);
}

function compareBool(b: KernelBuilder, name: 'equal' | 'less' | 'lessEqual', x: Value, y: Value) {
  if (name === 'equal') return b.not(b.binary('xor', x, y));
  return name === 'less' ? b.and(b.not(x), y) : b.or(b.not(x), y);
}

function lowerBool(b: KernelBuilder, name: BinaryName, x: Value, y: Value): Value {
  if (name === 'and' || name === 'minimum' || name === 'multiply') return b.and(x, y);
  if (name === 'or' || name === 'maximum' || name === 'add') return b.or(x, y);
  if (name === 'xor') return b.binary('xor', x, y);
  throw refused(`${name} of bool`, 'it has no meaning for truth values');
}

/** Amounts count modulo the bit width. */
function shift(
  b: KernelBuilder,
  name: 'shiftLeft' | 'shiftRight',
  dtype: DType,
  x: Value,
  y: Value,
): Value {
  const amount = b.and(y, b.literal(computeType(dtype), dtypeFacts[dtype].bits - 1));
  return settle(b, dtype, b.binary(name, x, amount));
}

/** A divisor that hardware accepts, with zero reported. */
function safeDivisor(b: KernelBuilder, type: ComputeType, y: Value, failing: Failing): Value {
  const zero = b.equal(y, b.literal(type, 0));
  failing(zero);
  return b.select(zero, b.literal(type, 1), y);
}

function divideIntegers(
  b: KernelBuilder,
  dtype: DType,
  x: Value,
  y: Value,
  failing: Failing,
): Value {
  const type = computeType(dtype);
  const divisor = safeDivisor(b, type, y, failing);
  if (isUnsigned(dtype)) return b.divide(x, divisor);
  // The least value divided by −1 overflows; the negation wraps as it should.
  const minusOne = b.equal(divisor, b.literal(type, -1));
  const plain = b.divide(x, b.select(minusOne, b.literal(type, 1), divisor));
  return b.select(minusOne, b.unary('negate', x), plain);
}

function remainderIntegers(
  b: KernelBuilder,
  dtype: DType,
  x: Value,
  y: Value,
  failing: Failing,
): Value {
  const type = computeType(dtype);
  const divisor = safeDivisor(b, type, y, failing);
  if (isUnsigned(dtype)) return b.binary('remainder', x, divisor);
  const minusOne = b.equal(divisor, b.literal(type, -1));
  const one = b.literal(type, 1);
  return b.binary('remainder', x, b.select(minusOne, one, divisor));
}

/** Value of another dtype; see the attributes of `cast`. */
export function lowerCast(
  b: KernelBuilder,
  _target: Target,
  from: DType,
  to: DType,
  saturate: boolean,
  x: Value,
): Value {
  if (from === to) return x;
  const type = computeType(to);
  if (to === 'bool') return b.notEqual(x, b.literal(computeType(from), 0));
  if (isFloat(to)) return castToFloat(b, from, to, saturate, x);
  if (isFloat(from)) return floatToInteger(b, from, to as IntegerType, saturate, x);
  if (saturate && from !== 'bool') return saturateInteger(b, from as IntegerType, to, x);
  return settle(b, to, b.convert(x, type));
}

function castToFloat(
  b: KernelBuilder,
  from: DType,
  to: FloatType,
  saturate: boolean,
  x: Value,
): Value {
  if (to === 'f64') return b.convert(x, 'f64');
  if (isSmallFloat(to) && from === 'f64') return settle(b, to, roundToOdd(b, x), saturate);
  const isLong = isWide(from) || from === 'i32' || from === 'u32';
  if (isSmallFloat(to) && isLong) {
    return settle(b, to, b.convert(integerToOdd(b, x), 'f32'), saturate);
  }
  return settle(b, to, b.convert(x, 'f32'), saturate);
}

/**
 * f64 → f32 rounded to odd, so that a second rounding to a smaller float is right (Boldo and
 * Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
 */
function roundToOdd(b: KernelBuilder, x: Value): Value {
  const near = b.convert(x, 'f32');
  const back = b.convert(near, 'f64');
  const bits = b.bitcast(near, 'u32');
  const magnitude = (v: Value): Value => b.unary('absolute', v);
  const over = b.less(magnitude(x), magnitude(back));
  const truncated = b.select(over, b.subtract(bits, b.literal('u32', 1)), bits);
  const inexact = b.and(b.notEqual(x, back), b.equal(x, x));
  const odd = b.select(inexact, b.or(truncated, b.literal('u32', 1)), bits);
  return b.bitcast(odd, 'f32');
}

/**
 * An integer that f32 holds exactly and that smaller floats round as they would round `x`: below
 * its first 13 bits or more, which no smaller float exceeds, the bits are gone, and the last that
 * is kept is set where any of them was. In two's complement, too, this is rounding to odd.
 */
function integerToOdd(b: KernelBuilder, x: Value): Value {
  const type = x.type.dtype as 'i32' | 'u32' | 'i64' | 'u64';
  const bits = type === 'i64' || type === 'u64' ? 64n : 32n;
  const counts = bits === 64n ? [40n, 30n, 19n, 8n] : [8n];
  const literal = (value: bigint): Value => b.literal(type, bits === 64n ? value : Number(value));
  return counts.reduce((value, count) => {
    const low = b.and(value, literal(2n ** count - 1n));
    const kept = b.subtract(value, low);
    const odd = b.select(b.equal(low, literal(0n)), kept, b.or(kept, literal(2n ** count)));
    const size = b.unary('absolute', value);
    return b.select(b.lessEqual(literal(2n ** (count + 13n)), size), odd, value);
  }, x);
}

/** Truncates; out of range wraps, or clamps when `saturate`; NaN gives 0. */
function floatToInteger(
  b: KernelBuilder,
  from: FloatType,
  to: IntegerType,
  saturate: boolean,
  x: Value,
): Value {
  const source = computeType(from);
  if (saturate) {
    const number = b.select(b.equal(x, x), x, b.literal(source, 0));
    return clampToInteger(b, source, to, b.unary('truncate', number));
  }
  const finite = b.less(b.unary('absolute', x), b.literal(source, Number.POSITIVE_INFINITY));
  const whole = b.unary('truncate', b.select(finite, x, b.literal(source, 0)));
  const word = isWide(to) ? 'i64' : 'i32';
  const range = isWide(to) ? 2 ** 64 : 2 ** 32;
  // The remainder to the nearest multiple of the range is exact, and of the word's sign.
  const multiple = b.unary('roundEven', b.multiply(whole, b.literal(source, 1 / range)));
  const rest = b.subtract(whole, b.multiply(multiple, b.literal(source, range)));
  const top = b.lessEqual(b.literal(source, range / 2), rest);
  const low = b.select(top, b.literal(source, -range / 2), rest);
  return settle(b, to, b.convert(b.convert(low, word), computeType(to)));
}

function clampToInteger(
  b: KernelBuilder,
  source: ComputeType,
  to: IntegerType,
  whole: Value,
): Value {
  const type = computeType(to);
  const [low, high] = integerRange(to);
  // First float at or above 2^bits: everything from there on is out of range.
  const above = b.lessEqual(b.literal(source, Number(high + 1n)), whole);
  const below = b.less(whole, b.literal(source, Number(low)));
  const inside = b.select(b.or(above, below), b.literal(source, 0), whole);
  const limited = b.select(below, b.literal(type, low), b.convert(inside, type));
  return b.select(above, b.literal(type, high), limited);
}

function saturateInteger(b: KernelBuilder, from: IntegerType, to: DType, x: Value): Value {
  const [fromLow, fromHigh] = integerRange(from);
  const [low, high] = integerRange(to as IntegerType);
  const type = computeType(from);
  let value = x;
  if (low > fromLow) value = b.binary('maximum', value, b.literal(type, low));
  if (high < fromHigh) value = b.binary('minimum', value, b.literal(type, high));
  return settle(b, to, b.convert(value, computeType(to)));
}

/** The same bits as another dtype of the same width. */
export function lowerBitcast(
  b: KernelBuilder,
  _target: Target,
  from: DType,
  to: DType,
  x: Value,
): Value {
  const raw = toMemory(b, from, x);
  const wanted = rawType(to);
  const { bits } = dtypeFacts[to];
  if (bits >= 32) return b.bitcast(raw, wanted);
  const word = b.and(b.bitcast(raw, 'u32'), b.literal('u32', 2 ** bits - 1));
  if (!isSigned(to)) return fromMemory(b, to, word);
  return settle(b, to, b.bitcast(word, 'i32'));
}

/** Elements of a sub-byte dtype in one byte. */
export const perByte = (dtype: DType): number => 8 / dtypeFacts[dtype].bits;

/** Element `which` (index type) of a byte (u32), low bits first. */
export function lowerUnpack(b: KernelBuilder, dtype: DType, byte: Value, which: Value): Value {
  const { bits, float } = dtypeFacts[dtype];
  const amount = b.multiply(b.convert(which, 'u32'), b.literal('u32', bits));
  const shifted = b.binary('shiftRight', byte, amount);
  const code = b.and(shifted, b.literal('u32', 2 ** bits - 1));
  if (float !== undefined) return widenSmall(b, dtype as FloatType, code);
  if (isUnsigned(dtype)) return code;
  return settle(b, dtype, b.convert(code, 'i32'));
}
