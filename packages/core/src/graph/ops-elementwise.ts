/** Rules of the elementwise primitives: operands of one shape, one result of that shape. */
import { type DType, dtypeFacts } from '../base/dtype.js';
import { exactBound, moved, rounded, roundedNearOne } from './bounds.js';
import type { BinaryName, UnaryName } from './node.js';
import {
  type DTypeClass,
  dtypeError,
  first,
  type OpRule,
  one,
  type Requirements,
  requireBool,
  requireClass,
  requireDType,
  requireShape,
  second,
  third,
} from './rule.js';

type Bound = OpRule<'add'>['bound'];
type ElementwiseRule<O extends UnaryName | BinaryName> = OpRule<O>;

function unaryRule<O extends UnaryName>(
  op: O,
  wanted: DTypeClass,
  bound: Bound,
  differentiable: boolean,
  result?: DType,
): ElementwiseRule<O> {
  return {
    class: 'elementwise',
    arity: 1,
    infer: (inputs) => {
      const { dtype, shape } = first(inputs);
      requireClass(op, dtype, wanted);
      return one(result ?? dtype, shape);
    },
    bound,
    differentiable,
  };
}

function binaryRule<O extends BinaryName>(
  op: O,
  wanted: DTypeClass,
  bound: Bound,
  differentiable: boolean,
  result?: DType,
): ElementwiseRule<O> {
  return {
    class: 'elementwise',
    arity: 2,
    infer: (inputs) => {
      const [a, b] = [first(inputs), second(inputs)];
      requireDType(op, a.dtype, b.dtype);
      requireClass(op, a.dtype, wanted);
      const requirements: Requirements = [];
      requireShape(requirements, op, a.shape, b.shape);
      return one(result ?? a.dtype, a.shape, requirements);
    },
    bound,
    differentiable,
  };
}

const half = rounded(0.5);

export const elementwiseRules = {
  negate: unaryRule('negate', 'number', moved, true),
  absolute: unaryRule('absolute', 'number', moved, true),
  sign: unaryRule('sign', 'number', moved, false),
  floor: unaryRule('floor', 'float', moved, false),
  ceil: unaryRule('ceil', 'float', moved, false),
  round: unaryRule('round', 'float', moved, false),
  truncate: unaryRule('truncate', 'float', moved, false),
  squareRoot: unaryRule('squareRoot', 'float', rounded(1), true),
  exp: unaryRule('exp', 'float', rounded(4), true),
  log: unaryRule('log', 'float', roundedNearOne(4, 0), true),
  sin: unaryRule('sin', 'float', roundedNearOne(4, 1), true),
  cos: unaryRule('cos', 'float', roundedNearOne(4, 1), true),
  tan: unaryRule('tan', 'float', roundedNearOne(8, 1), true),
  asin: unaryRule('asin', 'float', rounded(4), true),
  acos: unaryRule('acos', 'float', roundedNearOne(4, 1), true),
  atan: unaryRule('atan', 'float', rounded(4), true),
  sinh: unaryRule('sinh', 'float', rounded(6), true),
  cosh: unaryRule('cosh', 'float', rounded(6), true),
  tanh: unaryRule('tanh', 'float', rounded(6), true),
  asinh: unaryRule('asinh', 'float', rounded(6), true),
  acosh: unaryRule('acosh', 'float', roundedNearOne(6, 1), true),
  atanh: unaryRule('atanh', 'float', rounded(6), true),
  erf: unaryRule('erf', 'float', rounded(6), true),
  not: unaryRule('not', 'bits', moved, false),
  isNaN: unaryRule('isNaN', 'float', moved, false, 'bool'),
  add: binaryRule('add', 'number', half, true),
  subtract: binaryRule('subtract', 'number', half, true),
  multiply: binaryRule('multiply', 'number', half, true),
  divide: binaryRule('divide', 'number', rounded(2.5), true),
  remainder: binaryRule('remainder', 'number', rounded(1), true),
  power: binaryRule('power', 'number', rounded(16), true),
  minimum: binaryRule('minimum', 'number', moved, true),
  maximum: binaryRule('maximum', 'number', moved, true),
  and: binaryRule('and', 'bits', moved, false),
  or: binaryRule('or', 'bits', moved, false),
  xor: binaryRule('xor', 'bits', moved, false),
  shiftLeft: binaryRule('shiftLeft', 'integer', moved, false),
  shiftRight: binaryRule('shiftRight', 'integer', moved, false),
  equal: binaryRule('equal', 'any', moved, false, 'bool'),
  less: binaryRule('less', 'number', moved, false, 'bool'),
  lessEqual: binaryRule('lessEqual', 'number', moved, false, 'bool'),
} satisfies { readonly [O in UnaryName | BinaryName]: OpRule<O> };

const select: OpRule<'select'> = {
  class: 'elementwise',
  arity: 3,
  infer: (inputs) => {
    const [condition, a, b] = [first(inputs), second(inputs), third(inputs)];
    requireBool('select', condition);
    requireDType('select', a.dtype, b.dtype);
    const requirements: Requirements = [];
    requireShape(requirements, 'select', condition.shape, a.shape);
    requireShape(requirements, 'select', a.shape, b.shape);
    return one(a.dtype, a.shape, requirements);
  },
  bound: moved,
  differentiable: true,
};

const cast: OpRule<'cast'> = {
  class: 'elementwise',
  arity: 1,
  infer: (inputs, { dtype }) => one(dtype, first(inputs).shape),
  bound: (dtype) => (dtypeFacts[dtype].kind === 'float' ? half(dtype) : exactBound),
  differentiable: true,
};

const bitcast: OpRule<'bitcast'> = {
  class: 'elementwise',
  arity: 1,
  infer: (inputs, { dtype }) => {
    const from = first(inputs);
    requireClass('bitcast', from.dtype, 'number');
    requireClass('bitcast', dtype, 'number');
    if (dtypeFacts[dtype].bits !== dtypeFacts[from.dtype].bits) {
      throw dtypeError('bitcast', dtype, `its width differs from that of ${from.dtype}`);
    }
    return one(dtype, from.shape);
  },
  bound: moved,
  differentiable: false,
};

export const typedRules = { select, cast, bitcast };
