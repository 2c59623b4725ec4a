/**
 * Layouts: which elements of a tile each thread of a group holds, and in which registers. The
 * threads form a grid of rows × columns over the tile; thread (r, c) holds the elements
 * (r + i · threadRows, c + j · threadColumns), so that neighbours hold neighbours. The thread
 * grid divides the tile, and threads that are left over repeat the work of others.
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
  /** Whether neighbouring threads go down a column. */
  readonly byColumn: boolean;
  /** A vector along this axis of the tile; threads along the other axis hold copies. */
  readonly axis?: 0 | 1;
}

type Form = Omit<Layout, 'key' | 'axis'> & { readonly axis?: 0 | 1 | undefined };

function layout({ axis, ...given }: Form): Layout {
  // One thread alone has no neighbours: all its layouts of a tile are one.
  const form = given.group === 1 ? { ...given, byColumn: false } : given;
  const tile = `${form.rows}x${form.columns}`;
  const threads = `${form.threadRows}x${form.threadColumns}${form.byColumn ? 't' : ''}`;
  const key = `${tile}/${threads}${axis === undefined ? '' : `@${axis}`}`;
  return axis === undefined ? { ...form, key } : { ...form, key, axis };
}

const divisors = (n: number): readonly number[] =>
  Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0);

const largestDivisor = (n: number, limit: number): number =>
  divisors(n).reduce((best, d) => (d <= limit ? d : best), 1);

/** The layout in which a tile of this shape is loaded and stored: rows run along threads. */
export function rowLayout(shape: readonly number[], group: number): Layout {
  const [rows, columns] = shape.length === 2 ? [shape[0] ?? 1, shape[1] ?? 1] : [1, shape[0] ?? 1];
  const threadColumns = largestDivisor(columns, group);
  const threadRows = largestDivisor(rows, Math.floor(group / threadColumns));
  const axis = shape.length === 1 ? 1 : undefined;
  return layout({ group, rows, columns, threadRows, threadColumns, byColumn: false, axis });
}

/** As rowLayout, for memory whose columns are contiguous. */
export function columnLayout(shape: readonly [number, number], group: number): Layout {
  return transposed(rowLayout([shape[1], shape[0]], group));
}

/**
 * The layout of an accumulator [m, n]: as many threads as possible, each with a block as square
 * as possible, because a step along k reads one row piece and one column piece of it.
 */
export function accumulatorLayout(shape: readonly number[], group: number): Layout {
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
  return layout({ group, rows, columns, ...best, byColumn: false });
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
    byColumn: !l.byColumn,
    axis: l.axis === undefined ? undefined : l.axis === 0 ? 1 : 0,
  });

export const activeThreads = (l: Layout): number => l.threadRows * l.threadColumns;

/** Holds in one of the threads that hold an element; others have copies. */
export const ownerGuard = (l: Layout): Guard =>
  activeThreads(l) === l.group ? [] : [lessThan(variable(laneName, l.group), activeThreads(l))];

const threadName = (l: Layout, axis: 0 | 1): string =>
  `${axis === 0 ? 'row' : 'column'}_${l.threadRows}x${l.threadColumns}${l.byColumn ? 't' : ''}`;

/** Place of the thread along an axis of the thread grid. */
export function threadPlace(l: Layout, axis: 0 | 1): Expression {
  const extent = axis === 0 ? l.threadRows : l.threadColumns;
  if (extent === 1) return 0;
  if (extent === l.group) return variable(laneName, l.group);
  return variable(threadName(l, axis), extent);
}

/** Statements that define the places which `threadPlace` names. */
export function placeStatements(l: Layout): readonly ThreadStatement[] {
  const lane = variable(laneName, l.group);
  const fast = l.byColumn ? 0 : 1;
  const fastExtent = l.byColumn ? l.threadRows : l.threadColumns;
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

/** Row and column of what a register holds; for a vector the one along its axis. */
export function elementOf(l: Layout, register: number): readonly Expression[] {
  const across = l.columns / l.threadColumns;
  const row = (i: number) => add(threadPlace(l, 0), multiply(l.threadRows, i));
  const column = (j: number) => add(threadPlace(l, 1), multiply(l.threadColumns, j));
  if (l.axis === 0) return [row(register)];
  if (l.axis === 1) return [column(register)];
  return [row(Math.floor(register / across)), column(register % across)];
}
