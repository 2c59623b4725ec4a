/** Tensors in host memory: dtype, sizes, and a typed array in storage form, row-major. */
import { type DType, dtypeFacts } from './dtype.js';
import { decodeFloat, encodeFloat } from './float-format.js';

export type HostArray =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | readonly string[];

export interface HostTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Storage form (see dtype.ts), exactly as many elements as the shape's product. */
  readonly data: HostArray;
}

/** One element as a host value: bigint for i64 and u64, 0 or 1 for bool, else a number. */
export type HostValue = number | bigint | string;

type TypedArray = Exclude<HostArray, readonly string[]>;

interface TypedArrayClass {
  new (length: number): TypedArray;
  new (buffer: ArrayBuffer, byteOffset: number, length: number): TypedArray;
  readonly BYTES_PER_ELEMENT: number;
}

const arrayClasses: Readonly<Record<string, TypedArrayClass>> = {
  f64: Float64Array,
  f32: Float32Array,
  i64: BigInt64Array,
  u64: BigUint64Array,
  i32: Int32Array,
  u32: Uint32Array,
  i16: Int16Array,
  u16: Uint16Array,
  i8: Int8Array,
};

/** The class of arrays in the storage form of `dtype`. */
const arrayClassOf = (dtype: DType): TypedArrayClass =>
  arrayClasses[dtypeFacts[dtype].storage] ?? Uint8Array;

/** A zeroed array of the storage type of `dtype`. */
export const allocateArray = (dtype: DType, length: number): TypedArray =>
  new (arrayClassOf(dtype))(length);

/** A typed array of `dtype` over bytes that begin at a multiple of the element's size. */
export function arrayOver(
  dtype: DType,
  { buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>,
): TypedArray {
  const Type = arrayClassOf(dtype);
  return new Type(buffer, byteOffset, byteLength / Type.BYTES_PER_ELEMENT);
}

/** Whether an array is of the storage type of `dtype`; anything may come from plain scripts. */
export function isStorageOf(dtype: DType, data: unknown): boolean {
  if (dtype === 'string') return Array.isArray(data);
  return data instanceof arrayClassOf(dtype);
}

export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (let axis = 0; axis < shape.length; axis++) count *= shape[axis] as number;
  return count;
}

/** Reads element `index` (flat, row-major) as a value. */
export function readElement(tensor: HostTensor, index: number): HostValue {
  const stored = tensor.data[index] as HostValue;
  const { float } = dtypeFacts[tensor.dtype];
  if (float === undefined || tensor.dtype === 'f64' || tensor.dtype === 'f32') return stored;
  return decodeFloat(float, stored as number);
}

/**
 * The stored form of a value in `dtype`: floats rounded to nearest even, integers wrapped.
 * Values of i64 and u64 are bigint.
 */
export function encodeElement(dtype: DType, value: HostValue): number | bigint | string {
  const facts = dtypeFacts[dtype];
  switch (facts.kind) {
    case 'float':
      if (dtype === 'f64') return Number(value);
      if (dtype === 'f32') return Math.fround(Number(value));
      return encodeFloat(facts.float as NonNullable<typeof facts.float>, Number(value), false);
    case 'signed':
      if (dtype === 'i64') return BigInt.asIntN(64, BigInt(value));
      return Number(BigInt.asIntN(facts.bits, BigInt(value)));
    case 'unsigned':
      if (dtype === 'u64') return BigInt.asUintN(64, BigInt(value));
      return Number(BigInt.asUintN(facts.bits, BigInt(value)));
    case 'bool':
      return value ? 1 : 0;
    default:
      return String(value);
  }
}

/** Builds a tensor from values, encoding each. */
export function hostTensor(
  dtype: DType,
  shape: readonly number[],
  values: ArrayLike<HostValue | boolean>,
): HostTensor {
  const count = elementCount(shape);
  if (dtype === 'string') {
    return { dtype, shape, data: Array.from(values, String) };
  }
  const data = allocateArray(dtype, count) as { [index: number]: number | bigint };
  for (let i = 0; i < count; i++) {
    const value = values[i] as HostValue | boolean;
    data[i] = encodeElement(dtype, typeof value === 'boolean' ? Number(value) : value) as number;
  }
  return { dtype, shape, data: data as unknown as HostTensor['data'] };
}

/** All elements as values, decoded. */
export function valuesOf(tensor: HostTensor): HostValue[] {
  return Array.from({ length: tensor.data.length }, (_, i) => readElement(tensor, i));
}

/** A tensor of zeros; its array is new. */
export const emptyTensor = (dtype: DType, shape: readonly number[]): HostTensor => ({
  dtype,
  shape,
  data: allocateArray(dtype, elementCount(shape)),
});
