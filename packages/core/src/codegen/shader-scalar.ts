/** Text of scalar operations in WGSL. Operands are names and literals, so they may repeat. */
import { refused } from '../base/errors.js';
import type { ComputeType, Target } from '../base/target.js';
import type { TileBinary, TileCompare, TileUnary } from '../kernel/tile.js';
import { binarySigns, boolSigns } from './gpu-scalar.js';
import type { Operand } from './thread-program.js';

/** Types that WGSL has; the others are refused by name. */
export type ShaderType = 'f32' | 'i32' | 'u32' | 'bool';

export function shaderType(dtype: ComputeType): ShaderType {
  if (dtype === 'f32' || dtype === 'i32' || dtype === 'u32' || dtype === 'bool') return dtype;
  throw refused(`type ${dtype}`, 'WGSL has no 64-bit types');
}

export const operandText = (operand: Operand): string =>
  operand.kind === 'name' ? operand.name : literalText(operand.dtype, operand.value);

export function literalText(dtype: ComputeType, value: number | bigint): string {
  switch (shaderType(dtype)) {
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
    default:
      return floatText(Math.fround(Number(value)));
  }
}

/** Constants that are not finite are errors in WGSL, so their bits come from variables. */
function floatText(value: number): string {
  if (Number.isNaN(value)) return 'bitcast<f32>(nan_bits)';
  if (value === Number.POSITIVE_INFINITY) return 'bitcast<f32>(infinity_bits)';
  if (value === Number.NEGATIVE_INFINITY) return '(-bitcast<f32>(infinity_bits))';
  if (Object.is(value, -0)) return 'bitcast<f32>(0x80000000u)';
  const digits = String(value);
  const text = `${/[.e]/.test(digits) ? digits : `${digits}.0`}f`;
  return value < 0 ? `(${text})` : text;
}

/** C semantics; bool → 0 or 1, number → bool is ≠ 0. */
export function convertText(from: ComputeType, to: ComputeType, a: string): string {
  return from === to ? a : `${shaderType(to)}(${a})`;
}

export const bitcastText = (from: ComputeType, to: ComputeType, a: string): string =>
  from === to ? a : `bitcast<${shaderType(to)}>(${a})`;

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

export function unaryText(dtype: ComputeType, name: TileUnary, a: string, target: Target): string {
  const round = roundings[name];
  if (round !== undefined) return dtype === 'f32' ? `${round}(${a})` : a;
  switch (name) {
    case 'negate':
      return dtype === 'u32' ? `(0u - ${a})` : `-(${a})`;
    case 'absolute':
      return `abs(${a})`;
    case 'squareRoot':
      return `sqrt(${a})`;
    case 'not':
      return dtype === 'bool' ? `!${a}` : `~(${a})`;
    default:
      checkMath(name, target);
      return `${name}(${a})`;
  }
}

export function binaryText(
  dtype: ComputeType,
  name: TileBinary,
  a: string,
  b: string,
  target: Target,
): string {
  if (name === 'power') {
    checkMath(name, target);
    return `pow(${a}, ${b})`;
  }
  if (dtype === 'bool') {
    const sign = boolSigns[name];
    if (sign === undefined) throw refused(`operation ${name}`, 'it has no meaning for bool');
    return `(${a} ${sign} ${b})`;
  }
  if (name === 'minimum' || name === 'maximum') {
    const short = name === 'minimum' ? 'min' : 'max';
    if (dtype !== 'f32') return `${short}(${a}, ${b})`;
    // The built-in functions may drop a NaN.
    return `select(${b}, ${a}, ${a} ${name === 'minimum' ? '<' : '>'} ${b} || ${a} != ${a})`;
  }
  const sign = binarySigns[name] as string;
  const amount = name === 'shiftLeft' || name === 'shiftRight' ? convertText(dtype, 'u32', b) : b;
  return `(${a} ${sign} ${amount})`;
}

const compareSigns: Readonly<Record<TileCompare, string>> = {
  equal: '==',
  notEqual: '!=',
  less: '<',
  lessEqual: '<=',
};

export const compareText = (name: TileCompare, a: string, b: string): string =>
  `(${a} ${compareSigns[name]} ${b})`;

/** Module-scope lines that literals may name. */
export const shaderPrelude: readonly string[] = [
  'var<private> nan_bits: u32 = 0x7fc00000u;',
  'var<private> infinity_bits: u32 = 0x7f800000u;',
  'fn floor_divide(a: i32, b: i32) -> i32 { return a / b - select(0, 1, a % b < 0); }',
  'fn floor_modulo(a: i32, b: i32) -> i32 { let r = a % b; return select(r, r + b, r < 0); }',
];
