/**
 * Windows whose outputs read one channel each, pooling and depthwise convolution: vectors along a
 * row, from a band of the channel that the task copies for itself; kernel elements one by one.
 */
import {
  add,
  ceilDivide,
  type Expression,
  minimum,
  multiply,
  type Size,
  subtract,
} from '../base/expression.js';
import type { ComputeType, MemoryType, Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import { axis } from './axes.js';
import type { KernelBuilder, Value, Variable } from './builder.js';
import { firstCache } from './contract-blocks.js';
import { computeType, lowerBinary, lowerCast } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { laneName } from './fused.js';
import { identityOf } from './identity.js';
import type { LoweredKernel } from './lowered.js';
import { Bindings, elementsPerTask, writeTasks } from './nest.js';
import { placeOn } from './place.js';
import type { TileAxis } from './tile-limits.js';
import { ValueLowering } from './value.js';
import { unflatten } from './view-index.js';
import { type Band, bandAddress, bandBudget, copyBand, planBand } from './window-band.js';
import {
  batchName,
  groupName,
  inGraphOrder,
  readBy,
  rowAxisName,
  spatialName,
  type WindowPlan,
} from './window-plan.js';
import { storeWindow, type WindowSite } from './window-store.js';
import { countOf } from './window-tiles.js';

export interface RowPlan {
  readonly lanes: number;
  /** Outputs of a tile. */
  readonly columns: number;
  readonly band: Band;
  readonly channels: Size;
  /** Channels that a task does, one after the other. */
  readonly taskChannels: number;
}

/** Vectors of a tile at most: so many sums are independent of each other. */
const mostVectors = 4;
/** Kernel elements that are written out, their weights loaded once for a channel. */
const mostKept = 64;
/** Part of the second cache for a band. */
const bandShare = 1 / 4;

/** Vectors of a tile for rows of `count`: few beyond the end of a row, and several at a time. */
function vectorsFor(count: number): number {
  const cost = (vectors: number): number =>
    ((Math.ceil(count / vectors) * vectors) / count) * (1 + 1 / vectors / 4);
  const widths = Array.from({ length: mostVectors }, (_, i) => mostVectors - i);
  return widths.reduce((best, vectors) => (cost(vectors) < cost(best) ? vectors : best));
}

/** The plan; undefined where outputs read several channels, or where sizes are unknown. */
export function planRows(plan: WindowPlan, target: Target): RowPlan | undefined {
  const { weights, accumulate, depth, rows, spatial, groups } = plan;
  const bytes = /64$/.test(computeType(accumulate)) ? 8 : 4;
  const lanes = target.vectorBytes / bytes;
  if (lanes < 2 || accumulate === 'bool') return undefined;
  if (weights !== undefined && (depth !== 1 || rows !== 1)) return undefined;
  const out = spatial.map((s) => s.out);
  const width = out.at(-1);
  if (typeof width !== 'number' || width < 1) return undefined;
  const columns = lanes * vectorsFor(width / lanes);
  const tiles = out.map((_, i) => (i === out.length - 1 ? columns : 1));
  const budget = bandBudget(target, bandShare);
  if (budget === 0) return undefined;
  const band = planBand(spatial, tiles, {
    channels: 1,
    bytes,
    budget,
    wanted: 1,
    firstCache: firstCache(target),
  });
  if (band === undefined) return undefined;
  const each = band.axes.reduce((count, { block }) => count * block, 1);
  const channels = weights === undefined ? rows : groups;
  const taskChannels = Math.max(1, Math.floor(elementsPerTask / each));
  return { lanes, columns, band, channels, taskChannels };
}

export function writeWindowRows(
  plan: WindowPlan,
  rows: RowPlan,
  target: Target,
  names: KernelNames,
): LoweredKernel {
  return new RowWriter(plan, rows, target, names).write();
}

class RowWriter implements WindowSite {
  readonly plan: WindowPlan;
  readonly frame: KernelFrame;
  readonly names: KernelNames;
  readonly bindings = new Bindings();
  readonly outputs: readonly string[];
  private readonly rows: RowPlan;
  private readonly b: KernelBuilder;
  private readonly type: ComputeType;
  private readonly input: string;

  constructor(plan: WindowPlan, rows: RowPlan, target: Target, names: KernelNames) {
    this.plan = plan;
    this.rows = rows;
    this.names = names;
    this.frame = new KernelFrame(plan.step, target);
    this.b = this.frame.builder;
    this.type = computeType(plan.accumulate);
    this.outputs = plan.step.outputs.map((node) => this.frame.output(node));
    this.input = this.frame.scratch(this.type as MemoryType, rows.band.elements);
  }

  write(): LoweredKernel {
    const { b, plan, rows, bindings } = this;
    const { band, channels, taskChannels } = rows;
    const tasks = [
      axis(batchName, plan.batch),
      axis('channelBlock', ceilDivide(channels, taskChannels)),
      ...band.axes.map((a, i) => axis(`part${i}`, a.blocks)),
    ];
    const grid = writeTasks(b, tasks, 1, bindings, () => {
      const bound = (name: string): Expression => bindings.get(name) ?? 0;
      const starts = band.axes.map((a, i) => multiply(bound(`part${i}`), a.block));
      const first = multiply(bound('channelBlock'), taskChannels);
      b.for(first, minimum(add(first, taskChannels), channels), 1, (channel) => {
        bindings.set(plan.weights === undefined ? rowAxisName : groupName, channel);
        const batch = bound(batchName);
        copyBand(this, band, this.input, rows.lanes, { batch, channel, outputs: starts });
        this.walk(starts, [], this.weights());
      });
    });
    return this.frame.finish(this.names, { lanes: rows.lanes, group: 1, grid });
  }

  private get kernel(): readonly Size[] {
    return this.plan.spatial.map((s) => s.kernel);
  }

  /** Weights of the bound channel by kernel element, where there are few. */
  private weights(): readonly Value[] {
    const { kernel } = this;
    const count = kernel.reduce<number>((all, k) => all * (k as number), 1);
    if (this.plan.weights === undefined || count > mostKept) return [];
    return Array.from({ length: count }, (_, at) => this.weight(unflatten(kernel, at)));
  }

  private weight(taps: readonly Expression[]): Value {
    const { plan, frame, names, bindings } = this;
    const { builder, target } = frame;
    const weights = plan.weights as Node;
    const values = new ValueLowering(placeOn(frame, names, []));
    const channel = bindings.get(groupName) ?? 0;
    const value = values.value(weights, [channel, 0, ...inGraphOrder(plan.order, taps)]);
    return lowerCast(builder, target, weights.dtype, plan.accumulate, false, value);
  }

  private walk(
    starts: readonly Expression[],
    local: readonly Expression[],
    weights: readonly Value[],
  ): void {
    const { b, plan, rows, bindings } = this;
    const at = local.length;
    const count = countOf(this, rows.band, starts, at);
    if (at < plan.spatial.length - 1) {
      b.for(0, count, 1, (position) => {
        bindings.set(spatialName(at), add(starts[at] as Expression, position));
        this.walk(starts, [...local, position], weights);
      });
      return;
    }
    const { columns } = rows;
    const lane: TileAxis = { name: laneName, count: columns };
    b.for(0, count, columns, (column) => {
      const sum = this.combine([...local, column], weights);
      const whole = typeof count === 'number' && count % columns === 0;
      const tail = whole ? {} : { tail: b.bind(minimum(columns, subtract(count, column))) };
      const place = add(starts[at] as Expression, column);
      const row = bindings.get(rowAxisName) ?? 0;
      storeWindow(this, b.read(sum), [{ ...lane, ...tail }], row, place);
    });
  }

  /** A tile of outputs: all kernel elements, written out where their weights are kept. */
  private combine(local: readonly Expression[], weights: readonly Value[]): Variable {
    const { b, plan, rows, type } = this;
    const { kind } = plan.node.attributes;
    const identity = identityOf(kind === 'convolve' ? 'sum' : kind, plan.accumulate);
    const shape = [rows.columns];
    const sum = b.variable(b.broadcast(b.literal(type, identity), shape), { dtype: type, shape });
    let number = 0;
    const isWritten = weights.length > 0;
    const walk = (taps: readonly Expression[]): void => {
      const extent = this.kernel[taps.length];
      if (extent === undefined) {
        const x = this.inputs(local, taps);
        const weight =
          plan.weights === undefined ? undefined : (weights[number++] ?? this.weight(taps));
        b.assign(sum, this.next(b.read(sum), x, weight));
      } else if (isWritten) {
        for (let tap = 0; tap < (extent as number); tap++) walk([...taps, tap]);
      } else b.for(0, extent, 1, (tap) => walk([...taps, tap]));
    };
    walk([]);
    return sum;
  }

  private next(old: Value, x: Value, weight: Value | undefined): Value {
    const { b, plan, rows } = this;
    if (weight !== undefined) return b.broadcast(b.multiplyAdd(weight, x, old), [rows.columns]);
    const { kind } = plan.node.attributes;
    const name = kind === 'sum' || kind === 'convolve' ? 'add' : kind;
    const operation = name === 'product' ? 'multiply' : name;
    return lowerBinary(b, this.frame.target, operation, plan.accumulate, old, x, () => {});
  }

  /** Inputs of the tile's outputs for one kernel element. */
  private inputs(local: readonly Expression[], taps: readonly Expression[]): Value {
    const { b, plan, rows } = this;
    const padded = plan.spatial.map((s, i) => readBy(s, local[i] ?? 0, taps[i] ?? 0));
    const address = bandAddress(rows.band, 0, padded);
    const strides = [plan.spatial.at(-1)?.stride ?? 1];
    const type = { dtype: this.type, shape: [rows.columns] };
    return b.load(type, { buffer: this.input, address, strides }, { volatile: true });
  }
}
