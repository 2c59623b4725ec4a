/**
 * Loops around a kernel's innermost work: which axes become tasks, which loops inside a task, and
 * how the innermost axis is cut into tiles with a tail.
 */
import {
  add,
  ceilDivide,
  type Expression,
  equal,
  floorDivide,
  minimum,
  modulo,
  multiply,
  provablyAtLeast,
  subtract,
  variable,
} from '../base/expression.js';
import type { Axis } from './axes.js';
import type { KernelBuilder } from './builder.js';
import type { GridAxis } from './tile.js';

/** Values of the iteration variables at the point that is being written. */
export class Bindings {
  private readonly values = new Map<string, Expression>();

  set(name: string, value: Expression): void {
    this.values.set(name, value);
  }

  get = (name: string): Expression | undefined => this.values.get(name);
}

/** Elements that one task shall process at least, so that its start is paid for. */
export const elementsPerTask = 8192;

/** How many rows of `rowElements` a task takes; a guess of 256 where the row's size is symbolic. */
export function rowsPerTask(rowElements: Expression, wanted = elementsPerTask): number {
  const row = typeof rowElements === 'number' ? rowElements : 256;
  return Math.max(1, Math.ceil(wanted / Math.max(row, 1)));
}

/**
 * Makes tasks from `axes`: all but the last are grid axes, the last is cut into blocks of `block`,
 * walked by a loop inside the task. `body` is written once, inside that loop.
 */
export function writeTasks(
  b: KernelBuilder,
  axes: readonly Axis[],
  block: number,
  bindings: Bindings,
  body: () => void,
): GridAxis[] {
  const grid: GridAxis[] = [];
  for (const axis of axes.slice(0, -1)) {
    if (axis.extent === 1) bindings.set(axis.name, 0);
    else {
      const name = b.fresh('g');
      bindings.set(axis.name, variable(name, axis.extent));
      grid.push({ name, extent: axis.extent });
    }
  }
  const last = axes.at(-1);
  if (last === undefined) {
    body();
    return grid;
  }
  const blocks = ceilDivide(last.extent, block);
  const name = blocks === 1 ? undefined : b.fresh('g');
  const position = name === undefined ? 0 : variable(name, blocks);
  const start = multiply(position, block);
  if (block === 1) {
    bindings.set(last.name, position);
    body();
  } else {
    b.for(start, minimum(add(start, block), last.extent), 1, (index) => {
      bindings.set(last.name, index);
      body();
    });
  }
  return name === undefined ? grid : [...grid, { name, extent: blocks }];
}

/** First and last-but-one index of an axis. */
export type Range = readonly [start: Expression, end: Expression];
export type RangeOf = (axis: Axis) => Range;
const wholeRange: RangeOf = ({ extent }) => [0, extent];

/** Writes loops over all axes, outermost first. */
export function writeLoops(
  b: KernelBuilder,
  axes: readonly Axis[],
  bindings: Bindings,
  body: () => void,
  rangeOf: RangeOf = wholeRange,
): void {
  const [first, ...rest] = axes;
  if (first === undefined) {
    body();
    return;
  }
  b.for(...rangeOf(first), 1, (index) => {
    bindings.set(first.name, index);
    writeLoops(b, rest, bindings, body, rangeOf);
  });
}

/**
 * Walks [start, end) in tiles: a loop over whole tiles, then one tile of which `tail` lanes count.
 * `body` gets the first index of the tile and the tail; it is written once or twice. Where `head`
 * is given, the whole tiles begin so many elements after the start.
 */
export function writeTiles(
  b: KernelBuilder,
  start: Expression,
  end: Expression,
  tile: number,
  body: (base: Expression, tail: Expression | undefined) => void,
  head?: Expression,
): void {
  if (head !== undefined) {
    writeTilesAfter(b, head, start, end, tile, body);
    return;
  }
  if (tile === 1) {
    b.for(start, end, 1, (base) => body(base, undefined));
    return;
  }
  const count = subtract(end, start);
  const whole = multiply(floorDivide(count, tile), tile);
  const rest = modulo(count, tile);
  const middle = b.bind(add(start, whole));
  if (!equal(whole, 0)) {
    if (equal(whole, tile)) body(start, undefined);
    else b.for(start, middle, tile, (base) => body(base, undefined));
  }
  if (equal(rest, 0)) return;
  if (provablyAtLeast(rest, 1)) body(middle, rest);
  else {
    const tail = b.bind(rest);
    b.if(tail, () => body(middle, tail));
  }
}

/** Whole tiles from `start + head` on; then what is before and after them, by one body for both. */
function writeTilesAfter(
  b: KernelBuilder,
  head: Expression,
  start: Expression,
  end: Expression,
  tile: number,
  body: (base: Expression, tail: Expression | undefined) => void,
): void {
  const first = b.bind(minimum(head, subtract(end, start)));
  const count = subtract(subtract(end, start), first);
  const from = b.bind(add(start, first));
  const middle = b.bind(add(from, multiply(floorDivide(count, tile), tile)));
  const rest = b.bind(modulo(count, tile));
  b.for(from, middle, tile, (base) => body(base, undefined));
  b.for(0, 2, 1, (edge) => {
    const other = subtract(1, edge);
    const base = b.bind(add(multiply(other, start), multiply(edge, middle)));
    const tail = b.bind(add(multiply(other, first), multiply(edge, rest)));
    b.if(tail, () => body(base, tail));
  });
}
