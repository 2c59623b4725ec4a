/** Reductions with what they read and what follows from them: walks over rows, row by row. */
import { type Expression, multiply, product, variable } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import type { Variable } from './builder.js';
import type { KernelNames } from './frame.js';
import { hasWideTiles, type Root, vectorLanes } from './fused.js';
import { tileReductions } from './identity.js';
import type { LoweredKernel } from './lowered.js';
import { rowsPerTask, writeLoops, writeTasks, writeTiles } from './nest.js';
import { AcrossWriter } from './reduction-across.js';
import { operandOf } from './reduction-kept.js';
import type { Parts } from './reduction-parts.js';
import { planReduction, type Reduce, type ReductionPlan } from './reduction-plan.js';
import { hasShortRows, touchRows } from './reduction-touch.js';
import { bytesAhead, bytesAheadIn, headOf } from './streaming.js';
import type { GridAxis } from './tile.js';
import { type Place, ValueLowering } from './value.js';

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

class RowsWriter extends AcrossWriter {
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
    const computes = this.computes(stage, isSecond);
    const hints = this.hints();
    this.walk(tile, (tail) => {
      const place = { ...this.place(lanes, tail), ...(tail === undefined ? hints : {}) };
      const values = new ValueLowering(place);
      stage.forEach((reduce, i) => {
        this.keep(reduce, values, lanes);
        const value = this.operand(reduce, place, values, lanes);
        this.accumulate(reduce, accumulators[i] as Variable, value);
      });
      if (computes) this.touchSoon(place);
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

  /** Of a walk that waits for memory: where another asks for rows, it finds them in the cache. */
  private hints(): Pick<Place, 'ahead'> {
    const { frame, plan } = this;
    if (plan.stages.some((stage, i) => this.computes(stage, i === 1))) return {};
    const isLarge = (node: Node): boolean => bytesAheadIn(frame.target, node) !== undefined;
    return plan.step.inputs.some(isLarge) ? { ahead: bytesAhead } : {};
  }

  private touchSoon(place: Place): void {
    const { builder, frame, plan, reducedAxes, outputs, streaming } = this;
    const [axis] = reducedAxes;
    const memory = {
      input: (node: Node) => frame.input(node),
      output: (node: Node) => (streaming.get(node.id) === 0 ? outputs.get(node.id) : undefined),
    };
    const position = axis && this.bindings.get(axis.name);
    touchRows(builder, frame.target, plan, axis?.extent ?? 0, place, memory, position);
  }
}
