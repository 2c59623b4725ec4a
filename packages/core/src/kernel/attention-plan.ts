/**
 * Attention taken apart: its operands, sizes and parameters, and how an element of the scores or
 * of the result is found. What all its kernels share.
 */
import {
  add,
  type Expression,
  equal,
  equalTo,
  floorDivide,
  linearIn,
  multiply,
  type Size,
  subtract,
  variable,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node, NodeOf } from '../graph/node.js';
import { shapeValues } from '../graph/shape-values.js';
import type { KernelStep } from '../schedule/step.js';
import type { KernelBuilder, Value } from './builder.js';
import { lowerCast, lowerUnary } from './elementwise.js';
import { KernelFrame } from './frame.js';
import type { TileAxis } from './tile-limits.js';
import { type Place, ValueLowering } from './value.js';
import { reshapeIndex } from './view-index.js';

/** Addresses so far apart share a place of the first cache. */
const pageBytes = 4096;

export interface AttentionPlan {
  readonly step: KernelStep;
  readonly q: Node;
  readonly k: Node;
  readonly v: Node;
  /** bool, true where a key may be seen; and what is added to the scores. */
  readonly mask: Node | undefined;
  readonly bias: Node | undefined;
  /** What a score is where the mask forbids it. */
  readonly forbidden: number;
  /** What causality is shifted by: one number, or one for each batch or head. */
  readonly offset: Node | undefined;
  readonly scale: number;
  readonly causal: boolean;
  /** 0 is none. */
  readonly softcap: number;
  /** What a query that sees no key gives. */
  readonly blind: 'zero' | 'nan';
  readonly batch: Size;
  readonly heads: number;
  /** Query heads that share one key head. */
  readonly each: number;
  readonly queries: Size;
  readonly keys: Size;
  /** Sizes of a head: of queries and keys, and of values. */
  readonly depth: number;
  readonly width: number;
}

export function planAttention(step: KernelStep): AttentionPlan {
  const { inputs, attributes } = step.anchor as NodeOf<'composite'>;
  const { parameters } = attributes;
  const [q, k, v, ...rest] = inputs as [Node, Node, Node, ...Node[]];
  const optional = (given: boolean): Node | undefined => (given ? rest.shift() : undefined);
  const mask = optional(parameters['mask'] === true);
  const bias = optional(parameters['bias'] === true);
  const [batch, heads, queries, depth] = q.shape as [Size, number, Size, number];
  const [, shared, keys] = k.shape as [Size, number, Size];
  return {
    step,
    q,
    k,
    v,
    mask,
    bias,
    forbidden: (parameters['forbidden'] as number | undefined) ?? Number.NEGATIVE_INFINITY,
    offset: rest[0],
    scale: parameters['scale'] as number,
    causal: parameters['causal'] === true,
    softcap: parameters['softcap'] as number,
    blind: parameters['blind'] as 'zero' | 'nan',
    batch,
    heads,
    each: heads / shared,
    queries,
    keys,
    depth,
    width: v.shape[3] as number,
  };
}

/** Index of a score that the lanes of a tile stand for. */
export interface ScoreIndex {
  readonly batch: Expression;
  readonly head: Expression;
  readonly query: Expression;
  readonly key: Expression;
}

/** Reads and makes the values of one attention kernel. */
export class AttentionValues {
  readonly plan: AttentionPlan;
  private readonly frame: KernelFrame;
  private readonly builder: KernelBuilder;
  private readonly target: Target;
  private readonly failBase: number;

  constructor(plan: AttentionPlan, frame: KernelFrame, failBase: number) {
    this.plan = plan;
    this.frame = frame;
    this.builder = frame.builder;
    this.target = frame.target;
    this.failBase = failBase;
  }

  place(tile: readonly TileAxis[]): Place {
    return {
      builder: this.builder,
      target: this.target,
      bufferOf: (node) => this.frame.input(node),
      finish: (e) => e,
      tile,
      known: () => undefined,
      failBase: this.failBase,
    };
  }

  /** Elements of a node over tile axes; their variables are in the index. */
  at(tile: readonly TileAxis[], node: Node, index: readonly Expression[]): Value {
    return new ValueLowering(this.place(tile)).value(node, index);
  }

  /** As f32, in the shape of the tile, whatever the operand's dtype. */
  single(tile: readonly TileAxis[], node: Node, index: readonly Expression[]): Value {
    const value = this.at(tile, node, index);
    const wide = lowerCast(this.builder, this.target, node.dtype, 'f32', false, value);
    return this.builder.broadcast(
      wide,
      tile.map((axis) => axis.count),
    );
  }

  /** Elements between neighbours along an axis of an operand that is read from memory as is. */
  strideOf(node: Node, axis: number): number | undefined {
    const seen: Expression[] = [];
    const frame = new KernelFrame(this.plan.step, this.target);
    const place: Place = {
      ...this.place([]),
      builder: frame.builder,
      bufferOf: (candidate) => frame.input(candidate),
      record: (e) => seen.push(e),
    };
    const index = node.shape.map((size, i) => variable(`$a${i}`, size));
    new ValueLowering(place).value(node, index);
    const [address, ...others] = seen;
    if (address === undefined || others.length > 0) return undefined;
    const stride = linearIn(address, `$a${axis}`)?.coefficient;
    return typeof stride === 'number' ? stride : undefined;
  }

