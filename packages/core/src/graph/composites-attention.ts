/** Attention and rotary position embedding. */
import type { DType } from '../base/dtype.js';
import { floorDivide, multiply as multiplySizes, type Size } from '../base/expression.js';
import {
  add,
  cast,
  divide,
  equal,
  exp,
  lessEqual,
  multiply,
  select,
  subtract,
  tanh,
} from './build-elementwise.js';
import { contract, maximumOver, sum } from './build-reductions.js';
import { composite } from './build-regions.js';
import { iota } from './build-sources.js';
import { concat, reshape, sliceAxis, unsqueeze } from './build-views.js';
import { softmaxBody } from './composites-softmax.js';
import type { Node } from './node.js';
import { accumulateType } from './ops.js';
import { printShape, shapeError } from './rule.js';

/** Points of attention whose scores may be asked for. */
export type ScoreStage = 'scaled' | 'masked' | 'capped' | 'probabilities';

export interface AttentionOptions {
  /** bool, true where a key may be seen; broadcasts to [batch, heads, queries, keys]. */
  readonly mask?: Node;
  /** What a score is where the mask forbids it; −∞ where absent. */
  readonly forbidden?: number;
  /** Added to the scores; broadcasts likewise. */
  readonly bias?: Node;
  /** 1 / √D where absent. */
  readonly scale?: number;
  /** Query i sees keys up to i + causalOffset. */
  readonly causal?: boolean;
  /** i64 scalar; 0 where absent. */
  readonly causalOffset?: Node;
  /** cap · tanh(scores / cap), before masks unless `capLast`; 0 is none. */
  readonly softcap?: number;
  readonly capLast?: boolean;
  /** What a query that may see no key gives: zeros, or NaN as a plain softmax does. */
  readonly blind?: 'zero' | 'nan';
  /** Also gives the scores of this stage, [batch, heads, queries, keys]. */
  readonly scores?: ScoreStage;
}

interface Extents {
  readonly batch: Size;
  readonly heads: Size;
  readonly shared: Size;
  readonly queries: Size;
  readonly keys: Size;
}

function extentsOf(q: Node, k: Node, v: Node): Extents {
  if (q.shape.length !== 4 || k.shape.length !== 4 || v.shape.length !== 4) {
    throw shapeError(
      'attention',
      `queries, keys, values are ${[q, k, v].map((x) => printShape(x.shape)).join(', ')}`,
    );
  }
  const [batch, heads, queries] = q.shape as [Size, Size, Size, Size];
  const [, shared, keys] = k.shape as [Size, Size, Size, Size];
  if (typeof heads === 'number' && typeof shared === 'number' && heads % shared !== 0) {
    throw shapeError('attention', `${heads} query heads share ${shared} key heads`);
  }
  return { batch, heads, shared, queries, keys };
}

/** `value` where the mask forbids; scores keep their shape. */
const forbid = (scores: Node, mask: Node, value = Number.NEGATIVE_INFINITY): Node =>
  select(mask, scores, value);

function causalMask(extents: Extents, offset: Node | undefined): Node {
  const row = iota({ dtype: 'i64', shape: [extents.queries, 1] }, 0);
  const column = iota({ dtype: 'i64', shape: [1, extents.keys] }, 1);
  return lessEqual(column, offset === undefined ? row : add(row, offset));
}

/** Softmax over the last axis where a row that sees nothing gives zeros instead of NaN. */
function guardedSoftmax(scores: Node): Node {
  const axis = scores.shape.length - 1;
  const top = maximumOver(scores, [axis], { keep: true });
  const base = select(equal(top, Number.NEGATIVE_INFINITY), 0, top);
  const e = exp(subtract(scores, base));
  const total = sum(e, [axis], { keep: true });
  return divide(e, select(equal(total, 0), 1, total));
}

const capped = (scores: Node, cap: number): Node =>
  cap === 0 ? scores : multiply(tanh(divide(scores, cap)), cap);

interface Given {
  readonly mask: Node | undefined;
  readonly bias: Node | undefined;
  readonly offset: Node | undefined;
}

function attentionBody(
  [q, k, v]: readonly [Node, Node, Node],
  given: Given,
  options: AttentionOptions,
  scale: number,
): readonly Node[] {
  const extents = extentsOf(q, k, v);
  const { batch, heads, shared, queries, keys } = extents;
  const wide: DType = accumulateType(q.dtype);
  const each = floorDivide(heads, shared);
  const depth = q.shape[3] as Size;
  // Query heads that share a key head become one more free axis of the left operand.
  const grouped = reshape(q, [batch, shared, multiplySizes(each, queries), depth]);
  const pairs = [
    [0, 0],
    [1, 1],
  ] as const;
  const raw = contract(grouped, k, { batch: pairs, contracted: [[3, 3]], dtype: wide });
  const scaled = multiply(reshape(raw, [batch, heads, queries, keys]), scale);
  const cap = options.softcap ?? 0;
  const first = options.capLast === true ? scaled : capped(scaled, cap);
  const biased = given.bias === undefined ? first : add(first, cast(given.bias, wide));
  const seen = given.mask === undefined ? biased : forbid(biased, given.mask, options.forbidden);
  const masked = options.causal === true ? forbid(seen, causalMask(extents, given.offset)) : seen;
  const last = options.capLast === true ? capped(masked, cap) : masked;
  const chances = options.blind === 'nan' ? softmaxBody(last, 3) : guardedSoftmax(last);
  const weights = reshape(cast(chances, v.dtype), [
    batch,
    shared,
    multiplySizes(each, queries),
    keys,
  ]);
  const mixed = contract(weights, v, { batch: pairs, contracted: [[3, 2]] });
  const result = cast(reshape(mixed, [batch, heads, queries, v.shape[3] as Size]), q.dtype);
  const stages = {
    scaled,
    masked,
    capped: options.capLast === true ? last : first,
    probabilities: chances,
  };
  if (options.scores === undefined) return [result];
  return [result, cast(stages[options.scores], q.dtype)];
}

