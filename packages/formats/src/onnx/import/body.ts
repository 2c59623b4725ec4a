/**
 * Walks the nodes of graphs, subgraphs and functions, calls each operator's import, and keeps
 * going after a refusal so that all of them are known at the end.
 */
import { functionKey } from '../function-calls.js';
import {
  type AttributeProto,
  type FunctionProto,
  type GraphProto,
  type NodeProto,
  normalizeDomain,
  type ValueType,
} from '../model.js';
import { dtypeOfNumber, readSparseTensor, readTensor } from '../read-tensor.js';
import { findAttribute } from './attributes.js';
import { type BodyImports, inputsOf, makeCall } from './call.js';
import type { Attempt, OperatorCall } from './context.js';
import { build, isFailure, type Node, type OpenClawError } from './core.js';
import { foldConstant, isClosed } from './fold.js';
import { type OperatorEntry, operatorKey, sinceVersion } from './registry.js';
import { knownSizes } from './sizes.js';
import {
  depthLimit,
  type Frame,
  freeNames,
  lookUp,
  opsetOf,
  placeOf,
  RefusedNode,
  type Scope,
} from './state.js';
import {
  asValue,
  hostValue,
  isUnknown,
  mapNodes,
  nodesOf,
  unknownValue,
  type Value,
} from './value.js';

/** Imports nodes in order; their outputs become names of the frame's scope. */
export function importNodes(frame: Frame, nodes: readonly NodeProto[]): void {
  for (const node of nodes) {
    const results = importNode(frame, node);
    for (const [index, name] of node.outputs.entries()) {
      if (name !== '') frame.scope.names.set(name, results[index] ?? unknownValue);
    }
  }
}

/** The constants of a graph under their names. */
export function importInitializers(frame: Frame, graph: GraphProto): void {
  for (const tensor of graph.initializers) {
    const place = `${frame.place} initializer`;
    frame.scope.names.set(tensor.name, hostValue(readTensor(tensor, place)));
  }
  for (const sparse of graph.sparseInitializers) {
    frame.scope.names.set(sparse.values.name, hostValue(readSparseTensor(sparse)));
  }
}

function importNode(frame: Frame, node: NodeProto): readonly Value[] {
  const { state } = frame;
  const domain = normalizeDomain(node.domain);
  const inputs = inputsOf(frame, node);
  state.count.nodes += 1;
  const opset = opsetOf(frame, domain);
  try {
    if (inputs.some((value) => value !== undefined && isUnknown(value))) {
      // Its inputs were refused; what can be said without them is whether it is supported.
      if (!state.functions.has(functionKey(domain, node.opType, node.overload))) {
        entryOf(frame, node, domain, opset);
      }
      return placeholders(frame, node);
    }
    if (state.count.nodes > state.nodeLimit) {
      throw new RefusedNode(`the model unrolls to more than ${state.nodeLimit} nodes`);
    }
    const definition = state.functions.get(functionKey(domain, node.opType, node.overload));
    if (definition !== undefined) return importFunction(frame, node, definition, inputs);
    return runImport(frame, node, domain, opset, inputs);
  } catch (error) {
    record(frame, node, domain, opset, error);
    return placeholders(frame, node);
  }
}

/** Stand-ins for a refused node's outputs where the file states their types. */
function placeholders(frame: Frame, node: NodeProto): readonly Value[] {
  return node.outputs.map((name) => {
    const type = frame.types.get(name);
    if (type === undefined || type.kind !== 'tensor' || type.shape === null) return unknownValue;
    const dtype = dtypeOfNumber(type.dataType);
    if (dtype === null || dtype === 'string') return unknownValue;
    const shape = type.shape.filter((extent) => typeof extent === 'number');
    if (shape.length < type.shape.length) return unknownValue;
    return { kind: 'tensor', node: build.input('refused', { dtype, shape }) };
  });
}

/** Types that a graph states for its values. */
export function statedTypes(graph: GraphProto): ReadonlyMap<string, ValueType> {
  const types = new Map<string, ValueType>();
  for (const each of [...graph.valueInfo, ...graph.outputs]) {
    if (each.type !== null) types.set(each.name, each.type);
  }
  return types;
}

