/** Readers of the messages that hold no graph: tensors, types, value descriptions, entries. */
import { failure } from '../base/core.js';
import { shortName } from '../base/text.js';
import { WireReader } from '../protobuf/reader.js';
import type { ReadLimits } from './limits.js';
import type {
  ByteText,
  Dimension,
  OperatorSetId,
  SparseTensorProto,
  StringEntry,
  TensorAnnotation,
  TensorProto,
  TensorType,
  ValueInfo,
  ValueType,
} from './model.js';

/** One file being read: the cursor, its bounds, and what has been counted so far. */
export interface ReadState {
  readonly reader: WireReader;
  readonly limits: ReadLimits;
  readonly counts: { nodes: number; tensors: number; attributes: number };
  readonly file: string;
}

export function openFile(
  bytes: Uint8Array,
  limits: ReadLimits,
  file: string,
  isOwn = false,
): ReadState {
  const counts = { nodes: 0, tensors: 0, attributes: 0 };
  return { reader: new WireReader(bytes, file, limits, isOwn), limits, counts, file };
}

/** Counts one more of a bounded kind of thing. */
export function countOne(state: ReadState, what: keyof ReadState['counts']): void {
  const count = state.counts[what] + 1;
  state.counts[what] = count;
  const limit = state.limits[what];
  if (count > limit) throw state.reader.fail('OC-PB-09', { what, count, limit });
}

/** Writers put a number field in one piece; thousands of pieces only cost time. */
const mostRuns = 10_000;

function addRun<T>(state: ReadState, runs: T[], run: T): void {
  if (runs.length === mostRuns) {
    const details = { what: 'runs', count: mostRuns + 1, limit: mostRuns };
    throw state.reader.fail('OC-PB-09', details);
  }
  runs.push(run);
}

function joinRuns<T extends { readonly length: number; set(run: T, at: number): void }>(
  runs: readonly T[],
  allocate: (length: number) => T,
): T {
  if (runs.length === 1) return runs[0] as T;
  const joined = allocate(runs.reduce((sum, run) => sum + run.length, 0));
  let at = 0;
  for (const run of runs) {
    joined.set(run, at);
    at += run.length;
  }
  return joined;
}

/** The fields of a TensorProto. Negative sizes and products above 2^53 are refused here. */
export function readTensorProto(state: ReadState): TensorProto {
  const { reader, limits } = state;
  countOne(state, 'tensors');
  const dims: number[] = [];
  const floats: Float32Array[] = [];
  const int32s: Int32Array[] = [];
  const int64s: BigInt64Array[] = [];
  const doubles: Float64Array[] = [];
  const uint64s: BigUint64Array[] = [];
  const strings: ByteText[] = [];
  const entries: StringEntry[] = [];
  let name = '';
  let docString = '';
  let dataType = 0;
  let rawData: Uint8Array | null = null;
  let external = false;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        reader.safeIntegers('dims', dims, limits.rank);
        break;
      case 2:
        dataType = reader.safeInteger('data_type');
        break;
      case 3:
        throw reader.fail('OC-ONNX-11', { reason: 'segments of a tensor' }, 'segment');
      case 4:
        addRun(state, floats, reader.floatRun('float_data'));
        break;
      case 5:
        addRun(state, int32s, reader.int32Run('int32_data'));
        break;
      case 6:
        strings.push(reader.byteText('string_data'));
        break;
      case 7:
        addRun(state, int64s, reader.int64Run('int64_data'));
        break;
      case 8:
        name = reader.text('name');
        break;
      case 9:
        rawData = reader.blob('raw_data');
        break;
      case 10:
        addRun(state, doubles, reader.doubleRun('double_data'));
        break;
      case 11:
        addRun(state, uint64s, reader.uint64Run('uint64_data'));
        break;
      case 12:
        docString = reader.looseText('doc_string');
        break;
      case 13:
        entries.push(reader.message('external_data', readEntry, entries.length));
        break;
      case 14:
        external = reader.safeInteger('data_location') === 1;
        break;
      default:
        reader.skip();
    }
  }
  checkDims(state, dims, name);
  return {
    name,
    dims,
    dataType,
    ...(docString === '' ? {} : { docString }),
    ...(rawData === null ? {} : { rawData }),
    ...(floats.length === 0 ? {} : { floatData: joinRuns(floats, (n) => new Float32Array(n)) }),
    ...(int32s.length === 0 ? {} : { int32Data: joinRuns(int32s, (n) => new Int32Array(n)) }),
    ...(int64s.length === 0 ? {} : { int64Data: joinRuns(int64s, (n) => new BigInt64Array(n)) }),
    ...(doubles.length === 0 ? {} : { doubleData: joinRuns(doubles, (n) => new Float64Array(n)) }),
    ...(uint64s.length === 0
      ? {}
      : { uint64Data: joinRuns(uint64s, (n) => new BigUint64Array(n)) }),
    ...(strings.length === 0 ? {} : { stringData: strings }),
    ...(external ? { externalData: entries } : {}),
  };
}

