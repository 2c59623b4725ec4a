/** Matrix products: MatMul, Gemm, and the products of quantized integers. */
import type { OperatorCall } from './context.js';
import { build, isFloat, type Node } from './core.js';
import { einsum } from './nn-einsum.js';
import { alignedParameter, quantize } from './nn-quantized.js';
import type { OperatorTable } from './registry.js';

function scaledBy(call: OperatorCall, x: Node, factor: number): Node {
  if (factor === 1) return x;
  if (!isFloat(x.dtype) && !Number.isInteger(factor)) {
    throw call.refuse(`factor ${factor} of a product of integers`);
  }
  return build.multiply(x, factor);
}

/** α·A·B + β·C, rounded once. */
function gemm(call: OperatorCall): Node {
  const [a, b, c] = [call.tensor(0), call.tensor(1), call.optionalTensor(2)];
  const left = call.int('transA', 0) !== 0 ? build.transpose(a) : a;
  const right = call.int('transB', 0) !== 0 ? build.transpose(b) : b;
  const wide = isFloat(a.dtype) ? build.accumulateType(a.dtype) : a.dtype;
  const raw = build.contract(left, right, { contracted: [[1, 0]], dtype: wide });
  const product = scaledBy(call, raw, call.float('alpha', 1));
  if (c === undefined) return build.cast(product, a.dtype);
  const shift = scaledBy(call, build.cast(c, wide), call.float('beta', 1));
  // C may have fewer axes than the product, never more.
  return build.cast(build.add(product, build.broadcastTo(shift, product.shape)), a.dtype);
}

/** Integers as i32 with the zero point taken off: a scalar, or one per row of A or column of B. */
export function centered(x: Node, zero: Node | undefined, axis: number): Node {
  const wide = build.cast(x, 'i32');
  if (zero === undefined) return wide;
  return build.subtract(wide, build.cast(alignedParameter(zero, x, axis), 'i32'));
}

function productOfIntegers(call: OperatorCall): Node {
  const [a, b] = [call.tensor(0), call.tensor(1)];
  const left = centered(a, call.optionalTensor(2), a.shape.length - 2);
  const right = centered(b, call.optionalTensor(3), b.shape.length - 1);
  return build.matmul(left, right);
}

/** (A − a₀)·(B − b₀) in i32, with its scale brought to that of the result. */
function quantizedProduct(call: OperatorCall): Node {
  const [a, b] = [call.tensor(0), call.tensor(3)];
  const [rowAxis, columnAxis] = [a.shape.length - 2, b.shape.length - 1];
  const left = centered(a, call.tensor(2), rowAxis);
  const right = centered(b, call.tensor(5), columnAxis);
  const product = build.cast(build.matmul(left, right), 'f32');
  const rows = build.cast(alignedParameter(call.tensor(1), a, rowAxis), 'f32');
  const columns = build.cast(alignedParameter(call.tensor(4), b, columnAxis), 'f32');
  const [scale, zero] = [build.cast(call.tensor(6), 'f32'), call.tensor(7)];
  const real = build.multiply(product, build.multiply(rows, columns));
  return quantize(real, scale, zero, product.shape.length - 2, zero.dtype);
}

export const matrixOperators: OperatorTable = {
  MatMul: { versions: [1, 9, 13], import: (call) => build.matmul(call.tensor(0), call.tensor(1)) },
  Gemm: { versions: [1, 6, 7, 9, 11, 13], import: gemm },
  Einsum: { versions: [12], import: einsum },
  MatMulInteger: { versions: [10], import: productOfIntegers },
  QLinearMatMul: { versions: [10, 21], import: quantizedProduct },
};
