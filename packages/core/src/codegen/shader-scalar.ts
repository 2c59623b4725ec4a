/** Text of scalar operations in WGSL. Operands are names and literals, so they may repeat. */
import { refused } from '../base/errors.js';
import type { ComputeType, Target } from '../base/target.js';
import type { TileBinary, TileCompare, TileReduction, TileUnary } from '../kernel/tile.js';
import { binarySigns, boolSigns } from './gpu-scalar.js';
import { type WideName, wideType } from './shader-wide.js';
import type { Operand } from './thread-program.js';

/** What scalar text needs to know, and the functions that it came to need. */
export interface ShaderContext {
  readonly target: Target;
  readonly helpers: Set<WideName>;
}

/** The type that stands for a compute type; f64 is refused by name. */
export function shaderType(dtype: ComputeType): string {
  if (dtype === 'f64') throw refused(`type ${dtype}`, 'WGSL has no floats of 64 bits');
  return isWideInteger(dtype) ? wideType : dtype;
}

const isWideInteger = (dtype: ComputeType): boolean => dtype === 'i64' || dtype === 'u64';

export const operandText = (operand: Operand): string =>
  operand.kind === 'name' ? operand.name : literalText(operand.dtype, operand.value);

export function literalText(dtype: ComputeType, value: number | bigint): string {
  switch (dtype) {
    case 'bool':
      return value ? 'true' : 'false';
    case 'u32':
      return `${BigInt.asUintN(32, BigInt(value))}u`;
    case 'i32': {
      const number = BigInt.asIntN(32, BigInt(value));
      // The least integer has no literal: its size does not fit the type.
      if (number === -(2n ** 31n)) return '(-2147483647i - 1i)';
      return number < 0n ? `(${number}i)` : `${number}i`;
    }
    case 'i64':
    case 'u64': {
      const bits = BigInt.asUintN(64, BigInt(value));
      return `${wideType}(${bits & 0xffffffffn}u, ${bits >> 32n}u)`;
    }
    case 'f64':
      return shaderType(dtype);
    default:
      return floatText(Math.fround(Number(value)));
  }
}

/** Below this size numbers are denormal, and compilers may read their literals as zero. */
const leastNormal = 2 ** -126;

/** Constants that are not finite are errors in WGSL, so their bits come from variables. */
function floatText(value: number): string {
  if (Number.isNaN(value)) return 'bitcast<f32>(nan_bits)';
  if (value === Number.POSITIVE_INFINITY) return 'bitcast<f32>(infinity_bits)';
  if (value === Number.NEGATIVE_INFINITY) return '(-bitcast<f32>(infinity_bits))';
  const isTiny = Math.abs(value) < leastNormal && value !== 0;
  if (Object.is(value, -0) || isTiny) {
    const [bits] = new Uint32Array(Float32Array.of(value).buffer);
    return `bitcast<f32>(0x${bits?.toString(16)}u)`;
  }
  const digits = String(value);
  const text = `${/[.e]/.test(digits) ? digits : `${digits}.0`}f`;
  return value < 0 ? `(${text})` : text;
}

function call(c: ShaderContext, name: WideName, ...operands: readonly string[]): string {
  c.helpers.add(name);
  return `${name}(${operands.join(', ')})`;
}

/** C semantics; bool → 0 or 1, number → bool is ≠ 0. */
export function convertText(
  c: ShaderContext,
  from: ComputeType,
  to: ComputeType,
  a: string,
): string {
  if (from === to) return a;
  if (isWideInteger(from)) return narrowText(c, from, to, a);
  if (!isWideInteger(to)) return `${shaderType(to)}(${a})`;
  switch (from) {
    case 'f32':
      return call(c, to === 'i64' ? 'f32_to_i64' : 'f32_to_u64', a);
    case 'i32':
      return call(c, 'i32_to_64', a);
    default:
      return `${wideType}(u32(${a}), 0u)`;
  }
}

/** From 64-bit integers to any other type. */
function narrowText(c: ShaderContext, from: ComputeType, to: ComputeType, a: string): string {
  switch (to) {
    case 'f32':
      return call(c, from === 'i64' ? 'i64_to_f32' : 'u64_to_f32', a);
    case 'i32':
      return `bitcast<i32>(${a}.x)`;
    case 'u32':
      return `${a}.x`;
    case 'bool':
      return `any(${a} != ${literalText('u64', 0)})`;
    default:
      shaderType(to);
      return a;
  }
}

export function bitcastText(from: ComputeType, to: ComputeType, a: string): string {
  const [before, after] = [shaderType(from), shaderType(to)];
  return before === after ? a : `bitcast<${after}>(${a})`;
}

/** f32 from the bits of an f16, and back; only where `enable f16` stands. */
export const widenHalfText = (a: string): string => `f32(bitcast<vec2<f16>>(${a}).x)`;
export const narrowHalfText = (a: string): string => `bitcast<u32>(vec2<f16>(f16(${a}), 0.0h))`;

const roundings: Partial<Readonly<Record<TileUnary, string>>> = {
  floor: 'floor',
  ceil: 'ceil',
  truncate: 'trunc',
  roundEven: 'round',
};

function checkMath(name: string, target: Target): void {
  if (target.math.includes(name)) return;
  throw refused(`operation ${name}`, `the language of ${target.id} has no such function`);
}

