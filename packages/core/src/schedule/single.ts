/**
 * Products of a matrix and one vector, on targets that would otherwise lay out the matrix, or walk
 * it by narrow panels: each element is used once, so they are sums of a plain elementwise product,
 * which read memory in the order in which it lies.
 */
import { product as elements, type Size } from '../base/expression.js';
import type { Target } from '../base/target.js';
import { multiply, permute, reduce, reshape } from '../graph/build.js';
import type { Graph, Node, NodeOf } from '../graph/node.js';
import { deepPass } from './open.js';
import { isOfConstants, packsOperands } from './operands.js';

/** Elements of a matrix below which tiles of registers are as fast. */
const fewest = 2 ** 16;

type Contract = NodeOf<'contract'>;

interface Operand {
  readonly node: Node;
  /** Axes that stay, in order. */
  readonly free: readonly number[];
  readonly contracted: readonly number[];
}

function operandOf(node: Contract, side: 0 | 1): Operand {
  const operand = node.inputs[side] as Node;
  const contracted = node.attributes.contracted.map((pair) => pair[side]);
  const free = operand.shape.map((_, axis) => axis).filter((axis) => !contracted.includes(axis));
  return { node: operand, free, contracted };
}

const sizesOf = ({ node }: Operand, axes: readonly number[]): readonly Size[] =>
  axes.map((axis) => node.shape[axis] as Size);

const isVector = (operand: Operand): boolean => elements(sizesOf(operand, operand.free)) === 1;

/** The sum of products; undefined where the product is no such one. */
function asSum(node: Contract): Node | undefined {
  const { attributes, dtype } = node;
  const isPlain = attributes.accumulate === dtype && (dtype === 'f32' || dtype === 'f64');
  if (!isPlain || attributes.batch.length > 0) return undefined;
  const [left, right] = [operandOf(node, 0), operandOf(node, 1)];
  if (isVector(left) === isVector(right)) return undefined;
  const [vector, matrix] = isVector(left) ? [left, right] : [right, left];
  if (vector.node.dtype !== dtype || matrix.node.dtype !== dtype) return undefined;
  const count = elements(matrix.node.shape);
  const length = elements(vector.node.shape);
  if (typeof count !== 'number' || typeof length !== 'number' || count < fewest) return undefined;
  // A matrix that never changes is laid out once.
  if (isOfConstants(matrix.node)) return undefined;
  const line = reshape(
    permute(vector.node, [...vector.contracted, ...vector.free]),
    sizesOf(vector, vector.contracted),
  );
  // Along the contracted axes of the matrix, in the order in which they lie.
  const order = matrix.contracted.map((_, i) => i);
  order.sort((a, b) => (matrix.contracted[a] as number) - (matrix.contracted[b] as number));
  const shape = matrix.node.shape.map((size, axis) => (matrix.free.includes(axis) ? 1 : size));
  const spread = reshape(permute(line, order), shape);
  return reshape(reduce('sum', multiply(matrix.node, spread), matrix.contracted), node.shape);
}

const pass = deepPass(() => (node) => (node.op === 'contract' ? asSum(node) : undefined));

/** The graph with products of a matrix and a vector as sums, where that is faster. */
export const sumSingles = (graph: Graph, target: Target): Graph =>
  packsOperands(target) ? pass(graph) : graph;
