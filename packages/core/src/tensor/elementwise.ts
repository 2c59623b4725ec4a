/** Elementwise methods: arithmetic with broadcasting, functions, comparisons, activations. */
import { type DType, isFloat, isInteger } from '../base/dtype.js';
import * as b from '../graph/build.js';
import * as c from '../graph/composites.js';
import type { Node } from '../graph/node.js';
import { nodeOf, type Scalar, TensorHandle } from './handle.js';
import { operandNode } from './operand.js';

type Binary = (a: Node, b: Node) => Node;

/** True division: integers are divided as f32, as in NumPy and PyTorch. */
function trueDivide(left: Node, right: Node): Node {
  if (!isInteger(left.dtype)) return b.divide(left, right);
  return b.divide(b.cast(left, 'f32'), b.cast(right, 'f32'));
}

/** ⌊a / b⌋ of integers from the quotient that truncates. */
function floorDivide(left: Node, right: Node): Node {
  if (isFloat(left.dtype)) return b.floor(b.divide(left, right));
  const quotient = b.divide(left, right);
  const rest = b.remainder(left, right);
  const isLower = b.and(b.notEqual(rest, 0), b.less(b.xor(rest, right), 0));
  return b.select(isLower, b.subtract(quotient, 1), quotient);
}

/** The remainder with the sign of the divisor, as Python's %. */
function floorRemainder(left: Node, right: Node): Node {
  const rest = b.remainder(left, right);
  const differs = b.xor(b.less(rest, 0), b.less(right, 0));
  return b.select(b.and(b.notEqual(rest, 0), differs), b.add(rest, right), rest);
}

const log2e = Math.LOG2E;

export class ElementwiseTensor extends TensorHandle {
  protected unary(build: (x: Node) => Node): this {
    return this.derive(() => build(nodeOf(this)));
  }

  protected binary(op: string, other: this | Scalar, build: Binary): this {
    return this.derive(() => build(nodeOf(this), operandNode(op, this.dtype, other)));
  }

  add(other: this | Scalar): this {
    return this.binary('add', other, b.add);
  }
  sub(other: this | Scalar): this {
    return this.binary('sub', other, b.subtract);
  }
  mul(other: this | Scalar): this {
    return this.binary('mul', other, b.multiply);
  }
  /** True division: integers give f32. */
  div(other: this | Scalar): this {
    return this.binary('div', other, trueDivide);
  }
  floorDiv(other: this | Scalar): this {
    return this.binary('floorDiv', other, floorDivide);
  }
  /** The remainder with the sign of the divisor, as Python's %. */
  remainder(other: this | Scalar): this {
    return this.binary('remainder', other, floorRemainder);
  }
  /** The remainder with the sign of the dividend, as C's fmod. */
  fmod(other: this | Scalar): this {
    return this.binary('fmod', other, b.remainder);
  }
  pow(other: this | Scalar): this {
    return this.binary('pow', other, b.power);
  }
  minimum(other: this | Scalar): this {
    return this.binary('minimum', other, b.minimum);
  }
  maximum(other: this | Scalar): this {
    return this.binary('maximum', other, b.maximum);
  }
  /** Of bools, or of the bits of integers. */
  and(other: this | Scalar): this {
    return this.binary('and', other, b.and);
  }
  or(other: this | Scalar): this {
    return this.binary('or', other, b.or);
  }
  xor(other: this | Scalar): this {
    return this.binary('xor', other, b.xor);
  }
  not(): this {
    return this.unary(b.not);
  }

  eq(other: this | Scalar): this {
    return this.binary('eq', other, b.equal);
  }
  ne(other: this | Scalar): this {
    return this.binary('ne', other, b.notEqual);
  }
  lt(other: this | Scalar): this {
    return this.binary('lt', other, b.less);
  }
  le(other: this | Scalar): this {
    return this.binary('le', other, b.lessEqual);
  }
  gt(other: this | Scalar): this {
    return this.binary('gt', other, b.greater);
  }
  ge(other: this | Scalar): this {
    return this.binary('ge', other, b.greaterEqual);
  }
  /** Where this bool is true `a`, else `b`; at least one is a tensor and gives the dtype. */
  where(a: this | Scalar, other: this | Scalar): this {
    const typed = [a, other].find((value) => value instanceof TensorHandle);
    const dtype = typed?.dtype ?? 'f32';
    const node = (value: this | Scalar): Node => operandNode('where', dtype, value);
    return this.derive(() => b.select(nodeOf(this), node(a), node(other)));
  }
  /** Between bounds that may be undefined. */
  clamp(low?: this | Scalar, high?: this | Scalar): this {
    const bound = (value: this | Scalar | undefined): Node | undefined =>
      value === undefined ? undefined : operandNode('clamp', this.dtype, value);
    return this.unary((x) => b.between(x, bound(low), bound(high)));
  }

