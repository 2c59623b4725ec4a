/**
 * Structural rules of a model (ONNX IR specification): versions, domains, single assignment,
 * order of nodes, types and payloads. Says nothing about single operators; importers do.
 */
import { type Details, type ErrorCode, failure } from '../base/core.js';
import { shortName } from '../base/text.js';
import { checkFunctionCalls, functionKey } from './function-calls.js';
import { type ReadLimits, readLimits } from './limits.js';
import {
  type AttributeProto,
  type FunctionProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  normalizeDomain,
  type OperatorSetId,
  type ValueType,
} from './model.js';
import { checkTensor, dtypeOfNumber } from './read-tensor.js';

export interface ValidateOptions {
  readonly fileName?: string;
  readonly limits?: Partial<ReadLimits>;
  /** Newest supported opset by domain ('' is ai.onnx). */
  readonly opsets?: ReadonlyMap<string, number>;
}

/** Newest IR version whose rules are known here. */
export const newestIrVersion = 13;

export const supportedOpsets: ReadonlyMap<string, number> = new Map([
  ['', 28],
  ['ai.onnx.ml', 5],
  ['ai.onnx.preview', 1],
  ['ai.onnx.preview.training', 1],
  ['com.microsoft', 1],
]);

/** Names visible in a graph; a name of an inner graph hides the same name outside. */
interface Scope {
  readonly names: Set<string>;
  readonly outer: Scope | null;
}

/** What is fixed while one graph or function body is checked. */
interface Context {
  readonly file: string;
  readonly limits: ReadLimits;
  readonly opsets: ReadonlyMap<string, number>;
  readonly functions: ReadonlyMap<string, FunctionProto>;
  readonly imports: ReadonlyMap<string, number>;
  /** Attribute names of the function around; null in the model's own graph. */
  readonly parameters: ReadonlySet<string> | null;
  readonly body: string;
  readonly depth: number;
}

/** Throws the first broken rule, with file, graph and node. Errors: OC-ONNX-02 … 10, 18 … 31. */
export function validateModel(model: ModelProto, options: ValidateOptions = {}): void {
  const file = shortName(options.fileName ?? 'model');
  const limits = readLimits(options.limits);
  const { irVersion, opsetImport } = model;
  if (irVersion < 1 || irVersion > newestIrVersion) {
    const details = { version: irVersion, newest: newestIrVersion };
    throw failure('OC-ONNX-02', details, { where: file, kind: 'refused' });
  }
  const functions = new Map<string, FunctionProto>();
  for (const each of model.functions) {
    const key = functionKey(each.domain, each.name, each.overload);
    const name = shortName(each.name);
    if (each.name === '') throw wrongFunction(file, name, 'it has no name');
    if (functions.has(key)) throw wrongFunction(file, name, 'it is defined twice');
    functions.set(key, each);
  }
  // Before IR version 3 there was no opset_import; opset 1 was meant.
  const stated =
    opsetImport.length === 0 && irVersion < 3 ? [{ domain: '', version: 1 }] : opsetImport;
  const shared = { file, limits, opsets: options.opsets ?? supportedOpsets, functions };
  const context = { ...shared, parameters: null, depth: 0 };
  const imports = importsOf(stated, file, 'the model');
  if (imports.size === 0) {
    throw failure('OC-ONNX-03', { domain: 'ai.onnx', user: 'the model' }, { where: file });
  }
  checkFunctionCalls(model, functions, limits.expandedNodes, file);
  for (const each of model.functions) checkFunction(each, { ...shared, depth: 0 }, imports);
  checkGraph(model.graph, null, { ...context, imports, body: graphName(model.graph) });
}

function wrongFunction(file: string, name: string, reason: string): Error {
  return failure('OC-ONNX-27', { name, reason }, { where: file });
}

function graphName(graph: GraphProto): string {
  return `graph "${shortName(graph.name)}"`;
}

function importsOf(
  stated: readonly OperatorSetId[],
  file: string,
  user: string,
): ReadonlyMap<string, number> {
  const imports = new Map<string, number>();
  for (const { domain, version } of stated) {
    const key = normalizeDomain(domain);
    const earlier = imports.get(key);
    if (version < 1 || (earlier !== undefined && earlier !== version)) {
      const details = { version, domain: shortName(domain) || 'ai.onnx', newest: 'the newest' };
      throw failure('OC-ONNX-04', details, { where: `${file}: opset_import of ${user}` });
    }
    imports.set(key, version);
  }
  return imports;
}

