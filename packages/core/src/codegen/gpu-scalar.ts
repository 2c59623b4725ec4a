/** Text of scalar operations in C for GPUs. Operands are names and literals, so they may repeat. */
import { refused } from '../base/errors.js';
import type { ComputeType, MemoryType, Target } from '../base/target.js';
import type { TileBinary, TileCompare, TileUnary } from '../kernel/tile.js';
import type { GpuDialect } from './gpu-dialects.table.js';
import type { Operand } from './thread-program.js';

/** What scalar text needs to know, and the helper functions that it came to need. */
export interface ScalarContext {
  /** Name of the dialect. */
  readonly name: string;
  readonly dialect: GpuDialect;
  readonly target: Target;
  readonly helpers: Map<string, string>;
}

export const isFloat = (dtype: ComputeType): boolean => dtype === 'f32' || dtype === 'f64';

/** The compute type that an element of memory widens to. */
export function widened(memory: MemoryType): ComputeType {
  if (memory === 'i8' || memory === 'i16') return 'i32';
  if (memory === 'u8' || memory === 'u16') return 'u32';
  return memory;
}

export function operandText(c: ScalarContext, operand: Operand): string {
  return operand.kind === 'name' ? operand.name : literalText(c, operand.dtype, operand.value);
}

export function literalText(c: ScalarContext, dtype: ComputeType, value: number | bigint): string {
  const wide = c.dialect.longSuffix;
  switch (dtype) {
    case 'bool':
      return value ? 'true' : 'false';
    case 'u32':
      return `${BigInt.asUintN(32, BigInt(value))}u`;
    case 'u64':
      return `${BigInt.asUintN(64, BigInt(value))}U${wide}`;
    case 'i32':
      return signedText(BigInt(value), -(2n ** 31n), '');
    case 'i64':
      return signedText(BigInt(value), -(2n ** 63n), wide);
    default:
      return floatText(c, dtype, Number(value));
  }
}

/** The least integer has no literal: its size does not fit the type. */
function signedText(value: bigint, least: bigint, suffix: string): string {
  if (value === least) return `(${value + 1n}${suffix} - 1)`;
  return value < 0n ? `(${value}${suffix})` : `${value}${suffix}`;
}

function floatText(c: ScalarContext, dtype: 'f32' | 'f64', value: number): string {
  const number = dtype === 'f32' ? Math.fround(value) : value;
  if (!Number.isFinite(number)) {
    if (dtype === 'f32') {
      const bits = Number.isNaN(number) ? 0x7fc00000 : number > 0 ? 0x7f800000 : 0xff800000;
      return bitcastText(c, 'u32', 'f32', `${bits}u`);
    }
    const bits = Number.isNaN(number) ? 0x7ff8n : number > 0 ? 0x7ff0n : 0xfff0n;
    return bitcastText(c, 'u64', 'f64', literalText(c, 'u64', bits << 48n));
  }
  const digits = Object.is(number, -0) ? '-0' : String(number);
  const text = `${/[.e]/.test(digits) ? digits : `${digits}.0`}${dtype === 'f32' ? 'f' : ''}`;
  return number < 0 || Object.is(number, -0) ? `(${text})` : text;
}

const cast = (c: ScalarContext, dtype: ComputeType, text: string): string =>
  `(${c.dialect.types[dtype]})${text}`;

/** C semantics; bool → 0 or 1, number → bool is ≠ 0. */
export function convertText(
  c: ScalarContext,
  from: ComputeType,
  to: ComputeType,
  a: string,
): string {
  if (from === to) return a;
  if (to === 'bool') return `(${a} != ${literalText(c, from, 0)})`;
  if (from === 'bool') return `(${a} ? ${literalText(c, to, 1)} : ${literalText(c, to, 0)})`;
  return cast(c, to, a);
}

export function bitcastText(
  c: ScalarContext,
  from: ComputeType,
  to: ComputeType,
  a: string,
): string {
  if (from === to) return a;
  if (!isFloat(from) && !isFloat(to)) return cast(c, to, a);
  const { reinterpret, helper, types } = c.dialect;
  if (reinterpret !== '') return `${reinterpret.replace('{to}', types[to])}(${a})`;
  const name = `bits_${from}_${to}`;
  const union = `union { ${types[from]} from; ${types[to]} to; } bits;`;
  c.helpers.set(
    name,
    `${helper} ${types[to]} ${name}(${types[from]} x) { ${union} bits.from = x; return bits.to; }`,
  );
  return `${name}(${a})`;
}

