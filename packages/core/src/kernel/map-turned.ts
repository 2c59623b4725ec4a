/**
 * Maps that read along another axis than they write, as transposes do: square tiles over both axes,
 * read in the order of memory and turned in registers, where a load of every lane alone would take
 * a line of the cache for one element. Rows shorter than a vector are written column by column.
 */
import { bytesOf } from '../base/dtype.js';
import {
  add,
  ceilDivide,
  type Expression,
  equal,
  linearIn,
  minimum,
  modulo,
  multiply,
  substitute,
  variable,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import { type Axis, axis, isAtLeast, type MergedAxes } from './axes.js';
import type { KernelBuilder, Value } from './builder.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { laneName, type PlannedAxes, type Root, storeAt } from './fused.js';
import type { LoweredKernel } from './lowered.js';
import { type WriteDown, wholeLinesOf, writeWholeLines } from './map-turned-lines.js';
import { Bindings, rowsPerTask, writeTasks, writeTiles } from './nest.js';
import { placeOn } from './place.js';
import { insideOf } from './reduction-plan.js';
import { lineBytes, streamingOf } from './streaming.js';
import type { TileAxis } from './tile-limits.js';
import { ValueLowering } from './value.js';

/** Name of the variable that stands for the lane of a tile's row. */
const rowName = 'row';

/** Tiles side by side that a task reads from each line of the input on its way. */
const tilesAcross = 4;
/** Nodes of an expression up to which a square of vectors of every value is worth its registers. */
const mostNodes = 12;

/**
 * The axis, other than the innermost, along which the elements of some input lie side by side
 * while they are apart along the innermost; undefined where tiles of `lanes` do not fit. Where rows
 * are short, every input shall be so, or the same all along the axis.
 */
export function turnedAxis(
  step: KernelStep,
  target: Target,
  { axes, dropped, reads }: PlannedAxes,
  lanes: number,
): Axis | undefined {
  const inner = axes.at(-1);
  if (target.execution !== 'vector' || lanes < 4 || inner === undefined) return undefined;
  const isNarrow = columnsOf(inner, target, lanes) !== undefined;
  if (!(isNarrow || isAtLeast(inner, lanes)) || insideOf(step).length > mostNodes) return undefined;
  const seen = reads.map((e) => substitute(e, (name) => (dropped.has(name) ? 0 : undefined)));
  return axes.slice(0, -1).find((other) => {
    const isTurned = (e: Expression): boolean => {
      const [along, across] = [linearIn(e, inner.name), linearIn(e, other.name)];
      if (along === undefined || across === undefined) return false;
      const stride = along.coefficient;
      return equal(across.coefficient, 1) && !equal(stride, 0) && !equal(stride, 1);
    };
    const isBeside = (e: Expression): boolean => {
      const along = linearIn(e, other.name);
      return along !== undefined && [0, 1].some((stride) => equal(along.coefficient, stride));
    };
    if (isNarrow && !seen.every(isBeside)) return false;
    return isAtLeast(other, lanes) && seen.some(isTurned);
  });
}

/**
 * Columns of rows that are shorter than a vector and are written a column of many rows at a time:
 * where vectors are short, storing elements one by one is cheaper than gathering each row.
 */
function columnsOf({ extent }: Axis, target: Target, lanes: number): number | undefined {
  const isNarrow = typeof extent === 'number' && extent < lanes;
  return isNarrow && target.vectorBytes < lineBytes ? extent : undefined;
}

export function writeTurnedMap(
  step: KernelStep,
  target: Target,
  names: KernelNames,
  merged: MergedAxes,
  roots: readonly Root[],
  lanes: number,
  turned: Axis,
): LoweredKernel {
  const frame = new KernelFrame(step, target);
  const { builder: b } = frame;
  const bindings = new Bindings();
  const inner = merged.axes.at(-1) as Axis;
  const outer = merged.axes.slice(0, -1).filter((each) => each !== turned);
  const buffers = step.outputs.map((node) => frame.output(node));
  const whole = wholeLinesOf(step, target, inner, turned, lanes);
  const width = whole?.line ?? lanes;
  const row: TileAxis = { name: rowName, count: lanes };
  const lane: TileAxis = { name: laneName, count: width };

  const write = (
    tile: readonly TileAxis[],
    [down, across]: readonly [Expression, Expression],
    streaming: readonly Expression[],
    stored = tile,
  ): void => {
    const finish = (e: Expression): Expression =>
      substitute(e, (name) => {
        if (merged.dropped.has(name)) return 0;
        if (name === turned.name) return down;
        return name === inner.name ? across : bindings.get(name);
      });
    const rowsAhead = whole?.rowsAhead ?? 0;
    const place = placeOn(frame, names, tile, { finish, squares: { lanes, rowsAhead } });
    const values = new ValueLowering(place);
    // All loads first: a store may write over what another output reads.
    const made = roots.map(({ node, index }) => values.value(node, index));
    roots.forEach(({ node, index }, i) => {
      const buffer = buffers[i] as string;
      storeAt({ ...place, tile: stored }, buffer, node, index, made[i] as Value, streaming[i]);
    });
  };
  const [rowLane, columnLane] = [variable(rowName, lanes), variable(laneName, width)];

  if (whole !== undefined) {
    const writeDown: WriteDown = (range, column, streaming, written) => {
      const across = add(column, columnLane);
      const [head, tail] = written ?? [];
      const part = written === undefined ? lane : { ...lane, head, tail };
      writeTiles(b, ...range, lanes, (down, rest) => {
        if (rest === undefined) {
          write([row, lane], [add(down, rowLane), across], [streaming], [row, part]);
        } else b.for(down, add(down, rest), 1, (at) => write([lane], [at, across], [], [part]));
      });
    };
    const buffer = buffers[0] as string;
    const grid = writeWholeLines(b, bindings, whole, [outer, turned], buffer, writeDown);
    return frame.finish(names, { lanes, group: 1, grid });
  }

  const columns = columnsOf(inner, target, lanes);
  if (columns !== undefined) {
    const perTask = lanes * Math.ceil(rowsPerTask(columns) / lanes);
    const blocks = axis('block', ceilDivide(turned.extent, perTask));
    const grid = writeTasks(b, [...outer, blocks], 1, bindings, () => {
      const start = multiply(bindings.get(blocks.name) as Expression, perTask);
      const end = b.bind(minimum(add(start, perTask), turned.extent));
      writeTiles(b, start, end, lanes, (down, tail) => {
        for (let column = 0; column < columns; column++) {
          write([tail === undefined ? row : { ...row, tail }], [add(down, rowLane), column], []);
        }
      });
    });
    return frame.finish(names, { lanes, group: 1, grid });
  }

  const block = lanes * Math.max(tilesAcross, Math.ceil(rowsPerTask(inner.extent) / lanes));
  const blocks = axis('block', ceilDivide(turned.extent, block));
  const grid = writeTasks(b, [...outer, blocks], 1, bindings, () => {
    const start = multiply(bindings.get(blocks.name) as Expression, block);
    const end = b.bind(minimum(add(start, block), turned.extent));
    const streaming = step.outputs.map((node, i) => {
      const wanted = isInLines(inner, node, lanes)
        ? streamingOf(step, node, target, inner.extent)
        : 0;
      return wanted === 0 ? 0 : atLines(b, buffers[i] as string, lanes, wanted);
    });
    writeTiles(b, 0, inner.extent, lanes, (column, tail) => {
      const columns = tail === undefined ? lane : { ...lane, tail };
      const one = (down: Expression): void => write([columns], [down, add(column, columnLane)], []);
      writeTiles(b, start, end, lanes, (down, rest) => {
        if (tail === undefined && rest === undefined) {
          write([row, lane], [add(down, rowLane), add(column, columnLane)], streaming);
        } else b.for(down, add(down, rest ?? lanes), 1, one);
      });
    });
  });
  return frame.finish(names, { lanes, group: 1, grid });
}

/** Whether rows of tiles are lines of memory, where the first is. */
const isInLines = ({ extent }: Axis, { dtype }: Node, lanes: number): boolean =>
  (bytesOf(dtype) * lanes) % lineBytes === 0 && equal(modulo(extent, lanes), 0);

/** `streaming`, where the buffer begins at a line; otherwise 0. */
function atLines(
  b: KernelBuilder,
  buffer: string,
  lanes: number,
  streaming: Expression,
): Expression {
  const none = b.scalar(0);
  const isLine = b.equal(b.untilLine(buffer, 0, lanes), none);
  return b.name(b.select(isLine, b.scalar(streaming), none), 1);
}