  neg(): this {
    return this.unary(b.negate);
  }
  abs(): this {
    return this.unary(b.absolute);
  }
  sign(): this {
    return this.unary(b.sign);
  }
  floor(): this {
    return this.unary(b.floor);
  }
  ceil(): this {
    return this.unary(b.ceil);
  }
  /** To the nearest integer, ties to even. */
  round(): this {
    return this.unary(b.round);
  }
  trunc(): this {
    return this.unary(b.truncate);
  }
  sqrt(): this {
    return this.unary(b.squareRoot);
  }
  rsqrt(): this {
    return this.unary((x) => b.reciprocal(b.squareRoot(x)));
  }
  square(): this {
    return this.unary(b.square);
  }
  reciprocal(): this {
    return this.unary(b.reciprocal);
  }
  exp(): this {
    return this.unary(b.exp);
  }
  exp2(): this {
    return this.unary((x) => b.power(2, x));
  }
  log(): this {
    return this.unary(b.log);
  }
  log2(): this {
    return this.unary((x) => b.multiply(b.log(x), log2e));
  }
  log10(): this {
    return this.unary((x) => b.multiply(b.log(x), Math.LOG10E));
  }
  sin(): this {
    return this.unary(b.sin);
  }
  cos(): this {
    return this.unary(b.cos);
  }
  tan(): this {
    return this.unary(b.tan);
  }
  asin(): this {
    return this.unary(b.asin);
  }
  acos(): this {
    return this.unary(b.acos);
  }
  atan(): this {
    return this.unary(b.atan);
  }
  sinh(): this {
    return this.unary(b.sinh);
  }
  cosh(): this {
    return this.unary(b.cosh);
  }
  tanh(): this {
    return this.unary(b.tanh);
  }
  asinh(): this {
    return this.unary(b.asinh);
  }
  acosh(): this {
    return this.unary(b.acosh);
  }
  atanh(): this {
    return this.unary(b.atanh);
  }
  erf(): this {
    return this.unary(b.erf);
  }
  isNaN(): this {
    return this.unary(b.isNaN);
  }
  isInf(): this {
    return this.unary(b.isInfinite);
  }

  relu(): this {
    return this.unary(c.relu);
  }
  leakyRelu(slope = 0.01): this {
    return this.unary((x) => c.leakyRelu(x, slope));
  }
  elu(alpha = 1): this {
    return this.unary((x) => c.elu(x, alpha));
  }
  /** x·Φ(x), exactly by erf or by the tanh approximation. */
  gelu(approximation: 'erf' | 'tanh' = 'erf'): this {
    return this.unary((x) => c.gelu(x, approximation));
  }
  silu(): this {
    return this.unary(c.silu);
  }
  sigmoid(): this {
    return this.unary(c.sigmoid);
  }
  softplus(): this {
    return this.unary(c.softplus);
  }
  mish(): this {
    return this.unary(c.mish);
  }

  /**
   * Another dtype: float → integer truncates and wraps, or clamps when `saturate`; to bool it is
   * whether a value differs from 0.
   */
  to(dtype: DType, options: { readonly saturate?: boolean } = {}): this {
    return this.unary((x) =>
      dtype === 'bool' && x.dtype !== 'bool' ? b.notEqual(x, 0) : b.cast(x, dtype, options),
    );
  }

  /** The same value, through which no derivative flows. */
  detach(): this {
    return this.unary(stopGradient);
  }
}

/** A float's derivative does not pass its bits. */
function stopGradient(x: Node): Node {
  const bits: Partial<Record<DType, DType>> = { f64: 'i64', f32: 'i32', f16: 'u16', bf16: 'u16' };
  const same = bits[x.dtype];
  return same === undefined ? x : b.bitcast(b.bitcast(x, same), x.dtype);
}
