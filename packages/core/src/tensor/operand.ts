/** Plain values as operands: they take the tensor's dtype, and must be values of it. */
import { type DType, isFloat, isInteger } from '../base/dtype.js';
import { scalar } from '../graph/build.js';
import type { Node } from '../graph/node.js';
import { nodeOf, type Scalar, TensorHandle } from './handle.js';
import { misuse } from './where.js';

/** Where a value of another dtype is given: a fraction for integers, a number for bool. */
function isValueOf(dtype: DType, value: Scalar): boolean {
  if (isFloat(dtype)) return true;
  if (dtype === 'bool') return typeof value === 'boolean';
  if (!isInteger(dtype)) return false;
  return typeof value !== 'number' || Number.isInteger(value);
}

/** A plain value as a scalar of the dtype. Throws OC-TENSOR-03. */
export function plainNode(op: string, dtype: DType, value: Scalar): Node {
  if (!isValueOf(dtype, value)) throw misuse('OC-TENSOR-03', { op, value: String(value), dtype });
  return scalar(dtype, value);
}

/** The node of an operand beside values of `dtype`. */
export function operandNode(op: string, dtype: DType, value: TensorHandle | Scalar): Node {
  return value instanceof TensorHandle ? nodeOf(value) : plainNode(op, dtype, value);
}
