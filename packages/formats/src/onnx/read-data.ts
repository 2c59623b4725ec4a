/** Reads stored values (onnx-data.proto): tensors, sequences, maps, optionals, as in test data. */
import type { HostTensor } from '../base/core.js';
import { decodeUtf8 } from '../base/text.js';
import { type ReadLimits, readLimits } from './limits.js';
import type {
  ByteText,
  MapProto,
  OptionalProto,
  SequenceProto,
  TensorProto,
  ValueProto,
  ValueType,
} from './model.js';
import {
  modelFailure,
  once,
  openFile,
  type ReadState,
  readSparseTensorProto,
  readTensorProto,
} from './read-parts.js';
import { readSparseTensor, readTensor } from './read-tensor.js';

/** A run-time value on the host. */
export type OnnxValue =
  | { readonly kind: 'tensor'; readonly tensor: HostTensor }
  | { readonly kind: 'sequence'; readonly elements: readonly OnnxValue[] }
  | {
      readonly kind: 'map';
      readonly keys: readonly (bigint | string)[];
      readonly values: readonly OnnxValue[];
    }
  | { readonly kind: 'optional'; readonly value: OnnxValue | null };

/**
 * A stored value of the given type. Only the kind of `type` chooses the message that is parsed;
 * dtype and shape are the caller's to compare. Errors: OC-PB, OC-ONNX-06 … 10, 28, 29.
 */
export function readValue(
  bytes: Uint8Array,
  type: ValueType,
  limits: Partial<ReadLimits> = {},
  fileName = 'data',
): OnnxValue {
  const state = openFile(bytes, readLimits(limits), fileName);
  const value = hostValue(readProto(state, type), fileName);
  // Older ONNX wrote bfloat16 test data as its bits in UINT16, because NumPy has no such type.
  const isBits =
    type.kind === 'tensor' && type.dataType === 16 && value.kind === 'tensor' ? value.tensor : null;
  if (isBits?.dtype !== 'u16') return value;
  return { kind: 'tensor', tensor: { ...isBits, dtype: 'bf16' } };
}

/** One TensorProto file. */
export function readTensorFile(
  bytes: Uint8Array,
  limits: Partial<ReadLimits> = {},
  fileName = 'tensor',
): HostTensor {
  return readTensor(parseTensorProto(bytes, limits, fileName), fileName);
}

/** One TensorProto file, not yet converted. */
export function parseTensorProto(
  bytes: Uint8Array,
  limits: Partial<ReadLimits> = {},
  fileName = 'tensor',
): TensorProto {
  return readTensorProto(openFile(bytes, readLimits(limits), fileName));
}

function readProto(state: ReadState, type: ValueType): ValueProto {
  switch (type.kind) {
    case 'tensor':
      return { kind: 'tensor', value: readTensorProto(state) };
    case 'sparseTensor':
      return { kind: 'sparseTensor', value: readSparseTensorProto(state) };
    case 'sequence':
      return { kind: 'sequence', value: readSequenceProto(state) };
    case 'map':
      return { kind: 'map', value: readMapProto(state) };
    case 'optional':
      return { kind: 'optional', value: readOptionalProto(state) };
    default:
      throw modelFailure('OC-ONNX-11', { reason: 'opaque values' }, state.file);
  }
}

/** Kinds by number of `SequenceProto.DataType` and `OptionalProto.DataType`. */
const elementKinds: readonly (ValueProto['kind'] | null)[] = [
  null,
  'tensor',
  'sparseTensor',
  'sequence',
  'map',
  'optional',
];

function readSequenceProto(state: ReadState): SequenceProto {
  const { reader } = state;
  const values: ValueProto[] = [];
  let name = '';
  let elementType = 0;
  while (reader.next()) {
    if (reader.field === 1) name = reader.text('name');
    else if (reader.field === 2) elementType = reader.safeInteger('elem_type');
    else {
      const value = readElement(state, reader.field - 2, values.length);
      if (value !== null) values.push(value);
    }
  }
  checkKinds(state, elementType, values);
  return { name, values };
}

