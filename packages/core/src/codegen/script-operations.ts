/**
 * JavaScript text of scalar operations. f32 and f64 are numbers (f32 rounded after every step),
 * i32 and u32 numbers in range, i64 and u64 bigints in range, bool true or false.
 */
import { refused } from '../base/errors.js';
import type { ComputeType, MemoryType, Target } from '../base/target.js';
import type { TileBinary, TileCompare, TileReduction, TileUnary } from '../kernel/tile.js';

const isFloat = (dtype: ComputeType): boolean => dtype === 'f32' || dtype === 'f64';
const isWide = (dtype: ComputeType): boolean => dtype === 'i64' || dtype === 'u64';

/** Brings the exact result of an operation back into the range of its type. */
export function wrap(dtype: ComputeType, text: string): string {
  switch (dtype) {
    case 'f32':
      return `Math.fround(${text})`;
    case 'i32':
      return `((${text}) | 0)`;
    case 'u32':
      return `((${text}) >>> 0)`;
    case 'i64':
      return `BigInt.asIntN(64, ${text})`;
    case 'u64':
      return `BigInt.asUintN(64, ${text})`;
    default:
      return `(${text})`;
  }
}

/** A literal of a type; numbers that JavaScript cannot write plainly are spelled as it does. */
export function literalText(dtype: ComputeType, value: number | bigint): string {
  if (dtype === 'bool') return value ? 'true' : 'false';
  if (isWide(dtype)) return bracket(`${BigInt(value)}n`);
  const number = dtype === 'f32' ? Math.fround(Number(value)) : Number(value);
  if (Object.is(number, -0)) return '(-0)';
  if (number === Number.POSITIVE_INFINITY) return 'Infinity';
  return bracket(String(number));
}

const bracket = (text: string): string => (text.startsWith('-') ? `(${text})` : text);

const mathFunctions: ReadonlySet<string> = new Set(
  'exp log sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh'.split(' '),
);

/** Whether the printer may say a function of target.math; the kernel room expands the others. */
function checkMath(name: string, target: Target): void {
  const known = mathFunctions.has(name) || name === 'power';
  if (known && target.math.includes(name)) return;
  throw refused(`operation ${name}`, `the language of ${target.id} has no such function`);
}

export function unaryText(dtype: ComputeType, name: TileUnary, a: string, target: Target): string {
  switch (name) {
    case 'negate':
      return wrap(dtype, `-${a}`);
    case 'absolute':
      if (!isWide(dtype)) return wrap(dtype, `Math.abs(${a})`);
      return wrap(dtype, `(${a} < 0n ? -${a} : ${a})`);
    case 'floor':
      return isFloat(dtype) ? `Math.floor(${a})` : a;
    case 'ceil':
      return isFloat(dtype) ? `Math.ceil(${a})` : a;
    case 'truncate':
      return isFloat(dtype) ? `Math.trunc(${a})` : a;
    case 'roundEven':
      return isFloat(dtype) ? `roundEven(${a})` : a;
    case 'squareRoot':
      return wrap(dtype, `Math.sqrt(${a})`);
    case 'not':
      return dtype === 'bool' ? `!${a}` : wrap(dtype, `~${a}`);
    default:
      checkMath(name, target);
      return wrap(dtype, `Math.${name}(${a})`);
  }
}

const signs: Partial<Readonly<Record<TileBinary, string>>> = {
  add: '+',
  subtract: '-',
  multiply: '*',
  divide: '/',
  remainder: '%',
  and: '&',
  or: '|',
  xor: '^',
  shiftLeft: '<<',
  shiftRight: '>>',
};

const boolSigns: Partial<Readonly<Record<TileBinary, string>>> = {
  and: '&&',
  minimum: '&&',
  multiply: '&&',
  or: '||',
  maximum: '||',
  xor: '!==',
};

export function binaryText(
  dtype: ComputeType,
  name: TileBinary | TileReduction,
  a: string,
  b: string,
  target: Target,
): string {
  if (name === 'power') {
    checkMath(name, target);
    return wrap(dtype, `Math.pow(${a}, ${b})`);
  }
  if (dtype === 'bool') {
    const sign = boolSigns[name];
    if (sign === undefined) throw refused(`operation ${name}`, 'it has no meaning for bool');
    return `(${a} ${sign} ${b})`;
  }
  if (name === 'minimum' || name === 'maximum') {
    if (isWide(dtype)) return `${name === 'minimum' ? 'least' : 'greatest'}(${a}, ${b})`;
    return `Math.${name === 'minimum' ? 'min' : 'max'}(${a}, ${b})`;
  }
  // The product of two 32-bit integers does not fit a number exactly.
  if (name === 'multiply' && (dtype === 'i32' || dtype === 'u32')) {
    return wrap(dtype, `Math.imul(${a}, ${b})`);
  }
  const sign = name === 'shiftRight' && dtype === 'u32' ? '>>>' : signs[name];
  return wrap(dtype, `${a} ${sign} ${b}`);
}

