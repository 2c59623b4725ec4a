/** Reductions whose rows lie side by side: lanes lie along the rows, every lane is its own sum. */
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
import type { MemoryType } from '../base/target.js';
import type { Axis } from './axes.js';
import type { Variable } from './builder.js';
import { identityOf } from './identity.js';
import { type Range, rowsPerTask, writeLoops, writeTasks, writeTiles } from './nest.js';
import type { Reduce } from './reduction-plan.js';
import { rowsTogether, type Strips } from './reduction-strips.js';
import { touchRows } from './reduction-touch.js';
import { accumulateType, ReductionWriter } from './reduction-writer.js';
import { headOf } from './streaming.js';
import type { Access, GridAxis } from './tile.js';
import { type Place, ValueLowering } from './value.js';

export class AcrossWriter extends ReductionWriter {
  /** Lanes along the rows: a tile of rows at a time, every lane its own sum. */
  protected writeAcross(tile: number, rowElements: Expression): GridAxis[] {
    const { builder, strips } = this;
    const outer = this.rows.slice(0, -1);
    const inner = this.rows.at(-1) as Axis;
    // Partial results are few rows.
    if (strips !== undefined && (this.parts === undefined || this.block !== undefined)) {
      return this.writeStrips(strips, outer, inner);
    }
    const body = (tail: Expression | undefined): void => {
      this.rowValues.clear();
      for (const stage of this.plan.stages) this.writeStageAcross(stage, tile, tail);
      if (this.block !== undefined) return;
      this.writeRowRoots(tile, tail);
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
      this.accumulateAll(stage, accumulators, this.place(tile, tail));
    };
    writeLoops(this.builder, this.reducedAxes, this.bindings, loop, this.rangeOf);
    stage.forEach((reduce, i) => {
      const partial = this.builder.read(accumulators[i] as Variable);
      this.settleRow(reduce, partial, this.place(tile, tail));
    });
  }
  private accumulateAll(
    stage: readonly Reduce[],
    accumulators: readonly Variable[],
    place: Place,
  ): void {
    const values = new ValueLowering(place);
    stage.forEach((reduce, i) => {
      const value = this.widened(reduce, this.value(reduce, values));
      this.accumulate(reduce, accumulators[i] as Variable, value);
    });
  }

  /** A strip of columns at a time: its sums in memory of the task, rows a few at a time. */
  private writeStrips(strips: Strips, outer: readonly Axis[], inner: Axis): GridAxis[] {
    const { builder, plan, bindings } = this;
    const { tile, width } = strips;
    const grid = writeTasks(builder, outer, 1, bindings, () => {});
    const blocks = ceilDivide(inner.extent, width);
    const name = builder.fresh('g');
    const first = blocks === 1 ? 0 : multiply(variable(name, blocks), width);
    const last = blocks === 1 ? inner.extent : minimum(add(first, width), inner.extent);
    const strip: Strip = { inner, tile, range: [first, builder.bind(last)], sums: new Map() };
    for (const stage of plan.stages) this.writeStageOfStrip(strip, stage, width);
    const grids = blocks === 1 ? grid : [...grid, { name, extent: blocks }];
    if (this.block !== undefined) {
      this.tilesOf(strip, (tail) => {
        for (const reduce of plan.stages.flat()) {
          const sum = builder.load(sumType(reduce, tile), this.sumAt(strip, reduce), fresh);
          this.settleRow(reduce, sum, this.place(tile, tail));
        }
      });
      return grids;
    }
    if (plan.rowRoots.length > 0) this.tilesOf(strip, (tail) => this.writeRowRoots(tile, tail));
    if (plan.fullRoots.length > 0) {
      writeLoops(builder, this.reducedAxes, bindings, () => {
        bindings.set(inner.name, first);
        const streamed = this.streamed(plan.fullRoots);
        const head = headOf(this.place(tile, undefined), this.lanes, streamed);
        this.tilesOf(strip, (tail) => this.writeFullRoots(tile, tail), head);
      });
    }
    return grids;
  }