function readOptionalProto(state: ReadState): OptionalProto {
  const { reader } = state;
  let name = '';
  let elementType = 0;
  const values: ValueProto[] = [];
  while (reader.next()) {
    if (reader.field === 1) name = reader.text('name');
    else if (reader.field === 2) elementType = reader.safeInteger('elem_type');
    else {
      const value = readElement(state, reader.field - 2);
      if (value !== null) values.push(value);
    }
  }
  if (values.length > 1) throw mismatch(state, 'an optional with more than one value');
  checkKinds(state, elementType, values);
  return { name, value: values[0] ?? null };
}

/** One value of a list field of SequenceProto or OptionalProto; null where the field is unknown. */
function readElement(state: ReadState, number: number, index?: number): ValueProto | null {
  const { reader } = state;
  switch (elementKinds[number]) {
    case 'tensor': {
      const value = reader.message('tensor', () => readTensorProto(state), index);
      return { kind: 'tensor', value };
    }
    case 'sparseTensor': {
      const value = reader.message('sparse_tensor', () => readSparseTensorProto(state), index);
      return { kind: 'sparseTensor', value };
    }
    case 'sequence': {
      const value = reader.message('sequence', () => readSequenceProto(state), index);
      return { kind: 'sequence', value };
    }
    case 'map':
      return { kind: 'map', value: reader.message('map', () => readMapProto(state), index) };
    case 'optional': {
      const value = reader.message('optional', () => readOptionalProto(state), index);
      return { kind: 'optional', value };
    }
    default:
      reader.skip();
      return null;
  }
}

function mismatch(state: ReadState, reason: string, type = 'optional'): Error {
  return state.reader.fail('OC-ONNX-29', { type, reason });
}

function checkKinds(state: ReadState, elementType: number, values: readonly ValueProto[]): void {
  const kind = elementKinds[elementType];
  if (kind === undefined) throw mismatch(state, `element type ${elementType} is unknown`);
  for (const value of values) {
    if (value.kind !== kind) {
      throw mismatch(state, `an element is a ${value.kind}`, kind ?? 'undefined');
    }
  }
}

function readMapProto(state: ReadState): MapProto {
  const { reader } = state;
  const numbers: bigint[] = [];
  const texts: ByteText[] = [];
  let name = '';
  let keyType = 0;
  let values: SequenceProto | null = null;
  while (reader.next()) {
    if (reader.field === 1) name = reader.text('name');
    else if (reader.field === 2) keyType = reader.safeInteger('key_type');
    else if (reader.field === 3) reader.int64s('keys', numbers);
    else if (reader.field === 4) texts.push(reader.byteText('string_keys'));
    else if (reader.field === 5) {
      values = once(state, values, 'values', () => readSequenceProto(state));
    } else reader.skip();
  }
  const keys = keyType === 8 ? texts : numbers;
  const sequence = values ?? { name: '', values: [] };
  if (keys.length !== sequence.values.length) {
    throw mismatch(state, `${keys.length} keys, ${sequence.values.length} values`, 'map');
  }
  return { name, keyType, keys, values: sequence };
}

/** Converts a stored value with all tensors in it. */
export function hostValue(proto: ValueProto, place = ''): OnnxValue {
  switch (proto.kind) {
    case 'tensor':
      return { kind: 'tensor', tensor: readTensor(proto.value, place) };
    case 'sparseTensor':
      return { kind: 'tensor', tensor: readSparseTensor(proto.value, undefined, place) };
    case 'sequence':
      return {
        kind: 'sequence',
        elements: proto.value.values.map((value) => hostValue(value, place)),
      };
    case 'map':
      return {
        kind: 'map',
        keys: proto.value.keys.map((key) => mapKey(key, place)),
        values: proto.value.values.values.map((value) => hostValue(value, place)),
      };
    default:
      return {
        kind: 'optional',
        value: proto.value.value === null ? null : hostValue(proto.value.value, place),
      };
  }
}

function mapKey(key: bigint | ByteText, place: string): bigint | string {
  if (typeof key === 'bigint') return key;
  const text = typeof key === 'string' ? key : decodeUtf8(key);
  if (text !== null) return text;
  throw modelFailure('OC-ONNX-29', { type: 'map', reason: 'a key is not valid UTF-8' }, place);
}