function checkFunction(
  definition: FunctionProto,
  shared: Omit<Context, 'imports' | 'parameters' | 'body'>,
  modelImports: ReadonlyMap<string, number>,
): void {
  const { file } = shared;
  const name = shortName(definition.name);
  const { attributeNames, attributeDefaults, inputs, outputs } = definition;
  const parameterNames = [...attributeNames, ...attributeDefaults.map((each) => each.name)];
  const parameters = new Set(parameterNames);
  if (parameters.size < parameterNames.length) {
    throw wrongFunction(file, name, 'an attribute is declared twice');
  }
  if (new Set(inputs).size < inputs.length || inputs.includes('')) {
    throw wrongFunction(file, name, 'an input has no name of its own');
  }
  const own = importsOf(definition.opsetImport, file, `function "${name}"`);
  const imports = own.size > 0 ? own : modelImports;
  const context = { ...shared, imports, parameters, body: `function "${name}"` };
  const scope: Scope = { names: new Set(inputs), outer: null };
  checkNodes(definition.nodes, scope, context);
  for (const output of outputs) {
    if (scope.names.has(output)) continue;
    throw failure('OC-ONNX-22', { name: shortName(output) }, { where: place(context) });
  }
}

function checkGraph(graph: GraphProto, outer: Scope | null, context: Context): void {
  const { limits } = context;
  const fail = (code: ErrorCode, details: Details): Error =>
    failure(code, details, { where: place(context) });
  if (context.depth > limits.subgraphDepth) {
    throw fail('OC-ONNX-24', { limit: limits.subgraphDepth });
  }
  const names = new Set<string>();
  for (const input of graph.inputs) {
    const name = shortName(input.name);
    if (input.name === '') throw fail('OC-ONNX-30', { reason: 'a graph input has no name' });
    if (names.has(input.name)) throw fail('OC-ONNX-18', { name });
    if (input.type === null && outer === null) throw fail('OC-ONNX-25', { name });
    if (input.type !== null) checkType(input.type, name, context, outer === null);
    names.add(input.name);
  }
  const constants = new Set<string>();
  const sparse = graph.sparseInitializers.map((each) => each.values);
  for (const tensor of [...graph.initializers, ...sparse]) {
    if (tensor.name === '') throw fail('OC-ONNX-30', { reason: 'an initializer has no name' });
    if (constants.has(tensor.name)) throw fail('OC-ONNX-18', { name: shortName(tensor.name) });
    checkTensor(tensor, place(context));
    constants.add(tensor.name);
    names.add(tensor.name);
  }
  for (const value of graph.valueInfo) {
    if (value.type !== null) checkType(value.type, shortName(value.name), context, false);
  }
  const scope: Scope = { names, outer };
  checkNodes(graph.nodes, scope, context);
  for (const output of graph.outputs) {
    const name = shortName(output.name);
    if (!isVisible(scope, output.name)) throw fail('OC-ONNX-22', { name });
    if (output.type !== null) checkType(output.type, name, context, false);
  }
}

function isVisible(scope: Scope, name: string): boolean {
  for (let at: Scope | null = scope; at !== null; at = at.outer) {
    if (at.names.has(name)) return true;
  }
  return false;
}

/** Checks nodes in order and adds their outputs to `scope`. */
function checkNodes(nodes: readonly NodeProto[], scope: Scope, context: Context): void {
  for (const [index, node] of nodes.entries()) {
    const fail = (code: ErrorCode, details: Details): Error =>
      failure(code, details, { where: place(context, node, index) });
    if (node.opType === '') throw fail('OC-ONNX-30', { reason: 'it has no op_type' });
    checkDomain(node, context, index);
    for (const input of node.inputs) {
      if (input !== '' && !isVisible(scope, input)) {
        throw fail(missingInput(nodes, index, input), { name: shortName(input) });
      }
    }
    const attributes = new Set<string>();
    for (const attribute of node.attributes) {
      const name = shortName(attribute.name);
      if (attributes.has(attribute.name))
        throw fail('OC-ONNX-26', { name, reason: 'it stands twice' });
      attributes.add(attribute.name);
      checkAttribute(attribute, scope, context, place(context, node, index));
    }
    for (const output of node.outputs) {
      if (output === '') continue;
      if (scope.names.has(output)) throw fail('OC-ONNX-18', { name: shortName(output) });
      scope.names.add(output);
    }
  }
}