export function unaryText(
  c: ShaderContext,
  dtype: ComputeType,
  name: TileUnary,
  a: string,
): string {
  const round = roundings[name];
  if (round !== undefined) return dtype === 'f32' ? `${round}(${a})` : a;
  switch (name) {
    case 'negate':
      if (isWideInteger(dtype)) return call(c, 'subtract_64', literalText(dtype, 0), a);
      return dtype === 'u32' ? `(0u - ${a})` : `-(${a})`;
    case 'absolute':
      if (dtype === 'i64') return call(c, 'absolute_64', a);
      return dtype === 'u64' || dtype === 'bool' ? a : `abs(${a})`;
    case 'squareRoot':
      return `sqrt(${a})`;
    case 'not':
      return dtype === 'bool' ? `!${a}` : `~(${a})`;
    default:
      checkMath(name, c.target);
      return `${name}(${a})`;
  }
}

/** By the bits, because a compiler may take it that no number differs from itself. */
const isNanText = (a: string): string => `((bitcast<u32>(${a}) & 0x7fffffffu) > 0x7f800000u)`;

export function binaryText(
  c: ShaderContext,
  dtype: ComputeType,
  name: TileBinary,
  a: string,
  b: string,
): string {
  if (name === 'power') {
    checkMath(name, c.target);
    return `pow(${a}, ${b})`;
  }
  if (dtype === 'bool') {
    const sign = boolSigns[name];
    if (sign === undefined) throw refused(`operation ${name}`, 'it has no meaning for bool');
    return `(${a} ${sign} ${b})`;
  }
  if (dtype === 'i64' || dtype === 'u64') return wideText(c, dtype, name, a, b);
  if (name === 'minimum' || name === 'maximum') {
    const short = name === 'minimum' ? 'min' : 'max';
    if (dtype !== 'f32') return `${short}(${a}, ${b})`;
    // The built-in functions may drop a NaN.
    return `select(${b}, ${a}, ${a} ${name === 'minimum' ? '<' : '>'} ${b} || ${isNanText(a)})`;
  }
  const sign = binarySigns[name] as string;
  const amount =
    name === 'shiftLeft' || name === 'shiftRight' ? convertText(c, dtype, 'u32', b) : b;
  return `(${a} ${sign} ${amount})`;
}

function wideText(
  c: ShaderContext,
  dtype: 'i64' | 'u64',
  name: TileBinary,
  a: string,
  b: string,
): string {
  switch (name) {
    case 'add':
    case 'subtract':
    case 'multiply':
      return call(c, `${name}_64`, a, b);
    case 'divide':
    case 'remainder':
      return call(c, `${name}_${dtype}`, a, b);
    case 'minimum':
      return `select(${b}, ${a}, ${call(c, `less_${dtype}`, a, b)})`;
    case 'maximum':
      return `select(${a}, ${b}, ${call(c, `less_${dtype}`, a, b)})`;
    case 'shiftLeft':
      return call(c, 'shift_left_64', a, `${b}.x`);
    case 'shiftRight':
      return call(c, `shift_right_${dtype}`, a, `${b}.x`);
    default:
      return `(${a} ${binarySigns[name]} ${b})`;
  }
}

const bundleFunctions: Readonly<Record<TileReduction, string>> = {
  add: 'subgroupAdd',
  multiply: 'subgroupMul',
  minimum: 'subgroupMin',
  maximum: 'subgroupMax',
  and: 'subgroupAnd',
  or: 'subgroupOr',
  xor: 'subgroupXor',
};

/** A value combined over the threads that the chip runs together. */
export function bundleText(dtype: ComputeType, name: TileReduction, a: string): string {
  if (dtype === 'bool') return `${name === 'and' ? 'subgroupAll' : 'subgroupAny'}(${a})`;
  const text = `${bundleFunctions[name]}(${a})`;
  const keepsNaN = dtype === 'f32' && (name === 'minimum' || name === 'maximum');
  // The built-in functions may drop a NaN.
  if (!keepsNaN) return text;
  return `select(${text}, ${floatText(Number.NaN)}, subgroupAny(${isNanText(a)}))`;
}

const compareSigns: Readonly<Record<TileCompare, string>> = {
  equal: '==',
  notEqual: '!=',
  less: '<',
  lessEqual: '<=',
};

export function compareText(
  c: ShaderContext,
  dtype: ComputeType,
  name: TileCompare,
  a: string,
  b: string,
): string {
  const isEquality = name === 'equal' || name === 'notEqual';
  if (dtype === 'f32' && a === b && isEquality) {
    return name === 'equal' ? `!${isNanText(a)}` : isNanText(a);
  }
  if (dtype === 'bool' && !isEquality) return `(!${a} ${name === 'less' ? '&&' : '||'} ${b})`;
  if (dtype !== 'i64' && dtype !== 'u64') return `(${a} ${compareSigns[name]} ${b})`;
  switch (name) {
    case 'equal':
      return `all(${a} == ${b})`;
    case 'notEqual':
      return `any(${a} != ${b})`;
    case 'less':
      return call(c, `less_${dtype}`, a, b);
    case 'lessEqual':
      return `!${call(c, `less_${dtype}`, b, a)}`;
  }
}

export function multiplyAddText(
  c: ShaderContext,
  dtype: ComputeType,
  [a, b, sum]: readonly [string, string, string],
): string {
  if (dtype === 'f32') {
    return c.target.fusedMultiplyAdd ? `fma(${a}, ${b}, ${sum})` : `${a} * ${b} + ${sum}`;
  }
  return binaryText(c, dtype, 'add', binaryText(c, dtype, 'multiply', a, b), sum);
}

/** Module-scope lines that literals may name. */
export const shaderPrelude: readonly string[] = [
  'var<private> nan_bits: u32 = 0x7fc00000u;',
  'var<private> infinity_bits: u32 = 0x7f800000u;',
  'fn floor_divide(a: i32, b: i32) -> i32 { return a / b - select(0, 1, a % b < 0); }',
  'fn floor_modulo(a: i32, b: i32) -> i32 { let r = a % b; return select(r, r + b, r < 0); }',
];
