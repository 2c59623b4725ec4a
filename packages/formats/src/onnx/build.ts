/** Short ways to build `ModelProto` data in code, for tests and examples, with defaults. */
import type {
  AttributeProto,
  Dimension,
  GraphProto,
  ModelProto,
  NodeProto,
  ValueInfo,
} from './model.js';

/** A node of ai.onnx unless `parts` says otherwise. */
export function buildNode(
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: readonly AttributeProto[] = [],
  parts: Partial<NodeProto> = {},
): NodeProto {
  const texts = { name: '', domain: '', overload: '', docString: '', metadata: [] };
  return { ...texts, opType, inputs, outputs, attributes, ...parts };
}

/** A tensor value; `dataType` is the ONNX number, 1 for float. */
export function buildValue(
  name: string,
  shape: readonly Dimension[] | null,
  dataType = 1,
): ValueInfo {
  return { name, type: { kind: 'tensor', dataType, shape } };
}

export function buildGraph(parts: Partial<GraphProto>): GraphProto {
  const lists = {
    nodes: [],
    inputs: [],
    outputs: [],
    valueInfo: [],
    initializers: [],
    sparseInitializers: [],
    quantization: [],
    metadata: [],
  };
  return { name: 'graph', docString: '', ...lists, ...parts };
}

/** A model of IR version 10 and opset 21 unless `parts` says otherwise. */
export function buildModel(
  graph: Partial<GraphProto>,
  parts: Partial<Omit<ModelProto, 'graph'>> = {},
): ModelProto {
  return {
    irVersion: 10,
    opsetImport: [{ domain: '', version: 21 }],
    producerName: '',
    producerVersion: '',
    domain: '',
    modelVersion: 0n,
    docString: '',
    functions: [],
    trainingInfo: [],
    metadata: [],
    ...parts,
    graph: buildGraph(graph),
  };
}