/**
 * softmax(q·kᵀ·scale + masks)·v with q[batch, heads, queries, D], k[batch, sharedHeads, keys, D],
 * v[batch, sharedHeads, keys, Dv]; heads is a multiple of sharedHeads. Scores are kept in at least
 * f32; a query that may see no key gives zeros. Vaswani et al. 2017; Ainslie et al. 2023 (groups).
 * The second result, where asked for, is the scores.
 */
export function attentionWithScores(
  q: Node,
  k: Node,
  v: Node,
  options: AttentionOptions = {},
): Node[] {
  const { mask, bias, causalOffset, causal = false, softcap = 0, capLast = false } = options;
  const depth = q.shape[3];
  const scale = options.scale ?? (typeof depth === 'number' ? 1 / Math.sqrt(depth) : undefined);
  if (scale === undefined) throw shapeError('attention', 'the head size is not known');
  const inputs = [q, k, v];
  const optional = [mask, bias, causal ? causalOffset : undefined];
  for (const value of optional) if (value !== undefined) inputs.push(value);
  const parameters = {
    scale,
    causal,
    softcap,
    capLast,
    mask: mask !== undefined,
    bias: bias !== undefined,
    blind: options.blind ?? 'zero',
    scores: options.scores ?? 'none',
    ...(options.forbidden === undefined ? {} : { forbidden: options.forbidden }),
  };
  return composite('attention', parameters, inputs, (values) => {
    const rest = values.slice(3);
    const [m, b, o] = optional.map((value) => (value === undefined ? undefined : rest.shift()));
    const operands = values.slice(0, 3) as unknown as [Node, Node, Node];
    return attentionBody(operands, { mask: m, bias: b, offset: o }, options, scale);
  });
}

/** `attentionWithScores` without the scores. */
export function attention(q: Node, k: Node, v: Node, options: AttentionOptions = {}): Node {
  return attentionWithScores(q, k, v, options)[0] as Node;
}

export interface RotaryOptions {
  /** Pairs are neighbours (2i, 2i + 1) instead of halves (i, i + R/2). */
  readonly interleaved?: boolean;
  /** Size R of the leading part of the last axis that turns; all of it where absent. */
  readonly size?: number;
}

/**
 * Turns pairs of the last axis of x[…, D] by angles given as cosines and sines that broadcast to
 * […, R/2]. Su et al., RoFormer, 2021.
 */
export function rotaryEmbedding(
  x: Node,
  cosines: Node,
  sines: Node,
  options: RotaryOptions = {},
): Node {
  const axis = x.shape.length - 1;
  const depth = x.shape[axis];
  const { interleaved = false } = options;
  const turning = options.size ?? depth;
  if (typeof depth !== 'number' || typeof turning !== 'number' || turning % 2 !== 0) {
    throw shapeError('rotaryEmbedding', 'the last axis needs a known, even size');
  }
  const half = turning / 2;
  return composite(
    'rotaryEmbedding',
    { interleaved, size: turning },
    [x, cosines, sines],
    (all) => {
      const [value, c, s] = all as [Node, Node, Node];
      const wide = accumulateType(value.dtype);
      const v = cast(sliceAxis(value, axis, 0, turning), wide);
      const pairs = reshape(v, [...v.shape.slice(0, -1), ...(interleaved ? [half, 2] : [2, half])]);
      const pairAxis = interleaved ? axis + 1 : axis;
      const side = (index: number): Node =>
        reshape(sliceAxis(pairs, pairAxis, index, 1), [...v.shape.slice(0, -1), half]);
      const [a, b] = [side(0), side(1)];
      const [cosine, sine] = [cast(c, wide), cast(s, wide)];
      const real = subtract(multiply(a, cosine), multiply(b, sine));
      const imaginary = add(multiply(a, sine), multiply(b, cosine));
      const turned = reshape(
        concat([unsqueeze(real, [pairAxis]), unsqueeze(imaginary, [pairAxis])], pairAxis),
        v.shape,
      );
      const rest = depth - turning;
      const back = cast(turned, value.dtype);
      return [rest === 0 ? back : concat([back, sliceAxis(value, axis, turning, rest)], axis)];
    },
  )[0] as Node;
}
