/**
 * TensorProto to core's HostTensor, every ONNX data type. Payload size and field are checked before
 * anything is allocated; aligned raw payloads are views of the file, not copies.
 */
import {
  type DType,
  dtypeFacts,
  elementCount,
  type HostArray,
  type HostTensor,
  refused,
} from '../base/core.js';
import { arrayFromBytes } from '../base/little-endian.js';
import { decodeUtf8, shortName } from '../base/text.js';
import type { SparseTensorProto, TensorProto } from './model.js';
import { modelFailure } from './read-parts.js';

type NumberField = 'floatData' | 'int32Data' | 'int64Data' | 'doubleData' | 'uint64Data';
type Field = NumberField | 'stringData';

interface Facts {
  readonly dtype: DType;
  /** The typed payload field that the specification names for this data type. */
  readonly field: Field;
}

/** By number of `TensorProto.DataType`; complex numbers (14, 15) have no dtype in core. */
const factsByNumber: Readonly<Record<number, Facts>> = {
  1: { dtype: 'f32', field: 'floatData' },
  2: { dtype: 'u8', field: 'int32Data' },
  3: { dtype: 'i8', field: 'int32Data' },
  4: { dtype: 'u16', field: 'int32Data' },
  5: { dtype: 'i16', field: 'int32Data' },
  6: { dtype: 'i32', field: 'int32Data' },
  7: { dtype: 'i64', field: 'int64Data' },
  8: { dtype: 'string', field: 'stringData' },
  9: { dtype: 'bool', field: 'int32Data' },
  10: { dtype: 'f16', field: 'int32Data' },
  11: { dtype: 'f64', field: 'doubleData' },
  12: { dtype: 'u32', field: 'uint64Data' },
  13: { dtype: 'u64', field: 'uint64Data' },
  16: { dtype: 'bf16', field: 'int32Data' },
  17: { dtype: 'f8e4m3fn', field: 'int32Data' },
  18: { dtype: 'f8e4m3fnuz', field: 'int32Data' },
  19: { dtype: 'f8e5m2', field: 'int32Data' },
  20: { dtype: 'f8e5m2fnuz', field: 'int32Data' },
  21: { dtype: 'u4', field: 'int32Data' },
  22: { dtype: 'i4', field: 'int32Data' },
  23: { dtype: 'f4e2m1', field: 'int32Data' },
  24: { dtype: 'f8e8m0', field: 'int32Data' },
  25: { dtype: 'u2', field: 'int32Data' },
  26: { dtype: 'i2', field: 'int32Data' },
};

const fields: readonly Field[] = [
  'floatData',
  'int32Data',
  'int64Data',
  'doubleData',
  'uint64Data',
  'stringData',
];

/** Core's dtype of an ONNX data type number; null for UNDEFINED, complex and unknown numbers. */
export function dtypeOfNumber(dataType: number): DType | null {
  return factsByNumber[dataType]?.dtype ?? null;
}

/** The ONNX data type number of a dtype. */
export function numberOfDtype(dtype: DType): number {
  return Number(
    Object.keys(factsByNumber).find((key) => factsByNumber[Number(key)]?.dtype === dtype),
  );
}

function factsOf(tensor: TensorProto, place: string): Facts {
  const facts = factsByNumber[tensor.dataType];
  if (facts !== undefined) return facts;
  const name = shortName(tensor.name);
  if (tensor.dataType === 14 || tensor.dataType === 15) {
    throw refused(`tensor "${name}"`, 'complex numbers', place === '' ? undefined : place);
  }
  throw modelFailure('OC-ONNX-09', { name, number: tensor.dataType }, place);
}

/** Bytes of raw data that a tensor's sizes need. Sub-byte types are packed. */
export function rawByteLength(tensor: TensorProto, place = ''): number {
  const { dtype } = factsOf(tensor, place);
  const { bits } = dtypeFacts[dtype];
  return Math.ceil(elementCount(tensor.dims) * (bits / 8));
}

/**
 * Checks that a tensor has a known data type and exactly the payload that its sizes need, without
 * reading it. A tensor with external data passes. Errors: OC-ONNX-07 … 10.
 */
