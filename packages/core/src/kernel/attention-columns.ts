/**
 * Attention for vector targets, many queries: a task takes a block of queries of one head, whose
 * lanes lie along the queries, and walks the keys in blocks (Dao et al., FlashAttention, 2022;
 * Milakov and Gimelshein, online softmax, 2018). Scores are made transposed, S = K·Qᵀ, so that the
 * running maximum and sum of every query are lanes of one vector and no lane is reduced; the
 * second product reads them by columns, O += Pᵀ·V, so that neither K nor V is transposed.
 */
import {
  add,
  ceilDivide,
  type Expression,
  floorDivide,
  lessThan,
  maximum,
  minimum,
  modulo,
  multiply,
  subtract,
  variable,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import { eachColumns, type ResultRows, storeResult, touchResult } from './attention-output.js';
import { type AttentionPlan, AttentionValues, type ScoreIndex } from './attention-plan.js';
import { packQueries } from './attention-queries.js';
import { type AttentionTiles, attentionTiles } from './attention-tiles.js';
import { axis } from './axes.js';
import type { KernelBuilder, Value, Variable } from './builder.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { laneName } from './fused.js';
import { dividesBy } from './left-pack.js';
import type { LoweredKernel } from './lowered.js';
import { Bindings, writeTasks, writeTiles } from './nest.js';
import { weightOf } from './softmax-weight.js';
import type { TileAxis } from './tile-limits.js';

const rowName = 'row';

export function writeAttentionColumns(
  plan: AttentionPlan,
  target: Target,
  names: KernelNames,
): LoweredKernel {
  return new ColumnsWriter(plan, target, names).write();
}

/** Queries from `query` on by columns from `column` on. */
interface ResultTile {
  readonly query: Expression;
  readonly height: number;
  readonly column: Expression;
  readonly axis: TileAxis;
}

class ColumnsWriter {
  private readonly plan: AttentionPlan;
  private readonly names: KernelNames;
  private readonly tiles: AttentionTiles;
  private readonly frame: KernelFrame;
  private readonly b: KernelBuilder;
  private readonly values: AttentionValues;
  private readonly bindings = new Bindings();
  private readonly output: string;
  /** Scratch: Qᵀ [depth, queries], K [block, depth], scores [block, queries], O [queries, width]
   * and three numbers for each query. */
  private readonly q: string;
  private readonly k: string;
  private readonly scores: string;
  private readonly sums: string;
  private readonly each: string;
  /** Elements of a row of O. */
  private readonly pitch: number;

  constructor(plan: AttentionPlan, target: Target, names: KernelNames) {
    this.plan = plan;
    this.names = names;
    this.tiles = attentionTiles(plan, target);
    this.frame = new KernelFrame(plan.step, target);
    this.b = this.frame.builder;
    this.values = new AttentionValues(plan, this.frame, names.failBase);
    this.output = this.frame.output(plan.step.outputs[0] as Node);
    const { queries, block, columns } = this.tiles;
    this.pitch = Math.ceil(plan.width / columns) * columns;
    this.q = this.frame.scratch('f32', plan.depth * queries);
    this.k = this.frame.scratch('f32', block * plan.depth);
    this.scores = this.frame.scratch('f32', block * queries);
    this.sums = this.frame.scratch('f32', queries * this.pitch);
    this.each = this.frame.scratch('f32', queries);
  }

  write(): LoweredKernel {
    const { b, plan, tiles, bindings } = this;
    const blocks = ceilDivide(plan.queries, tiles.queries);
    const tasks = [axis('batch', plan.batch), axis('head', plan.heads), axis('block', blocks)];
    const grid = writeTasks(b, tasks, 1, bindings, () => this.writeTask());
    return this.frame.finish(this.names, { lanes: tiles.lanes, group: 1, grid });
  }

  private get batch(): Expression {
    return this.bindings.get('batch') as Expression;
  }

  private get head(): Expression {
    return this.bindings.get('head') as Expression;
  }

  /** First query of the task. */
  private get first(): Expression {
    return multiply(this.bindings.get('block') as Expression, this.tiles.queries);
  }

  /** The axis of lanes along the queries. */
  private get queryAxis(): TileAxis {
    const { queries } = this.tiles;
    const axis: TileAxis = { name: laneName, count: queries };
    if (dividesBy(this.plan.queries, queries)) return axis;
    return { ...axis, tail: subtract(this.plan.queries, this.first) };
  }

  private fill(value: number): Value {
    const { b, tiles } = this;
    return b.broadcast(b.literal('f32', value), [tiles.queries]);
  }

  /** A row of `queries` elements of a scratch array. */
  private row(buffer: string, at: Expression): Value {
    const { queries } = this.tiles;
    const access = { buffer, address: multiply(at, queries), strides: [1] };
    return this.b.load({ dtype: 'f32', shape: [queries] }, access, { volatile: true });
  }

  private storeRow(buffer: string, at: Expression, value: Value): void {
    this.b.store({ buffer, address: multiply(at, this.tiles.queries), strides: [1] }, value);
  }

  private writeTask(): void {
    const { b, plan, tiles } = this;
    packQueries(this.values, this.tiles, {
      builder: this.b,
      buffer: this.q,
      at: [this.batch, this.head],
      first: this.first,
      axis: this.queryAxis,
    });
    this.eachSum((access) => b.store(access, b.broadcast(b.literal('f32', 0), [tiles.columns])));
    const top = b.variable(this.fill(Number.NEGATIVE_INFINITY));
    const sum = b.variable(this.fill(0));
    const start = this.values.causalStart(this.batch, this.head);
    const last = minimum(add(this.first, tiles.queries), plan.queries);
    const end =
      start === undefined
        ? plan.keys
        : b.bind(maximum(0, minimum(plan.keys, add(last, start, -1))));
    b.for(0, end, tiles.block, (key) => {
      const count = b.bind(minimum(tiles.block, subtract(end, key)));
      this.multiplyKeys(key, count);
      const best = this.limitScores(key, count, start, b.read(top));
      this.weigh(count, best, top, sum);
      this.multiplyValues(key, count);
    });
    this.storeRow(this.each, 0, this.values.factor(b.read(sum), b.read(top)));
    this.finish();
  }

  /** Rows of the block from `first` on, side by side and as f32. */
  private copyKeys(key: Expression, first: Expression, count: Expression): void {
    const { b, plan, tiles, values } = this;
    const length = tiles.lanes * Math.max(1, Math.min(4, Math.floor(plan.depth / tiles.lanes)));
    b.for(first, count, 1, (row) => {
      writeTiles(b, 0, plan.depth, length, (base, tail) => {
        const lane = variable(laneName, length);
        const cut = tail === undefined ? {} : { tail };
        const axis: TileAxis = { name: laneName, count: length, ...cut };
        const index = [this.batch, values.shared(this.head), add(key, row), add(base, lane)];
        const address = add(multiply(row, plan.depth), base);
        const limits = tail === undefined ? {} : { limits: [{ high: tail }] };
        const access = { buffer: this.k, address, strides: [1], ...limits };
        b.store(access, values.single([axis], plan.k, index));
      });
    });
  }

  /** Scores [block, queries]; rows beyond the last key hold anything. */
  private multiplyKeys(key: Expression, count: Expression): void {
    const { b, plan, tiles, values } = this;
    const lane = variable(rowName, tiles.keys);
    const axes = [
      { name: rowName, count: tiles.keys },
      { name: 'one', count: 1 },
    ];
    const rest = modulo(count, tiles.keys);
    const whole = values.readsKeys() ? b.bind(subtract(count, rest)) : 0;
    this.copyKeys(key, whole, count);
    if (whole !== 0) {
      b.for(0, whole, tiles.keys, (row) =>
        this.scoreTile(key, row, (d) => {
          const at = add(key, row, lane);
          return values.single(axes, plan.k, [this.batch, values.shared(this.head), at, d]);
        }),
      );
    }
    b.for(whole, count, tiles.keys, (row) => {
      const left = b.bind(multiply(row, plan.depth));
      this.scoreTile(key, row, (d) => {
        const access = { buffer: this.k, address: add(left, d), strides: [plan.depth, 0] };
        return b.load({ dtype: 'f32', shape: [tiles.keys, 1] }, access, { volatile: true });
      });
    });
  }

  /** Scores of one tile of keys; `keysAt` gives column d of its rows. */
  private scoreTile(key: Expression, row: Expression, keysAt: (d: Expression) => Value): void {
    const { b, plan, tiles } = this;
    const type = { dtype: 'f32', shape: [tiles.keys, tiles.queries] } as const;
    const tile = b.variable(b.broadcast(b.literal('f32', 0), type.shape), type);
    b.for(0, plan.depth, 1, (d) => {
      const right = { buffer: this.q, address: multiply(d, tiles.queries), strides: [0, 1] };
      const shape = [1, tiles.queries];
      const queries = b.load({ dtype: 'f32', shape }, right, { volatile: true });
      b.assign(tile, b.dot(keysAt(d), queries, b.read(tile)));
    });
    const address = multiply(row, tiles.queries);
    b.store({ buffer: this.scores, address, strides: [tiles.queries, 1] }, b.read(tile));
    const query = add(this.first, modulo(floorDivide(add(key, row), tiles.keys), tiles.queries));
    touchResult(this.results, minimum(query, subtract(plan.queries, 1)));
  }

  /** Bias, masks and the like put into the scores; gives the greatest so far of every query. */
  private limitScores(
    key: Expression,
    count: Expression,
    start: Expression | undefined,
    before: Value,
  ): Variable {
    const { b, values } = this;
    const best = b.variable(before);
    const raise = (score: Value): void => b.assign(best, b.binary('maximum', b.read(best), score));
    const limited = (isCausal: boolean): void =>
      b.for(0, count, 1, (row) => {
        const lanes = [this.queryAxis];
        const index: ScoreIndex = {
          batch: this.batch,
          head: this.head,
          query: add(this.first, variable(laneName, this.tiles.queries)),
          key: add(key, row),
        };
        const visible = isCausal
          ? this.visible(subtract(index.key, add(this.first, start as Expression)))
          : undefined;
        const score = values.score(lanes, this.row(this.scores, row), index, visible);
        this.storeRow(this.scores, row, score);
        raise(score);
      });
    const free = (): void =>
      values.isPlain
        ? b.for(0, count, 1, (row) => raise(this.row(this.scores, row)))
        : limited(false);
    if (start === undefined) free();
    else {
      // Only blocks at the diagonal hold keys that some query may not see.
      const isCut = lessThan(add(this.first, start), add(key, count));
      b.if(isCut, () => limited(true), free);
    }
    return best;
  }

  /** Lanes above a distance, which is cut to 32 bits. */
  private visible(distance: Expression): Value {
    const { b, tiles } = this;
    const cut = maximum(-1, minimum(distance, tiles.queries));
    return b.less(b.convert(b.scalar(cut), 'i32'), b.convert(b.iota(tiles.queries), 'i32'));
  }

  /** Scores become weights; what was summed before shrinks by e^(old top − new top). */
  private weigh(count: Expression, best: Variable, top: Variable, sum: Variable): void {
    const { b, values, tiles } = this;
    const base = values.base(b.read(best));
    const shrink = weightOf(b, b.subtract(b.read(top), base));
    b.assign(top, b.read(best));
    const kept = b.variable(b.multiply(b.read(sum), shrink));
    b.for(0, count, 1, (row) => {
      const weight = weightOf(b, b.subtract(this.row(this.scores, row), base));
      this.storeRow(this.scores, row, weight);
      b.assign(kept, b.add(b.read(kept), weight));
    });
    b.assign(sum, b.read(kept));
    this.storeRow(this.each, 0, shrink);
    const one = b.literal('f32', 1);
    const isSame = b.reduceAll('and', b.equal(shrink, b.broadcast(one, [tiles.queries])));
    b.if(
      isSame,
      () => {},
      () =>
        this.eachSum((access, query) => {
          const old = b.load({ dtype: 'f32', shape: [tiles.columns] }, access, { volatile: true });
          b.store(access, b.multiply(old, this.number(query)));
        }),
    );
  }

  /** One of the numbers that every query has. */
  private number(query: Expression): Value {
    const access = { buffer: this.each, address: query, strides: [] };
    return this.b.load({ dtype: 'f32', shape: [] }, access, { volatile: true });
  }

  /** Runs over O row by row. */
  private eachSum(
    body: (
      access: { buffer: string; address: Expression; strides: readonly Expression[] },
      query: Expression,
    ) => void,
  ): void {
    const { b, tiles } = this;
    b.for(0, tiles.queries, 1, (query) => {
      b.for(0, this.pitch, tiles.columns, (column) => {
        const address = add(multiply(query, this.pitch), column);
        body({ buffer: this.sums, address, strides: [1] }, query);
      });
    });
  }

  private multiplyValues(key: Expression, count: Expression): void {
    const { b, tiles } = this;
    const { queries, rows } = tiles;
    // As high as each other, or some of them one row higher.
    const parts = Math.ceil(queries / rows);
    const height = Math.floor(queries / parts);
    const higher = (queries % parts) * (height + 1);
    eachColumns(this.results, (column, axis) => {
      const walk = (from: number, to: number, height: number): void => {
        if (from === to) return;
        b.for(from, to, height, (query) =>
          this.resultTile(key, count, { query, height, column, axis }),
        );
      };
      walk(0, higher, height + 1);
      walk(higher, queries, height);
    });
  }

  /** Adds the weighted values of a block of keys to one tile of O. */
  private resultTile(
    key: Expression,
    count: Expression,
    { query, height, column, axis }: ResultTile,
  ): void {
    const { b, tiles } = this;
    const type = { dtype: 'f32', shape: [height, tiles.columns] } as const;
    const address = add(multiply(query, this.pitch), column);
    const access = { buffer: this.sums, address, strides: [this.pitch, 1] };
    const tile = b.variable(b.load(type, access, { volatile: true }), type);
    b.for(0, count, 1, (row) => {
      const from = { address: add(multiply(row, tiles.queries), query), strides: [1, 0] };
      const weights = b.load(
        { dtype: 'f32', shape: [height, 1] },
        { buffer: this.scores, ...from },
        { volatile: true },
      );
      const value = this.valueTile(add(key, row), column, axis);
      b.assign(tile, b.dot(weights, value, b.read(tile)));
    });
    b.store(access, b.read(tile));
  }

  /** Row `key` of V as [1, columns]. */
  private valueTile(key: Expression, column: Expression, axis: TileAxis): Value {
    const { plan, values } = this;
    const lane = variable(laneName, this.tiles.columns);
    const index = [this.batch, values.shared(this.head), key, add(column, lane)];
    return values.single([{ name: 'one', count: 1 }, axis], plan.v, index);
  }

  private get results(): ResultRows {
    const { b: builder, values, output: buffer } = this;
    const at = [this.batch, this.head] as const;
    return { builder, target: this.frame.target, values, buffer, at, columns: this.tiles.columns };
  }

  private finish(): void {
    const { b, plan, tiles, results } = this;
    const last = minimum(tiles.queries, subtract(plan.queries, this.first));
    b.for(0, last, 1, (query) => {
      const factor = this.number(query);
      eachColumns(results, (column, axis) => {
        const address = add(multiply(query, this.pitch), column);
        const access = { buffer: this.sums, address, strides: [1] };
        const sum = b.load({ dtype: 'f32', shape: [tiles.columns] }, access, { volatile: true });
        const place = [add(this.first, query), column] as const;
        storeResult(results, place, axis, b.multiply(sum, factor));
      });
    });
  }
}
