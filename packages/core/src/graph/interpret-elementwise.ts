/** Elementwise primitives: what each computes on floats, on integers, and on 64-bit integers. */
import { dtypeFacts, isFloat, isWide } from '../base/dtype.js';
import { failure, internal } from '../base/errors.js';
import { roundHalfEven } from '../base/float-format.js';
import { erf } from './interpret-erf.js';
import {
  allocate,
  larger,
  numbersOf,
  rounding,
  smaller,
  type Value,
  widesOf,
} from './interpret-value.js';
import type { BinaryName, UnaryName } from './node.js';

type Unary = (x: number) => number;
type WideUnary = (x: bigint) => bigint;
type Binary = (a: number, b: number) => number;
type IntegerBinary = (a: number, b: number, bits: number) => number;
type WideBinary = (a: bigint, b: bigint) => bigint | boolean;

const same = <T>(x: T): T => x;

const floatUnary: Readonly<Record<UnaryName, Unary>> = {
  negate: (x) => -x,
  absolute: Math.abs,
  sign: Math.sign,
  floor: Math.floor,
  ceil: Math.ceil,
  round: roundHalfEven,
  truncate: Math.trunc,
  squareRoot: Math.sqrt,
  exp: Math.exp,
  log: Math.log,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
  erf,
  not: (x) => (x === 0 ? 1 : 0),
  isNaN: (x) => (Number.isNaN(x) ? 1 : 0),
};

const integerUnary: Readonly<Partial<Record<UnaryName, Unary>>> = {
  negate: (x) => -x,
  absolute: Math.abs,
  sign: Math.sign,
  floor: same,
  ceil: same,
  round: same,
  truncate: same,
  not: (x) => ~x,
  isNaN: () => 0,
};

const wideUnary: Readonly<Partial<Record<UnaryName, WideUnary>>> = {
  negate: (x) => -x,
  absolute: (x) => (x < 0n ? -x : x),
  sign: (x) => (x > 0n ? 1n : x < 0n ? -1n : 0n),
  floor: same,
  ceil: same,
  round: same,
  truncate: same,
  not: (x) => ~x,
};

/** IEEE 754-2019 pow: unlike JavaScript, 1 to any power and −1 to ±∞ are 1. */
function power(base: number, exponent: number): number {
  if (base === 1 || (base === -1 && Math.abs(exponent) === Number.POSITIVE_INFINITY)) return 1;
  return base ** exponent;
}

const floatBinary: Readonly<Record<BinaryName, Binary>> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  remainder: (a, b) => a % b,
  power,
  minimum: (a, b) => Math.min(a, b),
  maximum: (a, b) => Math.max(a, b),
  and: (a, b) => (a !== 0 && b !== 0 ? 1 : 0),
  or: (a, b) => (a !== 0 || b !== 0 ? 1 : 0),
  xor: (a, b) => ((a !== 0) !== (b !== 0) ? 1 : 0),
  shiftLeft: () => {
    throw internal('shift of floats');
  },
  shiftRight: () => {
    throw internal('shift of floats');
  },
  equal: (a, b) => (a === b ? 1 : 0),
  less: (a, b) => (a < b ? 1 : 0),
  lessEqual: (a, b) => (a <= b ? 1 : 0),
};

const divisionByZero = (op: string): Error => failure('OC-RUN-01', { op });

/** Wrapping power; a negative exponent gives the truncated reciprocal (0 for base 0). */
function integerPower(base: number, exponent: number): number {
  if (exponent < 0) return base === 1 ? 1 : base === -1 ? (exponent % 2 === 0 ? 1 : -1) : 0;
  let result = 1;
  let square = base;
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = Math.imul(result, square);
    square = Math.imul(square, square);
  }
  return result;
}

function widePower(base: bigint, exponent: bigint): bigint {
  if (exponent < 0n)
    return base === 1n ? 1n : base === -1n ? (exponent % 2n === 0n ? 1n : -1n) : 0n;
  let result = 1n;
  let square = base;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = BigInt.asUintN(64, result * square);
    square = BigInt.asUintN(64, square * square);
  }
  return result;
}