export function checkTensor(tensor: TensorProto, place = ''): void {
  const { dtype, field } = factsOf(tensor, place);
  const name = shortName(tensor.name);
  const present = fields.filter((key) => tensor[key] !== undefined);
  const payloads = present.length + (tensor.rawData === undefined ? 0 : 1);
  const wrong = (reason: string): Error =>
    modelFailure('OC-ONNX-10', { tensor: name, reason }, place);
  if (tensor.externalData !== undefined) {
    if (payloads > 0) throw wrong('it has both external and own data');
    if (dtype === 'string') throw wrong('text cannot be external data');
    return;
  }
  if (payloads > 1) throw wrong('it has more than one payload');
  const count = elementCount(tensor.dims);
  if (tensor.rawData !== undefined) {
    if (dtype === 'string') throw wrong('text cannot be raw data');
    const need = rawByteLength(tensor, place);
    const have = tensor.rawData.length;
    if (have !== need) throw modelFailure('OC-ONNX-07', { tensor: name, have, need }, place);
    return;
  }
  const own = present[0];
  if (own !== undefined && own !== field) throw wrong(`${own} does not go with ${dtype}`);
  const { bits } = dtypeFacts[dtype];
  const need = bits === 4 || bits === 2 ? Math.ceil((count * bits) / 8) : count;
  const have = tensor[field]?.length ?? 0;
  if (have !== need) throw modelFailure('OC-ONNX-08', { tensor: name, field, have, need }, place);
}

/**
 * The tensor in host memory, in core's storage form. `place` (file, node) goes into errors.
 * Errors: those of `checkTensor`; OC-ONNX-15 where external data was not loaded before.
 */
export function readTensor(tensor: TensorProto, place = ''): HostTensor {
  checkTensor(tensor, place);
  const { dtype, field } = factsOf(tensor, place);
  const shape = tensor.dims;
  if (tensor.externalData !== undefined) {
    const location = tensor.externalData.find((entry) => entry.key === 'location')?.value ?? '';
    const reason = 'it was not loaded before the tensor was read';
    throw modelFailure('OC-ONNX-15', { location: shortName(location), reason }, place);
  }
  const count = elementCount(shape);
  if (dtype === 'string') return { dtype, shape, data: readStrings(tensor, place) };
  const { bits } = dtypeFacts[dtype];
  if (bits < 8) {
    const packed = tensor.rawData ?? narrow(tensor, 'u8', -128, 255, place);
    return { dtype, shape, data: unpackBits(dtype, packed as Uint8Array, count) };
  }
  if (tensor.rawData !== undefined) {
    const data = arrayFromBytes(dtype, tensor.rawData);
    return { dtype, shape, data: dtype === 'bool' ? asBooleans(data as Uint8Array) : data };
  }
  return { dtype, shape, data: readField(tensor, dtype, field as NumberField, place) };
}

function readStrings(tensor: TensorProto, place: string): readonly string[] {
  return (tensor.stringData ?? []).map((text) => {
    const decoded = typeof text === 'string' ? text : decodeUtf8(text);
    if (decoded !== null) return decoded;
    const reason = 'a text element is not valid UTF-8';
    throw modelFailure('OC-ONNX-10', { tensor: shortName(tensor.name), reason }, place);
  });
}

/** Any non-zero byte is true; a view where all are 0 or 1 already. */
function asBooleans(bytes: Uint8Array): Uint8Array {
  return bytes.some((byte) => byte > 1) ? bytes.map((byte) => (byte === 0 ? 0 : 1)) : bytes;
}

/** Unpacks 4-bit or 2-bit values, first in the low bits, to one per byte. */
export function unpackBits(dtype: DType, packed: Uint8Array, count: number): HostArray {
  const { bits, storage } = dtypeFacts[dtype];
  const perByte = 8 / bits;
  const mask = 2 ** bits - 1;
  const data = storage === 'i8' ? new Int8Array(count) : new Uint8Array(count);
  const unused = 32 - bits;
  for (let i = 0; i < count; i++) {
    const byte = packed[Math.floor(i / perByte)] as number;
    const code = (byte >> (bits * (i % perByte))) & mask;
    data[i] = storage === 'i8' ? (code << unused) >> unused : code;
  }
  return data;
}

