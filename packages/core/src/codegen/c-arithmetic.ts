/** Arithmetic on one part of a tile: unary, binary, comparison, multiply-add, conversion. */
import { internal, refused } from '../base/errors.js';
import type { ComputeType } from '../base/target.js';
import type { TileBinary, TileCompare, TileUnary } from '../kernel/tile.js';
import { comparison, selectText } from './c-access.js';
import * as functions from './c-functions.js';
import { elementOf, type Kernel, partType } from './c-kernel.js';

const isFloat = (dtype: ComputeType): boolean => dtype === 'f32' || dtype === 'f64';

/** Functions of the C library that every compiler inlines or libm has. */
const roundings: Readonly<Record<string, string>> = {
  floor: 'floor',
  ceil: 'ceil',
  truncate: 'trunc',
  // In the default rounding mode, which nothing here changes.
  roundEven: 'rint',
  squareRoot: 'sqrt',
};

export function unaryText(
  k: Kernel,
  name: TileUnary,
  dtype: ComputeType,
  width: number,
  a: string,
): string {
  const element = elementOf(k, dtype, width);
  if (name === 'not') return width === 1 && dtype === 'bool' ? `!${a}` : `~${a}`;
  if (name === 'negate') return `-${a}`;
  if (name === 'absolute') {
    if (isFloat(dtype)) return absoluteText(k, dtype, width, a);
    if (dtype === 'u32' || dtype === 'u64' || dtype === 'bool') return a;
    return selectText(k, dtype, width, comparison(k, element, width, `${a} < 0`), `-${a}`, a);
  }
  const rounding = roundings[name];
  if (rounding !== undefined) {
    if (!isFloat(dtype)) return a;
    return `${functions.mapLanes(k.prelude, rounding, element, width)}(${a})`;
  }
  if (!k.math.includes(name)) throw refused(name, `the target ${k.program.target} lacks it`);
  return `${functions.mapLanes(k.prelude, name, element, width)}(${a})`;
}

function absoluteText(k: Kernel, dtype: ComputeType, width: number, a: string): string {
  if (width === 1) return `__builtin_fabs${dtype === 'f32' ? 'f' : ''}(${a})`;
  const bits = k.prelude.type(dtype === 'f64' ? 'i64' : 'i32', width);
  const clear = dtype === 'f64' ? '0x7fffffffffffffffll' : '0x7fffffff';
  return `(${partType(k, dtype, width)})((${bits})${a} & ${clear})`;
}

const signs: Readonly<Partial<Record<TileBinary, string>>> = {
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

export function binaryText(
  k: Kernel,
  name: TileBinary,
  dtype: ComputeType,
  width: number,
  a: string,
  b: string,
): string {
  const element = elementOf(k, dtype, width);
  if (name === 'minimum' || name === 'maximum') {
    if (dtype === 'bool') return `(${a} ${name === 'minimum' ? '&' : '|'} ${b})`;
    const call = functions.extreme(k.prelude, name === 'minimum' ? 'min' : 'max', element, width);
    return `${call}(${a}, ${b})`;
  }
  if (name === 'power') {
    if (!k.math.includes(name)) throw refused(name, `the target ${k.program.target} lacks it`);
    return `${functions.mapLanes(k.prelude, 'pow', element, width, 2)}(${a}, ${b})`;
  }
  if (name === 'scaleByPower' || name === 'nearDivide') {
    if (!k.math.includes(name)) throw refused(name, `the target ${k.program.target} lacks it`);
    const call = name === 'nearDivide' ? functions.nearDivide : functions.scaleByPower;
    return `${call(k.prelude, element, width)}(${a}, ${b})`;
  }
  if (dtype === 'bool' && !['and', 'or', 'xor'].includes(name)) {
    throw internal(`${name} of bools`);
  }
  return `(${a} ${signs[name]} ${b})`;
}

const compareSigns: Readonly<Record<TileCompare, string>> = {
  equal: '==',
  notEqual: '!=',
  less: '<',
  lessEqual: '<=',
};

export function compareText(
  k: Kernel,
  name: TileCompare,
  dtype: ComputeType,
  width: number,
  a: string,
  b: string,
): string {
  if (dtype === 'bool' && width > 1) {
    // Lanes are 0 or −1: as numbers their order is the reverse of that of truth.
    if (name === 'equal') return `~(${a} ^ ${b})`;
    if (name === 'notEqual') return `(${a} ^ ${b})`;
    return name === 'less' ? `(~${a} & ${b})` : `(~${a} | ${b})`;
  }
  const element = elementOf(k, dtype, width);
  return comparison(k, element, width, `${a} ${compareSigns[name]} ${b}`);
}

export function multiplyAddText(
  k: Kernel,
  dtype: ComputeType,
  width: number,
  a: string,
  b: string,
  c: string,
): string {
  if (!isFloat(dtype) || !k.fused) return `(${a} * ${b} + ${c})`;
  const call = functions.fusedMultiplyAdd(k.prelude, elementOf(k, dtype, width), width);
  return `${call}(${a}, ${b}, ${c})`;
}

export function convertText(
  k: Kernel,
  from: ComputeType,
  to: ComputeType,
  width: number,
  a: string,
): string {
  if (from === to) return a;
  if (to === 'bool') return comparison(k, elementOf(k, from, width), width, `${a} != 0`);
  if (width === 1) return `(${to})${a}`;
  const number = from === 'bool' ? `(${a} & 1)` : a;
  const element = elementOf(k, from, width);
  if (element === to) return number;
  return `${functions.convert(k.prelude, element, to, width)}(${number})`;
}