/** A function that every C for GPUs has, by the name that its type asks for. */
function call(c: ScalarContext, dtype: ComputeType, name: string, ...operands: string[]): string {
  const suffix = c.dialect.typedFunctions && dtype === 'f32' ? 'f' : '';
  return `${name}${suffix}(${operands.join(', ')})`;
}

function checkMath(c: ScalarContext, name: string): void {
  if (c.target.math.includes(name)) return;
  throw refused(`operation ${name}`, `the language of ${c.target.id} has no such function`);
}

const unsignedOf: Partial<Readonly<Record<ComputeType, ComputeType>>> = { i32: 'u32', i64: 'u64' };

const rounding: Partial<Readonly<Record<TileUnary, string>>> = {
  floor: 'floor',
  ceil: 'ceil',
  truncate: 'trunc',
  roundEven: 'rint',
};

export function unaryText(
  c: ScalarContext,
  dtype: ComputeType,
  name: TileUnary,
  a: string,
): string {
  const round = rounding[name];
  if (round !== undefined) return isFloat(dtype) ? call(c, dtype, round, a) : a;
  switch (name) {
    case 'negate':
      if (isFloat(dtype)) return `-${a}`;
      return binaryText(c, dtype, 'subtract', literalText(c, dtype, 0), a);
    case 'absolute': {
      if (isFloat(dtype)) return call(c, dtype, 'fabs', a);
      if (unsignedOf[dtype] === undefined) return a;
      return `(${a} < 0 ? ${unaryText(c, dtype, 'negate', a)} : ${a})`;
    }
    case 'squareRoot':
      return call(c, dtype, 'sqrt', a);
    case 'not':
      return dtype === 'bool' ? `!${a}` : `~${a}`;
    default:
      checkMath(c, name);
      return call(c, dtype, name, a);
  }
}

export const binarySigns: Partial<Readonly<Record<TileBinary, string>>> = {
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

export const boolSigns: Partial<Readonly<Record<TileBinary, string>>> = {
  and: '&&',
  minimum: '&&',
  multiply: '&&',
  or: '||',
  maximum: '||',
  xor: '!=',
};

/** Signed integers wrap only as unsigned ones. */
const wrapping: ReadonlySet<TileBinary> = new Set(['add', 'subtract', 'multiply', 'shiftLeft']);

export function binaryText(
  c: ScalarContext,
  dtype: ComputeType,
  name: TileBinary,
  a: string,
  b: string,
): string {
  if (name === 'power') {
    checkMath(c, name);
    return call(c, dtype, 'pow', a, b);
  }
  if (dtype === 'bool') {
    const sign = boolSigns[name];
    if (sign === undefined) throw refused(`operation ${name}`, 'it has no meaning for bool');
    return `(${a} ${sign} ${b})`;
  }
  if (name === 'minimum' || name === 'maximum') {
    const sign = name === 'minimum' ? '<' : '>';
    // A NaN on the left is taken by the second test, one on the right because no test holds.
    const nan = isFloat(dtype) ? ` || ${a} != ${a}` : '';
    return `(${a} ${sign} ${b}${nan} ? ${a} : ${b})`;
  }
  const sign = binarySigns[name] as string;
  const unsigned = unsignedOf[dtype];
  if (unsigned === undefined || !wrapping.has(name)) return `${a} ${sign} ${b}`;
  return cast(c, dtype, `(${cast(c, unsigned, a)} ${sign} ${cast(c, unsigned, b)})`);
}

const compareSigns: Readonly<Record<TileCompare, string>> = {
  equal: '==',
  notEqual: '!=',
  less: '<',
  lessEqual: '<=',
};

export const compareText = (name: TileCompare, a: string, b: string): string =>
  `${a} ${compareSigns[name]} ${b}`;

/** a·b + c: one rounding where the target says so, else two. */
export function multiplyAddText(
  c: ScalarContext,
  dtype: ComputeType,
  a: string,
  b: string,
  sum: string,
): string {
  if (isFloat(dtype) && c.target.fusedMultiplyAdd) return call(c, dtype, 'fma', a, b, sum);
  const product = binaryText(c, dtype, 'multiply', a, b);
  return binaryText(c, dtype, 'add', isFloat(dtype) ? `(${product})` : product, sum);
}
