/** Reductions with what they read and what follows from them: walks over rows, row by row. */
import { internal } from '../base/errors.js';
import {
  add,
  ceilDivide,
  type Expression,
  minimum,
  multiply,
  product,
  subtract,
  variable,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import type { Axis } from './axes.js';
import type { Value, Variable } from './builder.js';
import type { KernelNames } from './frame.js';
import { hasWideTiles, type Root, storeAt, vectorLanes } from './fused.js';
import { tileReductions } from './identity.js';
import type { LoweredKernel } from './lowered.js';
import { type Range, rowsPerTask, writeLoops, writeTasks, writeTiles } from './nest.js';
import { operandOf } from './reduction-kept.js';
import { type Parts, partialAddress, partialResults } from './reduction-parts.js';
import { planReduction, type Reduce, type ReductionPlan } from './reduction-plan.js';
import { hasShortRows, touchRows } from './reduction-touch.js';
import { accumulateType, ReductionWriter } from './reduction-writer.js';
import { headOf } from './streaming.js';
import type { Access, GridAxis } from './tile.js';
import { limitsOf } from './tile-limits.js';
import { linearInLanes, type Place, ValueLowering } from './value.js';
import { flatten } from './view-index.js';

export function lowerReduction(
  step: KernelStep,
  target: Target,
  names: KernelNames,
): readonly LoweredKernel[] {
  const plan = planReduction(step);
  const lanes = vectorLanes(target);
  const kernels = writeKernels(plan, target, names, lanes);
  const isWide = kernels.some(({ program }) => hasWideTiles(program.body));
  if (lanes === 1 || target.execution !== 'vector' || !isWide) return kernels;
  return writeKernels(plan, target, names, lanes / 2);
}

function writeKernels(
  plan: ReductionPlan,
  target: Target,
  names: KernelNames,
  lanes: number,
): readonly LoweredKernel[] {
  const make = (parts?: Parts) => new RowsWriter(plan, target, names, lanes, parts);
  const writer = make();
  const { parts } = writer;
  if (parts === undefined) return [writer.write()];
  return [make(parts).writePartial(), make(parts).writeTotal()];
}

class RowsWriter extends ReductionWriter {
  /** Workspaces of partial results, by reduction. */
  private readonly partials = new Map<number, string>();

  write(): LoweredKernel {
    this.declareOutputs();
    if (this.along && this.lanes > 1) this.declareKept();
    return this.finish(this.writeRows(product(this.reducedAxes.map((axis) => axis.extent))));
  }

  private writeRows(rowElements: Expression): GridAxis[] {
    const { tile } = this;
    return this.along ? this.writeAlong(tile, rowElements) : this.writeAcross(tile, rowElements);
  }

  /** The first of two kernels: every block of every row. */
  writePartial(): LoweredKernel {
    const parts = this.parts as Parts;
    const name = this.builder.fresh('g');
    this.block = variable(name, parts.blocks);
    const inside = this.reducedAxes.slice(1).map((axis) => axis.extent);
    const grid = this.writeRows(multiply(parts.block, product(inside)));
    return this.finish([{ name, extent: parts.blocks }, ...grid], '_partial');
  }

  /** The second: the partial results of every row, and what follows from the row. */
  writeTotal(): LoweredKernel {
    this.declareOutputs();
    const { blocks } = this.parts as Parts;
    const kernel = this.finish(this.writeRows(blocks), '_total');
    return { ...kernel, flops: multiply(product(this.plan.rowShape), blocks) };
  }

  private rangeOf = (axis: Axis): Range => {
    const { block, parts } = this;
    if (block === undefined || parts?.axis.name !== axis.name) return [0, axis.extent];
    const start = multiply(block, parts.block);
    return [start, minimum(add(start, parts.block), axis.extent)];
  };

  /** Partial results of this kernel's block, and the same of all blocks for the total. */
  private partial(reduce: Reduce, place: Place, block: Expression): Access {
    const parts = this.parts as Parts;
    const at = this.plan.stages[0]?.indexOf(reduce) ?? 0;
    const use = this.block === undefined ? 'read' : 'write';
    const workspace = partialResults(parts, reduce, at);
    const known = this.partials.get(reduce.id);
    const type = accumulateType(reduce.attributes.accumulate);
    const buffer = known ?? this.frame.workspace(workspace, type, use);
    this.partials.set(reduce.id, buffer);
    const row = place.finish(flatten(this.plan.rowShape, this.plan.rowIndex));
    const linear = linearInLanes(add(partialAddress(parts, block), row), place.tile);
    if (linear === undefined) throw internal('rows of a reduction are not linear');
    return { buffer, address: linear.base, strides: linear.strides, ...limitsOf(place.tile) };
  }

  /** Lanes along the reduced axes: one row at a time. */
  private writeAlong(tile: number, rowElements: Expression): GridAxis[] {
    const block = this.threads ? 1 : rowsPerTask(rowElements);
    return writeTasks(this.builder, this.rows, block, this.bindings, () => {
      this.held.clear();
      this.plan.stages.forEach((stage, i) => {
        this.writeStageAlong(stage, tile, i === 1);
      });
      if (this.block !== undefined) return;
      this.writeRowRoots(1);
      if (this.plan.fullRoots.length > 0) {
        this.walk(tile, (tail) => this.writeFullRoots(tile, tail), this.plan.fullRoots);
      }
    });
  }

  /** Loops over the reduced axes, the innermost in tiles. */
  private walk(
    tile: number,
    body: (tail: Expression | undefined) => void,
    stored: readonly Root[] = [],
  ): void {
    const inner = this.reducedAxes.at(-1);
    const loop = (): void => {
      if (inner === undefined) {
        body(undefined);
        return;
      }
      const [start, end] = this.rangeOf(inner);
      this.bindings.set(inner.name, start);
      const head = headOf(this.place(tile, undefined), this.lanes, this.streamed(stored));
      const each = (base: Expression, tail: Expression | undefined): void => {
        this.bindings.set(inner.name, base);
        body(tail);
      };
      writeTiles(this.builder, start, end, tile, each, head);
    };
    writeLoops(this.builder, this.reducedAxes.slice(0, -1), this.bindings, loop, this.rangeOf);
  }

  /** `isSecond`: of the walks over a row, whose first one waits for memory. */
  private writeStageAlong(stage: readonly Reduce[], tile: number, isSecond: boolean): void {
    const { builder } = this;
    if (this.parts !== undefined && this.block === undefined) {
      this.writeTotals(stage, 1, undefined);
      return;
    }
    const lanes = this.reducedAxes.length === 0 ? 1 : tile;
    const accumulators = stage.map((reduce) => this.accumulator(reduce, lanes));
    this.walk(tile, (tail) => {
      const place = this.place(lanes, tail);
      const values = new ValueLowering(place);
      stage.forEach((reduce, i) => {
        this.keep(reduce, values, lanes);
        const value = this.operand(reduce, place, values, lanes);
        this.accumulate(reduce, accumulators[i] as Variable, value);
      });
      if (this.computes(stage, isSecond)) this.touchSoon(place);
    });
    stage.forEach((reduce, i) => {
      const partial = builder.read(accumulators[i] as Variable);
      const name = tileReductions[reduce.attributes.kind];
      this.settleRow(reduce, builder.reduce(name, partial), this.place(1, undefined));
      this.held.add((reduce.inputs[0] as Node).id);
    });
  }

  /** Whether a walk leaves memory idle: it keeps what is dear, or finds its row in the cache. */
  private computes(stage: readonly Reduce[], isSecond: boolean): boolean {
    if (this.kept.size > 0) return stage.some((reduce) => this.kept.has(operandOf(reduce).id));
    return isSecond && hasShortRows(this.plan, this.reducedAxes, this.frame.target);
  }

  private touchSoon(place: Place): void {
    const { builder, frame, plan, reducedAxes, outputs, streaming } = this;
    touchRows(builder, frame.target, plan, reducedAxes[0] as Axis, place, {
      input: (node) => frame.input(node),
      output: (node) => (streaming.get(node.id) === 0 ? outputs.get(node.id) : undefined),
    });
  }

  /** What a task has of a row: the row's value, or its block's part of it. */
  private settleRow(reduce: Reduce, value: Value, place: Place): void {
    if (this.block === undefined) this.rowValues.set(reduce.id, this.result(reduce, value));
    else this.builder.store(this.partial(reduce, place, this.block), value);
  }

  private writeTotals(stage: readonly Reduce[], tile: number, tail: Expression | undefined): void {
    const { builder } = this;
    const { blocks } = this.parts as Parts;
    const accumulators = stage.map((reduce) => this.accumulator(reduce, tile));
    builder.for(0, blocks, 1, (block) => {
      stage.forEach((reduce, i) => {
        const accumulator = accumulators[i] as Variable;
        const access = this.partial(reduce, this.place(tile, tail), block);
        this.accumulate(reduce, accumulator, builder.load(accumulator.type, access));
      });
    });
    stage.forEach((reduce, i) => {
      this.settleRow(reduce, builder.read(accumulators[i] as Variable), this.place(tile, tail));
    });
  }

  /** Lanes along the rows: a tile of rows at a time, every lane its own sum. */
  private writeAcross(tile: number, rowElements: Expression): GridAxis[] {
    const { builder } = this;
    const outer = this.rows.slice(0, -1);
    const inner = this.rows.at(-1) as Axis;
    const body = (tail: Expression | undefined): void => {
      this.rowValues.clear();
      for (const stage of this.plan.stages) this.writeStageAcross(stage, tile, tail);
      if (this.block !== undefined) return;
      const place = this.place(tile, tail);
      const values = new ValueLowering(place);
      for (const { node, index } of this.plan.rowRoots) {
        storeAt(place, this.outputs.get(node.id) as string, node, index, values.value(node, index));
      }
      if (this.plan.fullRoots.length > 0) {
        writeLoops(builder, this.reducedAxes, this.bindings, () => this.writeFullRoots(tile, tail));
      }
    };
    if (this.threads) {
      const grid = writeTasks(builder, outer, 1, this.bindings, () => {});
      const name = builder.fresh('g');
      const blocks = ceilDivide(inner.extent, tile);
      const base = multiply(variable(name, blocks), tile);
      this.bindings.set(inner.name, base);
      body(subtract(inner.extent, base));
      return [...grid, { name, extent: blocks }];
    }
    const perTask = rowsPerTask(rowElements);
    const block = Math.ceil(perTask / tile) * tile;
    const grid = writeTasks(builder, outer, 1, this.bindings, () => {});
    const blocks = ceilDivide(inner.extent, block);
    const name = builder.fresh('g');
    const start = multiply(variable(name, blocks), block);
    const end = minimum(add(start, block), inner.extent);
    writeTiles(builder, start, end, tile, (base, tail) => {
      this.bindings.set(inner.name, base);
      body(tail);
    });
    return [...grid, { name, extent: blocks }];
  }

  private writeStageAcross(
    stage: readonly Reduce[],
    tile: number,
    tail: Expression | undefined,
  ): void {
    if (this.parts !== undefined && this.block === undefined) {
      this.writeTotals(stage, tile, tail);
      return;
    }
    const accumulators = stage.map((reduce) => this.accumulator(reduce, tile));
    const loop = (): void => {
      const place = this.place(tile, tail);
      const values = new ValueLowering(place);
      stage.forEach((reduce, i) => {
        const value = this.widened(reduce, this.value(reduce, values));
        this.accumulate(reduce, accumulators[i] as Variable, value);
      });
    };
    writeLoops(this.builder, this.reducedAxes, this.bindings, loop, this.rangeOf);
    stage.forEach((reduce, i) => {
      const partial = this.builder.read(accumulators[i] as Variable);
      this.settleRow(reduce, partial, this.place(tile, tail));
    });
  }
}