function checkDims(state: ReadState, dims: readonly number[], name: string): void {
  let product = 1;
  for (const size of dims) {
    product *= size;
    if (size >= 0 && product <= Number.MAX_SAFE_INTEGER) continue;
    throw state.reader.fail('OC-ONNX-06', { tensor: shortName(name), dims: String(dims) }, 'dims');
  }
}

export function readSparseTensorProto(state: ReadState): SparseTensorProto {
  const { reader, limits } = state;
  const dims: number[] = [];
  let values: TensorProto | null = null;
  let indices: TensorProto | null = null;
  while (reader.next()) {
    if (reader.field === 1) values = once(state, values, 'values', () => readTensorProto(state));
    else if (reader.field === 2) {
      indices = once(state, indices, 'indices', () => readTensorProto(state));
    } else if (reader.field === 3) reader.safeIntegers('dims', dims, limits.rank);
    else reader.skip();
  }
  checkDims(state, dims, values?.name ?? '');
  if (values === null || indices === null) {
    throw reader.fail('OC-ONNX-28', { tensor: '', reason: 'values or indices are missing' });
  }
  return { values, indices, dims };
}

/** A singular message field: a second one is refused, because readers disagree on what it means. */
export function once<T>(state: ReadState, earlier: T | null, name: string, read: () => T): T {
  if (earlier !== null) throw state.reader.fail('OC-PB-07', {}, name);
  return state.reader.message(name, read);
}

export function readEntry(reader: WireReader): StringEntry {
  let key = '';
  let value = '';
  while (reader.next()) {
    if (reader.field === 1) key = reader.text('key');
    else if (reader.field === 2) value = reader.text('value');
    else reader.skip();
  }
  return { key, value };
}

export function readOperatorSet(reader: WireReader): OperatorSetId {
  let domain = '';
  let version = 0;
  while (reader.next()) {
    if (reader.field === 1) domain = reader.text('domain');
    else if (reader.field === 2) version = reader.safeInteger('version');
    else reader.skip();
  }
  return { domain, version };
}

export function readAnnotation(reader: WireReader): TensorAnnotation {
  let tensorName = '';
  const parameters: StringEntry[] = [];
  while (reader.next()) {
    if (reader.field === 1) tensorName = reader.text('tensor_name');
    else if (reader.field === 2) {
      const index = parameters.length;
      parameters.push(reader.message('quant_parameter_tensor_names', readEntry, index));
    } else reader.skip();
  }
  return { tensorName, parameters };
}

export function readValueInfo(state: ReadState): ValueInfo {
  const { reader } = state;
  let name = '';
  let docString = '';
  let type: ValueType | null = null;
  let seen: true | null = null;
  while (reader.next()) {
    if (reader.field === 1) name = reader.text('name');
    else if (reader.field === 2) {
      seen = once(state, seen, 'type', () => {
        type = readType(state);
        return true;
      });
    } else if (reader.field === 3) docString = reader.looseText('doc_string');
    else reader.skip();
  }
  return docString === '' ? { name, type } : { name, type, docString };
}

