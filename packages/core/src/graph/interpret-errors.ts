/**
 * How errors of a primitive's inputs and its own rounding show in its result, element by element.
 * An error of ∞ says that nothing is promised: a comparison or an index that rounding may turn.
 */
import { isFloat, isWide } from '../base/dtype.js';
import { castValue } from './interpret-cast.js';
import type { Context } from './interpret-context.js';
import { contractValue } from './interpret-contract.js';
import { binaryValue, selectValue, unaryValue } from './interpret-elementwise.js';
import { gatherValue, scatterValue, updateValue } from './interpret-index.js';
import { evaluateNode } from './interpret-ops.js';
import { cumulateValue, reduceValue } from './interpret-reduce.js';
import { allocate, fillData, numbersOf, type Value } from './interpret-value.js';
import { padValue } from './interpret-views.js';
import { poolValue, type WindowSizes } from './interpret-window.js';
import type { BinaryName, Node, NodeOf, UnaryName } from './node.js';
import { isBinaryName, isUnaryName } from './ops.js';

/** A value with the largest error of each element (f64); undefined where it is exact. */
export interface Bounded {
  readonly value: Value;
  readonly error: Value | undefined;
}

/** What comes through from the inputs, and Σ|terms| for sums, both in the shape of the result. */
export interface Propagated {
  readonly error: Value | undefined;
  readonly terms: Value | undefined;
}

const mapped = (shape: readonly number[], compute: (i: number) => number): Value => {
  const result = allocate('f64', shape);
  const data = numbersOf(result);
  for (let i = 0; i < data.length; i++) data[i] = compute(i);
  return result;
};

export const zerosOf = (value: Value): Value => allocate('f64', value.shape);

export function unknown(value: Value): Value {
  const result = zerosOf(value);
  fillData(result.data, Number.POSITIVE_INFINITY);
  return result;
}

const errorOf = ({ value, error }: Bounded): Value => error ?? zerosOf(value);
const magnitude = ({ value }: Bounded): Value =>
  mapped(value.shape, (i) => Math.abs(Number(value.data[i])));

/** NaN differences (∞ − ∞, outside of a domain) promise nothing. */
const distance = (a: number, b: number): number =>
  a === b ? 0 : Number.isNaN(a - b) ? Number.POSITIVE_INFINITY : Math.abs(a - b);

/** Largest change of an elementwise function over the corners of its operands' errors. */
function corners(inputs: readonly Bounded[], compute: (values: readonly Value[]) => Value): Value {
  const exact = inputs.map(({ value }) => castValue(value, 'f64', false));
  const base = numbersOf(compute(exact));
  const result = allocate('f64', exact[0]!.shape);
  const largest = numbersOf(result);
  for (let corner = 0; corner < 2 ** inputs.length; corner++) {
    const moved = exact.map((value, k) => {
      const error = inputs[k]!.error;
      if (error === undefined) return value;
      const sign = (corner >> k) % 2 === 0 ? 1 : -1;
      const by = numbersOf(error);
      return mapped(value.shape, (i) => numbersOf(value)[i]! + sign * by[i]!);
    });
    const changed = numbersOf(compute(moved));
    for (let i = 0; i < largest.length; i++) {
      largest[i] = Math.max(largest[i]!, distance(changed[i]!, base[i]!));
    }
  }
  return result;
}

/** A bool result: unknown where some input is uncertain. */
const uncertain = (inputs: readonly Bounded[], out: Value): Value =>
  mapped(out.shape, (i) =>
    inputs.some(({ error }) => error !== undefined && numbersOf(error)[i] !== 0)
      ? Number.POSITIVE_INFINITY
      : 0,
  );

function compared([a, b]: readonly Bounded[], out: Value): Value {
  const [left, right] = [numbersOf(errorOf(a!)), numbersOf(errorOf(b!))];
  return mapped(out.shape, (i) => {
    const slack = left[i]! + right[i]!;
    const apart = distance(Number(a!.value.data[i]), Number(b!.value.data[i]));
    return slack === 0 || apart > slack ? 0 : Number.POSITIVE_INFINITY;
  });
}

const comparisons: ReadonlySet<string> = new Set(['equal', 'less', 'lessEqual']);
const bitwise: ReadonlySet<string> = new Set([
  'and',
  'or',
  'xor',
  'shiftLeft',
  'shiftRight',
  'not',
]);

