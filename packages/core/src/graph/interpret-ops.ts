/** The table of primitives: each as a function of its input values. This is what they mean. */
import type { DType } from '../base/dtype.js';
import { isWide } from '../base/dtype.js';
import { internal } from '../base/errors.js';
import type { Size } from '../base/expression.js';
import { elementCount } from '../base/host-tensor.js';
import { bitcastValue, castValue, unpackValue } from './interpret-cast.js';
import type { Context } from './interpret-context.js';
import { contractValue } from './interpret-contract.js';
import { binaryValue, selectValue, unaryValue } from './interpret-elementwise.js';
import { compactValue, gatherValue, scatterValue, updateValue } from './interpret-index.js';
import { randomWords } from './interpret-random.js';
import { cumulateValue, reduceValue, sortValues } from './interpret-reduce.js';
import { compositeValues, ifValues, loopValues, whileValues } from './interpret-region.js';
import { decode, integerAt, type Value } from './interpret-value.js';
import {
  concatValues,
  expandValue,
  flipValue,
  iotaValue,
  padValue,
  permuteValue,
  reshapeValue,
  sliceValue,
} from './interpret-views.js';
import { convolveValue, poolValue, type WindowSizes } from './interpret-window.js';
import type { BinaryName, NodeOf, OpName, UnaryName } from './node.js';

/** One result as a value, several as an array of them. */
export type Evaluate<O extends OpName> = (
  node: NodeOf<O>,
  inputs: readonly Value[],
  context: Context,
) => Value | readonly Value[];

const sizes = (context: Context, shape: readonly Size[]): number[] => shape.map(context.size);

const unary: Evaluate<UnaryName> = (node, [x]) => unaryValue(node.op, x!, node.dtype);
const binary: Evaluate<BinaryName> = (node, [a, b]) => binaryValue(node.op, a!, b!, node.dtype);

/** A pad value as an element of the dtype. */
function fillOf(dtype: DType, value: number | bigint): number | bigint | string {
  if (dtype === 'string') return '';
  return isWide(dtype) ? BigInt(value) : Number(value);
}

function windowSizes(node: NodeOf<'window'>, inputs: readonly Value[], context: Context) {
  const { kernel, padding, kind } = node.attributes;
  const result: WindowSizes = {
    ...node.attributes,
    kernel: kind === 'convolve' ? inputs[1]!.shape.slice(2) : sizes(context, kernel),
    padding: padding.map(([low, high]) => [context.size(low), context.size(high)] as const),
  };
  return result;
}

export const evaluators = {
  negate: unary,
  absolute: unary,
  sign: unary,
  floor: unary,
  ceil: unary,
  round: unary,
  truncate: unary,
  squareRoot: unary,
  exp: unary,
  log: unary,
  sin: unary,
  cos: unary,
  tan: unary,
  asin: unary,
  acos: unary,
  atan: unary,
  sinh: unary,
  cosh: unary,
  tanh: unary,
  asinh: unary,
  acosh: unary,
  atanh: unary,
  erf: unary,
  not: unary,
  isNaN: unary,
  add: binary,
  subtract: binary,
  multiply: binary,
  divide: binary,
  remainder: binary,
  power: binary,
  minimum: binary,
  maximum: binary,
  and: binary,
  or: binary,
  xor: binary,
  shiftLeft: binary,
  shiftRight: binary,
  equal: binary,
  less: binary,
  lessEqual: binary,
  input: (node) => {
    throw internal(`input ${node.id} without a value`);
  },
  constant: (node) => decode(node.attributes.tensor),
  iota: (node, _, context) =>
    iotaValue(node.dtype, sizes(context, node.shape), node.attributes.axis),
  size: (node, _, context) => {
    const data = BigInt64Array.of(BigInt(context.size(node.attributes.value)));
    return { dtype: 'i64', shape: [], data };
  },
  randomBits: (node, [key], context) => {
    const shape = sizes(context, node.attributes.shape);
    const data = randomWords([integerAt(key!, 0), integerAt(key!, 1)], elementCount(shape));
    return { dtype: 'u32', shape, data };
  },
  reshape: (node, [x], context) => reshapeValue(x!, sizes(context, node.attributes.shape)),
  permute: (node, [x]) => permuteValue(x!, node.attributes.axes),
  expand: (node, [x], context) => expandValue(x!, sizes(context, node.attributes.shape)),
  slice: (node, [x], context) => {
    const { starts, sizes: counts, steps } = node.attributes;
    return sliceValue(x!, sizes(context, starts), sizes(context, counts), steps);
  },
  pad: (node, [x], context) => {
    const { before, after, value } = node.attributes;
    const fill = fillOf(node.dtype, value);
    return padValue(x!, sizes(context, before), sizes(context, after), fill);
  },
  flip: (node, [x]) => flipValue(x!, node.attributes.axes),
  concat: (node, inputs) => {
    const { axis } = node.attributes;
    const total = inputs.reduce((sum, piece) => sum + piece.shape[axis]!, 0);
    return concatValues(inputs, inputs[0]!.shape.with(axis, total), axis);
  },
  select: (_, [condition, a, b]) => selectValue(condition!, a!, b!),
  cast: (node, [x]) => castValue(x!, node.dtype, node.attributes.saturate),
  bitcast: (node, [x]) => bitcastValue(x!, node.dtype),
  unpack: (node, [x]) => unpackValue(x!, node.dtype),
  reduce: (node, [x]) => {
    const { kind, axes } = node.attributes;
    return reduceValue(kind, x!, axes, node.dtype);
  },
  contract: (node, [a, b]) => contractValue(a!, b!, node.attributes),
  window: (node, inputs, context) => {
    const w = windowSizes(node, inputs, context);
    const [x, weights] = inputs;
    if (weights === undefined) return poolValue(x!, w);
    return convolveValue(x!, weights, w, node.dtype);
  },
  gather: (node, [data, indices]) => gatherValue(data!, indices!, node.attributes.axis),
  scatter: (node, [data, indices, updates]) =>
    scatterValue(node.attributes.kind, data!, indices!, updates!),
  cumulate: (node, [x]) => cumulateValue(node.attributes.kind, x!, node.attributes),
  sort: (node, inputs) => sortValues(inputs, node.attributes.axis, node.attributes.descending),
  compact: (_, [mask, values]) => compactValue(mask!, values!),
  update: (_, [data, piece, offsets]) => updateValue(data!, piece!, offsets!),
  part: () => {
    throw internal('part is picked by the walk itself');
  },
  if: ifValues,
  loop: loopValues,
  while: whileValues,
  composite: compositeValues,
} satisfies { readonly [O in OpName]: Evaluate<O> };

/** The results of one node from its inputs' values. */
export function evaluateNode(
  node: { readonly op: OpName },
  inputs: readonly Value[],
  context: Context,
): readonly Value[] {
  const evaluate = evaluators[node.op] as Evaluate<OpName>;
  const result = evaluate(node as NodeOf<OpName>, inputs, context);
  return 'dtype' in result ? [result] : result;
}
