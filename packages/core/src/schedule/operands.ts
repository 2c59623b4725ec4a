/** Operands of contractions that need no memory of their own, because packing computes them. */
import { bytesOf, isInteger } from '../base/dtype.js';
import { elementCount } from '../base/host-tensor.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import { isInlineable } from './kinds.js';

/** Vector targets lay constant operands out once, and others for the whole of a task. */
export const packsOperands = (target: Target): boolean =>
  target.execution === 'vector' && target.vectorBytes > 0;

/** Operations between constants and an operand, after which it is no weight any more. */
const mostOperations = 64;

/** Whether a value is made of constants alone, by a few operations that fuse. */
export function isOfConstants(operand: Node): boolean {
  const stack = [operand];
  for (let count = 0; count < mostOperations; count++) {
    const node = stack.pop();
    if (node === undefined) return true;
    if (node.op === 'constant') continue;
    if (!isInlineable(node) || node.op === 'gather' || node.inputs.length === 0) return false;
    stack.push(...node.inputs);
  }
  return false;
}

function isScalar(node: Node): boolean {
  if (node.op === 'constant') return elementCount(node.attributes.tensor.shape) === 1;
  const isView = node.op === 'expand' || node.op === 'reshape';
  return isView && isScalar(node.inputs[0] as Node);
}

/** Below a zero point that is added to widened bytes: the bytes; any other node itself. */
export function shiftedBytes(node: Node): Node {
  if ((node.op !== 'subtract' && node.op !== 'add') || !isInteger(node.dtype)) return node;
  const [a, b] = node.inputs as [Node, Node];
  const from = a.op === 'cast' ? a.inputs[0] : undefined;
  return from !== undefined && bytesOf(from.dtype) === 1 && isScalar(b) ? a : node;
}

/**
 * Below a cast from f32 that a matrix unit's packing does on the way: the f32; any other node
 * itself. `product` is the contraction: a short one is left to code that reads what memory holds.
 */
export function roundedOperand(node: Node, product: Node, target: Target): Node {
  const from = node.op === 'cast' ? node.inputs[0] : undefined;
  if (from?.dtype !== 'f32' || node.dtype !== 'bf16') return node;
  const unit = target.matrixUnits.find(
    ({ left, operands }) => left === 'bf16' && operands === 'global',
  );
  const [rows, columns] = product.shape.slice(-2);
  const isLong =
    unit !== undefined &&
    [rows, columns].every((size) => typeof size === 'number' && size >= unit.m);
  return isLong ? from : node;
}
