/**
 * Layouts: which elements of a tile each thread of a group holds, and in which registers. The
 * threads form a grid of rows × columns over the tile; thread (r, c) holds the blocks
 * (r + i · threadRows, c + j · threadColumns), so that neighbours hold neighbours. A block is one
 * element, or several side by side that one access moves. The thread grid divides the tile, and
 * threads that are left over repeat the work of others.
 */
import {
  add,
  type Expression,
  floorDivide,
  lessThan,
  modulo,
  multiply,
  variable,
} from '../base/expression.js';
import type { Guard, ThreadStatement } from './thread-program.js';
import { laneName } from './thread-program.js';

export interface Layout {
  readonly key: string;
  readonly group: number;
  /** Of the tile, a vector having one row. */
  readonly rows: number;
  readonly columns: number;
  readonly threadRows: number;
  readonly threadColumns: number;
  /** Elements of a block. */
  readonly blockRows: number;
  readonly blockColumns: number;
  /**
   * Threads of a bundle, rows × columns, where neighbours in number form such a part of the thread
   * grid; absent: neighbours lie along a row or column of the whole grid.
   */
  readonly bundle?: readonly [number, number];
  /** Whether neighbouring threads go down a column. */
  readonly byColumn: boolean;
  /** A vector along this axis of the tile; threads along the other axis hold copies. */
  readonly axis?: 0 | 1;
}

type Form = Omit<Layout, 'key' | 'axis'> & { readonly axis?: 0 | 1 | undefined };

function layout({ axis, ...given }: Form): Layout {
  // One thread alone has no neighbours: all its layouts of a tile are one.
  const alone = { byColumn: false, blockRows: 1, blockColumns: 1 };
  const form = given.group === 1 ? { ...given, ...alone } : given;
  const tile = `${form.rows}x${form.columns}`;
  const threads = `${form.threadRows}x${form.threadColumns}${form.byColumn ? 't' : ''}`;
  const isPlain = form.blockRows * form.blockColumns === 1;
  const block = isPlain ? '' : `/${form.blockRows}x${form.blockColumns}`;
  const bundle = form.bundle === undefined ? '' : `/${form.bundle.join('b')}`;
  const key = `${tile}/${threads}${block}${bundle}${axis === undefined ? '' : `@${axis}`}`;
  return axis === undefined ? { ...form, key } : { ...form, key, axis };
}

const divisors = (n: number): readonly number[] =>
  Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0);

const largestDivisor = (n: number, limit: number): number =>
  divisors(n).reduce((best, d) => (d <= limit ? d : best), 1);

/**
 * The layout in which a tile of this shape is loaded and stored: rows run along threads, each of
 * which holds `block` columns side by side where the tile has enough for all threads.
 */
export function rowLayout(shape: readonly number[], group: number, block = 1): Layout {
  const [rows, columns] = shape.length === 2 ? [shape[0] ?? 1, shape[1] ?? 1] : [1, shape[0] ?? 1];
  const blockColumns = blockOf(columns, Math.min(block, (rows * columns) / group));
  const threadColumns = largestDivisor(columns / blockColumns, group);
  const threadRows = largestDivisor(rows, Math.floor(group / threadColumns));
  const axis = shape.length === 1 ? 1 : undefined;
  const threads = { threadRows, threadColumns, byColumn: false };
  return layout({ group, rows, columns, ...threads, blockRows: 1, blockColumns, axis });
}

/** The largest power of two up to `most` that divides an extent. */
const blockOf = (extent: number, most: number): number =>
  most >= 2 && extent % 2 === 0 ? 2 * blockOf(extent / 2, most / 2) : 1;

/** As rowLayout, for memory whose columns are contiguous. */
export function columnLayout(
  shape: readonly [number, number],
  group: number,
  block?: number,
): Layout {
  return transposed(rowLayout([shape[1], shape[0]], group, block));
}

/**
 * The layout of an accumulator [m, n]: as many threads as possible, each with a part as square
 * as possible, because a step along k reads one row piece and one column piece of it. Pieces of
 * up to `block` elements lie side by side.
 */
export function accumulatorLayout(shape: readonly number[], group: number, block = 1): Layout {
  const [rows = 1, columns = 1] = shape;
  const choices = divisors(rows).flatMap((threadRows) =>
    divisors(columns)
      .filter((threadColumns) => threadRows * threadColumns <= group)
      .map((threadColumns) => ({ threadRows, threadColumns })),
  );
  const cost = (c: { threadRows: number; threadColumns: number }): readonly number[] => [
    -c.threadRows * c.threadColumns,
    rows / c.threadRows + columns / c.threadColumns,
    -c.threadColumns,
  ];
  const best = choices.reduce((a, b) => (before(cost(b), cost(a)) ? b : a));
  const blockRows = blockOf(rows / best.threadRows, block);
  const blockColumns = blockOf(columns / best.threadColumns, block);
  return layout({ group, rows, columns, ...best, blockRows, blockColumns, byColumn: false });
}

/**
 * The layout of an accumulator that bundles of threads make by calls of a matrix unit: bundles
 * form the grid whose parts are most square, a thread's columns lie in blocks of `blockColumns`.
 */
