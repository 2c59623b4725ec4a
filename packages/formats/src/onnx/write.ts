/** Writes `ModelProto` and `TensorProto` as ONNX bytes: everything that the types carry. */
import { bytesOf, dtypeFacts, type HostArray, type HostTensor } from '../base/core.js';
import { bytesFromArray } from '../base/little-endian.js';
import { WireWriter } from '../protobuf/writer.js';
import {
  ATTRIBUTE_KINDS,
  type AttributeProto,
  type ByteText,
  type Dimension,
  type FunctionProto,
  type GraphProto,
  type MapProto,
  type ModelProto,
  type NodeProto,
  type OperatorSetId,
  type OptionalProto,
  type SequenceProto,
  type SparseTensorProto,
  type StringEntry,
  type TensorProto,
  type ValueInfo,
  type ValueProto,
  type ValueType,
} from './model.js';
import { numberOfDtype } from './read-tensor.js';

/** The bytes of a model file. */
export function writeModel(model: ModelProto): Uint8Array {
  const writer = new WireWriter();
  writer.varint(1, model.irVersion);
  text(writer, 2, model.producerName);
  text(writer, 3, model.producerVersion);
  text(writer, 4, model.domain);
  if (model.modelVersion !== 0n) writer.varint(5, model.modelVersion);
  text(writer, 6, model.docString);
  writer.message(7, (inner) => putGraph(inner, model.graph));
  for (const each of model.opsetImport) putOperatorSet(writer, 8, each);
  for (const each of model.metadata) putEntry(writer, 14, each);
  for (const { initialization, algorithm, ...bindings } of model.trainingInfo) {
    writer.message(20, (inner) => {
      if (initialization !== null) inner.message(1, (part) => putGraph(part, initialization));
      if (algorithm !== null) inner.message(2, (part) => putGraph(part, algorithm));
      for (const entry of bindings.initializationBinding) putEntry(inner, 3, entry);
      for (const entry of bindings.updateBinding) putEntry(inner, 4, entry);
    });
  }
  for (const each of model.functions) writer.message(25, (inner) => putFunction(inner, each));
  return writer.finish();
}

/** The bytes of a TensorProto file. */
export function writeTensor(tensor: TensorProto): Uint8Array {
  const writer = new WireWriter();
  putTensor(writer, tensor);
  return writer.finish();
}

/** The bytes of a stored value (test data): the message that its kind names. */
export function writeValue(value: ValueProto): Uint8Array {
  const writer = new WireWriter();
  putValue(writer, value);
  return writer.finish();
}

/** A host tensor as TensorProto with raw data (text as string_data); sub-byte types are packed. */
export function tensorProto(name: string, tensor: HostTensor): TensorProto {
  const { dtype, shape, data } = tensor;
  const facts = { name, dims: shape, dataType: numberOfDtype(dtype) };
  if (dtype === 'string') return { ...facts, stringData: data as readonly string[] };
  const numbers = data as Exclude<HostArray, readonly string[]>;
  const { bits } = dtypeFacts[dtype];
  const bytes = bytesFromArray(dtype, numbers);
  return { ...facts, rawData: bits < 8 * bytesOf(dtype) ? packBits(bytes, bits) : bytes };
}

/** Packs one value per byte into `bits` each, first in the low bits. */
function packBits(values: Uint8Array, bits: number): Uint8Array {
  const perByte = 8 / bits;
  const packed = new Uint8Array(Math.ceil(values.length / perByte));
  for (const [i, value] of values.entries()) {
    const at = Math.floor(i / perByte);
    packed[at] = (packed[at] as number) | ((value & (2 ** bits - 1)) << (bits * (i % perByte)));
  }
  return packed;
}

function text(writer: WireWriter, field: number, value: string | undefined): void {
  if (value !== undefined && value !== '') writer.text(field, value);
}

function byteText(writer: WireWriter, field: number, value: ByteText): void {
  if (typeof value === 'string') writer.text(field, value);
  else writer.blob(field, value);
}

function putEntry(writer: WireWriter, field: number, entry: StringEntry): void {
  writer.message(field, (inner) => {
    inner.text(1, entry.key);
    inner.text(2, entry.value);
  });
}

function putOperatorSet(writer: WireWriter, field: number, opset: OperatorSetId): void {
  writer.message(field, (inner) => {
    inner.text(1, opset.domain);
    inner.varint(2, opset.version);
  });
}

