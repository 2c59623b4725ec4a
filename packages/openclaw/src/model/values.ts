/** What callers may give as an input, made into the values that the importer works with. */
import {
  allocateArray,
  type DType,
  dtypes,
  elementCount,
  type HostArray,
  type HostTensor,
  isTensor as isLazyTensor,
  isStorageOf,
  type Tensor,
} from '@open-claw/core/face';
import { failure, quoteText } from '@open-claw/core/graph';
import { jsonTensor, type OnnxValue, type ValueType } from '@open-claw/formats';
import type { ModelPort } from './ports.js';

/** A tensor of the tensor interface: its numbers come back by `host`. */
export interface Readable {
  host(): Promise<HostTensor>;
}

export type Nested = number | bigint | boolean | string | readonly Nested[];

/**
 * A tensor in host memory, a typed array (the shape is taken from the model where it is known,
 * else it is one axis), numbers nested in arrays, a lazy tensor; for a sequence an array of these,
 * for an optional null or the value.
 */
export type InputValue =
  | HostTensor
  | Exclude<HostArray, readonly string[]>
  | Nested
  | Readable
  | null
  | readonly InputValue[];

const wrong = (name: string, reason: string): Error =>
  failure('OC-INPUT-01', { name, reason }, { kind: 'usage' });

export type Kind = Pick<HostTensor, 'dtype' | 'shape'>;

export const kindOf = ({ dtype, shape }: Kind): Kind => ({ dtype, shape: [...shape] });

/** Whether this is a tensor of that dtype and shape, with an array that fits. */
export function isOfKind(value: InputValue | undefined, kind: Kind): value is HostTensor {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  if (ArrayBuffer.isView(value) || isReadable(value) || !isTensor(value)) return false;
  const { dtype, shape, data } = value;
  if (dtype !== kind.dtype || !Array.isArray(shape) || shape.length !== kind.shape.length) {
    return false;
  }
  for (let i = 0; i < shape.length; i++) if (shape[i] !== kind.shape[i]) return false;
  return isStorageOf(dtype, data) && data.length === elementCount(shape) && areTruths(dtype, data);
}

/** The same, or a tensor of the tensor interface, whose numbers nobody has to look at. */
export function isAnyOfKind(
  value: InputValue | undefined,
  kind: Kind,
): value is Tensor | HostTensor {
  if (!isLazyTensor(value)) return isOfKind(value, kind);
  if (value.dtype !== kind.dtype) return false;
  const { shape } = value;
  if (shape.length !== kind.shape.length) return false;
  for (let i = 0; i < shape.length; i++) if (shape[i] !== kind.shape[i]) return false;
  return true;
}

/** Bits that no byte of 0 or 1 has, in a word of four. */
const otherBits = 0xfefefefe;

/**
 * Bools are bytes of 0 and 1; any other byte would be another number on every chip. Masks of
 * millions come at every call: four bytes are looked at at once.
 */
function areTruths(dtype: DType, data: HostTensor['data']): boolean {
  if (dtype !== 'bool') return true;
  const bytes = data as Uint8Array;
  if (bytes.length < 4) return bytes.every((value) => value <= 1);
  const head = -bytes.byteOffset & 3;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset + head, (bytes.length - head) >> 2);
  let bits = 0;
  for (let i = 0; i < words.length; i++) bits |= words[i] as number;
  for (let i = 0; i < head; i++) bits |= bytes[i] as number;
  for (let i = head + 4 * words.length; i < bytes.length; i++) bits |= bytes[i] as number;
  return (bits & otherBits) === 0;
}

/** What stands for a tensor whose numbers are not read back. */
export type StandIn = (tensor: Tensor) => HostTensor;

/** Throws OC-INPUT-01. */
export async function toValue(
  given: InputValue,
  port: ModelPort,
  type: ValueType | null,
  standIn?: StandIn,
): Promise<OnnxValue> {
  if (type?.kind === 'sequence') {
    if (!Array.isArray(given)) throw wrong(port.name, 'a sequence is given as an array of tensors');
    const inner = { ...port, kind: 'tensor' as const };
    const parts = given.map((each: InputValue) => toValue(each, inner, type.element, standIn));
    return { kind: 'sequence', elements: await Promise.all(parts) };
  }
  if (type?.kind === 'optional') {
    if (given === null) return { kind: 'optional', value: null };
    return { kind: 'optional', value: await toValue(given, port, type.element, standIn) };
  }
  return { kind: 'tensor', tensor: await toTensor(given, port, standIn) };
}

async function toTensor(
  given: InputValue,
  port: ModelPort,
  standIn: StandIn | undefined,
): Promise<HostTensor> {
  const { name, dtype } = port;
  if (given === null) throw wrong(name, 'nothing is given');
  if (ArrayBuffer.isView(given)) return fromArray(given, port);
  if (isLazyTensor(given) && standIn !== undefined) {
    checkKind(given, port);
    return standIn(given);
  }
  if (isReadable(given)) return checked(await given.host(), port);
  if (isTensor(given)) return checked(given, port);
  try {
    return jsonTensor(plainValues(given as Nested), dtype, `input "${name}"`);
  } catch (error) {
    throw wrong(name, error instanceof Error ? firstLine(error.message) : String(error));
  }
}

