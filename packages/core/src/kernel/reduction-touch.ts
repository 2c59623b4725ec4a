/**
 * What a walk that computes much asks memory for: walks over a row that only load or only store
 * wait for it, while one with dear operations, or over a row that the cache has, leaves it idle.
 */
import { bytesOf } from '../base/dtype.js';
import { add, type Expression, equal, lessThan, modulo } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { Axis } from './axes.js';
import type { KernelBuilder } from './builder.js';
import type { Root } from './fused.js';
import type { ReductionPlan } from './reduction-plan.js';
import { isBeyondCaches, lineBytes } from './streaming.js';
import { linearInLanes } from './tile-limits.js';
import type { Place } from './value.js';
import { flatten } from './view-index.js';

/** Buffers by node. */
export interface TouchedMemory {
  readonly input: (node: Node) => string | undefined;
  readonly output: (node: Node) => string | undefined;
}

const isSpace = ({ shape }: Node, { space }: ReductionPlan): boolean =>
  shape.length === space.shape.length &&
  shape.every((size, axis) => equal(size, space.shape[axis] ?? 0));

/** Whether a row and the one behind it lie in the second cache, beside what else runs there. */
export function hasShortRows(
  plan: ReductionPlan,
  reduced: readonly Axis[],
  target: Target,
): boolean {
  const [axis, ...others] = reduced;
  if (target.execution !== 'vector' || others.length > 0) return false;
  if (typeof axis?.extent !== 'number') return false;
  const input = plan.step.inputs.find((node) => isSpace(node, plan));
  const most = (target.cacheBytes[1] ?? 2 ** 18) / 8;
  return input !== undefined && axis.extent * bytesOf(input.dtype) <= most;
}

/**
 * Lines that are asked for at a time where a hint is a load: one that misses holds up what comes
 * behind it, and those next to it miss meanwhile.
 */
const linesTogether = 4;

/**
 * Of the tile that `place` stands at: inputs so many elements on, as in the next row, and outputs
 * in this row. Nothing where all of it stays in the caches. `position` in the row, a multiple of
 * the tile.
 */
export function touchRows(
  builder: KernelBuilder,
  target: Target,
  plan: ReductionPlan,
  distance: Expression,
  place: Place,
  memory: TouchedMemory,
  position?: Expression,
): void {
  const [tile] = place.tile;
  if (tile === undefined || tile.tail !== undefined) return;
  const { step, fullIndex, fullRoots } = plan;
  const touched: { readonly buffer: string; readonly address: Expression }[] = [];
  const touch = ({ node, index }: Root, buffer: string | undefined, ahead: Expression): void => {
    if (buffer === undefined || !isBeyondCaches(target, node)) return;
    const linear = linearInLanes(place.finish(flatten(node.shape, index)), place.tile);
    if (linear === undefined || !equal(linear.strides[0] ?? 0, 1)) return;
    touched.push({ buffer, address: add(linear.base, ahead) });
  };
  for (const node of step.inputs) {
    if (isSpace(node, plan)) touch({ node, index: fullIndex }, memory.input(node), distance);
  }
  for (const root of fullRoots) touch(root, memory.output(root.node), 0);
  const emit = (offset: number, count: number): void => {
    for (const { buffer, address } of touched) builder.touch(buffer, add(address, offset), count);
  };
  const line = lineBytes / 4;
  const many = linesTogether * line;
  if (target.hintsLoad !== true || position === undefined || tile.count >= many) {
    emit(0, tile.count);
  } else if (touched.length > 0) {
    builder.if(lessThan(modulo(position, many), tile.count), () => {
      // Line by line, so that those of all buffers miss at the same time.
      for (let offset = 0; offset < many; offset += line) emit(offset, line);
    });
  }
}
