/** Tensors from data, constants and counters. */
import { type DType, isFloat } from '../base/dtype.js';
import {
  allocateArray,
  elementCount,
  type HostArray,
  type HostTensor,
  hostTensor,
} from '../base/host-tensor.js';
import * as b from '../graph/build.js';
import type { Node } from '../graph/node.js';
import { dtypeError } from '../graph/rule.js';
import { known, type Nested, type Scalar } from './handle.js';
import { plainNode } from './operand.js';
import { Tensor } from './tensor.js';
import { atUserLine, misuse } from './where.js';

export interface CreateOptions {
  readonly dtype?: DType;
}

export interface TensorOptions extends CreateOptions {
  readonly shape?: readonly number[];
  /** Where it and everything made from it is computed. */
  readonly device?: string;
}

type Data = Exclude<HostArray, readonly string[]>;

const isArray = (data: Nested | Data): data is Data => ArrayBuffer.isView(data);
const isList = (data: Nested): data is readonly Nested[] => Array.isArray(data);

/** dtype of a typed array's elements. */
function dtypeOfArray(data: Data): DType {
  if (data instanceof Float64Array) return 'f64';
  if (data instanceof Float32Array) return 'f32';
  if (data instanceof BigInt64Array) return 'i64';
  if (data instanceof BigUint64Array) return 'u64';
  if (data instanceof Int32Array) return 'i32';
  if (data instanceof Uint32Array) return 'u32';
  if (data instanceof Int16Array) return 'i16';
  if (data instanceof Uint16Array) return 'u16';
  return data instanceof Int8Array ? 'i8' : 'u8';
}

const dtypeOfScalar = (value: Scalar | undefined): DType =>
  typeof value === 'bigint' ? 'i64' : typeof value === 'boolean' ? 'bool' : 'f32';

/** Shape of nested arrays by their first elements. */
function shapeOfNested(data: Nested): number[] {
  const shape: number[] = [];
  for (let at: Nested | undefined = data; at !== undefined && isList(at); at = at[0]) {
    shape.push(at.length);
  }
  return shape;
}

function flatten(data: Nested, shape: readonly number[], axis: number, into: Scalar[]): void {
  if (!isList(data)) {
    if (axis < shape.length) throw ragged(axis, 'a value', shape);
    into.push(data);
    return;
  }
  if (data.length !== shape[axis]) throw ragged(axis, `${data.length} elements`, shape);
  for (const row of data) flatten(row, shape, axis + 1, into);
}

const ragged = (axis: number, found: string, shape: readonly number[]): Error =>
  misuse('OC-TENSOR-04', { reason: `${found} at depth ${axis} of [${shape}]` });

/** Values with the checks that plain operands get. */
function encoded(values: readonly Scalar[], shape: readonly number[], dtype: DType): HostTensor {
  if (!isFloat(dtype)) for (const value of values) plainNode('tensor', dtype, value);
  const wide = dtype === 'i64' || dtype === 'u64';
  return hostTensor(dtype, shape, wide ? values.map((value) => BigInt(value)) : values);
}

function hostOfData(data: Nested | Data, options: TensorOptions): HostTensor {
  if (isArray(data)) {
    const own = dtypeOfArray(data);
    const shape = options.shape ?? [data.length];
    checkCount(data.length, shape);
    const { dtype = own } = options;
    if (dtype === own) return { dtype, shape, data: data.slice() };
    return encoded(Array.from(data as ArrayLike<Scalar>), shape, dtype);
  }
  const inner = shapeOfNested(data);
  const values: Scalar[] = [];
  flatten(data, inner, 0, values);
  const shape = options.shape ?? inner;
  checkCount(values.length, shape);
  return encoded(values, shape, options.dtype ?? dtypeOfScalar(values[0]));
}

function checkCount(count: number, shape: readonly number[]): void {
  if (count === elementCount(shape)) return;
  throw misuse('OC-TENSOR-04', { reason: `${count} elements for [${shape}]` });
}

const made = (build: () => Node): Tensor => atUserLine(() => new Tensor(build()));

/**
 * A tensor of a number, nested arrays or a typed array (copied). Numbers give f32, bigints i64,
 * booleans bool, typed arrays their own dtype.
 */
export function tensor(data: Nested | Data, options: TensorOptions = {}): Tensor {
  return made(() => known(hostOfData(data, options), options.device));
}

/** A tensor in storage form (see dtype.ts), for instance from a file. The array is copied. */
export function fromHost(value: HostTensor, options: { readonly device?: string } = {}): Tensor {
  return made(() => {
    if (value.dtype === 'string') throw dtypeError('fromHost', value.dtype, 'tensors hold numbers');
    return known({ ...value, data: value.data.slice() }, options.device);
  });
}

export function full(
  shape: readonly number[],
  value: Scalar,
  { dtype = dtypeOfScalar(value) }: CreateOptions = {},
): Tensor {
  return made(() => b.broadcastTo(plainNode('full', dtype, value), shape));
}

const constant = (shape: readonly number[], value: 0 | 1, dtype: DType): Tensor =>
  full(shape, dtype === 'bool' ? value === 1 : value, { dtype });

export const zeros = (shape: readonly number[], { dtype = 'f32' }: CreateOptions = {}): Tensor =>
  constant(shape, 0, dtype);

export const ones = (shape: readonly number[], { dtype = 'f32' }: CreateOptions = {}): Tensor =>
  constant(shape, 1, dtype);

export const zerosLike = (x: Tensor): Tensor => constant(x.shape, 0, x.dtype);
export const onesLike = (x: Tensor): Tensor => constant(x.shape, 1, x.dtype);

/** start, start + step, … below stop; one argument is stop. Whole numbers give i64 if asked. */
export function arange(
  start: number,
  stop?: number,
  step = 1,
  { dtype = 'f32' }: CreateOptions = {},
): Tensor {
  return made(() => {
    const [low, high] = stop === undefined ? [0, start] : [start, stop];
    const count = Math.max(0, Math.ceil((high - low) / step));
    const index = b.iota({ dtype: isFloat(dtype) ? 'i64' : dtype, shape: [count] }, 0);
    const scaled = b.multiply(b.cast(index, dtype), plainNode('arange', dtype, step));
    return b.add(scaled, plainNode('arange', dtype, low));
  });
}

/** `count` values from start to stop, both included. */
export function linspace(start: number, stop: number, count: number): Tensor {
  return made(() => {
    const data = allocateArray('f32', count) as Float32Array;
    const step = count > 1 ? (stop - start) / (count - 1) : 0;
    for (let i = 0; i < count; i++) data[i] = i === count - 1 ? stop : start + step * i;
    return known({ dtype: 'f32', shape: [count], data });
  });
}

/** Ones on the diagonal. */
export function eye(
  rows: number,
  columns: number = rows,
  { dtype = 'f32' }: CreateOptions = {},
): Tensor {
  return made(() => {
    const row = b.iota({ dtype: 'i32', shape: [rows, 1] }, 0);
    const column = b.iota({ dtype: 'i32', shape: [1, columns] }, 1);
    return b.cast(b.equal(row, column), dtype);
  });
}
