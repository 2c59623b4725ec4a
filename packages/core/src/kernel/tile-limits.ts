/** How the axes of a tile bound its accesses to memory, and how they order them. */
import { type Expression, equal } from '../base/expression.js';
import type { Limit } from './tile.js';

/** One axis of a tile: the variable that stands for its lane inside addresses. */
export interface TileAxis {
  readonly name: string;
  readonly count: number;
  /** Lanes that count, where fewer than all do. */
  readonly tail?: Expression;
  /** Loads must give 0 in the lanes that do not count. */
  readonly zeroed?: true;
}

/** Whether a whole square of two axes lies in memory along the first of them only. */
export const isTurned = (
  tile: readonly TileAxis[],
  [down, across, ...more]: readonly Expression[],
) =>
  down !== undefined &&
  across !== undefined &&
  more.length === 0 &&
  equal(down, 1) &&
  !equal(across, 0) &&
  !equal(across, 1) &&
  tile.every(({ count, tail }) => tail === undefined && count > 1 && count === tile[0]?.count);

/** Limits of an access to a tile with tails. */
export function limitsOf(tile: readonly TileAxis[]): { limits?: readonly Limit[] } {
  if (tile.every((axis) => axis.tail === undefined)) return {};
  return { limits: tile.map(({ tail }) => (tail === undefined ? {} : { high: tail })) };
}

/** Limits of a load. Where all lanes of an axis share one element, some lane counts anyway. */
export function loadLimits(
  tile: readonly TileAxis[],
  strides: readonly Expression[],
): { limits?: readonly Limit[] } {
  return limitsOf(
    tile.map((axis, i) => {
      const shared = equal(strides[i] as Expression, 0) && axis.zeroed !== true;
      return shared ? { name: axis.name, count: axis.count } : axis;
    }),
  );
}
