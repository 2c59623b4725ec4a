/**
 * Convolution with vectors along the output channels: a tile of neighbouring outputs by a block of
 * channels stays in registers while a task walks channels and kernel elements of its band of the
 * input; weights lie side by side in the order of their use. Tiles are turned when they are done.
 */
import { bytesOf, type DType } from '../base/dtype.js';
import {
  add,
  ceilDivide,
  type Expression,
  lessThan,
  minimum,
  multiply,
  type Size,
  substitute,
  subtract,
  variable,
} from '../base/expression.js';
import type { ComputeType, MemoryType, Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { KernelBuilder, Value, Variable } from './builder.js';
import { computeType, lowerCast } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { laneName } from './fused.js';
import type { LoweredKernel, Workspace } from './lowered.js';
import { Bindings, writeTasks, writeTiles } from './nest.js';
import { type TileAxis, ValueLowering } from './value.js';
import { flatten } from './view-index.js';
import { type BandAxis, bandAddress, copyBand } from './window-band.js';
import type { ChannelPlan } from './window-channel-plan.js';
import {
  batchName,
  groupName,
  inGraphOrder,
  type Spatial,
  spatialName,
  type WindowPlan,
} from './window-plan.js';
import { storeWindow, type WindowSite } from './window-store.js';

const axis = (name: string, extent: Size) => ({ name, extent, reduced: false });

/** The kernels of a convolution by channels: weights laid out, then the tiles. */
export function writeWindowChannels(
  plan: WindowPlan,
  channels: ChannelPlan,
  target: Target,
  names: KernelNames,
): readonly LoweredKernel[] {
  const weights = packWeights(plan, channels, target, names);
  const main = new ChannelWriter(plan, channels, target, names, weights.workspace).write();
  return [weights.kernel, main];
}

/** First element of the panel of a block of channels. */
function panelAt(channels: ChannelPlan, bindings: Bindings): Expression {
  const group = bindings.get(groupName) ?? 0;
  const block = bindings.get('block') ?? 0;
  return multiply(add(multiply(group, channels.blocks), block), channels.steps, channels.columns);
}

/** A step of the depth: an input channel, as a chunk and a place in it, and a kernel element. */
interface Step {
  readonly depth: Expression;
  readonly taps: readonly Expression[];
  /** Number among the steps of a panel. */
  readonly number: Expression;
}

/**
 * Walks the steps of a panel in their order. Channels are innermost: inputs of the next step then
 * share no element with those of the last, which compilers would carry over in registers that
 * accumulators need; and along the kernel's last axis last of all, for the same reason.
 */
function walkSteps(
  b: KernelBuilder,
  plan: WindowPlan,
  channels: ChannelPlan,
  body: (step: Step) => void,
): void {
  const depth = plan.depth as number;
  const kernel = plan.spatial.map((s) => s.kernel as number);
  const count = kernel.reduce((all, each) => all * each, 1);
  const order = [kernel.length - 1, ...kernel.slice(0, -1).keys()];
  b.for(0, depth, channels.chunk, (first) => {
    const whole = depth % channels.chunk === 0;
    const length = whole ? channels.chunk : minimum(channels.chunk, subtract(depth, first));
    const walk = (taps: readonly Expression[]): void => {
      const at = order[taps.length];
      if (at !== undefined) {
        b.for(0, kernel[at] as number, 1, (tap) => walk([...taps, tap]));
        return;
      }
      const tap = flatten(
        order.map((axis) => kernel[axis] as number),
        taps,
      );
      const before = b.bind(add(multiply(first, count), multiply(tap, length)));
      b.for(0, length, 1, (place) => {
        body({
          depth: add(first, place),
          taps: order.map((_, axis) => taps[order.indexOf(axis)] as Expression),
          number: add(before, place),
        });
      });
    };
    walk([]);
  });
}

interface PackedWeights {
  readonly kernel: LoweredKernel;
  readonly workspace: Workspace;
}

/** [group, block of channels, step, channels of a block], zero beyond the last channel. */
function packWeights(
  plan: WindowPlan,
  channels: ChannelPlan,
  target: Target,
  names: KernelNames,
): PackedWeights {
  const weights = plan.weights as Node;
  const dtype = computeType(plan.accumulate) as DType;
  const frame = new KernelFrame(plan.step, target);
  const { builder: b } = frame;
  const { blocks, steps, columns, constant } = channels;
  const bytes = plan.groups * blocks * steps * columns * bytesOf(dtype);
  const workspace: Workspace = { kind: 'workspace', id: 0, bytes, constant };
  const to = frame.workspace(workspace, dtype, 'write');
  const bindings = new Bindings();
  const tasks = [axis(groupName, plan.groups), axis('block', blocks)];
  const grid = writeTasks(b, tasks, 1, bindings, () => {
    walkSteps(b, plan, channels, ({ depth, taps, number }) => {
      const bound = (name: string): Expression => bindings.get(name) ?? 0;
      const first = multiply(bound('block'), columns);
      const rows = plan.rows as number;
      const lane: TileAxis = { name: laneName, count: columns };
      const values = new ValueLowering({
        builder: b,
        target,
        bufferOf: (node) => frame.input(node),
        finish: (e) => substitute(e, () => undefined),
        tile: [rows % columns === 0 ? lane : { ...lane, tail: subtract(rows, first) }],
        known: () => undefined,
        failBase: names.failBase,
      });
      const out = add(multiply(bound(groupName), rows), first, variable(laneName, columns));
      const index = [out, depth, ...inGraphOrder(plan.order, taps)];
      const value = values.value(weights, index);
      const cast = lowerCast(b, target, weights.dtype, plan.accumulate, false, value);
      const mask = values.tailMask();
      const zero = b.literal(computeType(dtype), 0);
      const filled = mask === undefined ? cast : b.select(mask, cast, zero);
      const address = add(panelAt(channels, bindings), multiply(number, columns));
      b.store({ buffer: to, address, strides: [1] }, b.broadcast(filled, [columns]));
    });
  });
  const packNames = { ...names, name: `${names.name}_weights` };
  const cost = { flops: 0, bytes: 2 * bytes };
  const shape = { lanes: channels.lanes, group: 1, grid };
  return { kernel: frame.finish(packNames, shape, { once: constant, cost }), workspace };
}

class ChannelWriter implements WindowSite {
  readonly plan: WindowPlan;
  readonly frame: KernelFrame;
  readonly names: KernelNames;
  readonly bindings = new Bindings();
  readonly outputs: readonly string[];
  private readonly channels: ChannelPlan;
  private readonly b: KernelBuilder;
  private readonly type: ComputeType;
  private readonly weights: string;
  private readonly input: string;
  /** A line of a tile as it is summed up, and rows of all channels of a block. */
  private readonly sums: string;
  private readonly turned: string;
  /** Outputs of a tile, in whole vectors. */
  private readonly wide: number;
  /** Elements from a row of one channel to that of the next, once turned. */
  private readonly pitch: number;

  constructor(
    plan: WindowPlan,
    channels: ChannelPlan,
    target: Target,
    names: KernelNames,
    weights: Workspace,
  ) {
    this.plan = plan;
    this.names = names;
    this.channels = channels;
    this.frame = new KernelFrame(plan.step, target);
    this.b = this.frame.builder;
    this.type = computeType(plan.accumulate);
    this.weights = this.frame.workspace(weights, this.type as DType, 'read');
    this.outputs = plan.step.outputs.map((node) => this.frame.output(node));
    const { lanes, columns, outputs, lines, band } = channels;
    const memory = this.type as MemoryType;
    this.wide = Math.ceil(outputs / lanes) * lanes;
    const block = band.axes.at(-1)?.block ?? 0;
    this.pitch = Math.max(block + this.wide - outputs, Math.ceil(block / lanes) * lanes);
    this.input = this.frame.scratch(memory, band.elements);
    this.sums = this.frame.scratch(memory, this.wide * columns);
    this.turned = this.frame.scratch(memory, lines * columns * this.pitch);
  }

  write(): LoweredKernel {
    const { b, plan, channels, bindings } = this;
    const { band, blocks, taskBlocks } = channels;
    const parts = ceilDivide(blocks, taskBlocks);
    const tasks = [
      axis(batchName, plan.batch),
      axis(groupName, plan.groups),
      ...band.axes.map((a, i) => axis(`part${i}`, a.blocks)),
      axis('blockPart', parts),
    ];
    const grid = writeTasks(b, tasks, 1, bindings, () => {
      const outputs = band.axes.map((a, i) => multiply(this.bound(`part${i}`), a.block));
      copyBand(this, band, this.input, channels.lanes, {
        batch: this.bound(batchName),
        channel: multiply(this.bound(groupName), plan.depth),
        outputs,
      });
      const first = multiply(this.bound('blockPart'), taskBlocks);
      b.for(first, minimum(add(first, taskBlocks), blocks), 1, (block) => {
        bindings.set('block', block);
        this.walk(outputs, []);
      });
    });
    return this.frame.finish(this.names, { lanes: channels.lanes, group: 1, grid });
  }

  private bound(name: string): Expression {
    return this.bindings.get(name) ?? 0;
  }

  /** Outputs of the block that are there, along an axis. */
  private count(starts: readonly Expression[], at: number): Expression {
    const { block, blocks } = this.channels.band.axes[at] as BandAxis;
    const out = this.plan.spatial[at]?.out as number;
    return blocks * block === out ? block : minimum(block, subtract(out, starts[at] as Expression));
  }

  /** Rows of the task's outputs; `local` are positions within the block. */
  private walk(starts: readonly Expression[], local: readonly Expression[]): void {
    const at = local.length;
    if (at === this.plan.spatial.length - 1) {
      this.writeLines(starts, local);
      return;
    }
    const { tile } = this.channels.band.axes[at] as BandAxis;
    this.b.for(0, this.count(starts, at), tile, (position) => {
      this.walk(starts, [...local, position]);
    });
  }

  /** All tiles of a row of the task's outputs, or of several lines of them; then their stores. */
  private writeLines(starts: readonly Expression[], local: readonly Expression[]): void {
    const { b, plan, channels, bindings } = this;
    const last = plan.spatial.length - 1;
    const count = this.count(starts, last);
    b.for(0, count, channels.outputs, (column) => {
      this.accumulate([...local, column]).forEach((sum, down) => {
        this.turn(sum, down, column);
      });
    });
    const place = local.map((at, i) => add(starts[i] as Expression, at));
    place.forEach((at, i) => {
      bindings.set(spatialName(i), at);
    });
    const first = starts[last] as Expression;
    for (let down = 0; down < channels.lines; down++) {
      const store = (): void => this.storeLine(down, first, count);
      const out = plan.spatial[last - 1]?.out;
      if (down === 0 || typeof out !== 'number') {
        store();
        continue;
      }
      const at = add(place[last - 1] as Expression, down);
      bindings.set(spatialName(last - 1), at);
      if (out % channels.lines === 0) store();
      else b.if(lessThan(at, out), store);
    }
  }

  /** One variable [outputs, columns] for each line of the tile. */
  private accumulate(local: readonly Expression[]): readonly Variable[] {
    const { b, plan, channels } = this;
    const { outputs, columns, lines } = channels;
    const type = { dtype: this.type, shape: [outputs, columns] };
    const zero = b.broadcast(b.literal(this.type, 0), type.shape);
    const sums = Array.from({ length: lines }, () => b.variable(zero, type));
    const panel = b.bind(panelAt(channels, this.bindings));
    walkSteps(b, plan, channels, ({ depth, taps, number }) => {
      const at = add(panel, multiply(number, columns));
      const right = { buffer: this.weights, address: at, strides: [0, 1] };
      const weights = b.load({ dtype: this.type, shape: [1, columns] }, right);
      sums.forEach((sum, down) => {
        const x = this.inputs(depth, local, taps, down);
        b.assign(sum, b.dot(x, weights, b.read(sum)));
      });
    });
    return sums;
  }

  /** Inputs of neighbouring outputs for one kernel element: [outputs, 1]. */
  private inputs(
    depth: Expression,
    local: readonly Expression[],
    taps: readonly Expression[],
    down: number,
  ): Value {
    const { b, plan, channels } = this;
    const last = plan.spatial.length - 1;
    const padded = plan.spatial.map((s, i) => {
      const moved = add(local[i] as Expression, i === last - 1 ? down : 0);
      return add(multiply(moved, s.stride), multiply(taps[i] as Expression, s.kernelDilation));
    });
    const address = bandAddress(channels.band, depth, padded);
    const strides = [(plan.spatial[last] as Spatial).stride, 0];
    const type = { dtype: this.type, shape: [channels.outputs, 1] };
    return b.load(type, { buffer: this.input, address, strides }, { volatile: true });
  }

  /** Turns a line of a tile: [outputs, channels] to a part of [channels, outputs of a row]. */
  private turn(sum: Variable, down: number, column: Expression): void {
    const { b, channels, wide, pitch } = this;
    const { lanes, columns } = channels;
    b.store({ buffer: this.sums, address: 0, strides: [columns, 1] }, b.read(sum));
    const square = { dtype: this.type, shape: [lanes, lanes] };
    for (let across = 0; across < columns; across += lanes) {
      for (let at = 0; at < wide; at += lanes) {
        const from = { buffer: this.sums, address: at * columns + across, strides: [columns, 1] };
        const address = add(column, (down * columns + across) * pitch + at);
        const to = { buffer: this.turned, address, strides: [pitch, 1] };
        // Lanes beyond the tile hold anything: the next tile, or nothing, takes their place.
        b.store(to, b.transpose(b.load(square, from, { volatile: true })));
      }
    }
  }

  /** Stores a row of every channel of the block. */
  private storeLine(down: number, column: Expression, count: Expression): void {
    const { b, plan, channels, pitch } = this;
    const { lanes, columns } = channels;
    const rows = plan.rows as number;
    const first = multiply(this.bound('block'), columns);
    const there = rows % columns === 0 ? columns : minimum(columns, subtract(rows, first));
    b.for(0, there, 1, (channel) => {
      writeTiles(b, 0, count, lanes, (at, tail) => {
        const address = add(multiply(add(channel, down * columns), pitch), at);
        const access = { buffer: this.turned, address, strides: [1] };
        const type = { dtype: this.type, shape: [lanes] };
        const content = b.load(type, access, { volatile: true });
        const lane: TileAxis = { name: laneName, count: lanes };
        const axes = [tail === undefined ? lane : { ...lane, tail }];
        storeWindow(this, content, axes, add(first, channel), add(column, at));
      });
    });
  }
}