function readField(
  tensor: TensorProto,
  dtype: DType,
  field: NumberField,
  place: string,
): HostArray {
  switch (dtype) {
    case 'f32':
    case 'f64':
    case 'i32':
    case 'i64':
    case 'u64':
      return tensor[field] ?? arrayFromBytes(dtype, new Uint8Array(0));
    case 'u32':
      return narrowWide(tensor, place);
    case 'bool':
      return narrow(tensor, dtype, 0, 1, place);
    case 'i8':
      return narrow(tensor, dtype, -128, 127, place);
    case 'i16':
      return narrow(tensor, dtype, -32768, 32767, place);
    default:
      return narrow(tensor, dtype, 0, 2 ** dtypeFacts[dtype].bits - 1, place);
  }
}

function outOfRange(tensor: TensorProto, value: number | bigint, place: string): Error {
  const reason = `the value ${value} does not fit its data type`;
  return modelFailure('OC-ONNX-10', { tensor: shortName(tensor.name), reason }, place);
}

/** int32_data as a narrower array; a value outside [low, high] is refused, never cut. */
function narrow(
  tensor: TensorProto,
  dtype: DType,
  low: number,
  high: number,
  place: string,
): HostArray {
  const source = tensor.int32Data ?? new Int32Array(0);
  const bytes = source.length * (dtypeFacts[dtype].bits / 8);
  const data = arrayFromBytes(dtype, new Uint8Array(bytes)) as Uint16Array;
  for (let i = 0; i < source.length; i++) {
    const value = source[i] as number;
    if (value < low || value > high) throw outOfRange(tensor, value, place);
    data[i] = value;
  }
  return data;
}

function narrowWide(tensor: TensorProto, place: string): Uint32Array {
  const source = tensor.uint64Data ?? new BigUint64Array(0);
  const data = new Uint32Array(source.length);
  for (let i = 0; i < source.length; i++) {
    const value = source[i] as bigint;
    if (value > 0xffffffffn) throw outOfRange(tensor, value, place);
    data[i] = Number(value);
  }
  return data;
}

/**
 * A sparse tensor written out: zeros everywhere but at its indices. `limit` bounds the elements of
 * the result, because a few bytes can name a huge one. Errors: OC-ONNX-28.
 */
export function readSparseTensor(
  sparse: SparseTensorProto,
  limit = 2 ** 28,
  place = '',
): HostTensor {
  const tensor = shortName(sparse.values.name);
  const wrong = (reason: string): Error => modelFailure('OC-ONNX-28', { tensor, reason }, place);
  const values = readTensor(sparse.values, place);
  const indices = readTensor(sparse.indices, place);
  const shape = sparse.dims;
  const count = elementCount(shape);
  const stored = values.data.length;
  if (values.dtype === 'string') throw wrong('text values');
  if (values.shape.length !== 1) throw wrong('values are not one-dimensional');
  if (indices.dtype !== 'i64') throw wrong('indices are not int64');
  const linear = indices.shape.length === 1;
  const width = linear ? 1 : shape.length;
  const fits = indices.shape[0] === stored && (linear || indices.shape[1] === width);
  if (!fits || indices.shape.length > 2) throw wrong('shapes of values and indices do not fit');
  if (count > limit) throw wrong(`more than ${limit} elements`);
  const bytes = count * (dtypeFacts[values.dtype].bits < 8 ? 1 : dtypeFacts[values.dtype].bits / 8);
  const data = arrayFromBytes(values.dtype, new Uint8Array(bytes)) as { [i: number]: unknown };
  let previous = -1;
  for (let i = 0; i < stored; i++) {
    let index = 0;
    for (let axis = 0; axis < width; axis++) {
      const size = linear ? count : (shape[axis] as number);
      const step = Number(indices.data[i * width + axis]);
      if (step < 0 || step >= size) throw wrong(`index ${step} is outside 0 … ${size - 1}`);
      index = index * size + step;
    }
    if (index <= previous) throw wrong('indices are not sorted and unique');
    previous = index;
    data[index] = values.data[i];
  }
  return { dtype: values.dtype, shape, data: data as unknown as HostArray };
}