function putGraph(writer: WireWriter, graph: GraphProto): void {
  for (const node of graph.nodes) writer.message(1, (inner) => putNode(inner, node));
  text(writer, 2, graph.name);
  for (const each of graph.initializers) writer.message(5, (inner) => putTensor(inner, each));
  text(writer, 10, graph.docString);
  for (const each of graph.inputs) putValueInfo(writer, 11, each);
  for (const each of graph.outputs) putValueInfo(writer, 12, each);
  for (const each of graph.valueInfo) putValueInfo(writer, 13, each);
  for (const each of graph.quantization) {
    writer.message(14, (inner) => {
      text(inner, 1, each.tensorName);
      for (const entry of each.parameters) putEntry(inner, 2, entry);
    });
  }
  for (const each of graph.sparseInitializers) {
    writer.message(15, (inner) => putSparseTensor(inner, each));
  }
  for (const each of graph.metadata) putEntry(writer, 16, each);
}

function putNode(writer: WireWriter, node: NodeProto): void {
  for (const input of node.inputs) writer.text(1, input);
  for (const output of node.outputs) writer.text(2, output);
  text(writer, 3, node.name);
  text(writer, 4, node.opType);
  for (const each of node.attributes) writer.message(5, (inner) => putAttribute(inner, each));
  text(writer, 6, node.docString);
  text(writer, 7, node.domain);
  text(writer, 8, node.overload);
  for (const each of node.metadata) putEntry(writer, 9, each);
}

function putAttribute(writer: WireWriter, attribute: AttributeProto): void {
  writer.text(1, attribute.name);
  text(writer, 13, attribute.docString);
  const kind = attribute.kind === 'reference' ? attribute.type : attribute.kind;
  writer.varint(20, ATTRIBUTE_KINDS.indexOf(kind));
  switch (attribute.kind) {
    case 'float':
      writer.float(2, attribute.value);
      break;
    case 'int':
      writer.varint(3, attribute.value);
      break;
    case 'string':
      byteText(writer, 4, attribute.value);
      break;
    case 'tensor':
      writer.message(5, (inner) => putTensor(inner, attribute.value));
      break;
    case 'graph':
      writer.message(6, (inner) => putGraph(inner, attribute.value));
      break;
    case 'floats':
      for (const each of attribute.value) writer.float(7, each);
      break;
    case 'ints':
      for (const each of attribute.value) writer.varint(8, each);
      break;
    case 'strings':
      for (const each of attribute.value) byteText(writer, 9, each);
      break;
    case 'tensors':
      for (const each of attribute.value) writer.message(10, (inner) => putTensor(inner, each));
      break;
    case 'graphs':
      for (const each of attribute.value) writer.message(11, (inner) => putGraph(inner, each));
      break;
    case 'type':
      writer.message(14, (inner) => putType(inner, attribute.value));
      break;
    case 'types':
      for (const each of attribute.value) writer.message(15, (inner) => putType(inner, each));
      break;
    case 'reference':
      writer.text(21, attribute.value);
      break;
    case 'sparseTensor':
      writer.message(22, (inner) => putSparseTensor(inner, attribute.value));
      break;
    default:
      for (const each of attribute.value)
        writer.message(23, (inner) => putSparseTensor(inner, each));
  }
}

function putTensor(writer: WireWriter, tensor: TensorProto): void {
  for (const size of tensor.dims) writer.varint(1, size);
  writer.varint(2, tensor.dataType);
  if (tensor.floatData !== undefined) writer.blob(4, bytesFromArray('f32', tensor.floatData));
  if (tensor.int32Data !== undefined) writer.packedVarints(5, tensor.int32Data);
  for (const each of tensor.stringData ?? []) byteText(writer, 6, each);
  if (tensor.int64Data !== undefined) writer.packedVarints(7, tensor.int64Data);
  text(writer, 8, tensor.name);
  if (tensor.rawData !== undefined) writer.blob(9, tensor.rawData);
  if (tensor.doubleData !== undefined) writer.blob(10, bytesFromArray('f64', tensor.doubleData));
  if (tensor.uint64Data !== undefined) writer.packedVarints(11, tensor.uint64Data);
  text(writer, 12, tensor.docString);
  for (const entry of tensor.externalData ?? []) putEntry(writer, 13, entry);
  if (tensor.externalData !== undefined) writer.varint(14, 1);
}

