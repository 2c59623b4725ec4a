/**
 * Values inside the interpreter: decoded elements, dense and row-major. Floats, booleans and
 * integers up to 32 bits are numbers in a Float64Array; 64-bit integers are bigint; strings text.
 */
import { type DType, dtypeFacts, type IntegerType, integerRange, isWide } from '../base/dtype.js';
import { tooLarge } from '../base/errors.js';
import { allocateArray, elementCount, type HostTensor } from '../base/host-tensor.js';
import { decodeTable, smallEncoding, smallRounding } from './interpret-rounding.js';
import type { ReductionKind } from './node.js';

export type Wides = BigInt64Array | BigUint64Array;
export type Data = Float64Array | Wides | string[];

export interface Value {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Data;
}

/** Elements of one value; each takes eight bytes, and plain loops over more would never end. */
const mostElements = 2 ** 29;

/** A zeroed array for `count` elements of `dtype`. Throws OC-REFUSED-02 above a fixed limit. */
export function allocateData(dtype: DType, count: number): Data {
  if (count > mostElements) {
    throw tooLarge('the memory of the interpreter', 8 * count, 8 * mostElements);
  }
  if (dtype === 'string') return new Array<string>(count).fill('');
  if (dtype === 'i64') return new BigInt64Array(count);
  if (dtype === 'u64') return new BigUint64Array(count);
  return new Float64Array(count);
}

/** A zeroed value, to be filled by the one who asked for it. */
export function allocate(dtype: DType, shape: readonly number[]): Value {
  return { dtype, shape, data: allocateData(dtype, elementCount(shape)) };
}

/** The elements of a value whose dtype is neither 64-bit integer nor string. */
export const numbersOf = (value: Value): Float64Array => value.data as Float64Array;
/** The elements of a value of dtype i64 or u64. */
export const widesOf = (value: Value): Wides => value.data as Wides;

/** Element `index` of an integer tensor as a number. */
export const integerAt = (value: Value, index: number): number => Number(value.data[index]);

/** Host storage → value. f64, i64, u64 and string data is shared, never copied or written. */
export function decode(tensor: HostTensor): Value {
  const { dtype, shape, data } = tensor;
  const { float } = dtypeFacts[dtype];
  if (isWide(dtype) || dtype === 'f64' || dtype === 'string') {
    return { dtype, shape, data: data as Data };
  }
  const stored = data as ArrayLike<number>;
  const decoded = new Float64Array(stored.length);
  if (float === undefined || dtype === 'f32') decoded.set(stored);
  else {
    const table = decodeTable(float);
    for (let i = 0; i < decoded.length; i++) decoded[i] = table[stored[i]!]!;
  }
  return { dtype, shape, data: decoded };
}

/** Value → host storage; every element is already a value of the dtype. */
export function encode(value: Value): HostTensor {
  const { dtype, shape, data } = value;
  const { float } = dtypeFacts[dtype];
  if (isWide(dtype) || dtype === 'f64' || dtype === 'string') return { dtype, shape, data };
  const numbers = numbersOf(value);
  const stored = allocateArray(dtype, numbers.length) as Float32Array;
  if (float === undefined || dtype === 'f32') stored.set(numbers);
  else {
    const encodeSmall = smallEncoding(float);
    for (let i = 0; i < stored.length; i++) stored[i] = encodeSmall(numbers[i]!);
  }
  return { dtype, shape, data: stored };
}

/**
 * Brings an exact result into the dtype, once: floats to nearest even, integers modulo 2^bits,
 * bool to 0 or 1. For dtypes whose values are numbers.
 */
export function rounding(dtype: DType, saturate = false): (x: number) => number {
  const { kind, bits, float } = dtypeFacts[dtype];
  if (dtype === 'f64') return (x) => x;
  if (dtype === 'f32') return Math.fround;
  if (float !== undefined) {
    return smallRounding(float, saturate);
  }
  if (kind === 'bool') return (x) => (x !== 0 ? 1 : 0);
  const unused = 32 - bits;
  if (kind === 'unsigned') return (x) => (x << unused) >>> unused;
  return (x) => (x << unused) >> unused;
}

type NumberCombine = (a: number, b: number) => number;
type WideCombine = (a: bigint, b: bigint) => bigint;

/** Joins two elements; float results are not rounded, integers stay in 32 bits. */
export function combineNumbers(kind: ReductionKind, dtype: DType): NumberCombine {
  if (kind === 'minimum') return Math.min;
  if (kind === 'maximum') return Math.max;
  const facts = dtypeFacts[dtype];
  if (facts.kind === 'float') return kind === 'sum' ? (a, b) => a + b : (a, b) => a * b;
  const wrap = rounding(dtype);
  if (kind === 'sum') return (a, b) => wrap(a + b);
  return (a, b) => wrap(Math.imul(a, b));
}

/** Math.min and Math.max take no bigint. */
export function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
export function larger(a: bigint, b: bigint): bigint {
  return a < b ? b : a;
}

const wideCombine: Readonly<Record<ReductionKind, WideCombine>> = {
  sum: (a, b) => a + b,
  product: (a, b) => a * b,
  minimum: smaller,
  maximum: larger,
};

/** Joins two 64-bit elements; the store wraps. */
export const combineWides = (kind: ReductionKind, dtype: DType): WideCombine => {
  const wrap = dtype === 'u64' ? BigInt.asUintN : BigInt.asIntN;
  const combine = wideCombine[kind];
  return (a, b) => wrap(64, combine(a, b));
};

/** The element that changes nothing: 0, 1, or the end of the range (∞ for floats). */
export function identityOf(kind: ReductionKind, dtype: DType): number | bigint {
  const wide = isWide(dtype);
  if (kind === 'sum') return wide ? 0n : 0;
  if (kind === 'product') return wide ? 1n : 1;
  const facts = dtypeFacts[dtype];
  if (facts.kind === 'float') {
    return kind === 'minimum' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  }
  if (facts.kind === 'bool') return kind === 'minimum' ? 1 : 0;
  const [least, greatest] = integerRange(dtype as IntegerType);
  const end = kind === 'minimum' ? greatest : least;
  return wide ? end : Number(end);
}

/** Fills the elements of either kind of array with one value. */
export function fillData(data: Data, value: number | bigint | string): void {
  (data as { fill(x: unknown): void }).fill(value);
}