function entryOf(
  frame: Frame,
  node: NodeProto,
  domain: string,
  opset: number,
): { readonly entry: OperatorEntry; readonly version: number } {
  const entry = frame.state.operators.get(operatorKey(domain, node.opType));
  if (entry === undefined) throw new RefusedNode('the operator is not supported');
  const version = sinceVersion(entry, opset);
  if (version !== undefined) return { entry, version };
  throw new RefusedNode(`version ${opset} of the operator is older than ${entry.versions[0]}`);
}

function record(
  frame: Frame,
  node: NodeProto,
  domain: string,
  version: number,
  error: unknown,
): void {
  if (error instanceof RefusedSubgraph) return;
  if (!isRefusal(error)) throw error;
  frame.state.refusals.push({
    operator: node.opType,
    domain,
    version,
    node: placeOf(frame, node),
    reason: error instanceof RefusedNode ? error.message : (error as OpenClawError).what,
    needs: error instanceof RefusedNode ? error.needs : [],
  });
}

/** Shapes and dtypes that do not fit are the model's fault; internal errors are ours. */
const isRefusal = (error: unknown): boolean =>
  error instanceof RefusedNode || (isFailure(error) && error.code !== 'OC-INTERNAL-01');

/** Runs an import that may fail, in favour of another way: its refusals are then forgotten. */
function attempt<T>(frame: Frame, run: () => T): Attempt<T> {
  const { refusals, requirements } = frame.state;
  const before = [refusals.length, requirements.length] as const;
  try {
    return { done: true, result: run() };
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const inner = error instanceof RefusedSubgraph ? refusals[before[0]] : undefined;
    const own = inner && `${inner.operator} in its subgraph: ${inner.reason}`;
    refusals.length = before[0];
    requirements.length = before[1];
    return {
      done: false,
      reason: own ?? (isFailure(error) ? error.what : (error as Error).message),
    };
  }
}

function runImport(
  frame: Frame,
  node: NodeProto,
  domain: string,
  opset: number,
  inputs: readonly (Value | undefined)[],
): readonly Value[] {
  const { entry, version } = entryOf(frame, node, domain, opset);
  const site = { frame, node, domain, version, opset, inputs };
  const results = entry.import(makeCall(site, bodiesOf(frame)));
  const list = Array.isArray(results) ? results : [results];
  return list.map((result) => mapNodes(asValue(result), settle));
}

/** Folds, and finds known sizes now: later, a long chain of nodes would be one deep recursion. */
function settle(node: Node): Node {
  const folded = foldConstant(node);
  knownSizes(folded);
  return folded;
}

function bodiesOf(frame: Frame): BodyImports {
  return {
    inline: (graph, inputs) => inlineGraph(frame, graph, inputs, null),
    captures: (graphs) => capturesOf(frame, graphs),
    region: (graph, inputs, captured, own) =>
      inlineGraph(frame, graph, inputs, replacementOf(captured, own)),
    attempt: (run) => attempt(frame, run),
    apply: (operator, inputs, attributes = [], outputs = 1) =>
      applyOperator(frame, operator, inputs, attributes, outputs),
  };
}

function applyOperator(
  frame: Frame,
  operator: string,
  inputs: Parameters<OperatorCall['apply']>[1],
  attributes: readonly AttributeProto[],
  outputs: number,
): readonly Value[] {
  const names = (count: number, prefix: string): string[] =>
    Array.from({ length: count }, (_, i) => `${prefix}${i}`);
  const node: NodeProto = {
    name: '',
    opType: operator,
    domain: '',
    overload: '',
    docString: '',
    inputs: names(inputs.length, 'in'),
    outputs: names(outputs, 'out'),
    attributes,
    metadata: [],
  };
  const values = inputs.map((input) => (input === undefined ? undefined : asValue(input)));
  return runImport(frame, node, '', opsetOf(frame, ''), values);
}

function deeper(frame: Frame): number {
  if (frame.depth < depthLimit) return frame.depth + 1;
  throw new RefusedNode(`functions and subgraphs are nested deeper than ${depthLimit}`);
}

