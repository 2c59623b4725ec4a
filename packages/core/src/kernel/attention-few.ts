/**
 * Attention for vector targets, few queries: a task takes all queries of one head of keys, whose
 * vectors lie along the elements of a head, and reads keys and values once, in blocks. Keys that
 * are a cache with new rows behind it are read where both lie. Running maximum and sum as in
 * attention-columns.ts.
 */
import {
  add,
  ceilDivide,
  type Expression,
  floorDivide,
  maximum,
  minimum,
  modulo,
  multiply,
  type Size,
  subtract,
  variable,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import { keyPieces } from '../schedule/key-pieces.js';
import { type AttentionPlan, AttentionValues, type ScoreIndex } from './attention-plan.js';
import { axis } from './axes.js';
import type { KernelBuilder, Value } from './builder.js';
import { lowerCast } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { laneName, storeAt } from './fused.js';
import type { LoweredKernel } from './lowered.js';
import { Bindings, writeTasks, writeTiles } from './nest.js';
import { weightOf } from './softmax-weight.js';
import type { TileAxis } from './tile-limits.js';

/** Keys of a block: its scores and the values' sums stay in the first cache. */
const blockKeys = 128;
/** Accumulators of the values' sums. */
const mostVectors = 8;

const keyName = 'key';

export function writeAttentionFew(
  plan: AttentionPlan,
  target: Target,
  names: KernelNames,
): LoweredKernel {
  return new FewWriter(plan, target, names).write();
}

/** Keys that lie together: rows of k and v from `start` on. */
interface Piece {
  readonly k: Node;
  readonly v: Node;
  readonly start: Expression;
  readonly count: Size;
}

class FewWriter {
  private readonly plan: AttentionPlan;
  private readonly names: KernelNames;
  private readonly frame: KernelFrame;
  private readonly b: KernelBuilder;
  private readonly values: AttentionValues;
  private readonly bindings = new Bindings();
  private readonly output: string;
  private readonly lanes: number;
  /** Queries of a task: of all heads that share one head of keys. */
  private readonly rows: number;
  /** Keys of one tile of scores: a vector of them, or one where registers are few. */
  private readonly keys: number;
  /** Columns of values that one tile of sums covers. */
  private readonly columns: number;
  /** Elements of a row of q and of the sums. */
  private readonly depth: number;
  private readonly pitch: number;
  /** Scratch: scaled q [rows, depth], scores [rows, block], sums [rows, pitch]; three numbers for
   * each row: the greatest score, the sum of weights, and what older sums shrink by. */
  private readonly q: string;
  private readonly scores: string;
  private readonly sums: string;
  private readonly tops: string;
  private readonly totals: string;
  private readonly shrinks: string;

  constructor(plan: AttentionPlan, target: Target, names: KernelNames) {
    this.plan = plan;
    this.names = names;
    this.frame = new KernelFrame(plan.step, target);
    this.b = this.frame.builder;
    this.values = new AttentionValues(plan, this.frame, names.failBase);
    this.output = this.frame.output(plan.step.outputs[0] as Node);
    this.lanes = Math.floor(target.vectorBytes / 4);
    this.keys = target.vectorRegisters >= 2 * this.lanes ? this.lanes : 1;
    this.rows = plan.each * (plan.queries as number);
    const up = (size: number, to: number): number => Math.ceil(size / to) * to;
    const vectors = Math.max(1, Math.floor(mostVectors / this.rows));
    this.columns = this.lanes * Math.min(vectors, Math.ceil(plan.width / this.lanes));
    this.depth = up(plan.depth, this.lanes);
    this.pitch = up(plan.width, this.columns);
    const { frame, rows } = this;
    this.q = frame.scratch('f32', rows * this.depth);
    this.scores = frame.scratch('f32', rows * blockKeys);
    this.sums = frame.scratch('f32', rows * this.pitch);
    this.tops = frame.scratch('f32', rows);
    this.totals = frame.scratch('f32', rows);
    this.shrinks = frame.scratch('f32', rows);
  }

  write(): LoweredKernel {
    const { b, plan, bindings } = this;
    const tasks = [axis('batch', plan.batch), axis('shared', plan.heads / plan.each)];
    const grid = writeTasks(b, tasks, 1, bindings, () => this.writeTask());
    return this.frame.finish(this.names, { lanes: this.lanes, group: 1, grid });
  }

  private get batch(): Expression {
    return this.bindings.get('batch') as Expression;
  }

  /** The head of keys and values. */
  private get shared(): Expression {
    return this.bindings.get('shared') as Expression;
  }

  /** Head and query of a row. */
  private placeOf(row: Expression): { readonly head: Expression; readonly query: Expression } {
    const queries = this.plan.queries as number;
    const head = add(multiply(this.shared, this.plan.each), floorDivide(row, queries));
    return { head, query: modulo(row, queries) };
  }

  private load(buffer: string, address: Expression, count: number): Value {
    const strides = count === 1 ? [] : [1];
    const shape = count === 1 ? [] : [count];
    const access = { buffer, address, strides };
    return this.b.load({ dtype: 'f32', shape }, access, { volatile: true });
  }

  private store(buffer: string, address: Expression, value: Value): void {
    const strides = value.type.shape.length === 0 ? [] : [1];
    this.b.store({ buffer, address, strides }, value);
  }

  private eachRow(body: (row: Expression) => void): void {
    this.b.for(0, this.rows, 1, body);
  }

  private writeTask(): void {
    const { b } = this;
    const none = b.broadcast(b.literal('f32', 0), [this.columns]);
    this.eachRow((row) => {
      this.packQuery(row);
      this.eachColumns((column) => this.store(this.sums, this.sumAt(row, column), none));
      this.store(this.tops, row, b.literal('f32', Number.NEGATIVE_INFINITY));
      this.store(this.totals, row, b.literal('f32', 0));
    });
    for (const piece of this.pieces()) {
      b.for(0, piece.count, blockKeys, (from) => {
        const count = b.bind(minimum(blockKeys, subtract(piece.count, from)));
        this.multiplyKeys(piece, from, count);
        this.eachRow((row) => this.weigh(row, count));
        this.multiplyValues(piece, from, count);
      });
    }
    this.finish();
  }

  private pieces(): Piece[] {
    const { plan, frame } = this;
    const isWritten = (node: Node): boolean => frame.input(node) !== undefined;
    const found = keyPieces(plan.k, plan.v);
    const isApart = found !== undefined && !isWritten(plan.k) && !isWritten(plan.v);
    const pairs = isApart ? found : [[plan.k, plan.v] as const];
    let start: Expression = 0;
    return pairs.map(([k, v]) => {
      const piece = { k, v, start, count: k.shape[2] as Size };
      start = add(start, piece.count);
      return piece;
    });
  }

  private sumAt(row: Expression, column: Expression): Expression {
    return add(multiply(row, this.pitch), column);
  }

  /** Tiles of the columns of values; the last one may be cut. */
  private eachColumns(body: (column: Expression, axis: TileAxis) => void): void {
    const { b, plan, columns } = this;
    writeTiles(b, 0, plan.width, columns, (column, tail) => {
      const axis: TileAxis = { name: laneName, count: columns };
      body(column, tail === undefined ? axis : { ...axis, tail });
    });
  }

  /** Vectors along the elements of a head, zero beyond its end. */
  private eachVector(body: (d: Expression, axis: TileAxis) => void): void {
    const { b, plan, lanes } = this;
    writeTiles(b, 0, plan.depth, lanes, (d, tail) => {
      const axis: TileAxis = { name: laneName, count: lanes };
      body(d, tail === undefined ? axis : { ...axis, tail, zeroed: true });
    });
  }

  private packQuery(row: Expression): void {
    const { b, plan, values } = this;
    const { head, query } = this.placeOf(row);
    const scale = b.literal('f32', Math.fround(plan.scale));
    this.eachVector((d, axis) => {
      const index = [this.batch, head, query, add(d, variable(laneName, this.lanes))];
      const value = b.multiply(values.single([axis], plan.q, index), scale);
      const address = add(multiply(row, this.depth), d);
      this.store(this.q, address, this.withoutTail(axis, value));
    });
  }

  /** Zeros where no lane counts: what is loaded there may be anything after a conversion. */
  private withoutTail({ tail }: TileAxis, value: Value): Value {
    const { b, lanes } = this;
    if (tail === undefined) return value;
    const counts = b.less(b.iota(lanes), b.scalar(tail));
    return b.select(counts, value, b.literal('f32', 0));
  }

  /** Scores [row, block] of a block of keys, −∞ where a key may not be seen or is none. */
  private multiplyKeys(piece: Piece, from: Expression, count: Expression): void {
    const { b, lanes, keys } = this;
    if (keys === 1) {
      const last = b.bind(multiply(floorDivide(subtract(count, 1), lanes), lanes));
      const none = b.broadcast(b.literal('f32', Number.NEGATIVE_INFINITY), [lanes]);
      this.eachRow((row) => this.store(this.scores, this.scoreAt(row, last), none));
    }
    b.for(0, b.bind(ceilDivide(count, keys)), 1, (tile) => {
      const first = multiply(tile, keys);
      if (keys === 1) {
        this.scoreTile(piece, from, first, undefined);
        return;
      }
      const left = b.bind(subtract(count, first));
      b.if(
        floorDivide(left, keys),
        () => this.scoreTile(piece, from, first, undefined),
        () => this.scoreTile(piece, from, first, left),
      );
    });
  }

  private scoreAt(row: Expression, key: Expression): Expression {
    return add(multiply(row, blockKeys), key);
  }

  private scoreTile(
    piece: Piece,
    from: Expression,
    first: Expression,
    tail: Expression | undefined,
  ): void {
    const { b, lanes, keys, values } = this;
    const cut = tail === undefined ? {} : { tail };
    const start = values.causalStart(this.batch, this.placeOf(0).head);
    // A tile of one key has no axis of keys.
    const keyLane = keys === 1 ? 0 : variable(keyName, keys);
    const shape = keys === 1 ? [lanes] : [keys, lanes];
    this.eachRow((row) => {
      const sum = b.variable(b.broadcast(b.literal('f32', 0), shape));
      this.eachVector((d, axis) => {
        const key = add(from, first, keyLane);
        const index = [this.batch, this.shared, key, add(d, variable(laneName, lanes))];
        const part = this.load(this.q, add(multiply(row, this.depth), d), lanes);
        const query = keys === 1 ? part : b.broadcast(part, shape, 1);
        const axes = keys === 1 ? [axis] : [{ name: keyName, count: keys, ...cut }, axis];
        const tile = values.single(axes, piece.k, index);
        b.assign(sum, b.multiplyAdd(tile, query, b.read(sum)));
      });
      const { head, query } = this.placeOf(row);
      const key = add(piece.start, from, first);
      const axes: TileAxis[] = keys === 1 ? [] : [{ name: laneName, count: keys, ...cut }];
      const at = keys === 1 ? 0 : variable(laneName, keys);
      const index: ScoreIndex = { batch: this.batch, head, query, key: add(key, at) };
      const visible = this.visible(tail, start && subtract(add(start, query), key));
      const scaled = keys === 1 ? b.reduceAll('add', b.read(sum)) : b.reduce('add', b.read(sum), 1);
      const score = values.score(axes, scaled, index, visible);
      this.store(this.scores, this.scoreAt(row, first), score);
    });
  }

  /** Lanes below both limits; undefined where there is none. */
  private visible(tail: Expression | undefined, causal: Expression | undefined): Value | undefined {
    const { b, keys } = this;
    if (tail === undefined && causal === undefined) return undefined;
    const own = maximum(0, minimum(keys, causal ?? keys));
    const limit = tail === undefined ? own : minimum(tail, own);
    const lanes = keys === 1 ? b.scalar(0) : b.iota(keys);
    return b.less(b.convert(lanes, 'i32'), b.convert(b.scalar(limit), 'i32'));
  }

  /** Scores of a row become weights; what was summed before shrinks by e^(old top − new top). */
  private weigh(row: Expression, count: Expression): void {
    const { b, lanes, values } = this;
    const tiles = b.bind(ceilDivide(count, lanes));
    const at = (tile: Expression): Expression => this.scoreAt(row, multiply(tile, lanes));
    const least = b.literal('f32', Number.NEGATIVE_INFINITY);
    const best = b.variable(b.broadcast(least, [lanes]));
    b.for(0, tiles, 1, (tile) => {
      const score = this.load(this.scores, at(tile), lanes);
      b.assign(best, b.binary('maximum', b.read(best), score));
    });
    const before = this.load(this.tops, row, 1);
    const top = b.binary('maximum', before, b.reduceAll('maximum', b.read(best)));
    const base = values.base(top);
    const shrink = weightOf(b, b.subtract(before, base));
    const sum = b.variable(b.broadcast(b.literal('f32', 0), [lanes]));
    b.for(0, tiles, 1, (tile) => {
      const weight = weightOf(b, b.subtract(this.load(this.scores, at(tile), lanes), base));
      this.store(this.scores, at(tile), weight);
      b.assign(sum, b.add(b.read(sum), weight));
    });
    const old = this.load(this.totals, row, 1);
    const total = b.multiplyAdd(old, shrink, b.reduceAll('add', b.read(sum)));
    this.store(this.totals, row, total);
    this.store(this.tops, row, top);
    this.store(this.shrinks, row, shrink);
  }

  private multiplyValues(piece: Piece, from: Expression, count: Expression): void {
    const { b, rows, columns, values } = this;
    const type = { dtype: 'f32', shape: [rows, columns] } as const;
    const weightsOf = (key: Expression): Value => {
      const access = { buffer: this.scores, address: key, strides: [blockKeys, 0] };
      return b.load({ dtype: 'f32', shape: [rows, 1] }, access, { volatile: true });
    };
    this.eachColumns((column, axis) => {
      this.eachRow((row) => {
        const old = this.load(this.sums, this.sumAt(row, column), columns);
        const shrunk = b.multiply(old, this.load(this.shrinks, row, 1));
        this.store(this.sums, this.sumAt(row, column), shrunk);
      });
      const access = { buffer: this.sums, address: column, strides: [this.pitch, 1] };
      const sum = b.variable(b.load(type, access, { volatile: true }), type);
      b.for(
        0,
        count,
        1,
        (key) => {
          const lane = variable(laneName, columns);
          const index = [this.batch, this.shared, add(from, key), add(column, lane)];
          const value = values.single([{ name: 'one', count: 1 }, axis], piece.v, index);
          b.assign(sum, b.dot(weightsOf(key), value, b.read(sum)));
        },
        { unroll: 4 },
      );
      b.store(access, b.read(sum));
    });
  }

  private finish(): void {
    const { b, plan, frame, columns } = this;
    const output = plan.step.outputs[0] as Node;
    this.eachRow((row) => {
      const factor = this.values.factor(
        this.load(this.totals, row, 1),
        this.load(this.tops, row, 1),
      );
      const { head, query } = this.placeOf(row);
      this.eachColumns((column, axis) => {
        const sum = this.load(this.sums, this.sumAt(row, column), columns);
        const made = b.multiply(sum, factor);
        const result = lowerCast(b, frame.target, 'f32', output.dtype, false, made);
        const index = [this.batch, head, query, add(column, variable(laneName, columns))];
        const place = this.values.place([axis]);
        storeAt(place, this.output, output, this.values.outputIndex(index), result);
      });
    });
  }
}