/** A TypeProto; null when it says nothing. */
export function readType(state: ReadState): ValueType | null {
  const { reader } = state;
  let type: ValueType | null = null;
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        type = once(state, type, 'tensor_type', () => readTensorType(state, 'tensor'));
        break;
      case 4:
        type = once(state, type, 'sequence_type', () => ({
          kind: 'sequence',
          element: readElementType(state),
        }));
        break;
      case 5:
        type = once(state, type, 'map_type', () => readMapType(state));
        break;
      case 7:
        type = once(state, type, 'opaque_type', () => readOpaqueType(reader));
        break;
      case 8:
        type = once(state, type, 'sparse_tensor_type', () => readTensorType(state, 'sparseTensor'));
        break;
      case 9:
        type = once(state, type, 'optional_type', () => ({
          kind: 'optional',
          element: readElementType(state),
        }));
        break;
      default:
        reader.skip();
    }
  }
  return type;
}

const untyped: TensorType = { kind: 'tensor', dataType: 0, shape: null };

function readElementType(state: ReadState): ValueType {
  const { reader } = state;
  let element: ValueType | null = null;
  while (reader.next()) {
    if (reader.field !== 1) reader.skip();
    else element = once(state, element, 'elem_type', () => readType(state) ?? untyped);
  }
  return element ?? untyped;
}

function readMapType(state: ReadState): ValueType {
  const { reader } = state;
  let keyType = 0;
  let value: ValueType | null = null;
  while (reader.next()) {
    if (reader.field === 1) keyType = reader.safeInteger('key_type');
    else if (reader.field === 2) {
      value = once(state, value, 'value_type', () => readType(state) ?? untyped);
    } else reader.skip();
  }
  return { kind: 'map', keyType, value: value ?? untyped };
}

function readOpaqueType(reader: WireReader): ValueType {
  let domain = '';
  let name = '';
  while (reader.next()) {
    if (reader.field === 1) domain = reader.text('domain');
    else if (reader.field === 2) name = reader.text('name');
    else reader.skip();
  }
  return { kind: 'opaque', domain, name };
}

function readTensorType(state: ReadState, kind: TensorType['kind']): TensorType {
  const { reader } = state;
  let dataType = 0;
  let shape: readonly Dimension[] | null = null;
  while (reader.next()) {
    if (reader.field === 1) dataType = reader.safeInteger('elem_type');
    else if (reader.field === 2) shape = once(state, shape, 'shape', () => readShape(state));
    else reader.skip();
  }
  return { kind, dataType, shape };
}

function readShape(state: ReadState): readonly Dimension[] {
  const { reader, limits } = state;
  const shape: Dimension[] = [];
  while (reader.next()) {
    if (reader.field !== 1) {
      reader.skip();
      continue;
    }
    const count = shape.length + 1;
    if (count > limits.rank) {
      throw reader.fail('OC-PB-09', { what: 'dim', count, limit: limits.rank }, 'dim');
    }
    shape.push(reader.message('dim', readDimension, shape.length));
  }
  return shape;
}

/** Writers in the field put −1 or an empty symbol for "unknown"; both read as null. */
function readDimension(reader: WireReader): Dimension {
  let dimension: Dimension = null;
  while (reader.next()) {
    if (reader.field === 1) {
      const size = reader.safeInteger('dim_value');
      dimension = size < 0 ? null : size;
    } else if (reader.field === 2) {
      const symbol = reader.text('dim_param');
      dimension = symbol === '' ? null : symbol;
    } else reader.skip();
  }
  return dimension;
}

/** An error of the format's rules about a named thing in a file. */
export function modelFailure(
  code: Parameters<typeof failure>[0],
  details: Parameters<typeof failure>[1],
  ...place: readonly string[]
): ReturnType<typeof failure> {
  return failure(code, details, { where: place.filter((part) => part !== '').join(': ') });
}
