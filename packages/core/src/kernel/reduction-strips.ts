/**
 * Sums down columns: a tile of columns that walked all rows would take a line of each, far apart. A
 * strip of columns has its sums in the task's own memory, which the nearest cache holds, and a few
 * rows at a time are added to all of it.
 */
import { ceilDivide, type Expression, equal, linearIn, multiply } from '../base/expression.js';
import { ownBytes, type Target } from '../base/target.js';
import type { Axis } from './axes.js';
import { lineBytes } from './streaming.js';

export interface Strips {
  /** Columns of a tile: a line's at least. */
  readonly tile: number;
  /** Columns of a strip, a multiple of the tile. */
  readonly width: number;
}

/**
 * Rows that are added to a tile of sums while registers hold it. Measured on x86: twice as many are
 * as fast, half as many a tenth slower; beyond eight, rows a page apart crowd each other out.
 */
export const rowsTogether = 4;

/** Part of the nearest cache for all sums of a strip: the rest is for what comes. */
const cachePart = 8;

/** Tiles of a strip at least, which a cache holds in any case. */
const fewestTiles = 4;

type Extent = Pick<Axis, 'name' | 'extent'>;

/** What a reduction along rows looks like: `reads` are the addresses that it loads from. */
export interface StripSpace {
  readonly rows: readonly Extent[];
  readonly reduced: readonly Extent[];
  readonly reads: readonly Expression[];
  readonly lanes: number;
  readonly sums: number;
}

/** Undefined where columns are few, rows are few, or columns do not lie side by side. */
export function stripsOf(target: Target, space: StripSpace): Strips | undefined {
  const { rows, reduced, reads, lanes, sums } = space;
  const [inner, row] = [rows.at(-1), reduced.at(-1)];
  if (target.execution !== 'vector' || lanes === 1) return undefined;
  if (inner === undefined || row === undefined) return undefined;
  const bytes = target.vectorBytes / lanes;
  const tile = Math.max(2 * lanes, lineBytes / bytes);
  const isFew = ({ extent }: Extent, least: number) => typeof extent === 'number' && extent < least;
  if (isFew(inner, 2 * tile) || isFew(row, 2 * rowsTogether)) return undefined;
  const isBeside = (read: Expression): boolean => {
    const along = linearIn(read, inner.name);
    return along !== undefined && (equal(along.coefficient, 0) || equal(along.coefficient, 1));
  };
  if (!reads.every(isBeside)) return undefined;
  const budget = (target.cacheBytes[0] ?? 2 ** 15) / cachePart;
  const tiles = Math.max(fewestTiles, Math.floor(budget / bytes / sums / tile));
  // Where tasks have next to no memory of their own, a tile walks all rows.
  if (tiles * tile * bytes * sums > ownBytes(target)) return undefined;
  return evenly(inner.extent, tile, tile * tiles);
}

/** Strips of nearly equal width that are no wider than `most`. */
function evenly(columns: Expression, tile: number, most: number): Strips {
  if (typeof columns !== 'number') return { tile, width: most };
  const count = Math.ceil(columns / most);
  return { tile, width: Math.ceil(columns / count / tile) * tile };
}

/** Narrower strips where the others are fewer than the cores. */
export function stripsFor(strips: Strips, cores: number, columns: Expression, lines: Expression) {
  const tasks = multiply(lines, ceilDivide(columns, strips.width));
  if (typeof tasks !== 'number' || typeof columns !== 'number' || tasks >= cores) return strips;
  const perLine = Math.ceil(cores / Math.max(1, tasks));
  return evenly(
    columns,
    strips.tile,
    Math.ceil(strips.width / perLine / strips.tile) * strips.tile,
  );
}