function putSparseTensor(writer: WireWriter, sparse: SparseTensorProto): void {
  writer.message(1, (inner) => putTensor(inner, sparse.values));
  writer.message(2, (inner) => putTensor(inner, sparse.indices));
  for (const size of sparse.dims) writer.varint(3, size);
}

function putValueInfo(writer: WireWriter, field: number, value: ValueInfo): void {
  const { type } = value;
  writer.message(field, (inner) => {
    text(inner, 1, value.name);
    if (type !== null) inner.message(2, (part) => putType(part, type));
    text(inner, 3, value.docString);
  });
}

function putType(writer: WireWriter, type: ValueType): void {
  switch (type.kind) {
    case 'sequence':
      writer.message(4, (inner) => inner.message(1, (part) => putType(part, type.element)));
      break;
    case 'optional':
      writer.message(9, (inner) => inner.message(1, (part) => putType(part, type.element)));
      break;
    case 'map':
      writer.message(5, (inner) => {
        inner.varint(1, type.keyType);
        inner.message(2, (part) => putType(part, type.value));
      });
      break;
    case 'opaque':
      writer.message(7, (inner) => {
        text(inner, 1, type.domain);
        text(inner, 2, type.name);
      });
      break;
    default: {
      const { dataType, shape } = type;
      writer.message(type.kind === 'tensor' ? 1 : 8, (inner) => {
        inner.varint(1, dataType);
        if (shape !== null) inner.message(2, (part) => putShape(part, shape));
      });
    }
  }
}

function putShape(writer: WireWriter, shape: readonly Dimension[]): void {
  for (const size of shape) {
    writer.message(1, (inner) => {
      if (typeof size === 'number') inner.varint(1, size);
      else if (size !== null) inner.text(2, size);
    });
  }
}

function putFunction(writer: WireWriter, definition: FunctionProto): void {
  text(writer, 1, definition.name);
  for (const each of definition.inputs) writer.text(4, each);
  for (const each of definition.outputs) writer.text(5, each);
  for (const each of definition.attributeNames) writer.text(6, each);
  for (const node of definition.nodes) writer.message(7, (inner) => putNode(inner, node));
  text(writer, 8, definition.docString);
  for (const each of definition.opsetImport) putOperatorSet(writer, 9, each);
  text(writer, 10, definition.domain);
  for (const each of definition.attributeDefaults) {
    writer.message(11, (inner) => putAttribute(inner, each));
  }
  for (const each of definition.valueInfo) putValueInfo(writer, 12, each);
  text(writer, 13, definition.overload);
  for (const each of definition.metadata) putEntry(writer, 14, each);
}

/** Number of a kind in `SequenceProto.DataType`; its list field is one of them plus two. */
const kindNumber: Readonly<Record<ValueProto['kind'], number>> = {
  tensor: 1,
  sparseTensor: 2,
  sequence: 3,
  map: 4,
  optional: 5,
};

function putValue(writer: WireWriter, value: ValueProto): void {
  switch (value.kind) {
    case 'tensor':
      putTensor(writer, value.value);
      break;
    case 'sparseTensor':
      putSparseTensor(writer, value.value);
      break;
    case 'sequence':
      putElements(writer, value.value.name, value.value.values);
      break;
    case 'map':
      putMap(writer, value.value);
      break;
    default:
      putOptional(writer, value.value);
  }
}

function putElements(writer: WireWriter, name: string, values: SequenceProto['values']): void {
  text(writer, 1, name);
  const first = values[0];
  if (first !== undefined) writer.varint(2, kindNumber[first.kind]);
  for (const each of values) {
    writer.message(kindNumber[each.kind] + 2, (inner) => putValue(inner, each));
  }
}

function putOptional(writer: WireWriter, optional: OptionalProto): void {
  putElements(writer, optional.name, optional.value === null ? [] : [optional.value]);
}

function putMap(writer: WireWriter, map: MapProto): void {
  text(writer, 1, map.name);
  writer.varint(2, map.keyType);
  for (const key of map.keys) {
    if (typeof key === 'bigint') writer.varint(3, key);
    else byteText(writer, 4, key);
  }
  writer.message(5, (inner) => putElements(inner, map.values.name, map.values.values));
}
