/** Rules of the primitives that hold other graphs: if, loop, while, composite. */
import { failure, internal } from '../base/errors.js';
import type { Size } from '../base/expression.js';
import { variablesOf } from '../base/expression.js';
import { moved } from './bounds.js';
import type { Graph, TensorType } from './node.js';
import {
  first,
  type Operand,
  type OpRule,
  printType,
  type Requirements,
  requireBool,
  requireDType,
  requireShape,
  requireSizes,
  shapeError,
  typeOf,
} from './rule.js';

/** The types a body takes must be those it is given. */
function requireTypes(
  into: Requirements,
  op: string,
  given: readonly TensorType[],
  wanted: readonly TensorType[],
): void {
  if (given.length !== wanted.length) {
    throw shapeError(op, `${given.length} values where the body has ${wanted.length}`);
  }
  given.forEach((type, i) => {
    const other = wanted[i] as TensorType;
    requireDType(op, type.dtype, other.dtype);
    requireShape(into, op, type.shape, other.shape);
  });
}

const typesOf = (values: readonly Operand[]): readonly TensorType[] =>
  values.map((value) => typeOf(value.dtype, value.shape));

function requireScalarBool(op: string, type: TensorType, what: string): void {
  requireBool(op, type);
  if (type.shape.length !== 0) {
    throw shapeError(op, `${what} is ${printType(type)}, not bool[]`);
  }
}

/** Sizes that leave a loop may not depend on the iteration number. */
function requireFixed(op: string, types: readonly TensorType[], iteration: string): void {
  for (const type of types) {
    if (type.shape.some((size) => variablesOf(size).has(iteration))) {
      throw shapeError(op, 'a size changes from iteration to iteration');
    }
  }
}

const branch: OpRule<'if'> = {
  class: 'region',
  arity: [1, Number.POSITIVE_INFINITY],
  infer: (inputs, attributes) => {
    requireScalarBool('if', first(inputs), 'the condition');
    const requirements: Requirements = [];
    const captures = inputs.slice(1);
    requireTypes(requirements, 'if', captures, attributes.then.inputs);
    requireTypes(requirements, 'if', captures, attributes.else.inputs);
    requireTypes(requirements, 'if', attributes.then.outputs, attributes.else.outputs);
    return { results: typesOf(attributes.then.outputs), requirements };
  },
  bound: moved,
  differentiable: true,
};

function loopResults(
  op: string,
  requirements: Requirements,
  given: readonly Operand[],
  outputs: Graph['outputs'],
  carried: number,
  count: Size,
): readonly TensorType[] {
  if (carried > given.length || carried > outputs.length) {
    throw internal(`${op} carries ${carried} of ${given.length} values`);
  }
  requireTypes(requirements, op, given.slice(0, carried), outputs.slice(0, carried));
  requireSizes(requirements, op, [count]);
  const stacked = outputs.slice(carried);
  return [
    ...typesOf(given.slice(0, carried)),
    ...stacked.map((value) => typeOf(value.dtype, [count, ...value.shape])),
  ];
}

const loop: OpRule<'loop'> = {
  class: 'region',
  arity: [0, Number.POSITIVE_INFINITY],
  infer: (inputs, { trip, carried, body, iteration }) => {
    const requirements: Requirements = [];
    requireTypes(requirements, 'loop', inputs, body.inputs);
    requireFixed('loop', body.outputs, iteration);
    const results = loopResults('loop', requirements, inputs, body.outputs, carried, trip);
    return { results, requirements };
  },
  bound: moved,
  differentiable: true,
};

const whileLoop: OpRule<'while'> = {
  class: 'region',
  arity: [1, Number.POSITIVE_INFINITY],
  infer: (inputs, { limit, carried, body, iteration }) => {
    requireScalarBool('while', first(inputs), 'the condition');
    const values = inputs.slice(1);
    const requirements: Requirements = [];
    requireTypes(requirements, 'while', values, body.inputs);
    const goOn = body.outputs[0];
    if (goOn === undefined) throw shapeError('while', 'the body gives no condition');
    requireScalarBool('while', goOn, 'the condition of the body');
    requireFixed('while', body.outputs, iteration);
    const outputs = body.outputs.slice(1);
    const results = loopResults('while', requirements, values, outputs, carried, limit);
    return { results: [...results, typeOf('i64', [])], requirements };
  },
  bound: moved,
  differentiable: true,
};

const composite: OpRule<'composite'> = {
  class: 'region',
  arity: [0, Number.POSITIVE_INFINITY],
  infer: (inputs, { name, body }) => {
    const requirements: Requirements = [];
    if (inputs.length !== body.inputs.length) {
      throw failure('OC-SHAPE-03', {
        op: name,
        reason: `${inputs.length} inputs where the body has ${body.inputs.length}`,
      });
    }
    requireTypes(requirements, name, inputs, body.inputs);
    return { results: typesOf(body.outputs), requirements };
  },
  bound: moved,
  differentiable: true,
};

export const regionRules = { if: branch, loop, while: whileLoop, composite };
