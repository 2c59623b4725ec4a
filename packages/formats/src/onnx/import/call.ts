/** Makes the `OperatorCall` that an operator's import works with. */
import type { NodeProto } from '../model.js';
import { attributeReader, clampInteger } from './attributes.js';
import type { OperatorCall } from './context.js';
import {
  build,
  type HostTensor,
  isFloat,
  isInteger,
  type Node,
  type Size,
  size,
  valuesOf,
} from './core.js';
import { elementSizes, knownSizes } from './sizes.js';
import { type Frame, lookUp, type Need, RefusedNode } from './state.js';
import { describeValue, nodesOf, type Value } from './value.js';

/** What of a call needs the walk over bodies. */
export type BodyImports = Pick<
  OperatorCall,
  'inline' | 'captures' | 'region' | 'attempt' | 'apply'
>;

export interface CallSite {
  readonly frame: Frame;
  readonly node: NodeProto;
  readonly domain: string;
  readonly version: number;
  readonly opset: number;
  /** Undefined: omitted. */
  readonly inputs: readonly (Value | undefined)[];
}

/** The values of a node's inputs by name. */
export function inputsOf(frame: Frame, node: NodeProto): readonly (Value | undefined)[] {
  return node.inputs.map((name) => (name === '' ? undefined : lookUp(frame.scope, name)));
}

export function makeCall(site: CallSite, bodies: BodyImports): OperatorCall {
  const { frame, node, inputs } = site;
  const attributes = attributeReader(frame, node);
  const present = inputs.findLastIndex((value) => value !== undefined) + 1;
  const value = (index: number): Value => {
    const found = inputs[index];
    if (found === undefined) throw new RefusedNode(`input ${index} is missing`);
    return found;
  };
  const tensor = (index: number): Node => {
    const found = value(index);
    if (found.kind === 'tensor') return found.node;
    throw new RefusedNode(`input ${index} is a ${describeValue(found)}, a tensor is needed`);
  };
  const constant = (index: number): HostTensor | undefined => {
    const found = inputs[index];
    return found === undefined ? undefined : constantOf(found);
  };
  const needValue = (of: number | Value, reason: string): Error =>
    new RefusedNode(reason, valueNeeds(frame, nodesOf(typeof of === 'number' ? value(of) : of)));
  const needConstant = (index: number): HostTensor => {
    const found = constant(index);
    if (found !== undefined) return found;
    throw needValue(index, `the value of input ${index} must be known before the run`);
  };
  return {
    ...bodies,
    operator: node.opType,
    domain: site.domain,
    version: site.version,
    opset: site.opset,
    node,
    named: (name) => (name === '' ? undefined : lookUp(frame.scope, name)),
    inputCount: present,
    has: (index) => inputs[index] !== undefined,
    value,
    tensor,
    optionalTensor: (index) => (inputs[index] === undefined ? undefined : tensor(index)),
    tensors: (from = 0) =>
      Array.from({ length: Math.max(present - from, 0) }, (_, i) => tensor(from + i)),
    strings: (index) => {
      const found = value(index);
      if (found.kind === 'strings') return found.tensor;
      throw new RefusedNode(`input ${index} is a ${describeValue(found)}, not of strings`);
    },
    outputCount: node.outputs.length,
    wants: (index) => (node.outputs[index] ?? '') !== '',
    attribute: attributes.find,
    hasAttribute: (name) => attributes.find(name) !== undefined,
    int: attributes.int,
    float: attributes.float,
    text: attributes.text,
    ints: attributes.ints,
    floats: attributes.floats,
    texts: attributes.texts,
    tensorAttribute: attributes.tensor,
    graphAttribute: attributes.graph,
    dtypeAttribute: attributes.dtype,
    constant,
    needConstant,
    constantInts: (index) => integersOf(constant(index)),
    needConstantInts: (index) => {
      const integers = integersOf(needConstant(index));
      if (integers !== undefined) return integers;
      throw new RefusedNode(`input ${index} must hold integers`);
    },
    constantFloats: (index) => floatsOf(constant(index)),
    sizes: (index, minimum = 0) => {
      const sizes = elementSizes(tensor(index), minimum);
      if (sizes !== undefined) return sizes;
      throw needValue(index, `input ${index} is no short list of integers`);
    },
    knownSizes: (index) => knownSizes(tensor(index)),
    staticSize: (value, what) => {
      if (typeof value === 'number') return value;
      const reason = `${what} is not known before the run`;
      throw new RefusedNode(reason, sizeNeeds(frame, [value]));
    },
    axis: (axis, rank) => {
      const normal = axis < 0 ? axis + rank : axis;
      if (normal >= 0 && normal < rank) return normal;
      throw new RefusedNode(`axis ${axis} is outside a tensor of rank ${rank}`);
    },
    require: (relation, left, right, what) => {
      const isKnown = typeof left === 'number' && typeof right === 'number';
      if (isKnown && relation === 'equal' && left !== right && !frame.inRegion) {
        throw new RefusedNode(`${what}: ${left} ≠ ${right}`);
      }
      // A region's sizes have no meaning outside it; its own operations check them.
      if (!frame.inRegion) frame.state.requirements.push({ relation, left, right, what });
    },
    refuse: (reason) => new RefusedNode(reason),
    needValue,
    needShape: (index, reason) => new RefusedNode(reason, sizeNeeds(frame, tensor(index).shape)),
  };
}