  /**
   * Whether tiles read K where it lies. Rows a multiple of a page apart would all want the same
   * few places of the first cache, and narrow types are converted once.
   */
  readsKeys(): boolean {
    const stride = this.plan.k.dtype === 'f32' ? this.strideOf(this.plan.k, 2) : undefined;
    return stride !== undefined && (4 * stride) % pageBytes !== 0;
  }

  /** The head of keys and values that a query head uses. */
  shared = (head: Expression): Expression => floorDivide(head, this.plan.each);

  /** First key that query 0 of a causal attention may not see; undefined where all may be seen. */
  causalStart(batch: Expression, head: Expression): Expression | undefined {
    const { causal, offset } = this.plan;
    if (!causal) return undefined;
    if (offset === undefined) return 1;
    const known = shapeValues(offset);
    if (known?.length === 1 && known[0] !== undefined) return add(known[0], 1);
    const { builder: b } = this;
    const index = this.broadcast(offset, { batch, head, query: 0, key: 0 });
    const value = this.at([], offset, index);
    return add(b.name(b.convert(value, b.indexType)), 1);
  }

  /** Whether scores change between the product and the softmax other than by causality. */
  get isPlain(): boolean {
    const { mask, bias, softcap } = this.plan;
    return mask === undefined && bias === undefined && softcap === 0;
  }

  /**
   * Scaled scores after softcap, bias and mask; `visible` says which lanes causality and the
   * number of keys leave.
   */
  score(
    tile: readonly TileAxis[],
    scaled: Value,
    index: ScoreIndex,
    visible: Value | undefined,
  ): Value {
    const { builder: b, plan, target } = this;
    const { mask, bias, softcap } = plan;
    let value = scaled;
    if (softcap !== 0) {
      const cap = b.literal('f32', Math.fround(softcap));
      const bounded = lowerUnary(b, target, 'tanh', 'f32', b.divide(value, cap));
      value = b.multiply(bounded, cap);
    }
    if (bias !== undefined) {
      value = b.add(value, this.single(tile, bias, this.broadcast(bias, index)));
    }
    const least = b.literal('f32', Number.NEGATIVE_INFINITY);
    if (mask !== undefined) {
      const forbidden = b.literal('f32', Math.fround(plan.forbidden));
      value = b.select(this.at(tile, mask, this.broadcast(mask, index)), value, forbidden);
    }
    return visible === undefined ? value : b.select(visible, value, least);
  }

  /** Index of what broadcasts to [batch, heads, queries, keys]. */
  private broadcast(node: Node, index: ScoreIndex): Expression[] {
    const all = [index.batch, index.head, index.query, index.key];
    const { batch, heads, queries, keys } = this.plan;
    const sizes: readonly Size[] = [batch, heads, queries, keys];
    const first = sizes.length - node.shape.length;
    return node.shape.map((size, axis) => {
      const position = all[first + axis] as Expression;
      if (equal(size, sizes[first + axis] as Size)) return position;
      // A size that may be 1 or not: stride 0 where it is 1.
      return multiply(position, subtract(1, equalTo(size, 1)));
    });
  }

  /** What weighted sums are multiplied by: 1 / sum, but for queries that see no key. */
  factor(sum: Value, top: Value): Value {
    const { builder: b, plan } = this;
    const one = b.literal('f32', 1);
    if (plan.blind === 'zero') {
      return b.divide(one, b.select(b.equal(sum, b.literal('f32', 0)), one, sum));
    }
    const isBlind = b.equal(top, b.literal('f32', Number.NEGATIVE_INFINITY));
    return b.select(isBlind, b.literal('f32', Number.NaN), b.divide(one, sum));
  }

  /** e^(score − top), where a top of −∞ counts as 0. */
  weight(score: Value, base: Value): Value {
    const { builder: b, target } = this;
    return lowerUnary(b, target, 'exp', 'f32', b.subtract(score, base));
  }

  /** What is subtracted from scores: the greatest, or 0 where none may be seen. */
  base(top: Value): Value {
    const { builder: b } = this;
    const least = b.literal('f32', Number.NEGATIVE_INFINITY);
    return b.select(b.equal(top, least), b.literal('f32', 0), top);
  }

  /** Index of an element of the step's output that holds result [batch, head, query, column]. */
  outputIndex(index: readonly Expression[]): Expression[] {
    let current = [...index];
    for (const view of this.outputViews()) {
      const [x] = view.inputs as [Node];
      if (view.op === 'permute') {
        const from = current;
        current = view.attributes.axes.map((axis) => from[axis] as Expression);
      } else current = reshapeIndex(view.shape, x.shape, current);
    }
    return current;
  }

  /** Views between the composite's result and the output, inner first. */
  private outputViews(): Node[] {
    const views: Node[] = [];
    let node = this.plan.step.outputs[0] as Node;
    while (node.op !== 'part') {
      views.unshift(node);
      node = node.inputs[0] as Node;
    }
    return views;
  }
}