/** What was built by hand may disagree with itself or with the model. */
function checked(tensor: HostTensor, port: ModelPort): HostTensor {
  const { dtype, shape, data } = tensor;
  const { name } = port;
  if (!dtypes.includes(dtype)) throw wrong(name, `${quoteText(String(dtype))} is no dtype`);
  checkDtype(dtype, port);
  if (!isStorageOf(dtype, data)) throw wrong(name, `${dtype} does not lie in arrays of this type`);
  const isSize = (size: unknown): boolean => Number.isSafeInteger(size) && Number(size) >= 0;
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    throw wrong(name, `[${quoteText(String(shape))}] is no shape`);
  }
  if (elementCount(shape) !== data.length) {
    throw wrong(name, `${data.length} elements for the shape [${shape}]`);
  }
  checkKind(tensor, port);
  if (!areTruths(dtype, data)) throw wrong(name, 'bools are 0 or 1');
  return tensor;
}

function checkDtype(own: DType, { name, dtype }: ModelPort): void {
  if (dtype !== undefined && own !== dtype) throw wrong(name, `${own} where ${dtype} belongs`);
}

/** Of a tensor that is whole. */
function checkKind({ dtype, shape }: Kind, port: ModelPort): void {
  checkDtype(dtype, port);
  const { name, shape: wanted } = port;
  const fits = wanted?.every((size, axis) => typeof size !== 'number' || size === shape[axis]);
  if (wanted === undefined || (fits === true && wanted.length === shape.length)) return;
  throw wrong(name, `[${shape}] where [${wanted.map((s) => s ?? '?').join(',')}] belongs`);
}

const firstLine = (text: string): string =>
  (text.split('\n')[0] as string).replace(/^OC-\S+\s+/, '');

const isReadable = (value: object | Nested): value is Readable =>
  typeof value === 'object' && 'host' in value && typeof value.host === 'function';

const isTensor = (value: object | Nested): value is HostTensor =>
  typeof value === 'object' && 'dtype' in value && 'shape' in value && 'data' in value;

/** Exact integers as text, which the reader of nested values takes. */
function plainValues(value: Nested): unknown {
  if (typeof value === 'bigint') return String(value);
  return Array.isArray(value) ? value.map(plainValues) : value;
}

function fromArray(
  data: Exclude<HostArray, readonly string[]>,
  { name, dtype, shape }: ModelPort,
): HostTensor {
  const chosen = dtype ?? 'f32';
  const wanted = chosen === 'string' ? undefined : allocateArray(chosen, 0).constructor;
  if (data.constructor !== wanted) {
    const reason = `${data.constructor.name} where ${chosen} needs ${wanted?.name ?? 'text'}`;
    throw wrong(name, reason);
  }
  return { dtype: chosen, shape: shapeFor(data.length, shape, name), data };
}

/** The declared shape; one size that is not known follows from the length. */
function shapeFor(length: number, shape: ModelPort['shape'], name: string): readonly number[] {
  if (shape === undefined) return [length];
  const open = shape.filter((size) => typeof size !== 'number').length;
  const known = shape.filter((size) => typeof size === 'number');
  const rest = elementCount(known);
  if (open > 1) throw wrong(name, 'its shape is not known: give {dtype, shape, data}');
  const missing = rest === 0 ? 0 : length / rest;
  if (open === 0 ? rest !== length : !Number.isInteger(missing)) {
    throw wrong(name, `${length} elements for the shape [${shape.map((s) => s ?? '?').join(',')}]`);
  }
  return shape.map((size) => (typeof size === 'number' ? size : missing));
}

/** Random numbers of a seed, the same everywhere: mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const isFloatArray = (dtype: DType): boolean => dtype === 'f32' || dtype === 'f64';

/**
 * Random values: floats in [−1, 1), integers 0 or 1 (valid indices of nearly everything), bools.
 * Throws OC-INPUT-01 for strings and OC-INPUT-04 where sizes are not known.
 */
export function randomTensor(
  port: ModelPort,
  seed: number,
  encode: (dtype: DType, shape: readonly number[], values: readonly number[]) => HostTensor,
): HostTensor {
  const { name, kind, dtype, shape } = port;
  if (kind !== 'tensor' || dtype === undefined || dtype === 'string' || shape === undefined) {
    throw wrong(name, 'random values are made for tensors of numbers with a known rank only');
  }
  const open = shape.flatMap((size, axis) =>
    typeof size === 'number' ? [] : [size === null || size === '' ? `${name}.${axis}` : size],
  );
  if (open.length > 0) {
    throw failure('OC-INPUT-04', { names: [...new Set(open)].join(', ') }, { kind: 'usage' });
  }
  const sizes = shape as readonly number[];
  const random = randomFrom(seed);
  const count = elementCount(sizes);
  if (isFloatArray(dtype)) {
    const data = allocateArray(dtype, count) as Float32Array;
    for (let i = 0; i < count; i++) data[i] = random() * 2 - 1;
    return { dtype, shape: sizes, data };
  }
  const isFloat = /^(f|bf)\d/.test(dtype);
  const values = Array.from({ length: count }, () =>
    isFloat ? random() * 2 - 1 : Math.floor(random() * 2),
  );
  return encode(dtype, sizes, values);
}