/** Writes a function's body in place of a call. */
function importFunction(
  frame: Frame,
  node: NodeProto,
  definition: FunctionProto,
  inputs: readonly (Value | undefined)[],
): readonly Value[] {
  const attributes = new Map<string, AttributeProto>();
  for (const each of definition.attributeDefaults) attributes.set(each.name, each);
  for (const each of node.attributes) {
    const given = findAttribute(frame, node, each.name);
    if (given !== undefined) attributes.set(each.name, given);
  }
  const names = new Map<string, Value>();
  for (const [index, name] of definition.inputs.entries()) {
    const value = inputs[index];
    if (value !== undefined) names.set(name, value);
  }
  const opsets = new Map(
    definition.opsetImport.map((each) => [normalizeDomain(each.domain), each.version]),
  );
  const inner: Frame = {
    ...frame,
    opsets: opsets.size > 0 ? opsets : frame.opsets,
    types: new Map(),
    attributes,
    scope: { names, outer: null },
    place: `${frame.place} function "${definition.name}"`,
    depth: deeper(frame),
  };
  importNodes(inner, definition.nodes);
  return definition.outputs.map((name) => names.get(name) ?? unknownValue);
}

type Replacement = (value: Value) => Value;

/**
 * A subgraph's nodes in place, or in a region when `replacement` tells which region input stands
 * for an outer node.
 */
function inlineGraph(
  frame: Frame,
  graph: GraphProto,
  inputs: readonly Value[],
  replacement: Replacement | null,
): readonly Value[] {
  const names = new Map<string, Value>();
  const scope: Scope = { names, outer: replacement === null ? frame.scope : null };
  const inner: Frame = {
    ...frame,
    scope,
    types: statedTypes(graph),
    place: `${frame.place} graph "${graph.name}"`,
    inRegion: frame.inRegion || replacement !== null,
    depth: deeper(frame),
  };
  if (replacement !== null) {
    for (const name of freeNames(graph)) {
      const value = lookUp(frame.scope, name);
      if (value !== undefined) names.set(name, replacement(value));
    }
  }
  importInitializers(inner, graph);
  for (const [index, input] of graph.inputs.entries()) {
    const value = inputs[index];
    if (value !== undefined) names.set(input.name, value);
  }
  importNodes(inner, graph.nodes);
  return graph.outputs.map((output) => {
    const value = lookUp(scope, output.name) ?? unknownValue;
    if (isUnknown(value)) throw new RefusedSubgraph();
    return value;
  });
}

/** A subgraph holds refused nodes, each recorded already; the node around it is no new refusal. */
class RefusedSubgraph extends RefusedNode {
  constructor() {
    super('its subgraph holds refused nodes');
  }
}

function capturesOf(frame: Frame, graphs: readonly GraphProto[]): readonly Node[] {
  const nodes = new Set<Node>();
  for (const graph of graphs) {
    for (const name of freeNames(graph)) {
      const value = lookUp(frame.scope, name);
      if (value === undefined) continue;
      for (const node of nodesOf(value)) if (!isPortable(node)) nodes.add(node);
    }
  }
  return [...nodes];
}

/** Whether a region may use the node as it is: it depends on nothing but constants and sizes. */
const isPortable = (node: Node): boolean => isClosed(node) || knownSizes(node) !== undefined;

/** Known sizes are written out anew, so that no outer node comes along. */
function portableNode(node: Node): Node {
  if (isClosed(node)) return node;
  const sizes = knownSizes(node) ?? [];
  const parts = sizes.map((each) => build.reshape(build.size(each), [1]));
  const flat = parts.length === 1 ? (parts[0] as Node) : build.concat(parts, 0);
  const shaped = build.reshape(flat, node.shape);
  return shaped.dtype === node.dtype ? shaped : build.cast(shaped, node.dtype);
}

function replacementOf(captured: readonly Node[], own: readonly Node[]): Replacement {
  const byNode = new Map(captured.map((node, index) => [node, own[index] as Node]));
  return (value) => mapNodes(value, (node) => byNode.get(node) ?? portableNode(node));
}