function checkDomain(node: NodeProto, context: Context, index: number): void {
  const domain = normalizeDomain(node.domain);
  const shown = shortName(domain) || 'ai.onnx';
  const user = shortName(node.opType);
  const version = context.imports.get(domain);
  const where = place(context, node, index);
  const isCall = context.functions.has(functionKey(node.domain, node.opType, node.overload));
  if (isCall) return;
  const newest = context.opsets.get(domain);
  if (newest === undefined) {
    throw failure('OC-ONNX-05', { domain: shown, user }, { where, kind: 'refused' });
  }
  if (version === undefined) throw failure('OC-ONNX-03', { domain: shown, user }, { where });
  if (version > newest) {
    throw failure('OC-ONNX-04', { domain: shown, version, newest }, { where, kind: 'refused' });
  }
}

function checkAttribute(
  attribute: AttributeProto,
  scope: Scope,
  context: Context,
  where: string,
): void {
  const name = shortName(attribute.name);
  const inner = { ...context, depth: context.depth + 1, body: `${where}: ${name}` };
  switch (attribute.kind) {
    case 'graph':
      checkGraph(attribute.value, scope, inner);
      break;
    case 'graphs':
      for (const graph of attribute.value) checkGraph(graph, scope, inner);
      break;
    case 'tensor':
      checkTensor(attribute.value, where);
      break;
    case 'tensors':
      for (const tensor of attribute.value) checkTensor(tensor, where);
      break;
    case 'sparseTensor':
      checkTensor(attribute.value.values, where);
      checkTensor(attribute.value.indices, where);
      break;
    case 'type':
      checkType(attribute.value, name, context, false);
      break;
    case 'types':
      for (const type of attribute.value) checkType(type, name, context, false);
      break;
    case 'reference':
      if (context.parameters?.has(attribute.value) !== true) {
        const reason = `it refers to "${shortName(attribute.value)}", which no function declares`;
        throw failure('OC-ONNX-26', { name, reason }, { where });
      }
      break;
    default:
  }
}

/** `strict`: UNDEFINED is refused too, as in the inputs of the model. */
function checkType(type: ValueType, name: string, context: Context, strict: boolean): void {
  let at = type;
  for (let depth = 0; depth <= context.limits.depth; depth++) {
    if (at.kind === 'sequence' || at.kind === 'optional') at = at.element;
    else if (at.kind === 'map') at = at.value;
    else break;
  }
  if (at.kind !== 'tensor' && at.kind !== 'sparseTensor') return;
  const { dataType } = at;
  const isComplex = dataType === 14 || dataType === 15;
  if (dtypeOfNumber(dataType) !== null || isComplex || (dataType === 0 && !strict)) return;
  throw failure('OC-ONNX-09', { name, number: dataType }, { where: place(context) });
}

/** Why an input is not there yet: made by nothing, made later, or made from this node's outputs. */
function missingInput(nodes: readonly NodeProto[], index: number, name: string): ErrorCode {
  const makers = new Map<string, number>();
  for (const [i, node] of nodes.entries()) for (const output of node.outputs) makers.set(output, i);
  const maker = makers.get(name);
  if (maker === undefined) return 'OC-ONNX-19';
  const seen = new Set([maker]);
  const open = [maker];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (at === index) return 'OC-ONNX-21';
    for (const input of usedNames(nodes[at] as NodeProto)) {
      const next = makers.get(input);
      if (next === undefined || seen.has(next)) continue;
      seen.add(next);
      open.push(next);
    }
  }
  return 'OC-ONNX-20';
}

/** Inputs of a node and of all nodes in its subgraphs. */
function usedNames(node: NodeProto): readonly string[] {
  const names = [...node.inputs];
  const graphs = node.attributes.flatMap((each) =>
    each.kind === 'graph' ? [each.value] : each.kind === 'graphs' ? each.value : [],
  );
  for (const graph of graphs) {
    for (const inner of graph.nodes) for (const name of usedNames(inner)) names.push(name);
    for (const output of graph.outputs) names.push(output.name);
  }
  return names;
}

/** Where in the file: at most 200 characters are printed, so outer bodies are cut first. */
function place(context: Context, node?: NodeProto, index?: number): string {
  const body = context.body.length > 90 ? `…${context.body.slice(-89)}` : context.body;
  if (node === undefined) return `${context.file}: ${body}`;
  const name = node.name === '' ? '' : ` "${shortName(node.name)}"`;
  return `${context.file}: ${body} node ${index}${name} (${shortName(node.opType)})`;
}
