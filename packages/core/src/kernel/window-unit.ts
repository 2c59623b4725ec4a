/**
 * Convolution on a matrix unit of a vector target: rows of the unit's left operand are positions
 * of the input, which a task packs once with its channels side by side; a kernel element is a
 * shift of where they begin. Tiles of sums are turned as those of plain code, which takes over
 * where the range of what was packed says that the unit would not be right.
 */
import {
  add,
  type Expression,
  floorDivide,
  minimum,
  modulo,
  multiply,
  subtract,
  variable,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { KernelBuilder, Value, Variable } from './builder.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { laneName } from './fused.js';
import type { LoweredKernel } from './lowered.js';
import { Bindings } from './nest.js';
import { highHalf, mergeRanges, RangeOf, rangesFit, splitParts } from './unit-operand.js';
import { type BandAxis, copyBand } from './window-band.js';
import { bandStart, writeBandTasks } from './window-channels.js';
import {
  groupName,
  inGraphOrder,
  readBy,
  type Spatial,
  spatialName,
  type WindowPlan,
} from './window-plan.js';
import { storeTurned, turnTile, type WindowSite } from './window-store.js';
import { blockName, ChannelTiles, countOf } from './window-tiles.js';
import {
  packUnitWeights,
  type UnitWeights,
  weightsInPlace,
  weightsOfTiles,
  weightTile,
} from './window-unit-pack.js';
import type { WindowUnitPlan } from './window-unit-plan.js';
import type { Step } from './window-weights.js';

export function writeWindowUnit(
  plan: WindowPlan,
  chosen: WindowUnitPlan,
  target: Target,
  names: KernelNames,
): readonly LoweredKernel[] {
  const weights = packUnitWeights(plan, chosen, target, names);
  const kernel = new UnitWindow(plan, chosen, target, names, weights).write();
  return [weights.kernel, kernel];
}

class UnitWindow implements WindowSite {
  readonly plan: WindowPlan;
  readonly frame: KernelFrame;
  readonly names: KernelNames;
  readonly bindings = new Bindings();
  readonly outputs: readonly string[];
  private readonly chosen: WindowUnitPlan;
  private readonly b: KernelBuilder;
  private readonly weights: string;
  private readonly ranges: string;
  /** The band as plain code reads it, [chunk, part, position, channel] for the unit, and a block
   * of the band on its way from one to the other. */
  private readonly input: string;
  private readonly packed: string;
  private readonly side: string;
  /** Tiles of sums, and lines of all channels of a block. */
  private readonly sums: string;
  private readonly turned: string;
  private readonly pitch: number;
  private readonly plain: ChannelTiles;

  constructor(
    plan: WindowPlan,
    chosen: WindowUnitPlan,
    target: Target,
    names: KernelNames,
    weights: UnitWeights,
  ) {
    const { unit, band, chunks, parts, positions, slack, rowTiles, columnTiles } = chosen;
    this.plan = plan;
    this.names = names;
    this.chosen = chosen;
    this.frame = new KernelFrame(plan.step, target);
    this.b = this.frame.builder;
    this.weights = this.frame.workspace(weights.panels, unit.right, 'read');
    this.ranges = this.frame.workspace(weights.ranges, 'u32', 'read');
    this.outputs = plan.step.outputs.map((node) => this.frame.output(node));
    const tall = rowTiles * unit.m;
    const wide = columnTiles * unit.n;
    const line = this.lineOf(band.axes.map((a) => a.block)) as number;
    this.pitch = Math.ceil(line / tall) * tall;
    this.input = this.frame.scratch('f32', band.elements);
    this.packed = this.frame.scratch('u16', chunks * parts * (positions + slack) * unit.k);
    this.side = this.frame.scratch('f32', chosen.plain.lanes * unit.k);
    this.sums = this.frame.scratch('f32', tall * wide);
    this.turned = this.frame.scratch('f32', wide * this.pitch);
    this.plain = new ChannelTiles(this, chosen.plain, this.input, (step) => this.weightsAt(step));
  }

  /** Weights of plain code: from the unit's tiles where these tell all of them, else in place. */
  private weightsAt({ depth, taps }: Step): Value {
    const { b, plan, chosen, bindings } = this;
    const number = bindings.get(blockName) ?? 0;
    if (chosen.parts === 3 || !chosen.splits) {
      const block = add(this.firstBlock, floorDivide(number, chosen.columnTiles));
      const tile = modulo(number, chosen.columnTiles);
      return weightsOfTiles(b, plan, chosen, this.weights, { block, tile, taps, depth });
    }
    const { n: count } = chosen.unit;
    const first = multiply(number, count);
    const out = add(multiply(bindings.get(groupName) ?? 0, plan.rows), first);
    const channel = add(out, variable(laneName, count));
    return weightsInPlace(this, chosen, [channel, depth, ...inGraphOrder(plan.order, taps)], first);
  }

  /** Number of the bound group's first block. */
  private get firstBlock(): Expression {
    return multiply(this.bindings.get(groupName) ?? 0, this.chosen.blocks);
  }

  /** Positions of a line of outputs, for so many outputs along every axis. */
  private lineOf(counts: readonly Expression[]): Expression {
    const { runsOn, row } = this.chosen;
    const width = counts.at(-1) as Expression;
    return runsOn ? add(multiply(subtract(counts.at(-2) ?? 1, 1), row), width) : width;
  }

  write(): LoweredKernel {
    const { b, chosen } = this;
    const { band, plain } = chosen;
    const grid = writeBandTasks(this, band, chosen, (starts, [first, end]) => {
      copyBand(this, band, this.input, plain.lanes, bandStart(this, starts));
      const range = new RangeOf(b, [chosen.unit.k]);
      this.pack(range);
      const depth = (this.plan.depth as number) * chosen.taps;
      const fits = rangesFit(b, range.ends(), this.rangeOf(first, end), chosen.splits, depth);
      const onUnit = (): void =>
        b.for(first, end, 1, (block) => {
          this.bindings.set(blockName, block);
          this.writeBlock(starts, []);
        });
      const otherwise = (): void => {
        const { columnTiles } = chosen;
        const last = minimum(multiply(end, columnTiles), plain.blocks);
        b.for(multiply(first, columnTiles), last, 1, (block) => {
          this.bindings.set(blockName, block);
          this.plain.write(starts);
        });
      };
      b.if(fits, onUnit, otherwise);
    });
    return this.frame.finish(this.names, { lanes: plain.lanes, group: 1, grid });
  }

  /** Range of the weights of blocks [first, end) of the bound group. */
  private rangeOf(first: Expression, end: Expression): readonly [Value, Value] {
    return mergeRanges(this.b, this.ranges, (take) => {
      this.b.for(first, end, 1, (block) => take(add(this.firstBlock, block)));
    });
  }

  /** The band's positions with their channels side by side, split into parts. */
  private pack(range: RangeOf): void {
    const { b, chosen } = this;
    const { band, row, positions, plain, unit, chunks } = chosen;
    const { channels, copied, pitch } = band;
    const { lanes } = plain;
    const rows = positions / row;
    const zero = b.broadcast(b.literal('f32', 0), [lanes]);
    b.for(0, rows, 1, (line) => {
      const base = multiply(line, channels * pitch);
      b.for(copied, channels, 1, (channel) => {
        b.for(0, row, lanes, (at) => {
          const address = add(base, multiply(channel, pitch), at);
          b.store({ buffer: this.input, address, strides: [1] }, zero);
        });
      });
      b.for(0, chunks, 1, (chunk) => {
        b.for(0, row, lanes, (at) => {
          const channel = multiply(chunk, unit.k);
          const address = add(base, multiply(channel, pitch), at);
          const from = { buffer: this.input, address, pitch };
          turnTile(b, 'f32', lanes, [unit.k, lanes], from, {
            buffer: this.side,
            address: 0,
            pitch: unit.k,
          });
          const first = add(multiply(line, row), at);
          // Behind the row lies what another program left: its range would be taken for the band's.
          const count = minimum(lanes, subtract(row, at));
          b.for(0, count, 1, (place) => this.packPosition(range, chunk, first, place));
        });
      });
    });
  }

  private packPosition(
    range: RangeOf,
    chunk: Expression,
    first: Expression,
    place: Expression,
  ): void {
    const { b, chosen } = this;
    const { unit, parts } = chosen;
    const from = { buffer: this.side, address: multiply(place, unit.k), strides: [1] };
    const value = b.load({ dtype: 'f32', shape: [unit.k] }, from, { volatile: true });
    range.take(value);
    const split = chosen.splits ? splitParts(b, value, parts) : [value];
    split.forEach((each, part) => {
      const address = this.leftAt(chunk, part, add(first, place));
      b.store({ buffer: this.packed, address, strides: [1] }, highHalf(b, each));
    });
  }

  /** First element of a position of the packed band. */
  private leftAt(chunk: Expression, part: number, position: Expression): Expression {
    const { parts, positions, slack, unit } = this.chosen;
    const line = add(multiply(chunk, parts), part);
    return multiply(add(multiply(line, positions + slack), position), unit.k);
  }

  /** Lines of the task's outputs for the bound block; `local` are places of axes around them. */
  private writeBlock(starts: readonly Expression[], local: readonly Expression[]): void {
    const { b, plan, chosen } = this;
    const { band, runsOn } = chosen;
    const outer = plan.spatial.length - (runsOn ? 2 : 1);
    if (local.length < outer) {
      const at = local.length;
      b.for(0, countOf(this, band, starts, at), 1, (position) => {
        this.bindings.set(spatialName(at), add(starts[at] as Expression, position));
        this.writeBlock(starts, [...local, position]);
      });
      return;
    }
    const counts = plan.spatial.map((_, at) => countOf(this, band, starts, at));
    const tall = chosen.rowTiles * chosen.unit.m;
    b.for(0, this.lineOf(counts), tall, (position) => this.writeTiles(local, position));
    const last = plan.spatial.length - 1;
    const wide = chosen.columnTiles * chosen.unit.n;
    const rows = plan.rows as number;
    const first = multiply(this.bindings.get(blockName) ?? 0, wide);
    const there = rows % wide === 0 ? wide : minimum(wide, subtract(rows, first));
    const columns = [starts[last] as Expression, counts[last] as Expression] as const;
    const store = (address: Expression): void => {
      const { turned: buffer, pitch } = this;
      const turned = { buffer, dtype: 'f32' as const, pitch, lanes: chosen.plain.lanes, address };
      storeTurned(this, turned, [first, there], columns);
    };
    if (!runsOn) {
      store(0);
      return;
    }
    b.for(0, counts[last - 1] as Expression, 1, (line) => {
      this.bindings.set(spatialName(last - 1), add(starts[last - 1] as Expression, line));
      store(multiply(line, chosen.row));
    });
  }

  /** Tiles of sums from a position of a line on, by the block's channels; then turned. */
  private writeTiles(local: readonly Expression[], position: Expression): void {
    const { b, plan, chosen } = this;
    const { unit, rowTiles, columnTiles, chunks } = chosen;
    const type = { dtype: 'f32' as const, shape: [unit.m, unit.n] };
    const zero = b.broadcast(b.literal('f32', 0), type.shape);
    const sums = Array.from({ length: rowTiles * columnTiles }, () => b.variable(zero, type));
    const walk = (chunk: Expression, taps: readonly Expression[]): void => {
      const s = plan.spatial[taps.length];
      if (s === undefined) this.step(local, position, chunk, taps, sums);
      else b.for(0, s.kernel, 1, (tap) => walk(chunk, [...taps, tap]));
    };
    b.for(0, chunks, 1, (chunk) => walk(chunk, []));
    const wide = columnTiles * unit.n;
    sums.forEach((sum, i) => {
      const down = Math.floor(i / columnTiles) * unit.m;
      const address = down * wide + (i % columnTiles) * unit.n;
      b.store({ buffer: this.sums, address, strides: [wide, 1] }, b.read(sum));
    });
    const from = { buffer: this.sums, address: 0, pitch: wide };
    const to = { buffer: this.turned, address: position, pitch: this.pitch };
    turnTile(b, 'f32', chosen.plain.lanes, [rowTiles * unit.m, wide], from, to);
  }

  /** One step of the depth: products of parts, each operand loaded when its part changes. */
  private step(
    local: readonly Expression[],
    position: Expression,
    chunk: Expression,
    taps: readonly Expression[],
    sums: readonly Variable[],
  ): void {
    const { b, plan, chosen } = this;
    const { unit, band, rowTiles, columnTiles, row } = chosen;
    const { stride } = plan.spatial.at(-1) as Spatial;
    const outer = plan.spatial.slice(0, -1).reduce<Expression>((line, s, i) => {
      const { extent } = band.axes[i] as BandAxis;
      return add(multiply(line, extent), readBy(s, local[i] ?? 0, taps[i] ?? 0));
    }, 0);
    const along = readBy(plan.spatial.at(-1) as Spatial, position, taps.at(-1) ?? 0);
    const origin = add(multiply(outer, row), along);
    const leftOf = (part: number): readonly Value[] =>
      Array.from({ length: rowTiles }, (_, tile) => {
        const address = this.leftAt(chunk, part, add(origin, tile * unit.m * stride));
        const access = { buffer: this.packed, address, strides: [unit.k * stride, 1] };
        const shape = [unit.m, unit.k];
        return b.load({ dtype: 'u32', shape }, access, { volatile: true });
      });
    const block = add(this.firstBlock, this.bindings.get(blockName) ?? 0);
    const rightOf = (part: number): readonly Value[] =>
      Array.from({ length: columnTiles }, (_, tile) => {
        const address = weightTile(plan, chosen, { block, chunk, taps, part, tile });
        const access = { buffer: this.weights, address, strides: [unit.n * 2, 1] };
        const shape = [unit.k / 2, unit.n * 2];
        return b.load({ dtype: 'u32', shape }, access, { volatile: true });
      });
    let left: readonly Value[] = [];
    let right: readonly Value[] = [];
    chosen.products.forEach(([a, c], i) => {
      const [before, other] = chosen.products[i - 1] ?? [-1, -1];
      if (a !== before) left = leftOf(a);
      if (c !== other) right = rightOf(c);
      sums.forEach((sum, at) => {
        const x = left[Math.floor(at / columnTiles)] as Value;
        const y = right[at % columnTiles] as Value;
        b.assign(sum, b.dot(x, y, b.read(sum), unit.name));
      });
    });
  }
}
