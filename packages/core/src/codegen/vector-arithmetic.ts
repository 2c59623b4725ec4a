/** Lane-wise operations on one part of a tile; parts of one lane are scalars. */
import { refused } from '../base/errors.js';
import { bytesOfMemory } from '../base/memory-type.js';
import type { ComputeType, MemoryType } from '../base/target.js';
import type { TileBinary, TileCompare, TileUnary } from '../kernel/tile.js';
import * as scalar from './gpu-scalar.js';
import {
  convertLanes,
  lanesOf,
  literalLanes,
  maskFor,
  maskFrom,
  reinterpretLanes,
  type VectorKernel,
} from './vector-kernel.js';

const { isFloat } = scalar;

/** Functions that languages with vectors have for whole vectors. */
const functionNames: Partial<Readonly<Record<TileUnary, string>>> = {
  floor: 'floor',
  ceil: 'ceil',
  truncate: 'trunc',
  roundEven: 'rint',
};

export function unaryText(
  k: VectorKernel,
  name: TileUnary,
  dtype: ComputeType,
  width: number,
  a: string,
): string {
  if (width === 1) return scalar.unaryText(k, dtype, name, a);
  const round = functionNames[name];
  if (round !== undefined) return isFloat(dtype) ? `${round}(${a})` : a;
  switch (name) {
    case 'negate':
      if (isFloat(dtype)) return `-${a}`;
      return binaryText(k, 'subtract', dtype, width, zero(k, dtype, width), a);
    case 'absolute': {
      if (isFloat(dtype)) return `fabs(${a})`;
      if (dtype !== 'i32' && dtype !== 'i64') return a;
      const negative = unaryText(k, 'negate', dtype, width, a);
      return `(${a} < ${zero(k, dtype, width)} ? ${negative} : ${a})`;
    }
    case 'squareRoot':
      return `sqrt(${a})`;
    case 'not':
      return `~${a}`;
    default:
      if (k.target.math.includes(name)) return `${name}(${a})`;
      throw refused(`operation ${name}`, `the language of ${k.target.id} has no such function`);
  }
}

const zero = (k: VectorKernel, dtype: ComputeType, width: number): string =>
  literalLanes(k, lanesOf(k, dtype), width, 0);

const maskSigns: Partial<Readonly<Record<TileBinary, string>>> = {
  and: '&',
  minimum: '&',
  multiply: '&',
  or: '|',
  maximum: '|',
  xor: '^',
};

const unsignedOf: Partial<Readonly<Record<MemoryType, MemoryType>>> = { i32: 'u32', i64: 'u64' };
/** Signed integers wrap only as unsigned ones. */
const wrapping: ReadonlySet<TileBinary> = new Set(['add', 'subtract', 'multiply', 'shiftLeft']);

export function binaryText(
  k: VectorKernel,
  name: TileBinary,
  dtype: ComputeType,
  width: number,
  a: string,
  b: string,
): string {
  if (width === 1) return `(${scalar.binaryText(k, dtype, name, a, b)})`;
  if (dtype === 'bool') {
    const sign = maskSigns[name];
    if (sign === undefined) throw refused(`operation ${name}`, 'it has no meaning for bool');
    return `(${a} ${sign} ${b})`;
  }
  if (name === 'power') {
    if (k.target.math.includes(name)) return `pow(${a}, ${b})`;
    throw refused(`operation ${name}`, `the language of ${k.target.id} has no such function`);
  }
  if (name === 'minimum' || name === 'maximum') {
    const sign = name === 'minimum' ? '<' : '>';
    // A NaN on the left is taken by the second test, one on the right because no test holds.
    const test = isFloat(dtype) ? `((${a} ${sign} ${b}) | (${a} != ${a}))` : `(${a} ${sign} ${b})`;
    return `(${test} ? ${a} : ${b})`;
  }
  const sign = scalar.binarySigns[name] as string;
  const unsigned = unsignedOf[dtype];
  if (unsigned === undefined || !wrapping.has(name)) return `(${a} ${sign} ${b})`;
  const bits = (text: string): string => reinterpretLanes(k, dtype, unsigned, width, text);
  return reinterpretLanes(k, unsigned, dtype, width, `${bits(a)} ${sign} ${bits(b)}`);
}

export function compareText(
  k: VectorKernel,
  name: TileCompare,
  of: ComputeType,
  width: number,
  a: string,
  b: string,
): string {
  if (width === 1) return `(${scalar.compareText(name, a, b)})`;
  if (of === 'bool') {
    // Lanes are 0 or −1: as numbers their order is the reverse of that of truth.
    if (name === 'equal') return `~(${a} ^ ${b})`;
    if (name === 'notEqual') return `(${a} ^ ${b})`;
    return name === 'less' ? `(~${a} & ${b})` : `(~${a} | ${b})`;
  }
  return maskFrom(k, `(${scalar.compareText(name, a, b)})`, bytesOfMemory[of], width);
}

/** a where the mask is true, else b. */
export function selectText(
  k: VectorKernel,
  dtype: ComputeType,
  width: number,
  mask: string,
  a: string,
  b: string,
): string {
  if (width === 1) return `(${mask} ? ${a} : ${b})`;
  return `(${maskFor(k, mask, bytesOfMemory[lanesOf(k, dtype)], width)} ? ${a} : ${b})`;
}

/** a·b + c: one rounding where the target says so, else two. */
export function multiplyAddText(
  k: VectorKernel,
  dtype: ComputeType,
  width: number,
  a: string,
  b: string,
  c: string,
): string {
  if (isFloat(dtype) && k.target.fusedMultiplyAdd) return `fma(${a}, ${b}, ${c})`;
  return binaryText(k, 'add', dtype, width, binaryText(k, 'multiply', dtype, width, a, b), c);
}

/** C semantics; bool → 0 or 1, number → bool is ≠ 0. */
export function convertText(
  k: VectorKernel,
  from: ComputeType,
  to: ComputeType,
  width: number,
  a: string,
): string {
  if (from === to) return a;
  if (width === 1) return `(${scalar.convertText(k, from, to, a)})`;
  const element = lanesOf(k, from);
  if (to === 'bool') {
    return maskFrom(k, `(${a} != ${zero(k, from, width)})`, bytesOfMemory[element], width);
  }
  const number = from === 'bool' ? `(${a} & ${literalLanes(k, element, width, 1)})` : a;
  return convertLanes(k, element, to, width, number);
}

export function bitcastText(
  k: VectorKernel,
  from: ComputeType,
  to: ComputeType,
  width: number,
  a: string,
): string {
  if (width === 1) return scalar.bitcastText(k, from, to, a);
  return reinterpretLanes(k, lanesOf(k, from), lanesOf(k, to), width, a);
}
