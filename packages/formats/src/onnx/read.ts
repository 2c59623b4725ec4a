/**
 * Reads ONNX model files into `ModelProto`: syntax only, see validate.ts for the rules between
 * parts. Payloads are views into the given bytes, which must not change afterwards.
 */
import { type ReadLimits, readLimits } from './limits.js';
import type {
  AttributeProto,
  FunctionProto,
  GraphProto,
  ModelProto,
  NodeProto,
  OperatorSetId,
  SparseTensorProto,
  StringEntry,
  TensorAnnotation,
  TensorProto,
  TrainingInfoProto,
  ValueInfo,
} from './model.js';
import { readAttribute } from './read-attribute.js';
import {
  countOne,
  once,
  openFile,
  type ReadState,
  readAnnotation,
  readEntry,
  readOperatorSet,
  readSparseTensorProto,
  readTensorProto,
  readValueInfo,
} from './read-parts.js';

/**
 * Parses a model file. `fileName` is used in errors only. With `isOwn` nobody else reads `bytes`:
 * weights are moved inside of them by a few bytes to where kernels can use them in place.
 * Errors: OC-PB-01…10 for the wire format, OC-ONNX-01 where there is no graph, OC-ONNX-06 for
 * impossible tensor sizes, OC-ONNX-26 for malformed attributes.
 */
export function readModel(
  bytes: Uint8Array,
  limits: Partial<ReadLimits> = {},
  fileName = 'model',
  isOwn = false,
): ModelProto {
  const state = openFile(bytes, readLimits(limits), fileName, isOwn);
  const { reader } = state;
  const opsetImport: OperatorSetId[] = [];
  const functions: FunctionProto[] = [];
  const trainingInfo: TrainingInfoProto[] = [];
  const metadata: StringEntry[] = [];
  let graph: GraphProto | null = null;
  let irVersion = 0;
  let producerName = '';
  let producerVersion = '';
  let domain = '';
  let modelVersion = 0n;
  let docString = '';
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        irVersion = reader.safeInteger('ir_version');
        break;
      case 2:
        producerName = reader.text('producer_name');
        break;
      case 3:
        producerVersion = reader.text('producer_version');
        break;
      case 4:
        domain = reader.text('domain');
        break;
      case 5:
        modelVersion = reader.int64('model_version');
        break;
      case 6:
        docString = reader.looseText('doc_string');
        break;
      case 7:
        graph = once(state, graph, 'graph', () => readGraph(state, 0));
        break;
      case 8:
        opsetImport.push(reader.message('opset_import', readOperatorSet, opsetImport.length));
        break;
      case 14:
        metadata.push(reader.message('metadata_props', readEntry, metadata.length));
        break;
      case 20:
        trainingInfo.push(
          reader.message('training_info', () => readTrainingInfo(state), trainingInfo.length),
        );
        break;
      case 25:
        functions.push(reader.message('functions', () => readFunction(state), functions.length));
        break;
      default:
        reader.skip();
    }
  }
  if (graph === null) throw reader.fail('OC-ONNX-01', { bytes: bytes.length });
  return {
    irVersion,
    opsetImport,
    producerName,
    producerVersion,
    domain,
    modelVersion,
    docString,
    graph,
    functions,
    trainingInfo,
    metadata,
  };
}

function readGraph(state: ReadState, depth: number): GraphProto {
  const { reader, limits } = state;
  if (depth > limits.subgraphDepth) {
    throw reader.fail('OC-ONNX-24', { limit: limits.subgraphDepth });
  }
  const nodes: NodeProto[] = [];
  const inputs: ValueInfo[] = [];
  const outputs: ValueInfo[] = [];
  const valueInfo: ValueInfo[] = [];
  const initializers: TensorProto[] = [];
  const sparseInitializers: SparseTensorProto[] = [];
  const quantization: TensorAnnotation[] = [];
  const metadata: StringEntry[] = [];
  const tensor = (): TensorProto => readTensorProto(state);
  const sparse = (): SparseTensorProto => readSparseTensorProto(state);
  const value = (): ValueInfo => readValueInfo(state);
  let name = '';
  let docString = '';
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        nodes.push(reader.message('node', () => readNode(state, depth), nodes.length));
        break;
      case 2:
        name = reader.text('name');
        break;
      case 5:
        initializers.push(reader.message('initializer', tensor, initializers.length));
        break;
      case 10:
        docString = reader.looseText('doc_string');
        break;
      case 11:
        inputs.push(reader.message('input', value, inputs.length));
        break;
      case 12:
        outputs.push(reader.message('output', value, outputs.length));
        break;
      case 13:
        valueInfo.push(reader.message('value_info', value, valueInfo.length));
        break;
      case 14:
        quantization.push(
          reader.message('quantization_annotation', readAnnotation, quantization.length),
        );
        break;
      case 15:
        sparseInitializers.push(
          reader.message('sparse_initializer', sparse, sparseInitializers.length),
        );
        break;
      case 16:
        metadata.push(reader.message('metadata_props', readEntry, metadata.length));
        break;
      default:
        reader.skip();
    }
  }
  return {
    name,
    docString,
    nodes,
    inputs,
    outputs,
    valueInfo,
    initializers,
    sparseInitializers,
    quantization,
    metadata,
  };
}

