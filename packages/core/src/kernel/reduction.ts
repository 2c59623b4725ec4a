import { internal } from '../base/errors.js';
import {
  add,
  ceilDivide,
  type Expression,
  equal,
  minimum,
  multiply,
  product,
  subtract,
  variable,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import { type Axis, isAtLeast } from './axes.js';
import type { KernelBuilder, Value, Variable } from './builder.js';
import { computeType, lowerBinary, lowerCast, settle } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { hasWideTiles, placeAt, planAxes, type Root, storeAt, vectorLanes } from './fused.js';
import { identityOf, tileReductions } from './identity.js';
import type { LoweredKernel } from './lowered.js';
import { Bindings, rowsPerTask, writeLoops, writeTasks, writeTiles } from './nest.js';
import { planReduction, type Reduce, type ReductionPlan } from './reduction-plan.js';
import { headOf, type StreamedRoot, streamingOf } from './streaming.js';
import type { GridAxis } from './tile.js';
import { type Place, ValueLowering } from './value.js';
import { reshapeIndex } from './view-index.js';

export function lowerReduction(
  step: KernelStep,
  target: Target,
  names: KernelNames,
): LoweredKernel {
  const plan = planReduction(step);
  const lanes = vectorLanes(target);
  const kernel = new ReductionWriter(plan, target, names, lanes).write();
  if (lanes > 1 && target.execution === 'vector' && hasWideTiles(kernel.program.body)) {
    return new ReductionWriter(plan, target, names, lanes / 2).write();
  }
  return kernel;
}

class ReductionWriter {
  private readonly plan: ReductionPlan;
  private readonly names: KernelNames;
  private readonly lanes: number;
  private readonly frame: KernelFrame;
  private readonly builder: KernelBuilder;
  private readonly bindings = new Bindings();
  private readonly rows: Axis[];
  private readonly reducedAxes: Axis[];
  private readonly merged;
  private readonly threads: boolean;
  /** Whether lanes lie along the reduced axes (else along the rows). */
  private readonly along: boolean;
  private readonly rowValues = new Map<number, Value>();
  private readonly outputs = new Map<number, string>();
  private readonly streaming = new Map<number, Expression>();

  constructor(plan: ReductionPlan, target: Target, names: KernelNames, lanes: number) {
    this.plan = plan;
    this.names = names;
    this.lanes = lanes;
    this.frame = new KernelFrame(plan.step, target);
    this.builder = this.frame.builder;
    const reduces = plan.stages.flat();
    const isReduced = (node: Node): boolean => reduces.some((reduce) => reduce.id === node.id);
    const inner = reduces.map((reduce) => this.operandRoot(reduce));
    const roots = [...inner, ...plan.fullRoots, ...plan.rowRoots];
    this.merged = planAxes(plan.step, target, plan.space, roots, isReduced);
    this.rows = this.merged.axes.filter((axis) => !axis.reduced);
    this.reducedAxes = this.merged.axes.filter((axis) => axis.reduced);
    this.threads = target.execution === 'threads';
    const last = this.merged.axes.at(-1);
    this.along = last?.reduced ?? true;
    for (const node of plan.step.outputs) {
      this.outputs.set(node.id, this.frame.output(node));
      const streaming = streamingOf(plan.step, node, target, last?.extent);
      this.streaming.set(node.id, this.builder.bind(streaming));
    }
  }

  private operandRoot(reduce: Reduce): Root {
    const node = reduce.inputs[0] as Node;
    return { node, index: reshapeIndex(node.shape, this.plan.space.shape, this.plan.fullIndex) };
  }

  write(): LoweredKernel {
    const { target } = this.frame;
    const group = this.threads ? target.preferredGroup : 1;
    const tile = this.threads ? group : this.tileLength();
    const elements = product(this.plan.space.shape);
    const rowElements = product(this.reducedAxes.map((axis) => axis.extent));
    const grid = this.along
      ? this.writeAlong(tile, rowElements)
      : this.writeAcross(tile, rowElements);
    const cost = {
      flops: multiply(elements, this.plan.stages.flat().length),
      bytes: 0,
    };
    const shape = { lanes: this.threads ? group : this.lanes, group, grid };
    const finished = this.frame.finish(this.names, shape);
    return { ...finished, flops: cost.flops };
  }

  /** Several vectors per tile, so that the latencies of the accumulations overlap. */
  private tileLength(): number {
    const unroll = this.along ? 4 : 2;
    const axis = this.merged.axes.at(-1);
    if (axis === undefined) return this.lanes;
    if (this.lanes === 1) return this.along && isAtLeast(axis, 8) ? 4 : 1;
    return isAtLeast(axis, this.lanes * unroll) ? this.lanes * unroll : this.lanes;
  }

  private place(tile: number, tail: Expression | undefined): Place {
    const vectorAxis = this.merged.axes.at(-1)?.name;
    return placeAt(
      this.frame,
      this.merged,
      this.bindings,
      { vectorAxis, tile },
      tail,
      this.names.failBase,
      (node, index) => this.rowValue(node, index),
    );
  }

  private rowValue(node: Node, index: readonly Expression[]): Value | undefined {
    const value = this.rowValues.get(node.id);
    if (value === undefined) return undefined;
    const { rowIndex } = this.plan;
    const same =
      index.length === rowIndex.length &&
      index.every((i, k) => equal(i, rowIndex[k] as Expression));
    // Where there are no rows, index arithmetic has lost its meaning, and nothing runs.
    const empty = equal(product(this.plan.rowShape), 0);
    if (!same && !empty) throw internal('a row value is used at another row');
    return value;
  }

  /** Lanes along the reduced axes: one row at a time. */
  private writeAlong(tile: number, rowElements: Expression): GridAxis[] {
    const block = this.threads ? 1 : rowsPerTask(rowElements);
    return writeTasks(this.builder, this.rows, block, this.bindings, () => {
      for (const stage of this.plan.stages) this.writeStageAlong(stage, tile);
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
    writeLoops(this.builder, this.reducedAxes.slice(0, -1), this.bindings, () => {
      if (inner === undefined) {
        body(undefined);
        return;
      }
      this.bindings.set(inner.name, 0);
      const head = headOf(this.place(tile, undefined), this.lanes, this.streamed(stored));
      const each = (base: Expression, tail: Expression | undefined): void => {
        this.bindings.set(inner.name, base);
        body(tail);
      };
      writeTiles(this.builder, 0, inner.extent, tile, each, head);
    });
  }

  private streamed(roots: readonly Root[]): readonly StreamedRoot[] {
    return roots.map((root) => ({
      ...root,
      buffer: this.outputs.get(root.node.id) as string,
      streaming: this.streaming.get(root.node.id) as Expression,
    }));
  }

  private writeStageAlong(stage: readonly Reduce[], tile: number): void {
    const { builder } = this;
    const lanes = this.reducedAxes.length === 0 ? 1 : tile;
    const accumulators = stage.map((reduce) => this.accumulator(reduce, lanes));
    this.walk(tile, (tail) => {
      const place = this.place(lanes, tail);
      const values = new ValueLowering(place);
      stage.forEach((reduce, i) => {
        const value = this.operand(reduce, place, values, lanes);
        this.accumulate(reduce, accumulators[i] as Variable, value);
      });
    });
    stage.forEach((reduce, i) => {
      const partial = builder.read(accumulators[i] as Variable);
      const name = tileReductions[reduce.attributes.kind];
      this.rowValues.set(reduce.id, this.result(reduce, builder.reduce(name, partial)));
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
    const accumulators = stage.map((reduce) => this.accumulator(reduce, tile));
    writeLoops(this.builder, this.reducedAxes, this.bindings, () => {
      const place = this.place(tile, tail);
      const values = new ValueLowering(place);
      stage.forEach((reduce, i) => {
        const value = this.widened(reduce, this.value(reduce, values));
        this.accumulate(reduce, accumulators[i] as Variable, value);
      });
    });
    stage.forEach((reduce, i) => {
      const partial = this.builder.read(accumulators[i] as Variable);
      this.rowValues.set(reduce.id, this.result(reduce, partial));
    });
  }

  private accumulator(reduce: Reduce, lanes: number): Variable {
    const { kind, accumulate } = reduce.attributes;
    const dtype = accumulateType(accumulate);
    const identity = identityOf(kind, accumulate);
    const initial = this.builder.literal(dtype, identity);
    const shape = lanes === 1 ? [] : [lanes];
    return this.builder.variable(this.builder.broadcast(initial, shape), { dtype, shape });
  }

  private value(reduce: Reduce, values: ValueLowering): Value {
    const { node, index } = this.operandRoot(reduce);
    return values.value(node, index);
  }

  private widened(reduce: Reduce, value: Value): Value {
    const { accumulate } = reduce.attributes;
    const from = (reduce.inputs[0] as Node).dtype;
    if (accumulate === 'bool') return this.builder.convert(value, 'u32');
    return lowerCast(this.builder, this.frame.target, from, accumulate, false, value);
  }

  /** The operand's tile with the lanes that do not count set to the identity. */
  private operand(reduce: Reduce, place: Place, values: ValueLowering, lanes: number): Value {
    const { builder } = this;
    const value = this.widened(reduce, this.value(reduce, values));
    if (lanes === 1) return value;
    const wide = builder.broadcast(value, [lanes]);
    const tail = place.tile[0]?.tail;
    if (tail === undefined) return wide;
    const { kind, accumulate } = reduce.attributes;
    const identity = builder.literal(accumulateType(accumulate), identityOf(kind, accumulate));
    const counts = builder.less(builder.iota(lanes), builder.scalar(tail));
    return builder.select(counts, wide, identity);
  }

  private accumulate(reduce: Reduce, accumulator: Variable, value: Value): void {
    const { builder } = this;
    const { kind, accumulate } = reduce.attributes;
    const old = builder.read(accumulator);
    if (accumulate === 'bool') {
      builder.assign(accumulator, builder.binary(tileReductions[kind], old, value));
      return;
    }
    const name = kind === 'sum' ? 'add' : kind === 'product' ? 'multiply' : kind;
    const { target } = this.frame;
    builder.assign(accumulator, lowerBinary(builder, target, name, accumulate, old, value, noFail));
  }

  private result(reduce: Reduce, value: Value): Value {
    const { accumulate } = reduce.attributes;
    if (accumulate === 'bool') {
      return this.builder.notEqual(value, this.builder.literal('u32', 0));
    }
    const total = settle(this.builder, accumulate, value);
    return lowerCast(this.builder, this.frame.target, accumulate, reduce.dtype, false, total);
  }

  private writeRowRoots(tile: number): void {
    const place = this.place(tile, undefined);
    const values = new ValueLowering(place);
    for (const { node, index } of this.plan.rowRoots) {
      storeAt(place, this.outputs.get(node.id) as string, node, index, values.value(node, index));
    }
  }

  private writeFullRoots(tile: number, tail: Expression | undefined): void {
    const place = this.place(tile, tail);
    const values = new ValueLowering(place);
    for (const { node, index } of this.plan.fullRoots) {
      const value = values.value(node, index);
      const streaming = this.streaming.get(node.id);
      storeAt(place, this.outputs.get(node.id) as string, node, index, value, streaming);
    }
  }
}

const accumulateType = (dtype: Node['dtype']): ReturnType<typeof computeType> =>
  dtype === 'bool' ? 'u32' : computeType(dtype);

const noFail = (): void => {};
