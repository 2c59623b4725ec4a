/**
 * Products of small floats on targets without a unit for them are products of f32: the left
 * operand is converted by a step of its own, the right while it is packed, where the inner loop
 * would convert each element for every column block. Exact: f32 holds every small float, and the
 * sums were f32 before.
 */
import { isFloat } from '../base/dtype.js';
import { product as elements, provablyAtLeast } from '../base/expression.js';
import type { Target } from '../base/target.js';
import { cast, contract } from '../graph/build.js';
import type { Graph, Node } from '../graph/node.js';
import { deepPass, type Pass } from './open.js';
import { packsOperands } from './operands.js';

/** Below so many rows or columns, what is converted is used too seldom. */
const fewest = 4;

const isSmall = (node: Node): boolean =>
  isFloat(node.dtype) && node.dtype !== 'f32' && node.dtype !== 'f64';

/** A cast of a small float to f32. */
export const isWidening = (node: Node): boolean =>
  node.op === 'cast' && node.dtype === 'f32' && isSmall(node.inputs[0] as Node);

/** Whether every element of both operands of a contraction is used several times. */
export function isReused(product: Node): boolean {
  if (product.op !== 'contract') return false;
  const { batch, contracted } = product.attributes;
  return product.inputs.every((operand, side) => {
    const taken = new Set([...batch, ...contracted].map((pair) => pair[side]));
    const free = elements(operand.shape.filter((_, axis) => !taken.has(axis)));
    return typeof free !== 'number' || provablyAtLeast(free, fewest);
  });
}

const passes = new Map<string, Pass>();

const passFor = (units: Target['matrixUnits']): Pass =>
  deepPass(() => (node) => {
    if (node.op !== 'contract' || node.attributes.accumulate !== 'f32') return undefined;
    const [a, b] = node.inputs as [Node, Node];
    if (!isSmall(a) || !isSmall(b) || !isReused(node)) return undefined;
    if (units.some(({ left, right }) => left === a.dtype && right === b.dtype)) return undefined;
    const { dtype, ...attributes } = node.attributes;
    const wide = contract(cast(a, 'f32'), cast(b, 'f32'), { ...attributes, dtype: 'f32' });
    return cast(wide, dtype);
  });

/** The graph with products of small floats as products of f32, where that is faster. */
export function widenProducts(graph: Graph, target: Target): Graph {
  if (!packsOperands(target)) return graph;
  const key = target.matrixUnits.map(({ left, right }) => `${left} ${right}`).join();
  const pass = passes.get(key) ?? passFor(target.matrixUnits);
  passes.set(key, pass);
  return pass(graph);
}