/** The host tensor behind a constant; integer tensors whose elements are known count. */
export function constantOf(value: Value): HostTensor | undefined {
  if (value.kind === 'strings') return value.tensor;
  if (value.kind !== 'tensor') return undefined;
  return value.node.op === 'constant' ? value.node.attributes.tensor : undefined;
}

function integersOf(tensor: HostTensor | undefined): readonly number[] | undefined {
  if (tensor === undefined) return undefined;
  if (!isInteger(tensor.dtype) && tensor.dtype !== 'bool') return undefined;
  return valuesOf(tensor).map((each) => clampInteger(BigInt(each)));
}

function floatsOf(tensor: HostTensor | undefined): readonly number[] | undefined {
  if (tensor === undefined || !isFloat(tensor.dtype)) return undefined;
  return valuesOf(tensor).map(Number);
}

/**
 * The model's inputs whose values (or shapes, where sizes are read) nodes depend on; none when a
 * region's input is among them.
 */
function valueNeeds(frame: Frame, nodes: readonly Node[]): readonly Need[] {
  const names = new Set<string>();
  const sizes: Size[] = [];
  const seen = new Set<Node>();
  const open = [...nodes];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    if (node.op === 'input') {
      const name = frame.state.inputNames.get(node);
      if (name === undefined) return [];
      names.add(name);
    }
    if (node.op === 'size') sizes.push(node.attributes.value);
    open.push(...node.inputs);
  }
  const values = [...names].map((input): Need => ({ input, what: 'value' }));
  // Shapes are asked for first: with them known, values behind sizes are often not needed.
  const behind = sizeNeeds(frame, sizes);
  const shapes = behind.filter(({ what }) => what === 'shape');
  return [...values, ...(shapes.length > 0 ? shapes : behind)];
}

/** What the symbols in sizes stand for: shapes of inputs, and values that sizes are read from. */
function sizeNeeds(frame: Frame, sizes: readonly Size[]): readonly Need[] {
  const needs: Need[] = [];
  const symbols = new Map(sizes.flatMap((each) => [...size.variablesOf(each)]));
  for (const symbol of symbols.values()) {
    const source = build.elementSourceOf(symbol);
    if (source !== undefined) needs.push(...valueNeeds(frame, [source.node]));
    for (const [node, input] of frame.state.inputNames) {
      const own = node.shape.some((extent) => size.variablesOf(extent).has(symbol.name));
      if (own) needs.push({ input, what: 'shape' });
    }
  }
  return needs;
}
