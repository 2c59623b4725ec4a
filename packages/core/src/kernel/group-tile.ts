/** Sizes of a group's tile of a contraction: what fits the target, and how many groups share it. */
import { ceilDivide, type Expression } from '../base/expression.js';
import type { MatrixUnit, Target } from '../base/target.js';

export interface GroupTile {
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly threads: number;
}

const tiles: readonly GroupTile[] = [
  { rows: 128, columns: 128, depth: 16, threads: 256 },
  { rows: 64, columns: 64, depth: 16, threads: 256 },
  { rows: 32, columns: 32, depth: 16, threads: 64 },
  { rows: 16, columns: 16, depth: 8, threads: 32 },
];
/** Rows below which a tile's operands are used too seldom for more tasks to pay. */
const smallRows = 32;
const smallUnitRows = 64;

const smallest: GroupTile = { rows: 8, columns: 8, depth: 4, threads: 16 };

/** Registers of a thread: accumulators, and what it fetches of the operands. */
const registersOf = ({ rows, columns, depth, threads }: GroupTile): number =>
  (rows * columns + (rows + columns) * depth) / threads;

/** Registers from which on a thread can hold the next step's operands too. */
export const prefetchRegisters = 128;

/** What a task keeps in registers beside its tiles: addresses, limits, loop counters. */
const otherRegisters = 16;

/**
 * The largest usual tile that a target has room for, smaller where a product of `rows` × `columns`
 * would leave cores without a task. `bytes` is the size of an element in shared memory.
 */
export function groupTile(
  target: Target,
  bytes: number,
  rows: Expression,
  columns: Expression,
  outer: Expression = 1,
): GroupTile {
  const fits = (tile: GroupTile): boolean =>
    (tile.rows + tile.columns) * (tile.depth + 1) * bytes <= target.sharedBytes &&
    tile.threads <= target.maxGroup &&
    (registersOf(tile) * bytes) / 4 + otherRegisters <= target.vectorRegisters &&
    // Operands on their way into a multiplication need as much room as sums.
    (tile.rows * tile.columns * bytes) / 4 / tile.threads <= target.vectorRegisters / 2;
  const found = largestFilling(tiles.filter(fits), target, rows, columns, outer, smallRows);
  return found ?? smallest;
}

/**
 * The first tile that gives every core a task and is filled by more than half, or has at most
 * `small` rows; else the first.
 */
function largestFilling(
  candidates: readonly GroupTile[],
  target: Target,
  rows: Expression,
  columns: Expression,
  outer: Expression,
  small: number,
): GroupTile | undefined {
  const tasksOf = (tile: GroupTile): number =>
    [ceilDivide(rows, tile.rows), ceilDivide(columns, tile.columns), outer].reduce<number>(
      (all, count) => all * (typeof count === 'number' ? count : target.cores),
      1,
    );
  const isIdle = (size: number, extent: Expression): boolean =>
    typeof extent === 'number' && size >= 2 * extent;
  const isFilled = (tile: GroupTile): boolean =>
    !isIdle(tile.rows, rows) && !isIdle(tile.columns, columns) && tasksOf(tile) >= target.cores;
  const filling = candidates.find((tile) => tile.rows <= small || isFilled(tile));
  return filling ?? candidates[0];
}

/** A tile whose dots a matrix unit does. */
export interface UnitTile extends GroupTile {
  readonly unit: MatrixUnit;
  /** Parts that an element is split into; 1: the unit takes it as it is, or rounded. */
  readonly parts: number;
}

/** Elements behind each line of an operand, which keep its columns in different banks. */
const lineEnd = 8;

/** Tiles for units of threads; a step's depth is one or two calls long. */
const unitTiles: readonly GroupTile[] = [
  { rows: 128, columns: 128, depth: 32, threads: 128 },
  { rows: 128, columns: 128, depth: 16, threads: 256 },
  { rows: 64, columns: 64, depth: 32, threads: 128 },
  { rows: 64, columns: 64, depth: 16, threads: 128 },
];

/**
 * The tile of a contraction on one of the target's units, undefined where none suits. Parts are
 * added up apart from the sum of earlier steps, which takes as many registers again.
 */
export function unitTile(
  target: Target,
  unit: MatrixUnit,
  parts: number,
  rows: Expression,
  columns: Expression,
  outer: Expression,
): UnitTile | undefined {
  const elements = ({ rows: m, columns: n, depth: k }: GroupTile): number =>
    m * (k + lineEnd) + k * (n + lineEnd);
  const plainBytes = (tile: GroupTile): number =>
    parts > 1 ? 4 * plainDepth * (tile.rows + tile.columns + 2 * lineEnd) : 0;
  const fits = (tile: GroupTile): boolean =>
    2 * parts * elements(tile) + plainBytes(tile) + exchangeBytes <= target.sharedBytes &&
    tile.threads <= target.maxGroup &&
    (tile.rows * tile.columns * (parts > 1 ? 2 : 1)) / tile.threads + unitRegisters <=
      target.vectorRegisters;
  const found = largestFilling(unitTiles.filter(fits), target, rows, columns, outer, smallUnitRows);
  return found === undefined ? undefined : { ...found, unit, parts };
}

/** Depth of the plain loop's tiles, for operands that cannot be split. */
export const plainDepth = 8;

/** Shared memory in which threads agree about what was split. */
const exchangeBytes = 4096;

/** Operands of a call, of the next step, addresses. */
const unitRegisters = 96;
