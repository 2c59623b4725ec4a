/**
 * Tiles of a convolution with vectors along the output channels: neighbouring outputs by a block
 * of channels in registers, then turned, so that rows of outputs are stored side by side.
 */
import { add, type Expression, lessThan, minimum, multiply, subtract } from '../base/expression.js';
import type { ComputeType, MemoryType } from '../base/target.js';
import type { KernelBuilder, Value, Variable } from './builder.js';
import { copiesOfStep } from './depth-walk.js';
import { computeType } from './elementwise.js';
import { type Band, type BandAxis, bandAddress } from './window-band.js';
import type { ChannelPlan } from './window-channel-plan.js';
import { readBy, type Spatial, spatialName } from './window-plan.js';
import { storeTurned, turnTile, type WindowSite } from './window-store.js';
import { type Step, walkSteps } from './window-weights.js';

/** Weights of the block of channels at a step: a tile [1, columns]. */
export type WeightsAt = (step: Step) => Value;

/** Number of the block of channels among the bindings. */
export const blockName = 'block';

/** Outputs of a block that are there, along an axis. */
export function countOf(
  site: WindowSite,
  band: Band,
  starts: readonly Expression[],
  at: number,
): Expression {
  const { block, blocks } = band.axes[at] as BandAxis;
  const out = site.plan.spatial[at]?.out as number;
  return blocks * block === out ? block : minimum(block, subtract(out, starts[at] as Expression));
}

/** Begin, end and outputs of each of the equal tiles of a row. */
function tilesOf<T extends Expression>(
  { outputs, tallTiles }: ChannelPlan,
  count: T,
): readonly (readonly [number, T | number, number])[] {
  const tall = (tallTiles ?? 0) * outputs;
  if (tallTiles === undefined || tall === count) return [[0, count, outputs]];
  return [
    [0, tall, outputs],
    [tall, count, outputs - 1],
  ];
}

export class ChannelTiles {
  private readonly site: WindowSite;
  private readonly channels: ChannelPlan;
  private readonly b: KernelBuilder;
  private readonly type: ComputeType;
  private readonly input: string;
  private readonly weightsAt: WeightsAt;
  /** A line of a tile as it is summed up, and rows of all channels of a block. */
  private readonly sums: string;
  private readonly turned: string;
  /** Elements from a row of one channel to that of the next, once turned. */
  private readonly pitch: number;

  /** `input` is the scratch array of the band. */
  constructor(site: WindowSite, channels: ChannelPlan, input: string, weightsAt: WeightsAt) {
    const { frame, plan } = site;
    this.site = site;
    this.channels = channels;
    this.b = frame.builder;
    this.type = computeType(plan.accumulate);
    this.input = input;
    this.weightsAt = weightsAt;
    const { lanes, columns, outputs, lines, band } = channels;
    const memory = this.type as MemoryType;
    const block = band.axes.at(-1)?.block ?? 0;
    const ends = tilesOf(channels, block).map(([, end, each]) => end + this.wideOf(each) - each);
    this.pitch = Math.max(...ends, Math.ceil(block / lanes) * lanes);
    this.sums = frame.scratch(memory, this.wideOf(outputs) * columns);
    this.turned = frame.scratch(memory, lines * columns * this.pitch);
  }

  /** Outputs of a tile, in whole vectors. */
  private wideOf(outputs: number): number {
    const { lanes } = this.channels;
    return Math.ceil(outputs / lanes) * lanes;
  }

  /** All outputs of the bound block of channels in the task's block, which begins at `starts`. */
  write(starts: readonly Expression[]): void {
    this.walk(starts, []);
  }

  /** Rows of the task's outputs; `local` are positions within the block. */
  private walk(starts: readonly Expression[], local: readonly Expression[]): void {
    const at = local.length;
    if (at === this.site.plan.spatial.length - 1) {
      this.writeLines(starts, local);
      return;
    }
    const { tile } = this.channels.band.axes[at] as BandAxis;
    this.b.for(0, countOf(this.site, this.channels.band, starts, at), tile, (position) => {
      this.walk(starts, [...local, position]);
    });
  }

  /** All tiles of a row of the task's outputs, or of several lines of them; then their stores. */
  private writeLines(starts: readonly Expression[], local: readonly Expression[]): void {
    const { b, channels } = this;
    const { plan, bindings } = this.site;
    const last = plan.spatial.length - 1;
    const count = countOf(this.site, channels.band, starts, last);
    for (const [begin, end, outputs] of tilesOf(channels, count)) {
      b.for(begin, end, outputs, (column) => {
        this.accumulate([...local, column], outputs).forEach((sum, down) => {
          this.turn(sum, down, column, outputs);
        });
      });
    }
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
  private accumulate(local: readonly Expression[], outputs: number): readonly Variable[] {
    const { b, channels } = this;
    const { columns, lines } = channels;
    const type = { dtype: this.type, shape: [outputs, columns] };
    const zero = b.broadcast(b.literal(this.type, 0), type.shape);
    const sums = Array.from({ length: lines }, () => b.variable(zero, type));
    walkSteps(b, this.site.plan, channels, copiesOfStep(this.site.frame.target), (step) => {
      const weights = this.weightsAt(step);
      sums.forEach((sum, down) => {
        const x = this.inputs(step, local, down, outputs);
        b.assign(sum, b.dot(x, weights, b.read(sum)));
      });
    });
    return sums;
  }

  /** Inputs of neighbouring outputs for one kernel element: [outputs, 1]. */
  private inputs(
    { depth, taps }: Step,
    local: readonly Expression[],
    down: number,
    outputs: number,
  ): Value {
    const { b, channels } = this;
    const { plan } = this.site;
    const last = plan.spatial.length - 1;
    const padded = plan.spatial.map((s, i) => {
      return readBy(s, add(local[i] ?? 0, i === last - 1 ? down : 0), taps[i] ?? 0);
    });
    const address = bandAddress(channels.band, depth, padded);
    const strides = [(plan.spatial[last] as Spatial).stride, 0];
    const type = { dtype: this.type, shape: [outputs, 1] };
    return b.load(type, { buffer: this.input, address, strides }, { volatile: true });
  }

  /** Turns a line of a tile: [outputs, channels] to a part of [channels, outputs of a row]. */
  private turn(sum: Variable, down: number, column: Expression, outputs: number): void {
    const { b, channels, pitch } = this;
    const { lanes, columns } = channels;
    const wide = this.wideOf(outputs);
    b.store({ buffer: this.sums, address: 0, strides: [columns, 1] }, b.read(sum));
    const from = { buffer: this.sums, address: 0, pitch: columns };
    const address = add(column, down * columns * pitch);
    // Lanes beyond the tile hold anything: the next tile, or nothing, takes their place.
    const to = { buffer: this.turned, address, pitch };
    turnTile(b, this.type, lanes, [wide, columns], from, to);
  }

  /** Stores a row of every channel of the block. */
  private storeLine(down: number, column: Expression, count: Expression): void {
    const { site, channels, pitch } = this;
    const { lanes, columns } = channels;
    const rows = site.plan.rows as number;
    const first = multiply(site.bindings.get(blockName) ?? 0, columns);
    const there = rows % columns === 0 ? columns : minimum(columns, subtract(rows, first));
    const address = down * columns * pitch;
    const rowsAt = { buffer: this.turned, dtype: this.type, pitch, lanes, address };
    storeTurned(site, rowsAt, [first, there], [column, count]);
  }
}