  /** Tiles of a strip, with the sums that are done as values. */
  private tilesOf(
    strip: Strip,
    body: (tail: Expression | undefined) => void,
    head?: Expression,
  ): void {
    const { builder, bindings } = this;
    const each = (base: Expression, tail: Expression | undefined): void => {
      bindings.set(strip.inner.name, base);
      this.rowValues.clear();
      for (const reduce of strip.sums.keys()) {
        const sum = builder.load(sumType(reduce, strip.tile), this.sumAt(strip, reduce), fresh);
        this.rowValues.set(reduce.id, this.result(reduce, sum));
      }
      body(tail);
    };
    writeTiles(builder, ...strip.range, strip.tile, each, head);
  }

  /** Where the sums of the tile at the present column are. */
  private sumAt({ inner, range, sums }: Strip, reduce: Reduce): Access {
    const address = subtract(this.bindings.get(inner.name) as Expression, range[0]);
    return { buffer: sums.get(reduce) as string, address, strides: [1] };
  }

  private writeStageOfStrip(strip: Strip, stage: readonly Reduce[], width: number): void {
    const { builder, frame, bindings } = this;
    const { tile } = strip;
    // A tile may begin anywhere before the end.
    const own: Strip = {
      ...strip,
      sums: new Map(
        stage.map((reduce) => [
          reduce,
          frame.scratch(sumType(reduce, tile).dtype as MemoryType, width + tile),
        ]),
      ),
    };
    const tiles = (body: (tail: Expression | undefined) => void): void => this.tilesOf(strip, body);
    tiles(() => {
      for (const reduce of stage) {
        const { kind, accumulate } = reduce.attributes;
        const initial = builder.literal(sumType(reduce, tile).dtype, identityOf(kind, accumulate));
        builder.store(this.sumAt(own, reduce), builder.broadcast(initial, [tile]));
      }
    });
    const row = this.reducedAxes.at(-1) as Axis;
    const rows = (): void => {
      const [start, end] = this.rangeOf(row);
      builder.for(start, end, rowsTogether, (from) => {
        const until = builder.bind(minimum(add(from, rowsTogether), end));
        tiles((tail) => {
          const accumulators = stage.map((reduce) =>
            builder.variable(builder.load(sumType(reduce, tile), this.sumAt(own, reduce), fresh)),
          );
          builder.for(from, until, 1, (at) => {
            bindings.set(row.name, at);
            const place = this.place(tile, tail);
            this.accumulateAll(stage, accumulators, place);
            this.touchBelow(row, place);
          });
          stage.forEach((reduce, i) => {
            builder.store(this.sumAt(own, reduce), builder.read(accumulators[i] as Variable));
          });
        });
      });
    };
    writeLoops(builder, this.reducedAxes.slice(0, -1), bindings, rows, this.rangeOf);
    for (const [reduce, buffer] of own.sums) strip.sums.set(reduce, buffer);
  }

  /** The rows that come next: no hardware sees them coming. */
  private touchBelow({ name }: Axis, place: Place): void {
    const { builder, frame, plan, merged } = this;
    const at = merged.axes.findIndex((axis) => axis.name === name);
    const stride = product(merged.axes.slice(at + 1).map(({ extent }) => extent));
    touchRows(builder, frame.target, plan, multiply(rowsTogether, stride), place, {
      input: (node) => frame.input(node),
      output: () => undefined,
    });
  }
}

/** A strip in progress: the scratch arrays of the sums that are done. */
interface Strip {
  readonly inner: Axis;
  readonly tile: number;
  readonly range: Range;
  readonly sums: Map<Reduce, string>;
}

/** Sums change between loads. */
const fresh = { volatile: true };

const sumType = ({ attributes }: Reduce, tile: number) => ({
  dtype: accumulateType(attributes.accumulate),
  shape: [tile],
});