const compareSigns: Readonly<Record<TileCompare, string>> = {
  equal: '===',
  notEqual: '!==',
  less: '<',
  lessEqual: '<=',
};

export const compareText = (name: TileCompare, a: string, b: string): string =>
  `(${a} ${compareSigns[name]} ${b})`;

const zero = (dtype: ComputeType): string => (isWide(dtype) ? '0n' : '0');

/** C semantics, except that floats out of range give some integer and never throw. */
export function convertText(from: ComputeType, to: ComputeType, a: string): string {
  if (from === to) return a;
  if (to === 'bool') return `(${a} !== ${zero(from)})`;
  if (from === 'bool') return `(${a} ? 1${isWide(to) ? 'n' : ''} : 0${isWide(to) ? 'n' : ''})`;
  if (isFloat(from)) return fromFloat(to, a);
  if (isFloat(to)) return isWide(from) ? fromWide(to, a) : wrap(to, a);
  if (isWide(from)) {
    if (isWide(to)) return wrap(to, a);
    return `Number(BigInt.as${to === 'i32' ? 'Int' : 'Uint'}N(32, ${a}))`;
  }
  return wrap(to, isWide(to) ? `BigInt(${a})` : a);
}

function fromFloat(to: ComputeType, a: string): string {
  if (isFloat(to)) return wrap(to, a);
  return isWide(to) ? wrap(to, `wholePart(${a})`) : wrap(to, a);
}

const fromWide = (to: ComputeType, a: string): string =>
  to === 'f64' ? `Number(${a})` : `roundWide(${a})`;

const viewOf: Partial<Readonly<Record<ComputeType, string>>> = {
  f32: 'bitsF32',
  i32: 'bitsI32',
  u32: 'bitsU32',
  f64: 'bitsF64',
  i64: 'bitsI64',
  u64: 'bitsU64',
};

/** The same bits as another type of equal width. */
export function bitcastText(from: ComputeType, to: ComputeType, a: string): string {
  if (from === to) return a;
  if (!isFloat(from) && !isFloat(to)) return wrap(to, a);
  return `(${viewOf[from]}[0] = ${a}, ${viewOf[to]}[0])`;
}

/** Element type of the typed array that a memory type is seen through. */
export const arrayClass: Readonly<Record<MemoryType, string>> = {
  f32: 'Float32Array',
  f64: 'Float64Array',
  i8: 'Int8Array',
  i16: 'Int16Array',
  i32: 'Int32Array',
  i64: 'BigInt64Array',
  u8: 'Uint8Array',
  u16: 'Uint16Array',
  u32: 'Uint32Array',
  u64: 'BigUint64Array',
};

/** The compute type that an element of memory widens to. */
export function widened(memory: MemoryType): ComputeType {
  if (memory === 'i8' || memory === 'i16') return 'i32';
  if (memory === 'u8' || memory === 'u16') return 'u32';
  return memory;
}

/** Functions and arrays that the printed operations call. */
export const prelude = `'use strict';
const bits = new ArrayBuffer(8);
const bitsF32 = new Float32Array(bits), bitsI32 = new Int32Array(bits);
const bitsU32 = new Uint32Array(bits), bitsF64 = new Float64Array(bits);
const bitsI64 = new BigInt64Array(bits), bitsU64 = new BigUint64Array(bits);
const roundEven = (x) => Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x);
const wholePart = (x) => Number.isFinite(x) ? BigInt(Math.trunc(x)) : 0n;
const roundWide = (x) => {
  const size = x < 0n ? -x : x;
  const low = size & 0xffffffn;
  // Low bits are kept as one sticky bit, so that rounding happens once.
  const kept = size < 0x20000000000000n ? size : (size - low) | (low === 0n ? 0n : 0x800n);
  return Math.fround(x < 0n ? -Number(kept) : Number(kept));
};
const least = (a, b) => a < b ? a : b;
const greatest = (a, b) => a > b ? a : b;
const at = (i, n, name) => {
  if (i >= 0 && i < n) return i;
  throw new RangeError('element ' + i + ' of ' + name + ', which has ' + n);
};
`;
