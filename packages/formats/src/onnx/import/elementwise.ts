/** Arithmetic, comparison, logic and bits, element by element: ONNX operators of all versions. */
import type { OperatorCall } from './context.js';
import { build, dtypeFacts, isFloat, isInteger, isSigned, type Node } from './core.js';
import { entriesOf, type OperatorEntry, type OperatorTable } from './registry.js';

type Binary = (a: Node, b: Node) => Node;

/** Operands of a binary operator, the second aligned as opsets below 7 asked for. */
export function operandsOf(call: OperatorCall): readonly [Node, Node] {
  const [a, b] = [call.tensor(0), call.tensor(1)];
  if (call.opset >= 7 || !call.hasAttribute('axis') || call.int('broadcast', 0) === 0) {
    return [a, b];
  }
  const axis = call.axis(call.int('axis'), a.shape.length);
  const trailing = a.shape.length - axis - b.shape.length;
  if (trailing < 0) throw call.refuse('the second operand reaches beyond the first');
  return [a, build.reshape(b, [...b.shape, ...Array<number>(trailing).fill(1)])];
}

const binaryOf =
  (compute: Binary): OperatorEntry['import'] =>
  (call) =>
    compute(...operandsOf(call));

/** The floor of division decides the sign: that of the divisor, as in Python. */
function floorModulo(a: Node, b: Node): Node {
  const rest = build.remainder(a, b);
  if (!isSigned(a.dtype) && !isFloat(a.dtype)) return rest;
  const opposite = build.xor(build.less(rest, 0), build.less(b, 0));
  const wrong = build.and(build.notEqual(rest, 0), opposite);
  return build.select(wrong, build.add(rest, b), rest);
}

/** Computed in the wider of both types where they differ; the result has the base's. */
function power(base: Node, exponent: Node): Node {
  if (base.dtype === exponent.dtype) return build.power(base, exponent);
  if (isFloat(base.dtype)) {
    const wide = base.dtype === 'f64' || exponent.dtype === 'f64' ? 'f64' : 'f32';
    const result = build.power(build.cast(base, wide), build.cast(exponent, wide));
    return build.cast(result, base.dtype);
  }
  if (isInteger(exponent.dtype)) return build.power(base, build.cast(exponent, base.dtype));
  const result = build.power(build.cast(base, 'f64'), build.cast(exponent, 'f64'));
  return build.cast(result, base.dtype);
}

/** A shift by the width or more leaves nothing. */
function shift(call: OperatorCall): Node {
  const [a, b] = operandsOf(call);
  const direction = call.text('direction');
  if (direction !== 'LEFT' && direction !== 'RIGHT') throw call.refuse('unknown direction');
  const moved = direction === 'LEFT' ? build.shiftLeft(a, b) : build.shiftRight(a, b);
  const { bits } = dtypeFacts[a.dtype];
  return build.select(build.less(b, bits), moved, 0);
}

function isInfinite(call: OperatorCall): Node {
  const x = call.tensor(0);
  const [positive, negative] = [call.int('detect_positive', 1), call.int('detect_negative', 1)];
  if (positive !== 0 && negative !== 0) return build.isInfinite(x);
  if (positive !== 0) return build.equal(x, Number.POSITIVE_INFINITY);
  if (negative !== 0) return build.equal(x, Number.NEGATIVE_INFINITY);
  return build.and(build.isNaN(x), build.not(build.isNaN(x)));
}

function equal(call: OperatorCall): Node {
  const strings = call.value(0).kind === 'strings' && call.value(1).kind === 'strings';
  if (!strings) return build.equal(...operandsOf(call));
  return build.equal(build.constant(call.strings(0)), build.constant(call.strings(1)));
}

const over = (combine: Binary): OperatorEntry['import'] => {
  return (call) => call.tensors().reduce((all, next) => combine(all, next));
};

function mean(call: OperatorCall): Node {
  const values = call.tensors();
  const wide = values.map((x) => (x.dtype === 'f64' ? x : build.cast(x, 'f32')));
  const total = wide.reduce((all, next) => build.add(all, next));
  return build.cast(build.divide(total, values.length), (values[0] as Node).dtype);
}