function elementwiseError(node: Node, inputs: readonly Bounded[], out: Value): Value {
  if (comparisons.has(node.op)) return compared(inputs, out);
  const discrete = inputs.some(({ value }) => value.dtype === 'bool' || isWide(value.dtype));
  if (bitwise.has(node.op) || discrete) return uncertain(inputs, out);
  if (isUnaryName(node.op)) {
    const op: UnaryName = node.op;
    return corners(inputs, ([x]) => unaryValue(op, x!, 'f64'));
  }
  const op = node.op as BinaryName;
  return corners(inputs, ([a, b]) => binaryValue(op, a!, b!, 'f64'));
}

function selectError([condition, a, b]: readonly Bounded[]): Value {
  const result = selectValue(condition!.value, errorOf(a!), errorOf(b!));
  if (condition!.error === undefined) return result;
  const unsure = numbersOf(condition!.error);
  const data = numbersOf(result);
  return mapped(result.shape, (i) => (unsure[i] === 0 ? data[i]! : Number.POSITIVE_INFINITY));
}

const plus = (a: Value, b: Value): Value => binaryValue('add', a, b, 'f64');

/** |a|·eb + ea·|b| + ea·eb of a bilinear operation, and Σ|a·b|. */
function bilinear([a, b]: readonly Bounded[], compute: (a: Value, b: Value) => Value): Propagated {
  const [left, right] = [magnitude(a!), magnitude(b!)];
  const terms = compute(left, right);
  if (a!.error === undefined && b!.error === undefined) return { error: undefined, terms };
  const wider = compute(plus(left, errorOf(a!)), plus(right, errorOf(b!)));
  return { error: binaryValue('subtract', wider, terms, 'f64'), terms };
}

/** Π(|x| + e) − Π|x| over whatever `reduce` multiplies. */
function productError(x: Bounded, reduce: (x: Value) => Value): Value {
  const exact = magnitude(x);
  return binaryValue('subtract', reduce(plus(exact, errorOf(x))), reduce(exact), 'f64');
}

/** A reduction over one operand, whatever way its elements are grouped. */
function reductionError(
  kind: 'sum' | 'product' | 'minimum' | 'maximum',
  x: Bounded,
  reduce: (kind: 'sum' | 'product' | 'maximum', x: Value) => Value,
): Propagated {
  const terms = kind === 'sum' ? reduce('sum', magnitude(x)) : undefined;
  if (x.error === undefined) return { error: undefined, terms };
  if (kind === 'product') return { error: productError(x, (v) => reduce('product', v)), terms };
  const error = reduce(kind === 'sum' ? 'sum' : 'maximum', x.error);
  // Places outside count as −∞ for a maximum of errors; none is below 0.
  return { error: mapped(error.shape, (i) => Math.max(numbersOf(error)[i]!, 0)), terms };
}

function windowError(node: NodeOf<'window'>, inputs: readonly Bounded[], context: Context) {
  const { kind, kernel, padding } = node.attributes;
  const wide = { ...node, dtype: 'f64' } as NodeOf<'window'>;
  const attributes = { ...node.attributes, accumulate: 'f64' } as const;
  if (kind === 'convolve') {
    return bilinear(
      inputs,
      (a, b) => evaluateNode({ ...wide, attributes } as Node, [a, b], context)[0]!,
    );
  }
  const sizes: Omit<WindowSizes, 'kind'> = {
    ...attributes,
    kernel: kernel.map(context.size),
    padding: padding.map(([low, high]) => [context.size(low), context.size(high)] as const),
  };
  return reductionError(kind, inputs[0]!, (how, x) => poolValue(x, { ...sizes, kind: how }));
}

