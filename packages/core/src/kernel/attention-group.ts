/**
 * Attention for targets with threads: a group makes a tile of queries of one head and walks the
 * keys in tiles; scores, weights and the weighted sums are spread over its threads, and only
 * operands of products lie in shared memory (Dao, FlashAttention-2, 2023).
 */
import {
  add,
  ceilDivide,
  type Expression,
  maximum,
  minimum,
  multiply,
  subtract,
  variable,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import { type AttentionPlan, AttentionValues, type ScoreIndex } from './attention-plan.js';
import { axis } from './axes.js';
import type { KernelBuilder, Value } from './builder.js';
import { lowerCast } from './elementwise.js';
import { KernelFrame, type KernelNames } from './frame.js';
import { storeAt } from './fused.js';
import { dividesBy } from './left-pack.js';
import type { LoweredKernel } from './lowered.js';
import { Bindings, writeTasks } from './nest.js';
import type { TileAxis } from './tile-limits.js';
import { ValueLowering } from './value.js';

interface GroupTile {
  readonly queries: number;
  readonly keys: number;
  readonly threads: number;
}

/** Columns of queries and keys that one product takes. */
const depthStep = 16;

const tiles: readonly GroupTile[] = [
  { queries: 64, keys: 64, threads: 256 },
  { queries: 32, keys: 32, threads: 128 },
  { queries: 16, keys: 16, threads: 64 },
  { queries: 8, keys: 8, threads: 32 },
];

/** What is left where a language finds all of them too large. */
const least: GroupTile = { queries: 4, keys: 4, threads: 16 };

/** Shared elements: weights, values, a step of queries and keys, and what reductions exchange. */
const sharedElements = ({ queries, keys, threads }: GroupTile, width: number): number =>
  queries * (keys + 1) +
  keys * (width + 1) +
  queries * (depthStep + 1) +
  depthStep * (keys + 1) +
  queries * Math.min(keys, threads);

function tileOf(plan: AttentionPlan, target: Target): GroupTile {
  const fits = (tile: GroupTile): boolean =>
    4 * sharedElements(tile, paddedWidth(plan)) <= target.sharedBytes &&
    tile.threads <= target.maxGroup;
  return tiles.find(fits) ?? least;
}

/** Value columns, filled up so that threads divide them. */
const paddedWidth = (plan: AttentionPlan): number => Math.ceil(plan.width / 16) * 16;

const rowName = 'row';
const laneName = 'lane';
const stepName = 'step';

export function writeAttentionGroup(
  plan: AttentionPlan,
  target: Target,
  names: KernelNames,
): LoweredKernel {
  return new GroupWriter(plan, target, names).write();
}

class GroupWriter {
  private readonly plan: AttentionPlan;
  private readonly names: KernelNames;
  private readonly tile: GroupTile;
  private readonly frame: KernelFrame;
  private readonly b: KernelBuilder;
  private readonly values: AttentionValues;
  private readonly bindings = new Bindings();
  private readonly output: string;

  constructor(plan: AttentionPlan, target: Target, names: KernelNames) {
    this.plan = plan;
    this.names = names;
    this.tile = tileOf(plan, target);
    this.frame = new KernelFrame(plan.step, target);
    this.b = this.frame.builder;
    this.values = new AttentionValues(plan, this.frame, names.failBase);
    this.output = this.frame.output(plan.step.outputs[0] as Node);
  }

  write(): LoweredKernel {
    const { b, plan, tile, bindings } = this;
    const blocks = ceilDivide(plan.queries, tile.queries);
    const tasks = [axis('batch', plan.batch), axis('head', plan.heads), axis('block', blocks)];
    const grid = writeTasks(b, tasks, 1, bindings, () => this.writeTask());
    const { threads } = tile;
    return this.frame.finish(this.names, { lanes: threads, group: threads, grid });
  }

  private bound(name: string): Expression {
    return this.bindings.get(name) as Expression;
  }

  /** First query of the task. */
  private get first(): Expression {
    return multiply(this.bound('block'), this.tile.queries);
  }

  private get query(): Expression {
    return add(this.first, variable(rowName, this.tile.queries));
  }

  private axis(name: string, count: number, extent: Expression, base: Expression): TileAxis {
    return dividesBy(extent, count)
      ? { name, count }
      : { name, count, tail: subtract(extent, base), zeroed: true };
  }

  private get rows(): TileAxis {
    return this.axis(rowName, this.tile.queries, this.plan.queries, this.first);
  }

  /** An operand of a product as f32; 0 where an axis ends. */
  private operand(axes: readonly TileAxis[], node: Node, index: readonly Expression[]): Value {
    const { b, values } = this;
    const value = values.single(axes, node, index);
    const mask = new ValueLowering(values.place(axes)).tailMask();
    return mask === undefined ? value : b.select(mask, value, b.literal('f32', 0));
  }

  /** One number for each query, spread over the columns of a tile. */
  private spread(value: Value, columns: number): Value {
    return this.b.broadcast(value, [this.tile.queries, columns], 0);
  }

  private writeTask(): void {
    const { b, plan, tile, values } = this;
    const vector = { dtype: 'f32', shape: [tile.queries] } as const;
    const width = paddedWidth(plan);
    const fill = (value: number, shape: readonly number[]): Value =>
      b.broadcast(b.literal('f32', value), shape);
    const top = b.variable(fill(Number.NEGATIVE_INFINITY, vector.shape), vector);
    const sum = b.variable(fill(0, vector.shape), vector);
    const total = b.variable(fill(0, [tile.queries, width]));
    const start = values.causalStart(this.bound('batch'), this.bound('head'));
    const last = minimum(add(this.first, tile.queries), plan.queries);
    const end =
      start === undefined
        ? plan.keys
        : b.bind(maximum(0, minimum(plan.keys, add(last, start, -1))));
    b.for(0, end, tile.keys, (key) => {
      const score = this.scores(key, end, start);
      const next = b.binary('maximum', b.read(top), b.reduce('maximum', score, 1));
      const base = values.base(next);
      const shrink = values.weight(b.read(top), base);
      const weight = values.weight(score, this.spread(base, tile.keys));
      b.assign(sum, b.add(b.multiply(b.read(sum), shrink), b.reduce('add', weight, 1)));
      b.assign(top, next);
      const kept = b.multiply(b.read(total), this.spread(shrink, width));
      b.assign(total, b.dot(weight, this.valueTile(key, end, width), kept));
    });
    const factor = values.factor(b.read(sum), b.read(top));
    this.store(b.multiply(b.read(total), this.spread(factor, width)), width);
  }

  /** Scores [queries, keys] of the tile, −∞ where a key may not be seen. */
  private scores(key: Expression, end: Expression, start: Expression | undefined): Value {
    const { b, plan, tile, values } = this;
    const shape = [tile.queries, tile.keys];
    const product = b.variable(b.broadcast(b.literal('f32', 0), shape), { dtype: 'f32', shape });
    const [batch, head] = [this.bound('batch'), this.bound('head')];
    const keyAt = add(key, variable(laneName, tile.keys));
    const columns = this.axis(laneName, tile.keys, end, key);
    b.for(0, plan.depth, depthStep, (d) => {
      const steps = this.axis(stepName, depthStep, plan.depth, d);
      const at = add(d, variable(stepName, depthStep));
      const q = this.operand([this.rows, steps], plan.q, [batch, head, this.query, at]);
      const shared = values.shared(head);
      const k = this.operand([steps, columns], plan.k, [batch, shared, keyAt, at]);
      b.assign(product, b.dot(q, k, b.read(product)));
    });
    const scaled = b.multiply(b.read(product), b.literal('f32', Math.fround(plan.scale)));
    const axes = [this.rows, columns];
    const compare = new ValueLowering(values.place(axes));
    const inside = columns.tail === undefined ? undefined : compare.below(keyAt, end);
    const seen = start === undefined ? undefined : compare.below(keyAt, add(this.query, start));
    const visible =
      inside === undefined || seen === undefined ? (inside ?? seen) : b.and(inside, seen);
    const index: ScoreIndex = { batch, head, query: this.query, key: keyAt };
    return values.score(axes, scaled, index, visible);
  }

  /** Values [keys, width] of the tile, 0 beyond the last. */
  private valueTile(key: Expression, end: Expression, width: number): Value {
    const { plan, tile } = this;
    const rows = this.axis(rowName, tile.keys, end, key);
    const columns = this.axis(laneName, width, plan.width, 0);
    const row = add(key, variable(rowName, tile.keys));
    const shared = this.values.shared(this.bound('head'));
    const index = [this.bound('batch'), shared, row, variable(laneName, width)];
    return this.operand([rows, columns], plan.v, index);
  }

  private store(result: Value, width: number): void {
    const { b, plan, values } = this;
    const output = plan.step.outputs[0] as Node;
    const { target } = this.frame;
    const cast = lowerCast(b, target, 'f32', output.dtype, false, result);
    const columns = this.axis(laneName, width, plan.width, 0);
    const lane = variable(laneName, width);
    const index = [this.bound('batch'), this.bound('head'), this.query, lane];
    const place = values.place([this.rows, columns]);
    storeAt(place, this.output, output, values.outputIndex(index), cast);
  }
}
