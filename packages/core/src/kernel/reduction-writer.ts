/**
 * What is common to the kernels of a reduction: its axes, memory, accumulators and kept operands,
 * and what a walk computes at one place.
 */
import { internal } from '../base/errors.js';
import {
  add,
  ceilDivide,
  type Expression,
  equal,
  minimum,
  multiply,
  product,
  type Size,
} from '../base/expression.js';
import type { MemoryType, Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import { type Axis, isAtLeast } from './axes.js';
import type { KernelBuilder, Value, Variable } from './builder.js';
import { computeType, lowerBinary, lowerCast, settle } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { placeAt, planAxes, type Root, storeAt } from './fused.js';
import { identityOf, tileReductions } from './identity.js';
import type { LoweredKernel } from './lowered.js';
import { Bindings, type Range } from './nest.js';
import { keptOperands } from './reduction-kept.js';
import { type Parts, partialAddress, partialResults, partsOf } from './reduction-parts.js';
import type { Reduce, ReductionPlan } from './reduction-plan.js';
import { type Strips, stripsFor, stripsOf } from './reduction-strips.js';
import { type StreamedRoot, streamingOf } from './streaming.js';
import type { Access, GridAxis } from './tile.js';
import { limitsOf, linearInLanes } from './tile-limits.js';
import { type Place, ValueLowering } from './value.js';
import { flatten, reshapeIndex } from './view-index.js';

/** A reduction kernel in progress; `lanes` are those of the target or half of them. */
export class ReductionWriter {
  protected readonly plan: ReductionPlan;
  protected readonly names: KernelNames;
  protected readonly lanes: number;
  protected readonly frame: KernelFrame;
  protected readonly builder: KernelBuilder;
  protected readonly bindings = new Bindings();
  protected readonly rows: Axis[];
  protected readonly reducedAxes: Axis[];
  protected readonly merged;
  protected readonly threads: boolean;
  /** Whether lanes lie along the reduced axes (else along the rows). */
  protected readonly along: boolean;
  protected readonly rowValues = new Map<number, Value>();
  protected readonly outputs = new Map<number, string>();
  protected readonly streaming = new Map<number, Expression>();

  /** What the rows are cut into; of the step where none was given. */
  readonly parts: Parts | undefined;
  /** What tasks sum of rows that lie side by side. */
  protected readonly strips: Strips | undefined;
  /** Number of the block that this kernel's task reduces. */
  protected block: Expression | undefined;
  /** Workspaces of partial results, by reduction. */
  private readonly partials = new Map<number, string>();
  /** Scratch arrays of operands that later walks need, by node. */
  protected readonly kept = new Map<number, string>();
  /** Kept operands that a walk has written. */
  protected readonly held = new Set<number>();

  constructor(
    plan: ReductionPlan,
    target: Target,
    names: KernelNames,
    lanes: number,
    parts?: Parts,
  ) {
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
    const strips = this.along ? undefined : this.stripsOfAll(target);
    this.parts = parts ?? partsOf(plan, target, this.reducedAxes, this.rowTasks(strips), this.tile);
    this.strips = this.parts === undefined ? this.forCores(strips) : strips;
  }

  protected declareOutputs(): void {
    const { plan, builder, frame } = this;
    for (const node of plan.step.outputs) {
      this.outputs.set(node.id, frame.output(node));
      // Tiles of columns that go down all rows are no walks.
      const isWalk = this.along || this.strips !== undefined;
      const walk = isWalk ? this.merged.axes.at(-1)?.extent : undefined;
      const streaming = streamingOf(plan.step, node, frame.target, walk);
      this.streaming.set(node.id, builder.bind(streaming));
    }
  }

  /** Tasks where every row is reduced by one. */
  private rowTasks(strips: Strips | undefined): Size {
    if (this.along) return product(this.plan.rowShape);
    const inner = this.rows.at(-1) as Axis;
    return multiply(this.lines(), ceilDivide(inner.extent, strips?.width ?? this.tile));
  }

  /** Rows but for those that lie side by side. */
  private lines = (): Size => product(this.rows.slice(0, -1).map((axis) => axis.extent));

  private stripsOfAll(target: Target): Strips | undefined {
    const { rows, reducedAxes: reduced, lanes, merged, plan } = this;
    const sums = plan.stages.flat().length;
    return stripsOf(target, { rows, reduced, reads: merged.reads, lanes, sums });
  }

  private forCores(strips: Strips | undefined): Strips | undefined {
    const columns = this.rows.at(-1)?.extent;
    if (strips === undefined || columns === undefined) return undefined;
    return stripsFor(strips, this.frame.target.cores, columns, this.lines());
  }

  protected get tile(): number {
    return this.threads ? this.frame.target.preferredGroup : this.tileLength();
  }

  protected operandRoot(reduce: Reduce): Root {
    const node = reduce.inputs[0] as Node;
    return { node, index: reshapeIndex(node.shape, this.plan.space.shape, this.plan.fullIndex) };
  }

  protected rangeOf = (axis: Axis): Range => {
    const { block, parts } = this;
    if (block === undefined || parts?.axis.name !== axis.name) return [0, axis.extent];
    const start = multiply(block, parts.block);
    return [start, minimum(add(start, parts.block), axis.extent)];
  };

  /** Partial results of this kernel's block, and the same of all blocks for the total. */
  protected partial(reduce: Reduce, place: Place, block: Expression): Access {
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

  /** What a task has of a row: the row's value, or its block's part of it. */
  protected settleRow(reduce: Reduce, value: Value, place: Place): void {
    if (this.block === undefined) this.rowValues.set(reduce.id, this.result(reduce, value));
    else this.builder.store(this.partial(reduce, place, this.block), value);
  }

  protected writeTotals(
    stage: readonly Reduce[],
    tile: number,
    tail: Expression | undefined,
  ): void {
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

  protected declareKept(): void {
    const { plan, frame } = this;
    for (const node of keptOperands(plan, frame.target, this.reducedAxes, this.tile)) {
      const length = this.reducedAxes[0]?.extent as number;
      // A tile may begin anywhere before the end.
      const name = frame.scratch(computeType(node.dtype) as MemoryType, length + this.tile);
      this.kept.set(node.id, name);
    }
  }

  /** Several vectors per tile, so that the latencies of the accumulations overlap. */
  protected tileLength(): number {
    const unroll = this.along ? 4 : 2;
    const axis = this.merged.axes.at(-1);
    if (axis === undefined) return this.lanes;
    if (this.lanes === 1) return this.along && isAtLeast(axis, 8) ? 4 : 1;
    return isAtLeast(axis, this.lanes * unroll) ? this.lanes * unroll : this.lanes;
  }

  protected place(tile: number, tail: Expression | undefined): Place {
    const vectorAxis = this.merged.axes.at(-1)?.name;
    return placeAt(
      this.frame,
      this.merged,
      this.bindings,
      { vectorAxis, tile },
      tail,
      this.names.failBase,
      (node, index) => this.rowValue(node, index) ?? this.keptValue(node, index, tile),
    );
  }

  /** A kept operand where a walk before this one has written it. */
  protected keptValue(node: Node, index: readonly Expression[], tile: number): Value | undefined {
    const buffer = this.held.has(node.id) ? this.kept.get(node.id) : undefined;
    if (buffer === undefined) return undefined;
    const own = reshapeIndex(node.shape, this.plan.space.shape, this.plan.fullIndex);
    if (!index.every((e, axis) => equal(e, own[axis] as Expression))) return undefined;
    const type = { dtype: computeType(node.dtype), shape: [tile] };
    return this.builder.load(type, this.keptAccess(buffer), { volatile: true });
  }

  protected keptAccess(buffer: string): Access {
    const { name } = this.reducedAxes[0] as Axis;
    return { buffer, address: this.bindings.get(name) as Expression, strides: [1] };
  }

  protected keep(reduce: Reduce, values: ValueLowering, tile: number): void {
    const buffer = this.kept.get((reduce.inputs[0] as Node).id);
    if (buffer === undefined) return;
    const value = this.builder.broadcast(this.value(reduce, values), [tile]);
    this.builder.store(this.keptAccess(buffer), value);
  }

  protected rowValue(node: Node, index: readonly Expression[]): Value | undefined {
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

  protected streamed(roots: readonly Root[]): readonly StreamedRoot[] {
    return roots.map((root) => ({
      ...root,
      buffer: this.outputs.get(root.node.id) as string,
      streaming: this.streaming.get(root.node.id) as Expression,
    }));
  }

  protected finish(grid: readonly GridAxis[], stem = ''): LoweredKernel {
    const { target } = this.frame;
    const group = this.threads ? target.preferredGroup : 1;
    const elements = product(this.plan.space.shape);
    const flops = multiply(elements, this.plan.stages.flat().length);
    const shape = { lanes: this.threads ? group : this.lanes, group, grid };
    const names = { ...this.names, name: `${this.names.name}${stem}` };
    return { ...this.frame.finish(names, shape), flops };
  }

  protected accumulator(reduce: Reduce, lanes: number): Variable {
    const { kind, accumulate } = reduce.attributes;
    const dtype = accumulateType(accumulate);
    const identity = identityOf(kind, accumulate);
    const initial = this.builder.literal(dtype, identity);
    const shape = lanes === 1 ? [] : [lanes];
    return this.builder.variable(this.builder.broadcast(initial, shape), { dtype, shape });
  }

  protected value(reduce: Reduce, values: ValueLowering): Value {
    const { node, index } = this.operandRoot(reduce);
    return values.value(node, index);
  }

  protected widened(reduce: Reduce, value: Value): Value {
    const { accumulate } = reduce.attributes;
    const from = (reduce.inputs[0] as Node).dtype;
    if (accumulate === 'bool') return this.builder.convert(value, 'u32');
    return lowerCast(this.builder, this.frame.target, from, accumulate, false, value);
  }

  /** The operand's tile with the lanes that do not count set to the identity. */
  protected operand(reduce: Reduce, place: Place, values: ValueLowering, lanes: number): Value {
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

  protected accumulate(reduce: Reduce, accumulator: Variable, value: Value): void {
    const { builder } = this;
    const { kind, accumulate } = reduce.attributes;
    const old = builder.read(accumulator);
    if (accumulate === 'bool') {
      builder.assign(accumulator, builder.binary(tileReductions[kind], old, value));
      return;
    }
    if (this.plan.overNaN.has(reduce) && accumulate === 'f32' && !this.threads) {
      builder.assign(accumulator, builder.select(builder.less(old, value), value, old));
      return;
    }
    const name = kind === 'sum' ? 'add' : kind === 'product' ? 'multiply' : kind;
    const { target } = this.frame;
    builder.assign(accumulator, lowerBinary(builder, target, name, accumulate, old, value, noFail));
  }

  protected result(reduce: Reduce, value: Value): Value {
    const { accumulate } = reduce.attributes;
    if (accumulate === 'bool') {
      return this.builder.notEqual(value, this.builder.literal('u32', 0));
    }
    const total = settle(this.builder, accumulate, value);
    return lowerCast(this.builder, this.frame.target, accumulate, reduce.dtype, false, total);
  }

  protected writeRowRoots(tile: number, tail?: Expression): void {
    const place = this.place(tile, tail);
    const values = new ValueLowering(place);
    for (const { node, index } of this.plan.rowRoots) {
      storeAt(place, this.outputs.get(node.id) as string, node, index, values.value(node, index));
    }
  }

  protected writeFullRoots(tile: number, tail: Expression | undefined): void {
    const place = this.place(tile, tail);
    const values = new ValueLowering(place);
    for (const { node, index } of this.plan.fullRoots) {
      const value = values.value(node, index);
      const streaming = this.streaming.get(node.id);
      storeAt(place, this.outputs.get(node.id) as string, node, index, value, streaming);
    }
  }
}

export const accumulateType = (dtype: Node['dtype']): ReturnType<typeof computeType> =>
  dtype === 'bool' ? 'u32' : computeType(dtype);

const noFail = (): void => {};