function readNode(state: ReadState, depth: number): NodeProto {
  const { reader } = state;
  countOne(state, 'nodes');
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributes: AttributeProto[] = [];
  const metadata: StringEntry[] = [];
  const subgraph = (): GraphProto => readGraph(state, depth + 1);
  const attribute = (): AttributeProto => readAttribute(state, subgraph);
  let name = '';
  let opType = '';
  let domain = '';
  let overload = '';
  let docString = '';
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        inputs.push(reader.text('input'));
        break;
      case 2:
        outputs.push(reader.text('output'));
        break;
      case 3:
        name = reader.text('name');
        break;
      case 4:
        opType = reader.text('op_type');
        break;
      case 5:
        attributes.push(reader.message('attribute', attribute, attributes.length));
        break;
      case 6:
        docString = reader.looseText('doc_string');
        break;
      case 7:
        domain = reader.text('domain');
        break;
      case 8:
        overload = reader.text('overload');
        break;
      case 9:
        metadata.push(reader.message('metadata_props', readEntry, metadata.length));
        break;
      default:
        reader.skip();
    }
  }
  return { name, opType, domain, overload, docString, inputs, outputs, attributes, metadata };
}

function readFunction(state: ReadState): FunctionProto {
  const { reader } = state;
  const inputs: string[] = [];
  const outputs: string[] = [];
  const attributeNames: string[] = [];
  const attributeDefaults: AttributeProto[] = [];
  const nodes: NodeProto[] = [];
  const opsetImport: OperatorSetId[] = [];
  const valueInfo: ValueInfo[] = [];
  const metadata: StringEntry[] = [];
  const subgraph = (): GraphProto => readGraph(state, 1);
  const attribute = (): AttributeProto => readAttribute(state, subgraph);
  let name = '';
  let domain = '';
  let overload = '';
  let docString = '';
  while (reader.next()) {
    switch (reader.field) {
      case 1:
        name = reader.text('name');
        break;
      case 4:
        inputs.push(reader.text('input'));
        break;
      case 5:
        outputs.push(reader.text('output'));
        break;
      case 6:
        attributeNames.push(reader.text('attribute'));
        break;
      case 7:
        nodes.push(reader.message('node', () => readNode(state, 0), nodes.length));
        break;
      case 8:
        docString = reader.looseText('doc_string');
        break;
      case 9:
        opsetImport.push(reader.message('opset_import', readOperatorSet, opsetImport.length));
        break;
      case 10:
        domain = reader.text('domain');
        break;
      case 11:
        attributeDefaults.push(
          reader.message('attribute_proto', attribute, attributeDefaults.length),
        );
        break;
      case 12:
        valueInfo.push(reader.message('value_info', () => readValueInfo(state), valueInfo.length));
        break;
      case 13:
        overload = reader.text('overload');
        break;
      case 14:
        metadata.push(reader.message('metadata_props', readEntry, metadata.length));
        break;
      default:
        reader.skip();
    }
  }
  return {
    name,
    domain,
    overload,
    docString,
    inputs,
    outputs,
    attributeNames,
    attributeDefaults,
    nodes,
    opsetImport,
    valueInfo,
    metadata,
  };
}

function readTrainingInfo(state: ReadState): TrainingInfoProto {
  const { reader } = state;
  let initialization: GraphProto | null = null;
  let algorithm: GraphProto | null = null;
  const initializationBinding: StringEntry[] = [];
  const updateBinding: StringEntry[] = [];
  while (reader.next()) {
    if (reader.field === 1) {
      initialization = once(state, initialization, 'initialization', () => readGraph(state, 0));
    } else if (reader.field === 2) {
      algorithm = once(state, algorithm, 'algorithm', () => readGraph(state, 0));
    } else if (reader.field === 3) {
      const index = initializationBinding.length;
      initializationBinding.push(reader.message('initialization_binding', readEntry, index));
    } else if (reader.field === 4) {
      updateBinding.push(reader.message('update_binding', readEntry, updateBinding.length));
    } else reader.skip();
  }
  return { initialization, algorithm, initializationBinding, updateBinding };
}
