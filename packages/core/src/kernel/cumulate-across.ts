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
import type { Access } from './tile.js';

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

/** A tile of lines after the other. */
function byTiles(plan: CumulatePlan): LoweredKernel {
  const { step, node, target, names, lanes, outer, length, inner } = plan;
  const { exclusive, reverse } = node.attributes;
  const frame = new KernelFrame(step, target);
  const { builder: b } = frame;
  const from = frame.input(node.inputs[0] as Node) as string;
  const to = frame.output(step.outputs[0] as Node);
  const combine = combiner(plan, b);
  const tile = typeof inner === 'number' && inner < 2 * lanes ? lanes : 2 * lanes;
  const above = taskAxis(b, outer);
  const beside = taskAxis(b, ceilDivide(inner, tile));
  const at = multiply(beside.index, tile);
  const end = minimum(add(at, tile), inner);
  const start = multiply(above.index, length, inner);
  writeTiles(b, at, end, tile, (base, tail) => {
    const total = b.variable(b.broadcast(identity(plan, b), [tile]));
    b.for(0, length, 1, (i) => {
      const position = reverse ? subtract(subtract(length, 1), i) : i;
      const address = add(start, multiply(position, inner), base);
      const before = b.read(total);
      const after = combine(before, loadTile(plan, b, from, address, [tile], tail));
      const limit = tail === undefined ? undefined : { high: tail };
      storeTile(plan, b, to, address, exclusive ? before : after, limit);
      b.assign(total, after);
    });
  });
  return frame.finish(names, { lanes, group: 1, grid: [...above.grid, ...beside.grid] });
}

/** A strip of lines: its totals in memory of the task. */
function byStrips(plan: CumulatePlan, { tile, width }: Strips): LoweredKernel {
  const { step, node, target, names, lanes, outer, length, inner } = plan;
  const { exclusive, reverse } = node.attributes;
  const frame = new KernelFrame(step, target);
  const { builder: b } = frame;
  const from = frame.input(node.inputs[0] as Node) as string;
  const to = frame.output(step.outputs[0] as Node);
  const combine = combiner(plan, b);
  const dtype = computeType(node.dtype);
  // A tile may begin anywhere before the end.
  const totals = frame.scratch(dtype as MemoryType, width + tile);
  const above = taskAxis(b, outer);
  const strip = taskAxis(b, ceilDivide(inner, width));
  const first = multiply(strip.index, width);
  const last = b.bind(minimum(add(first, width), inner));
  const start = multiply(above.index, length, inner);
  const totalAt = (base: Expression): Access => {
    return { buffer: totals, address: subtract(base, first), strides: [1] };
  };
  writeTiles(b, first, last, tile, (base) => {
    b.store(totalAt(base), b.broadcast(identity(plan, b), [tile]));
  });
  const rows = (row: Expression, count: number): void => {
    writeTiles(b, first, last, tile, (base, tail) => {
      const limit = tail === undefined ? undefined : { high: tail };
      let total: Value = b.load({ dtype, shape: [tile] }, totalAt(base), { volatile: true });
      for (let i = 0; i < count; i++) {
        const down = add(row, i);
        const position = reverse ? subtract(subtract(length, 1), down) : down;
        const address = add(start, multiply(position, inner), base);
        const after = combine(total, loadTile(plan, b, from, address, [tile], tail));
        storeTile(plan, b, to, address, exclusive ? total : after, limit);
        total = after;
      }
      b.store(totalAt(base), total);
    });
  };
  const whole = multiply(floorDivide(length, rowsTogether), rowsTogether);
  b.for(0, whole, rowsTogether, (row) => rows(row, rowsTogether));
  if (!equal(whole, length)) b.for(whole, length, 1, (row) => rows(row, 1));
  return frame.finish(names, { lanes, group: 1, grid: [...above.grid, ...strip.grid] });
}
