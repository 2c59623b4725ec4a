/** How the axes of a tile bound its accesses to memory, and how they order them. */
import { bytesOf, type DType } from '../base/dtype.js';
import { type Expression, equal, linearIn, variablesOf } from '../base/expression.js';
import type { Access, Limit } from './tile.js';

/** One axis of a tile: the variable that stands for its lane inside addresses. */
export interface TileAxis {
  readonly name: string;
  readonly count: number;
  /** Lanes that count, where fewer than all do: head ≤ lane < tail. */
  readonly head?: Expression | undefined;
  readonly tail?: Expression | undefined;
  /** Loads must give 0 in the lanes that do not count. */
  readonly zeroed?: true;
}

/** How a tile is turned where it is more than one square. */
export interface Squares {
  /** Rows and columns of each. */
  readonly lanes: number;
  /** Rows of memory by which the loads ask for what comes. */
  readonly rowsAhead: number;
}

/** Whether a whole square of two axes, or several, lie in memory along the first of them only. */
export const isTurned = (
  tile: readonly TileAxis[],
  [down, across, ...more]: readonly Expression[],
  squares: Squares | undefined,
) =>
  down !== undefined &&
  across !== undefined &&
  more.length === 0 &&
  equal(down, 1) &&
  !equal(across, 0) &&
  !equal(across, 1) &&
  tile.every(({ head, tail, count }) => {
    const isWhole = head === undefined && tail === undefined && count > 1;
    const side = squares?.lanes ?? tile[0]?.count ?? count;
    return isWhole && (squares === undefined ? count === side : count % side === 0);
  });

/** Limits of an access to a tile of which not all lanes count. */
export function limitsOf(tile: readonly TileAxis[]): { limits?: readonly Limit[] } {
  if (tile.every(({ head, tail }) => head === undefined && tail === undefined)) return {};
  return {
    limits: tile.map(({ head, tail }) => ({
      ...(head === undefined ? {} : { low: head }),
      ...(tail === undefined ? {} : { high: tail }),
    })),
  };
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

/** Base and one stride per tile axis, where the address is linear in all lanes. */
export function linearInLanes(
  address: Expression,
  tile: readonly TileAxis[],
): { readonly base: Expression; readonly strides: readonly Expression[] } | undefined {
  let base = address;
  const strides: Expression[] = [];
  for (const { name } of tile) {
    const linear = linearIn(base, name);
    if (linear === undefined) return undefined;
    strides.push(linear.coefficient);
    base = linear.rest;
  }
  const names = tile.map((axis) => axis.name);
  const mixed = strides.some((stride) => names.some((name) => variablesOf(stride).has(name)));
  return mixed ? undefined : { base, strides };
}

/** What an access says of a long walk, bytes ahead, where its tile is a run: whole elements. */
export function aheadOf(
  bytes: number | undefined,
  dtype: DType,
  strides: readonly Expression[],
): Pick<Access, 'ahead'> {
  const isRun = bytes !== undefined && equal(strides.at(-1) ?? 0, 1);
  return isRun ? { ahead: Math.floor(bytes / bytesOf(dtype)) } : {};
}
