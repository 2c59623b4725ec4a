/** Shapes of expressions that the recognising pass looks for. */

import type { BinaryName } from './node.js';
import { isOp, type Node } from './node.js';
import { inputOf, uniformValue } from './simplify-match.js';

/** The operand beside one that `matches`, of a commutative operation. */
export function beside(
  node: Node,
  op: BinaryName,
  matches: (x: Node) => boolean,
): { readonly found: Node; readonly other: Node } | undefined {
  if (node.op !== op) return undefined;
  const [a, b] = [inputOf(node, 0), inputOf(node, 1)];
  if (matches(b)) return { found: b, other: a };
  return matches(a) ? { found: a, other: b } : undefined;
}

/** Whether a value is a constant equal to `wanted` up to a rounding of f16. */
export function isNear(node: Node, wanted: number): boolean {
  const value = uniformValue(node);
  if (typeof value !== 'number') return false;
  return Math.abs(value - wanted) <= Math.abs(wanted) * 2 ** -10;
}

/** The constant that a value equals everywhere, as a number. */
export function numberIn(node: Node): number | undefined {
  const value = uniformValue(node);
  return typeof value === 'number' ? value : undefined;
}

/** x where the node is x + value. */
export const plus = (node: Node, value: number): Node | undefined =>
  beside(node, 'add', (x) => isNear(x, value))?.other;

/** x where the node is x · value or x / (1 / value). */
export function times(node: Node, value: number): Node | undefined {
  const product = beside(node, 'multiply', (x) => isNear(x, value));
  if (product !== undefined) return product.other;
  const divides = node.op === 'divide' && isNear(inputOf(node, 1), 1 / value);
  return divides ? inputOf(node, 0) : undefined;
}

/** All factors of a product of products and divisions by constants; constants multiplied. */
export function factorsOf(node: Node): {
  readonly scale: number;
  readonly factors: readonly Node[];
} {
  const factors: Node[] = [];
  let scale = 1;
  const stack = [{ node, depth: 0 }];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { node: current, depth } = top;
    const value = numberIn(current);
    if (value !== undefined) {
      scale *= value;
    } else if (isOp(current, 'multiply') && depth < 4) {
      for (const x of current.inputs) stack.push({ node: x, depth: depth + 1 });
    } else if (
      isOp(current, 'divide') &&
      numberIn(inputOf(current, 1)) !== undefined &&
      depth < 4
    ) {
      scale /= numberIn(inputOf(current, 1)) as number;
      stack.push({ node: inputOf(current, 0), depth: depth + 1 });
    } else {
      factors.push(current);
    }
  }
  return { scale, factors };
}

/** A composite by name seen through its part. */
export function compositeOf(
  node: Node,
  name: string,
): Extract<Node, { op: 'composite' }> | undefined {
  if (!isOp(node, 'part') || node.attributes.index !== 0) return undefined;
  const source = inputOf(node, 0);
  return isOp(source, 'composite') && source.attributes.name === name ? source : undefined;
}
