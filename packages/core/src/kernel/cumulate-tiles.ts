/**
 * Prefix sums and their kin by tiles. Neighbouring lines: one lane each (cumulate-across.ts).
 * Contiguous lines: a tile's own prefix, then the total before it. Where lines are fewer than
 * cores, a line is cut into blocks by three kernels (Blelloch 1990, reduce then scan): totals of
 * the blocks, the totals before them, and every block from there.
 */
import { bytesOf, isFloat } from '../base/dtype.js';
import {
  add,
  ceilDivide,
  type Expression,
  minimum,
  multiply,
  type Size,
  subtract,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node, NodeOf } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import type { KernelBuilder, Value, Variable } from './builder.js';
import { acrossLines } from './cumulate-across.js';
import { type CumulatePlan, combiner, identity, loadTile, storeTile } from './cumulate-plan.js';
import { computeType } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { lanesFor } from './fused.js';
import { tileReductions } from './identity.js';
import type { LoweredKernel, Workspace } from './lowered.js';
import { writeTiles } from './nest.js';
import { aroundAxis, lineAddress, storeElement, taskAxis } from './sequential.js';
import { lineElements, streamingOf } from './streaming.js';
import type { GridAxis } from './tile.js';

const tileTypes: ReadonlySet<string> = new Set('f32 f64 i32 u32 i64 u64 f16 bf16'.split(' '));
/** Elements of a block at least, so that its kernels' start is paid for. */
const shortestBlock = 2 ** 14;
/** Blocks per core, so that all end together. */
const blocksPerCore = 8;
/**
 * Elements whose sum is made on its own before it is added to a line's: so a long line's total is
 * rounded seldom.
 */
const sumLength = 2 ** 12;
/** Vectors of a tile: its own prefix is off the path from total to total. */
const vectorsPerTile = 4;

/** The kernels of a cumulate by tiles; undefined where machine or line has no use of them. */
export function lowerCumulateTiles(
  step: KernelStep,
  target: Target,
  names: KernelNames,
): readonly LoweredKernel[] | undefined {
  const node = step.anchor as NodeOf<'cumulate'>;
  const lanes = lanesFor(target, node.dtype);
  if (lanes < 2 || target.execution !== 'vector' || !tileTypes.has(node.dtype)) return undefined;
  // The product of a tile alone may overflow where the running product is small.
  if (node.attributes.kind === 'product' && isFloat(node.dtype)) return undefined;
  const around = aroundAxis(node.shape, node.attributes.axis);
  const cumulate: CumulatePlan = { step, node, target, names, lanes, ...around };
  if (around.inner !== 1) {
    const isWide = typeof around.inner !== 'number' || around.inner >= lanes;
    return isWide ? [acrossLines(cumulate)] : undefined;
  }
  if (node.attributes.reverse) return undefined;
  const block = blockOf(target, around.outer, around.length, lanes * vectorsPerTile);
  if (block === undefined) return [alongLine(cumulate, around.length)];
  return [
    totalsOfBlocks(cumulate, block),
    totalsBefore(cumulate, block),
    alongLine(cumulate, block),
  ];
}

/** Elements of a block; undefined where a line is one task. */
function blockOf(target: Target, lines: Size, length: Size, tile: number): number | undefined {
  if (target.cores < 2 || typeof lines !== 'number' || lines >= 2 * target.cores) return undefined;
  if (typeof length !== 'number') return lines === 1 ? 4 * shortestBlock : undefined;
  if (length < 4 * shortestBlock) return undefined;
  const fair = Math.ceil((length * lines) / (target.cores * blocksPerCore * tile)) * tile;
  return Math.max(shortestBlock, fair);
}

/** A block of a contiguous line: all of the line where there is one block. */
interface Block {
  readonly grid: readonly GridAxis[];
  /** Address of the line. */
  readonly line: Expression;
  readonly start: Expression;
  readonly end: Expression;
  /** Number of the block's total. */
  readonly number: Expression;
}

function blockTask(plan: CumulatePlan, b: KernelBuilder, block: Size): Block {
  const blocks = ceilDivide(plan.length, block);
  const line = taskAxis(b, plan.outer);
  const task = taskAxis(b, blocks);
  const start = multiply(task.index, block);
  const end = blocks === 1 ? plan.length : minimum(add(start, block), plan.length);
  return {
    grid: [...line.grid, ...task.grid],
    line: lineAddress(plan, line.index, 0),
    start,
    end,
    number: add(multiply(line.index, blocks), task.index),
  };
}

function totalsOf({ node, outer, length }: CumulatePlan, block: number): Workspace {
  const bytes = /64$/.test(computeType(node.dtype)) ? 8 : 4;
  const count = multiply(outer, ceilDivide(length, block));
  return { kind: 'workspace', id: 0, bytes: multiply(bytes, count), constant: false };
}

