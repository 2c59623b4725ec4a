/** Reads one attribute of a node or function into its single value. */
import type { WireReader } from '../protobuf/reader.js';
import {
  ATTRIBUTE_KINDS,
  type AttributeProto,
  type AttributeValue,
  type ByteText,
  type GraphProto,
  type SparseTensorProto,
  type TensorProto,
  type ValueType,
} from './model.js';
import {
  countOne,
  type ReadState,
  readSparseTensorProto,
  readTensorProto,
  readType,
} from './read-parts.js';

/** One AttributeProto; `readGraph` reads a nested graph, which only its caller knows how to do. */
export function readAttribute(state: ReadState, readGraph: () => GraphProto): AttributeProto {
  const { reader } = state;
  countOne(state, 'attributes');
  const floats: number[] = [];
  const ints: bigint[] = [];
  const strings: ByteText[] = [];
  const tensors: TensorProto[] = [];
  const graphs: GraphProto[] = [];
  const sparseTensors: SparseTensorProto[] = [];
  const types: (ValueType | null)[] = [];
  const given: AttributeValue[] = [];
  const tensor = (): TensorProto => readTensorProto(state);
  const sparse = (): SparseTensorProto => readSparseTensorProto(state);
  const type = (): ValueType | null => readType(state);
  let name = '';
  let reference = '';
  let number = 0;
  let docString = '';
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        name = reader.text('name');
        break;
      case 2:
        given.push({ kind: 'float', value: reader.float('f') });
        break;
      case 3:
        given.push({ kind: 'int', value: reader.int64('i') });
        break;
      case 4:
        given.push({ kind: 'string', value: reader.byteText('s') });
        break;
      case 5:
        given.push({ kind: 'tensor', value: reader.message('t', tensor) });
        break;
      case 6:
        given.push({ kind: 'graph', value: reader.message('g', readGraph) });
        break;
      case 7:
        reader.floats('floats', floats);
        break;
      case 8:
        reader.int64s('ints', ints);
        break;
      case 9:
        strings.push(reader.byteText('strings'));
        break;
      case 10:
        tensors.push(reader.message('tensors', tensor, tensors.length));
        break;
      case 11:
        graphs.push(reader.message('graphs', readGraph, graphs.length));
        break;
      case 13:
        docString = reader.looseText('doc_string');
        break;
      case 14: {
        const value = reader.message('tp', type);
        if (value === null) throw reader.fail('OC-ONNX-26', { name, reason: 'an empty type' });
        given.push({ kind: 'type', value });
        break;
      }
      case 15:
        types.push(reader.message('type_protos', type, types.length));
        break;
      case 20:
        number = reader.safeInteger('type');
        break;
      case 21:
        reference = reader.text('ref_attr_name');
        break;
      case 22:
        given.push({ kind: 'sparseTensor', value: reader.message('sparse_tensor', sparse) });
        break;
      case 23:
        sparseTensors.push(reader.message('sparse_tensors', sparse, sparseTensors.length));
        break;
      default:
        reader.skip();
    }
  }
  if (floats.length > 0) given.push({ kind: 'floats', value: floats });
  if (ints.length > 0) given.push({ kind: 'ints', value: ints });
  if (strings.length > 0) given.push({ kind: 'strings', value: strings });
  if (tensors.length > 0) given.push({ kind: 'tensors', value: tensors });
  if (graphs.length > 0) given.push({ kind: 'graphs', value: graphs });
  if (sparseTensors.length > 0) given.push({ kind: 'sparseTensors', value: sparseTensors });
  if (types.length > 0) {
    const known = types.filter((entry) => entry !== null);
    if (known.length < types.length) {
      throw reader.fail('OC-ONNX-26', { name, reason: 'an empty type' });
    }
    given.push({ kind: 'types', value: known });
  }
  const value = chooseValue(reader, name, number, reference, given);
  return docString === '' ? { name, ...value } : { name, docString, ...value };
}

/** The one value of an attribute; a writer may leave out zero, '' and empty lists. */
function chooseValue(
  reader: WireReader,
  name: string,
  number: number,
  reference: string,
  given: readonly AttributeValue[],
): AttributeValue {
  const wrong = (reason: string): Error => reader.fail('OC-ONNX-26', { name, reason });
  const kind = ATTRIBUTE_KINDS[number];
  if (kind === undefined) throw wrong(`type ${number} is unknown`);
  if (reference !== '') {
    if (kind === null) throw wrong('a reference without a type');
    if (given.length > 0) throw wrong('both a reference and a value');
    return { kind: 'reference', value: reference, type: kind };
  }
  if (given.length > 1) throw wrong('more than one value');
  const value = given[0];
  if (value !== undefined) {
    // IR version 1 had no type field.
    if (kind !== null && kind !== value.kind) {
      throw wrong(`type says ${kind}, the value is ${value.kind}`);
    }
    return value;
  }
  switch (kind) {
    case 'float':
      return { kind, value: 0 };
    case 'int':
      return { kind, value: 0n };
    case 'string':
      return { kind, value: '' };
    case 'floats':
    case 'ints':
    case 'strings':
    case 'tensors':
    case 'graphs':
    case 'sparseTensors':
    case 'types':
      return { kind, value: [] };
    default:
      throw wrong('no value');
  }
}