export function bundleLayout(
  shape: readonly number[],
  group: number,
  bundle: readonly [number, number],
  least: readonly [number, number],
  blockColumns: number,
): Layout | undefined {
  const [rows = 1, columns = 1] = shape;
  const count = group / (bundle[0] * bundle[1]);
  const choices = divisors(count)
    .map((down) => [down, count / down] as const)
    .filter(([down, across]) => (rows % (down * least[0])) + (columns % (across * least[1])) === 0);
  const cost = ([down, across]: readonly [number, number]): number =>
    rows / down + columns / across;
  const best = choices.reduce<readonly [number, number] | undefined>(
    (a, b) => (a === undefined || cost(b) < cost(a) ? b : a),
    undefined,
  );
  if (best === undefined || !Number.isInteger(count)) return undefined;
  const [threadRows, threadColumns] = [best[0] * bundle[0], best[1] * bundle[1]];
  const threads = { threadRows, threadColumns, byColumn: false, bundle };
  return layout({ group, rows, columns, ...threads, blockRows: 1, blockColumns });
}

function before(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((x, i) => x !== b[i]);
  return at >= 0 && (a[at] as number) < (b[at] as number);
}

/** The layout of a vector that is broadcast along the other axis of `whole`. */
export const along = (whole: Layout, axis: 0 | 1): Layout => layout({ ...whole, axis });

/** The same threads on the transposed tile. */
export const transposed = (l: Layout): Layout =>
  layout({
    group: l.group,
    rows: l.columns,
    columns: l.rows,
    threadRows: l.threadColumns,
    threadColumns: l.threadRows,
    blockRows: l.blockColumns,
    blockColumns: l.blockRows,
    ...(l.bundle === undefined ? {} : { bundle: [l.bundle[1], l.bundle[0]] as const }),
    byColumn: !l.byColumn,
    axis: l.axis === undefined ? undefined : l.axis === 0 ? 1 : 0,
  });

export const activeThreads = (l: Layout): number => l.threadRows * l.threadColumns;

/** Holds in one of the threads that hold an element; others have copies. */
export const ownerGuard = (l: Layout): Guard =>
  activeThreads(l) === l.group ? [] : [lessThan(variable(laneName, l.group), activeThreads(l))];

function threadName(l: Layout, axis: 0 | 1): string {
  const bundle = l.bundle === undefined ? '' : `_${l.bundle.join('b')}`;
  const threads = `${l.threadRows}x${l.threadColumns}${l.byColumn ? 't' : ''}`;
  return `${axis === 0 ? 'row' : 'column'}_${threads}${bundle}`;
}

/** Place of the thread along an axis of the thread grid. */
export function threadPlace(l: Layout, axis: 0 | 1): Expression {
  const extent = axis === 0 ? l.threadRows : l.threadColumns;
  if (extent === 1) return 0;
  if (extent === l.group && l.bundle === undefined) return variable(laneName, l.group);
  return variable(threadName(l, axis), extent);
}

/** Statements that define the places which `threadPlace` names. */
export function placeStatements(l: Layout): readonly ThreadStatement[] {
  const lane = variable(laneName, l.group);
  const fast = l.byColumn ? 0 : 1;
  const fastExtent = l.byColumn ? l.threadRows : l.threadColumns;
  if (l.bundle !== undefined) {
    const threads = l.bundle[0] * l.bundle[1];
    const [which, inside] = [floorDivide(lane, threads), modulo(lane, threads)];
    const width = l.bundle[fast];
    const across = fastExtent / width;
    return ([0, 1] as const).map((axis) => {
      const [outer, inner] =
        axis === fast
          ? [modulo(which, across), modulo(inside, width)]
          : [floorDivide(which, across), floorDivide(inside, width)];
      const value = add(multiply(outer, l.bundle?.[axis] ?? 1), inner);
      return { kind: 'index', name: threadName(l, axis), value };
    });
  }
  return ([0, 1] as const)
    .filter((axis) => {
      const extent = axis === 0 ? l.threadRows : l.threadColumns;
      return extent !== 1 && extent !== l.group;
    })
    .map((axis) => ({
      kind: 'index',
      name: threadName(l, axis),
      value:
        axis === fast
          ? modulo(lane, fastExtent)
          : floorDivide(modulo(lane, activeThreads(l)), fastExtent),
    }));
}

/** Registers per thread. */
export function registersOf(l: Layout): number {
  const [down, across] = [l.rows / l.threadRows, l.columns / l.threadColumns];
  if (l.axis === undefined) return down * across;
  return l.axis === 0 ? down : across;
}

/** Number of the register that holds the thread's i-th row and j-th column. */
export function registerAt(l: Layout, i: number, j: number): number {
  if (l.axis !== undefined) return l.axis === 0 ? i : j;
  return i * (l.columns / l.threadColumns) + j;
}

/** Where the thread's i-th row or column lies in the tile. */
export function positionAt(l: Layout, axis: 0 | 1, i: number): Expression {
  const threads = axis === 0 ? l.threadRows : l.threadColumns;
  const block = axis === 0 ? l.blockRows : l.blockColumns;
  const at = add(threadPlace(l, axis), multiply(threads, Math.floor(i / block)));
  return add(multiply(block, at), i % block);
}

/** Row and column of what a register holds; for a vector the one along its axis. */
export function elementOf(l: Layout, register: number): readonly Expression[] {
  const across = l.columns / l.threadColumns;
  const row = (i: number) => positionAt(l, 0, i);
  const column = (j: number) => positionAt(l, 1, j);
  if (l.axis === 0) return [row(register)];
  if (l.axis === 1) return [column(register)];
  return [row(Math.floor(register / across)), column(register % across)];
}
