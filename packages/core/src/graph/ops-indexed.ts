/** Rules of primitives that look up, order or choose elements, and of `part`. */
import { isInteger } from '../base/dtype.js';
import type { Size } from '../base/expression.js';
import { moved, summed } from './bounds.js';
import {
  dtypeError,
  first,
  type Operand,
  type OpRule,
  one,
  printShape,
  type Requirements,
  requireAxis,
  requireBool,
  requireClass,
  requireDType,
  requireShape,
  second,
  shapeError,
  third,
  typeOf,
} from './rule.js';

function requireIndices(op: string, indices: Operand): void {
  if (!isInteger(indices.dtype)) throw dtypeError(op, indices.dtype, 'indices are integers');
}

const gather: OpRule<'gather'> = {
  class: 'indexed',
  arity: 2,
  infer: (inputs, { axis }) => {
    const [data, indices] = [first(inputs), second(inputs)];
    requireIndices('gather', indices);
    requireAxis('gather', axis, data.shape.length);
    const shape = [...data.shape.slice(0, axis), ...indices.shape, ...data.shape.slice(axis + 1)];
    return one(data.dtype, shape);
  },
  bound: moved,
  differentiable: true,
};

const scatter: OpRule<'scatter'> = {
  class: 'indexed',
  arity: 3,
  infer: (inputs, { kind }) => {
    const [data, indices, updates] = [first(inputs), second(inputs), third(inputs)];
    requireIndices('scatter', indices);
    requireDType('scatter', data.dtype, updates.dtype);
    if (kind !== 'replace') requireClass('scatter', data.dtype, 'number');
    if (data.shape.length < 1) throw shapeError('scatter', 'the data is a scalar');
    if (indices.shape.length !== 1) {
      throw shapeError('scatter', `indices have shape ${printShape(indices.shape)}, not [m]`);
    }
    const requirements: Requirements = [];
    const wanted = [...indices.shape, ...data.shape.slice(1)];
    requireShape(requirements, 'scatter', updates.shape, wanted, 'updates are [m, …rest]');
    return one(data.dtype, data.shape, requirements);
  },
  bound: summed,
  differentiable: true,
};

const sort: OpRule<'sort'> = {
  class: 'order',
  arity: [1, Number.POSITIVE_INFINITY],
  infer: (inputs, { axis }) => {
    const keys = first(inputs);
    requireClass('sort', keys.dtype, 'plain');
    requireAxis('sort', axis, keys.shape.length);
    const requirements: Requirements = [];
    for (const payload of inputs.slice(1)) {
      requireShape(requirements, 'sort', keys.shape, payload.shape);
    }
    return { results: inputs.map((x) => typeOf(x.dtype, x.shape)), requirements };
  },
  bound: moved,
  differentiable: true,
};

const compact: OpRule<'compact'> = {
  class: 'order',
  arity: 2,
  infer: (inputs) => {
    const [mask, values] = [first(inputs), second(inputs)];
    requireBool('compact', mask);
    if (mask.shape.length !== 1 || values.shape.length < 1) {
      throw shapeError('compact', 'the mask is [n], the values are [n, …]');
    }
    const requirements: Requirements = [];
    requireShape(requirements, 'compact', mask.shape, [values.shape[0] as Size]);
    return {
      results: [typeOf(values.dtype, values.shape), typeOf('i64', [])],
      requirements,
    };
  },
  bound: moved,
  differentiable: true,
};

const part: OpRule<'part'> = {
  class: 'part',
  arity: 1,
  infer: (inputs, { index }) => {
    const source = first(inputs);
    const result = (source.results ?? [source])[index];
    if (result === undefined) throw shapeError('part', `there is no result ${index}`);
    return one(result.dtype, result.shape);
  },
  bound: moved,
  differentiable: true,
};

export const indexedRules = { gather, scatter, sort, compact, part };