function scatterError(node: NodeOf<'scatter'>, inputs: readonly Bounded[]): Propagated {
  const [data, indices, updates] = inputs as readonly [Bounded, Bounded, Bounded];
  const { kind } = node.attributes;
  const at = indices.value;
  const scattered = (how: typeof kind, a: Value, b: Value): Value => scatterValue(how, a, at, b);
  const [left, right] = [magnitude(data), magnitude(updates)];
  const terms = kind === 'sum' ? scattered('sum', left, right) : undefined;
  if (kind === 'product') {
    const wider = scattered('product', plus(left, errorOf(data)), plus(right, errorOf(updates)));
    const plain = scattered('product', left, right);
    return { error: binaryValue('subtract', wider, plain, 'f64'), terms };
  }
  const how = kind === 'replace' || kind === 'sum' ? kind : 'maximum';
  return { error: scattered(how, errorOf(data), errorOf(updates)), terms };
}

function cumulateError(node: NodeOf<'cumulate'>, x: Bounded): Propagated {
  const options = node.attributes;
  return reductionError(options.kind, x, (how, value) => cumulateValue(how, value, options));
}

/** Ops that place elements of their first inputs anew; errors move with them. */
function movedError(node: Node, inputs: readonly Bounded[], context: Context): Value {
  const errors = inputs.map(errorOf);
  if (node.op === 'pad') {
    const { before, after } = node.attributes;
    return padValue(errors[0]!, before.map(context.size), after.map(context.size), 0);
  }
  return evaluateNode(node, errors, context)[0]!;
}

/** Whether an input other than the moved data decides where elements go, and is not exact. */
const unsureOrder = (inputs: readonly Bounded[], from: number): boolean =>
  inputs.slice(from).some(({ error }) => error !== undefined);

/** The errors of a primitive's results (not of regions), before its own rounding. */
export function propagate(
  node: Node,
  inputs: readonly Bounded[],
  outputs: readonly Value[],
  context: Context,
): readonly Propagated[] {
  const out = outputs[0]!;
  const only = (error: Value | undefined): Propagated[] => [{ error, terms: undefined }];
  const exact = inputs.every(({ error }) => error === undefined);
  switch (node.op) {
    case 'contract':
      return [
        bilinear(inputs, (a, b) =>
          contractValue(a, b, { ...node.attributes, accumulate: 'f64', dtype: 'f64' }),
        ),
      ];
    case 'window':
      return [windowError(node, inputs, context)];
    case 'reduce': {
      const { kind, axes } = node.attributes;
      return [reductionError(kind, inputs[0]!, (how, x) => reduceValue(how, x, axes, 'f64'))];
    }
    case 'cumulate':
      return [cumulateError(node, inputs[0]!)];
    case 'scatter':
      if (inputs[1]!.error !== undefined) return only(unknown(out));
      return [scatterError(node, inputs)];
    default:
      if (exact) return outputs.map(() => ({ error: undefined, terms: undefined }));
  }
  switch (node.op) {
    case 'reshape':
    case 'permute':
    case 'expand':
    case 'slice':
    case 'pad':
    case 'flip':
    case 'concat':
      return only(movedError(node, inputs, context));
    case 'gather':
      if (unsureOrder(inputs, 1)) return only(unknown(out));
      return only(gatherValue(errorOf(inputs[0]!), inputs[1]!.value, node.attributes.axis));
    case 'update':
      if (unsureOrder(inputs, 2)) return only(unknown(out));
      return only(updateValue(errorOf(inputs[0]!), errorOf(inputs[1]!), inputs[2]!.value));
    case 'select':
      return only(selectError(inputs));
    case 'cast': {
      const [x] = inputs as readonly [Bounded];
      if (x.value.dtype === 'bool' || isWide(x.value.dtype) || node.dtype === 'bool') {
        return only(uncertain(inputs, out));
      }
      if (isFloat(node.dtype)) return only(x.error);
      return only(corners(inputs, ([value]) => unaryValue('truncate', value!, 'f64')));
    }
    case 'sort':
      return outputs.map((value, k) => {
        // Sorted keys move no further than the largest error of a key; payloads may change places.
        if (k > 0 && inputs[0]!.error !== undefined)
          return { error: unknown(value), terms: undefined };
        const errors = numbersOf(errorOf(inputs[k]!));
        const largest = errors.reduce((a, b) => Math.max(a, b), 0);
        return { error: mapped(value.shape, () => largest), terms: undefined };
      });
    default:
      if (isUnaryName(node.op) || isBinaryName(node.op))
        return only(elementwiseError(node, inputs, out));
      return outputs.map((value) => ({ error: unknown(value), terms: undefined }));
  }
}
