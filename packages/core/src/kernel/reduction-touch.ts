/**
 * What a walk that computes much asks memory for: walks over a row that only load or only store
 * wait for it, while one with dear operations leaves it idle.
 */
import { bytesOf } from '../base/dtype.js';
import { add, equal, multiply, product, upperBound } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { Axis } from './axes.js';
import type { KernelBuilder } from './builder.js';
import type { Root } from './fused.js';
import type { ReductionPlan } from './reduction-plan.js';
import { linearInLanes, type Place } from './value.js';
import { flatten } from './view-index.js';

/** Buffers by node. */
export interface TouchedMemory {
  readonly input: (node: Node) => string | undefined;
  readonly output: (node: Node) => string | undefined;
}

/**
 * Of the tile that `place` stands at: the same elements of the next row of inputs, and of this row
 * of outputs. Nothing where all of it stays in the caches.
 */
export function touchRows(
  builder: KernelBuilder,
  target: Target,
  { step, space, fullIndex, fullRoots }: ReductionPlan,
  { extent }: Axis,
  place: Place,
  memory: TouchedMemory,
): void {
  const [tile] = place.tile;
  if (tile === undefined || tile.tail !== undefined) return;
  const isSpace = ({ shape }: Node): boolean =>
    shape.length === space.shape.length &&
    shape.every((size, axis) => equal(size, space.shape[axis] ?? 0));
  const isLarge = (node: Node): boolean =>
    upperBound(multiply(product(node.shape), bytesOf(node.dtype))) > (target.cacheBytes[1] ?? 0);
  const touch = ({ node, index }: Root, buffer: string | undefined, rows: number): void => {
    if (buffer === undefined || !isLarge(node)) return;
    const linear = linearInLanes(place.finish(flatten(node.shape, index)), place.tile);
    if (linear === undefined || !equal(linear.strides[0] ?? 0, 1)) return;
    builder.touch(buffer, add(linear.base, multiply(rows, extent)), tile.count);
  };
  for (const node of step.inputs) {
    if (isSpace(node)) touch({ node, index: fullIndex }, memory.input(node), 1);
  }
  for (const root of fullRoots) touch(root, memory.output(root.node), 0);
}