function clip(call: OperatorCall): Node {
  const x = call.tensor(0);
  if (call.version >= 11) {
    return build.between(x, call.optionalTensor(1), call.optionalTensor(2));
  }
  const bound = (name: string): number | undefined =>
    call.hasAttribute(name) ? call.float(name) : undefined;
  return build.between(x, bound('min'), bound('max'));
}

const unaries: Readonly<Record<string, (x: Node) => Node>> = {
  Abs: build.absolute,
  Neg: build.negate,
  Ceil: build.ceil,
  Floor: build.floor,
  Round: build.round,
  Sign: build.sign,
  Sqrt: build.squareRoot,
  Exp: build.exp,
  Log: build.log,
  Reciprocal: build.reciprocal,
  Sin: build.sin,
  Cos: build.cos,
  Tan: build.tan,
  Asin: build.asin,
  Acos: build.acos,
  Atan: build.atan,
  Sinh: build.sinh,
  Cosh: build.cosh,
  Tanh: build.tanh,
  Asinh: build.asinh,
  Acosh: build.acosh,
  Atanh: build.atanh,
  Erf: build.erf,
  Not: build.not,
  BitwiseNot: build.not,
  IsNaN: build.isNaN,
};

const unaryVersions: Readonly<Record<string, readonly number[]>> = {
  Abs: [1, 6, 13],
  Neg: [1, 6, 13],
  Ceil: [1, 6, 13],
  Floor: [1, 6, 13],
  Sqrt: [1, 6, 13],
  Exp: [1, 6, 13],
  Log: [1, 6, 13],
  Reciprocal: [1, 6, 13],
  Tanh: [1, 6, 13],
  Round: [11, 22],
  Sign: [9, 13],
  Sin: [7, 22],
  Cos: [7, 22],
  Tan: [7, 22],
  Asin: [7, 22],
  Acos: [7, 22],
  Atan: [7, 22],
  Sinh: [9, 22],
  Cosh: [9, 22],
  Asinh: [9, 22],
  Acosh: [9, 22],
  Atanh: [9, 22],
  Erf: [9, 13],
  Not: [1],
  BitwiseNot: [18],
  IsNaN: [9, 13, 20],
};

const arithmetic = [1, 6, 7, 13, 14];

export const elementwiseOperators: OperatorTable = {
  ...entriesOf(
    unaryVersions,
    (name) => (call) => (unaries[name] as (x: Node) => Node)(call.tensor(0)),
  ),
  Add: { versions: arithmetic, import: binaryOf(build.add) },
  Sub: { versions: arithmetic, import: binaryOf(build.subtract) },
  Mul: { versions: arithmetic, import: binaryOf(build.multiply) },
  Div: { versions: arithmetic, import: binaryOf(build.divide) },
  Pow: { versions: [1, 7, 12, 13, 15], import: binaryOf(power) },
  Mod: {
    versions: [10, 13],
    import: (call) =>
      call.int('fmod', 0) === 0
        ? floorModulo(...operandsOf(call))
        : build.remainder(...operandsOf(call)),
  },
  Equal: { versions: [1, 7, 11, 13, 19], import: equal },
  Greater: { versions: [1, 7, 9, 13], import: binaryOf(build.greater) },
  Less: { versions: [1, 7, 9, 13], import: binaryOf(build.less) },
  GreaterOrEqual: { versions: [12, 16], import: binaryOf(build.greaterEqual) },
  LessOrEqual: { versions: [12, 16], import: binaryOf(build.lessEqual) },
  And: { versions: [1, 7], import: binaryOf(build.and) },
  Or: { versions: [1, 7], import: binaryOf(build.or) },
  Xor: { versions: [1, 7], import: binaryOf(build.xor) },
  BitwiseAnd: { versions: [18], import: binaryOf(build.and) },
  BitwiseOr: { versions: [18], import: binaryOf(build.or) },
  BitwiseXor: { versions: [18], import: binaryOf(build.xor) },
  BitShift: { versions: [11], import: shift },
  IsInf: { versions: [10, 20], import: isInfinite },
  Sum: { versions: [1, 6, 8, 13], import: over(build.add) },
  Max: { versions: [1, 6, 8, 12, 13], import: over(build.maximum) },
  Min: { versions: [1, 6, 8, 12, 13], import: over(build.minimum) },
  Mean: { versions: [1, 6, 8, 13], import: mean },
  Clip: { versions: [1, 6, 11, 12, 13], import: clip },
};
