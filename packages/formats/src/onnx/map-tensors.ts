/** Visits or replaces every tensor of a model, those in attributes and subgraphs included. */
import type {
  AttributeProto,
  FunctionProto,
  GraphProto,
  ModelProto,
  NodeProto,
  SparseTensorProto,
  TensorProto,
  TrainingInfoProto,
} from './model.js';

type Change = (tensor: TensorProto) => TensorProto;

/** The model with `change` applied to every tensor. */
export function mapTensors(model: ModelProto, change: Change): ModelProto {
  return {
    ...model,
    graph: mapGraph(model.graph, change),
    functions: model.functions.map((each) => mapFunction(each, change)),
    trainingInfo: model.trainingInfo.map((each) => mapTraining(each, change)),
  };
}

function mapGraph(graph: GraphProto, change: Change): GraphProto {
  return {
    ...graph,
    nodes: graph.nodes.map((node) => mapNode(node, change)),
    initializers: graph.initializers.map(change),
    sparseInitializers: graph.sparseInitializers.map((each) => mapSparse(each, change)),
  };
}

function mapFunction(definition: FunctionProto, change: Change): FunctionProto {
  return {
    ...definition,
    attributeDefaults: definition.attributeDefaults.map((each) => mapAttribute(each, change)),
    nodes: definition.nodes.map((node) => mapNode(node, change)),
  };
}

function mapTraining(info: TrainingInfoProto, change: Change): TrainingInfoProto {
  return {
    ...info,
    initialization: info.initialization && mapGraph(info.initialization, change),
    algorithm: info.algorithm && mapGraph(info.algorithm, change),
  };
}

function mapSparse(sparse: SparseTensorProto, change: Change): SparseTensorProto {
  return { ...sparse, values: change(sparse.values), indices: change(sparse.indices) };
}

function mapNode(node: NodeProto, change: Change): NodeProto {
  if (node.attributes.length === 0) return node;
  return { ...node, attributes: node.attributes.map((each) => mapAttribute(each, change)) };
}

function mapAttribute(attribute: AttributeProto, change: Change): AttributeProto {
  switch (attribute.kind) {
    case 'tensor':
      return { ...attribute, value: change(attribute.value) };
    case 'tensors':
      return { ...attribute, value: attribute.value.map(change) };
    case 'sparseTensor':
      return { ...attribute, value: mapSparse(attribute.value, change) };
    case 'sparseTensors':
      return { ...attribute, value: attribute.value.map((each) => mapSparse(each, change)) };
    case 'graph':
      return { ...attribute, value: mapGraph(attribute.value, change) };
    case 'graphs':
      return { ...attribute, value: attribute.value.map((each) => mapGraph(each, change)) };
    default:
      return attribute;
  }
}