function totalsOfBlocks(plan: CumulatePlan, block: number): LoweredKernel {
  const { step, node, target, names, lanes } = plan;
  const frame = new KernelFrame(step, target);
  const { builder: b } = frame;
  const type = computeType(node.dtype);
  const from = frame.input(node.inputs[0] as Node) as string;
  const totals = frame.workspace(totalsOf(plan, block), type, 'write');
  const task = blockTask(plan, b, block);
  const tile = lanes * vectorsPerTile;
  const sums = b.variable(b.broadcast(identity(plan, b), [tile]));
  const combine = combiner(plan, b);
  writeTiles(b, task.start, task.end, tile, (base, tail) => {
    const value = loadTile(plan, b, from, add(task.line, base), [tile], tail);
    b.assign(sums, combine(b.read(sums), value));
  });
  const total = b.reduce(tileReductions[node.attributes.kind], b.read(sums));
  b.store({ buffer: totals, address: task.number, strides: [] }, total);
  const own = { ...names, name: `${names.name}_totals` };
  return frame.finish(own, { lanes, group: 1, grid: task.grid });
}

function totalsBefore(plan: CumulatePlan, block: number): LoweredKernel {
  const { step, node, target, names, outer, length } = plan;
  const frame = new KernelFrame(step, target);
  const { builder: b } = frame;
  const type = computeType(node.dtype);
  const totals = frame.workspace(totalsOf(plan, block), type, 'readWrite');
  const line = taskAxis(b, outer);
  const blocks = ceilDivide(length, block);
  const total = b.variable(identity(plan, b));
  const combine = combiner(plan, b);
  b.for(0, blocks, 1, (i) => {
    const access = { buffer: totals, address: add(multiply(line.index, blocks), i), strides: [] };
    const own = b.load({ dtype: type, shape: [] }, access, { volatile: true });
    const before = b.read(total);
    b.assign(total, combine(before, own));
    b.store(access, before);
  });
  const own = { ...names, name: `${names.name}_before` };
  return frame.finish(own, { lanes: 1, group: 1, grid: line.grid });
}

/** Every block from the total before it; one block is the line, from the identity. */
function alongLine(plan: CumulatePlan, block: Size): LoweredKernel {
  const { step, node, target, names, lanes, length } = plan;
  const { exclusive, kind } = node.attributes;
  const frame = new KernelFrame(step, target);
  const { builder: b } = frame;
  const type = computeType(node.dtype);
  const output = step.outputs[0] as Node;
  const from = frame.input(node.inputs[0] as Node) as string;
  const to = frame.output(output);
  const task = blockTask(plan, b, block);
  const tile = lanes * vectorsPerTile;
  const combine = combiner(plan, b);
  const initial = (): Value => {
    if (typeof block !== 'number' || block === length) return identity(plan, b);
    const totals = frame.workspace(totalsOf(plan, block), type, 'read');
    return b.load(
      { dtype: type, shape: [] },
      { buffer: totals, address: task.number, strides: [] },
    );
  };
  const total: Variable = b.variable(initial());
  // The sum since then, where rounding is to be kept small.
  const recent = kind === 'sum' && isFloat(node.dtype) ? b.variable(identity(plan, b)) : undefined;
  // Results that move by one element are never whole lines.
  const streaming = exclusive ? 0 : b.bind(streamingOf(step, output, target, length));
  if (exclusive) {
    b.if(b.less(b.scalar(task.start), b.scalar(task.end)), () => {
      storeElement(b, to, node, add(task.line, task.start), b.read(total));
    });
  }
  const body = (base: Expression, tail: Expression | undefined): void => {
    const value = loadTile(plan, b, from, add(task.line, base), [tile], tail);
    const earlier = b.read(recent ?? total);
    const before = recent === undefined ? earlier : combine(b.read(total), earlier);
    const after = combine(b.scan(tileReductions[kind], value), before);
    const address = add(task.line, base, exclusive ? 1 : 0);
    // The first result of the next block is the next task's.
    const left = subtract(subtract(task.end, 1), base);
    const limit = exclusive ? { high: left } : tail === undefined ? undefined : { high: tail };
    storeTile(plan, b, to, address, after, limit, streaming);
    b.assign(recent ?? total, combine(earlier, b.reduce(tileReductions[kind], value)));
  };
  let start = task.start;
  if (streaming !== 0) {
    const line = lineElements(bytesOf(node.dtype), lanes, tile);
    const head = b.name(b.untilLine(to, add(task.line, task.start), line), line);
    const first = b.bind(minimum(head, subtract(task.end, task.start)));
    b.if(first, () => body(task.start, first));
    start = b.bind(add(task.start, first));
  }
  if (recent === undefined) writeTiles(b, start, task.end, tile, body);
  else {
    b.for(start, task.end, sumLength, (first) => {
      writeTiles(b, first, minimum(add(first, sumLength), task.end), tile, body);
      b.assign(total, combine(b.read(total), b.read(recent)));
      b.assign(recent, identity(plan, b));
    });
  }
  return frame.finish(names, { lanes, group: 1, grid: task.grid });
}
