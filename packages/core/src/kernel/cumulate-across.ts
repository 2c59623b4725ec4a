/**
 * Prefix sums of lines that lie beside each other: one lane each. A tile of lines walks down all
 * rows; where rows are long, a strip of tiles does, whose totals lie in the task's own memory (see
 * reduction-strips.ts), a few rows at a time.
 */
import {
  add,
  ceilDivide,
  type Expression,
  equal,
  floorDivide,
  minimum,
  multiply,
  subtract,
} from '../base/expression.js';
import type { MemoryType } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { Value } from './builder.js';
import { type CumulatePlan, combiner, identity, loadTile, storeTile } from './cumulate-plan.js';
import { computeType } from './elementwise.js';
import { KernelFrame } from './frame.js';
import type { LoweredKernel } from './lowered.js';
import { writeTiles } from './nest.js';
import { rowsTogether, type Strips, stripsFor, stripsOf } from './reduction-strips.js';
import { taskAxis } from './sequential.js';
import type { Access, GridAxis } from './tile.js';

/** Lanes along the lines' neighbours: every lane its own total. */
export function acrossLines(plan: CumulatePlan): LoweredKernel {
  const strips = stripsOfLines(plan);
  return strips === undefined ? byTiles(plan) : byStrips(plan, strips);
}

function stripsOfLines({ target, lanes, outer, length, inner }: CumulatePlan): Strips | undefined {
  const rows = [{ name: 'line', extent: inner }];
  const reduced = [{ name: 'row', extent: length }];
  const strips = stripsOf(target, { rows, reduced, reads: [], lanes, sums: 1 });
  return strips && stripsFor(strips, target.cores, inner, outer);
}

/** A kernel in progress, and what it does to a tile. */
interface Across {
  readonly frame: KernelFrame;
  /** Tasks by what lies above the lines. */
  readonly grid: readonly GridAxis[];
  /** Takes in the tile at a row, counted in the order of the walk, and stores; gives the totals. */
  takeRow(total: Value, row: Expression, base: Expression, tile: number, tail?: Expression): Value;
}

function beginAcross(plan: CumulatePlan): Across {
  const { step, node, target, outer, length, inner } = plan;
  const { exclusive, reverse } = node.attributes;
  const frame = new KernelFrame(step, target);
  const { builder: b } = frame;
  const from = frame.input(node.inputs[0] as Node) as string;
  const to = frame.output(step.outputs[0] as Node);
  const combine = combiner(plan, b);
  const above = taskAxis(b, outer);
  const start = multiply(above.index, length, inner);
  return {
    frame,
    grid: above.grid,
    takeRow(total, row, base, tile, tail) {
      const position = reverse ? subtract(subtract(length, 1), row) : row;
      const address = add(start, multiply(position, inner), base);
      const after = combine(total, loadTile(plan, b, from, address, [tile], tail));
      const limit = tail === undefined ? undefined : { high: tail };
      storeTile(plan, b, to, address, exclusive ? total : after, limit);
      return after;
    },
  };
}

/** A tile of lines after the other. */
function byTiles(plan: CumulatePlan): LoweredKernel {
  const { names, lanes, length, inner } = plan;
  const across = beginAcross(plan);
  const { frame, grid } = across;
  const { builder: b } = frame;
  const tile = typeof inner === 'number' && inner < 2 * lanes ? lanes : 2 * lanes;
  const beside = taskAxis(b, ceilDivide(inner, tile));
  const at = multiply(beside.index, tile);
  const end = minimum(add(at, tile), inner);
  writeTiles(b, at, end, tile, (base, tail) => {
    const total = b.variable(b.broadcast(identity(plan, b), [tile]));
    b.for(0, length, 1, (row) => {
      b.assign(total, across.takeRow(b.read(total), row, base, tile, tail));
    });
  });
  return frame.finish(names, { lanes, group: 1, grid: [...grid, ...beside.grid] });
}

/** A strip of lines: its totals in memory of the task. */
function byStrips(plan: CumulatePlan, { tile, width }: Strips): LoweredKernel {
  const { node, names, lanes, length, inner } = plan;
  const across = beginAcross(plan);
  const { frame, grid } = across;
  const { builder: b } = frame;
  const dtype = computeType(node.dtype);
  // A tile may begin anywhere before the end.
  const totals = frame.scratch(dtype as MemoryType, width + tile);
  const strip = taskAxis(b, ceilDivide(inner, width));
  const first = multiply(strip.index, width);
  const last = b.bind(minimum(add(first, width), inner));
  const totalAt = (base: Expression): Access => {
    return { buffer: totals, address: subtract(base, first), strides: [1] };
  };
  writeTiles(b, first, last, tile, (base) => {
    b.store(totalAt(base), b.broadcast(identity(plan, b), [tile]));
  });
  const rows = (row: Expression, count: number): void => {
    writeTiles(b, first, last, tile, (base, tail) => {
      let total: Value = b.load({ dtype, shape: [tile] }, totalAt(base), { volatile: true });
      for (let i = 0; i < count; i++) total = across.takeRow(total, add(row, i), base, tile, tail);
      b.store(totalAt(base), total);
    });
  };
  const whole = multiply(floorDivide(length, rowsTogether), rowsTogether);
  b.for(0, whole, rowsTogether, (row) => rows(row, rowsTogether));
  if (!equal(whole, length)) b.for(whole, length, 1, (row) => rows(row, 1));
  return frame.finish(names, { lanes, group: 1, grid: [...grid, ...strip.grid] });
}
