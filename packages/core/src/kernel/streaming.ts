/** Which outputs of a kernel are written past the caches: large ones, where the target has that. */
import { bytesOf } from '../base/dtype.js';
import {
  type Expression,
  equal,
  floorDivide,
  multiply,
  product,
  upperBound,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import type { Root } from './fused.js';
import { linearInLanes } from './tile-limits.js';
import type { Place } from './value.js';
import { flatten } from './view-index.js';

/** Bytes of a line: what memory moves at once, on CPUs of today. */
export const lineBytes = 64;

/**
 * How far loads of a long walk through memory run ahead of it: the hardware's own begin anew at
 * every page. Measured: half as far, or twice, gives less.
 */
export const bytesAhead = 2048;

/** Whether a node may be larger than the second cache. */
export const isBeyondCaches = (target: Target, { shape, dtype }: Node): boolean =>
  upperBound(multiply(product(shape), bytesOf(dtype))) > (target.cacheBytes[1] ?? 0);

/**
 * `bytesAhead` for a walk through a node where hints are loads, which only pages are asked for
 * with; undefined elsewhere, and where the caches hold the node.
 */
export const bytesAheadIn = (target: Target, node: Node): number | undefined =>
  target.hintsLoad === true && isBeyondCaches(target, node) ? bytesAhead : undefined;

/** Elements of a walk below which its edges, which are not whole lines, are too much of it. */
export const shortestWalk = 512;

/**
 * A condition for stores of an output that is written in walks of so many elements: 0 never, a
 * number always, an expression over sizes where only they tell. What lies over an input is in the
 * cache already and stays there.
 */
export function streamingOf(
  step: KernelStep,
  node: Node,
  target: Target,
  walk: Expression | undefined,
): Expression {
  const { streamBytes } = target;
  if (streamBytes === undefined || walk === undefined) return 0;
  if (typeof walk === 'number' && walk < shortestWalk) return 0;
  if (step.over?.[step.outputs.indexOf(node)] !== undefined) return 0;
  const bytes = multiply(bytesOf(node.dtype), product(node.shape));
  return upperBound(bytes) < streamBytes ? 0 : floorDivide(bytes, streamBytes);
}

/**
 * Elements that a walk of tiles begins at a multiple of: a line's, where a tile has them. What is
 * stored past the caches to a line of which they hold a part waits for that part.
 */
export const lineElements = (bytes: number, lanes: number, tile: number): number =>
  Math.max(lanes, Math.min(tile, lineBytes / bytes));

/** An output that a walk stores to. */
export interface StreamedRoot extends Root {
  readonly buffer: string;
  readonly streaming: Expression;
}

/**
 * Elements of a walk before the first whole line of an output that is streamed: parts of lines are
 * slower past the cache than through it, and arrays of the caller begin anywhere. Undefined where
 * none is streamed. `place` is that of the walk's first tile.
 */
export function headOf(
  place: Place,
  lanes: number,
  roots: readonly StreamedRoot[],
): Expression | undefined {
  const { builder: b, tile } = place;
  for (const { node, index, buffer, streaming } of roots) {
    if (streaming === 0) continue;
    const linear = linearInLanes(place.finish(flatten(node.shape, index)), tile);
    if (linear === undefined || !equal(linear.strides[0] ?? 0, 1)) continue;
    const line = lineElements(bytesOf(node.dtype), lanes, tile[0]?.count ?? lanes);
    const until = b.untilLine(buffer, linear.base, line);
    if (typeof streaming === 'number') return b.name(until, line);
    const none = b.scalar(0);
    const streams = b.notEqual(b.scalar(streaming), none);
    return b.name(b.select(streams, until, none), line);
  }
  return undefined;
}