const integerBinary: Readonly<Record<BinaryName, IntegerBinary>> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: Math.imul,
  divide: (a, b) => {
    if (b === 0) throw divisionByZero('divide');
    return Math.trunc(a / b);
  },
  remainder: (a, b) => {
    if (b === 0) throw divisionByZero('remainder');
    return a % b;
  },
  power: integerPower,
  minimum: (a, b) => Math.min(a, b),
  maximum: (a, b) => Math.max(a, b),
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shiftLeft: (a, b, bits) => a << (b & (bits - 1)),
  shiftRight: (a, b, bits) => (a < 0 ? a >> (b & (bits - 1)) : a >>> (b & (bits - 1))),
  equal: (a, b) => (a === b ? 1 : 0),
  less: (a, b) => (a < b ? 1 : 0),
  lessEqual: (a, b) => (a <= b ? 1 : 0),
};

const wideBinary: Readonly<Record<BinaryName, WideBinary>> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => {
    if (b === 0n) throw divisionByZero('divide');
    return a / b;
  },
  remainder: (a, b) => {
    if (b === 0n) throw divisionByZero('remainder');
    return a % b;
  },
  power: widePower,
  minimum: smaller,
  maximum: larger,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shiftLeft: (a, b) => a << (b & 63n),
  shiftRight: (a, b) => a >> (b & 63n),
  equal: (a, b) => a === b,
  less: (a, b) => a < b,
  lessEqual: (a, b) => a <= b,
};

function wideUnaryValue(op: UnaryName, x: Value, out: Value): Value {
  const compute = wideUnary[op];
  if (compute === undefined) throw internal(`${op} of ${x.dtype}`);
  const from = widesOf(x);
  const to = widesOf(out);
  for (let i = 0; i < to.length; i++) to[i] = compute(from[i]!);
  return out;
}

/** One unary primitive over all elements; the result has the given dtype. */
export function unaryValue(op: UnaryName, x: Value, dtype: Value['dtype']): Value {
  const out = allocate(dtype, x.shape);
  if (isWide(dtype)) return wideUnaryValue(op, x, out);
  const logical = isFloat(x.dtype) || x.dtype === 'bool';
  const compute = logical ? floatUnary[op] : integerUnary[op];
  if (compute === undefined) throw internal(`${op} of ${x.dtype}`);
  if (isWide(x.dtype)) return out;
  const round = rounding(dtype);
  const from = numbersOf(x);
  const to = numbersOf(out);
  for (let i = 0; i < to.length; i++) to[i] = round(compute(from[i]!));
  return out;
}

function wideBinaryValue(op: BinaryName, a: Value, b: Value, out: Value): Value {
  const compute = wideBinary[op];
  const [left, right] = [widesOf(a), widesOf(b)];
  const to = out.data as { [i: number]: number | bigint };
  for (let i = 0; i < left.length; i++) {
    const result = compute(left[i]!, right[i]!);
    to[i] = typeof result === 'boolean' ? Number(result) : result;
  }
  return out;
}

function stringEqual(a: Value, b: Value, out: Value): Value {
  const to = numbersOf(out);
  for (let i = 0; i < to.length; i++) to[i] = a.data[i] === b.data[i] ? 1 : 0;
  return out;
}

/** One binary primitive over operands of equal shape and dtype. */
export function binaryValue(op: BinaryName, a: Value, b: Value, dtype: Value['dtype']): Value {
  const out = allocate(dtype, a.shape);
  if (a.dtype === 'string') {
    if (op !== 'equal') throw internal(`${op} of strings`);
    return stringEqual(a, b, out);
  }
  if (isWide(a.dtype)) return wideBinaryValue(op, a, b, out);
  const { bits } = dtypeFacts[a.dtype];
  const logical = isFloat(a.dtype) || a.dtype === 'bool';
  const compute: IntegerBinary = logical ? floatBinary[op] : integerBinary[op];
  const round = rounding(dtype);
  const [left, right] = [numbersOf(a), numbersOf(b)];
  const to = numbersOf(out);
  for (let i = 0; i < to.length; i++) to[i] = round(compute(left[i]!, right[i]!, bits));
  return out;
}

/** condition ? a : b, element by element, for every dtype. */
export function selectValue(condition: Value, a: Value, b: Value): Value {
  const out = allocate(a.dtype, condition.shape);
  const chosen = numbersOf(condition);
  const to = out.data as { [i: number]: unknown };
  for (let i = 0; i < chosen.length; i++) to[i] = chosen[i] !== 0 ? a.data[i] : b.data[i];
  return out;
}
