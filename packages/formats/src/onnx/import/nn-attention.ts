/** Attention, FlexAttention and RotaryEmbedding. */
import type { OperatorCall } from './context.js';
import { build, type DType, isFloat, type Node, type Size, size } from './core.js';
import { wrapIndices } from './lookups.js';
import type { OperatorTable } from './registry.js';
import { tensorValue, type Value } from './value.js';

/** [batch, time, heads·D] → [batch, heads, time, D]. */
export function splitHeads(x: Node, heads: number): Node {
  const [batch, time, width] = x.shape as [Size, Size, Size];
  const split = build.reshape(x, [batch, time, heads, size.floorDivide(width, heads)]);
  return build.permute(split, [0, 2, 1, 3]);
}

/** [batch, heads, time, D] → [batch, time, heads·D]. */
export function joinHeads(x: Node): Node {
  const [batch, heads, time, depth] = x.shape as [Size, Size, Size, Size];
  return build.reshape(build.permute(x, [0, 2, 1, 3]), [batch, time, size.multiply(heads, depth)]);
}

interface Operands {
  readonly q: Node;
  readonly k: Node;
  readonly v: Node;
  /** Heads are an axis of the inputs, not a part of the last one. */
  readonly split: boolean;
}

function operandsOf(call: OperatorCall): Operands {
  const [q, k, v] = [call.tensor(0), call.tensor(1), call.tensor(2)];
  if (q.shape.length === 4) return { q, k, v, split: true };
  if (q.shape.length !== 3) throw call.refuse(`queries of rank ${q.shape.length}`);
  const shared = call.int('kv_num_heads');
  return {
    q: splitHeads(q, call.int('q_num_heads')),
    k: splitHeads(k, shared),
    v: splitHeads(v, shared),
    split: false,
  };
}

const behind = (past: Node | undefined, now: Node): Node =>
  past === undefined ? now : build.concat([past, now], 2);

/** A mask that ends early forbids the keys after its end (version 24). */
function fullMask(call: OperatorCall, mask: Node, keys: Size): Node {
  const axis = mask.shape.length - 1;
  const own = mask.shape[axis] as Size;
  if (size.equal(own, keys) || (call.version < 24 && own === 1)) return mask;
  const value = mask.dtype === 'bool' ? 0 : Number.NEGATIVE_INFINITY;
  const none = mask.shape.map((): Size => 0);
  return build.pad(mask, { before: none, after: none.with(axis, size.subtract(keys, own)), value });
}

interface Masks {
  readonly mask?: Node;
  readonly bias?: Node;
  readonly causalOffset?: Node;
}

function masksOf(call: OperatorCall, q: Node, keys: Size): Masks {
  const given = call.optionalTensor(3);
  const full = given && fullMask(call, given, keys);
  const past = call.optionalTensor(4);
  const lengths = call.version >= 24 ? call.optionalTensor(6) : undefined;
  const bias = full !== undefined && full.dtype !== 'bool' ? { bias: full } : {};
  const seen = full !== undefined && full.dtype === 'bool' ? full : undefined;
  if (lengths === undefined) {
    const before = past?.shape[2] ?? 0;
    return {
      ...bias,
      ...(seen === undefined ? {} : { mask: seen }),
      ...(before === 0 ? {} : { causalOffset: build.size(before) }),
    };
  }
  const ends = build.reshape(build.cast(lengths, 'i64'), [q.shape[0] as Size, 1, 1, 1]);
  const valid = build.less(build.iota({ dtype: 'i64', shape: [1, 1, 1, keys] }, 3), ends);
  const causalOffset =
    past === undefined
      ? build.subtract(ends, build.size(q.shape[2] as Size))
      : build.size(past.shape[2] as Size);
  return { ...bias, mask: seen === undefined ? valid : build.and(seen, valid), causalOffset };
}

const stages = ['scaled', 'capped', 'masked', 'probabilities'] as const;

/** [result, present keys, present values, scores]. */
function attention(call: OperatorCall): readonly Node[] {
  const { q, k, v, split } = operandsOf(call);
  const [pastKey, pastValue] = [call.optionalTensor(4), call.optionalTensor(5)];
  if ((pastKey === undefined) !== (pastValue === undefined)) {
    throw call.refuse('past keys without past values');
  }
  const [keys, values] = [behind(pastKey, k), behind(pastValue, v)];
  const mode = call.int('qk_matmul_output_mode', 0);
  const stage = stages[mode];
  if (stage === undefined) throw call.refuse(`qk_matmul_output_mode ${mode}`);
  const masks = masksOf(call, q, keys.shape[2] as Size);
  const [result, scores] = build.attentionWithScores(q, keys, values, {
    ...masks,
    causal: call.int('is_causal', 0) !== 0,
    softcap: call.float('softcap', 0),
    ...(call.hasAttribute('scale') ? { scale: call.float('scale') } : {}),
    ...(call.wants(3) ? { scores: stage } : {}),
  });
  const y = split ? (result as Node) : joinHeads(result as Node);
  return scores === undefined ? [y, keys, values] : [y, keys, values, scores];
}

/** Scores or probabilities through a subgraph of the node. */
function modified(call: OperatorCall, name: string, x: Node): Node {
  if (!call.hasAttribute(name)) return x;
  const graph = call.graphAttribute(name);
  if (graph.inputs.length !== 1) throw call.refuse(`${name} takes ${graph.inputs.length} inputs`);
  const [result] = call.inline(graph, [tensorValue(x)]) as readonly [Value];
  if (result.kind !== 'tensor') throw call.refuse(`${name} gives no tensor`);
  return build.broadcastTo(result.node, x.shape);
}

/** Attention whose scores and probabilities pass through subgraphs. */
function flexAttention(call: OperatorCall): Node {
  const [q, k, v] = [call.tensor(0), call.tensor(1), call.tensor(2)];
  const scale = call.hasAttribute('scale') ? { scale: call.float('scale') } : {};
  if (!call.hasAttribute('score_mod') && !call.hasAttribute('prob_mod')) {
    return build.attention(q, k, v, { ...scale, blind: 'nan' });
  }
  const [batch, heads, queries, depth] = q.shape as [Size, Size, Size, Size];
  const [, shared, keys] = k.shape as [Size, Size, Size];
  const precise = call.int('softmax_precision', 0) !== 0;
  const dtype: DType = precise ? call.dtypeAttribute('softmax_precision') : q.dtype;
  if (!isFloat(dtype)) throw call.refuse(`softmax in ${dtype}`);
  const rows = size.multiply(size.floorDivide(heads, shared), queries);
  const pairs = [
    [0, 0],
    [1, 1],
  ] as const;
  const wide = build.accumulateType(q.dtype);
  const grouped = build.reshape(q, [batch, shared, rows, depth]);
  const raw = build.contract(grouped, k, { batch: pairs, contracted: [[3, 3]], dtype: wide });
  const root = 1 / Math.sqrt(call.staticSize(depth, 'the head size'));
  const scores = build.reshape(raw, [batch, heads, queries, keys]);
  const scaled = build.cast(build.multiply(scores, scale.scale ?? root), dtype);
  const chances = build.softmax(modified(call, 'score_mod', scaled), 3);
  const weights = build.cast(modified(call, 'prob_mod', chances), q.dtype);
  const mixed = build.contract(build.reshape(weights, [batch, shared, rows, keys]), v, {
    batch: pairs,
    contracted: [[3, 2]],
  });
  return build.reshape(mixed, [batch, heads, queries, v.shape[3] as Size]);
}

/** Cosines or sines for each batch and place: a table by position, or given as they are. */
function angles(call: OperatorCall, index: number): Node {
  const table = call.tensor(index);
  const positions = call.optionalTensor(3);
  if (positions === undefined) return table;
  return build.gather(table, wrapIndices(positions, table.shape[0] as Size), 0);
}

function rotaryEmbedding(call: OperatorCall): Node {
  const x = call.tensor(0);
  const heads = call.int('num_heads', 0);
  if (x.shape.length === 3 && heads === 0) throw call.refuse('num_heads is missing');
  const split = x.shape.length === 4 ? x : splitHeads(x, heads);
  const turning = call.int('rotary_embedding_dim', 0);
  const depth = turning === 0 ? call.staticSize(split.shape[3] as Size, 'the head size') : turning;
  const side = (index: number): Node =>
    build.unsqueeze(build.sliceAxis(angles(call, index), -1, 0, depth / 2), [1]);
  const turned = build.rotaryEmbedding(split, side(1), side(2), {
    interleaved: call.int('interleaved', 0) !== 0,
    ...(turning === 0 ? {} : { size: turning }),
  });
  return x.shape.length === 4 ? turned : joinHeads(turned);
}

export const attentionOperators: OperatorTable = {
  Attention: { versions: [23, 24], import: attention },
  'ai.onnx.preview::FlexAttention': { versions: [1], import: flexAttention },
  RotaryEmbedding: { versions: [23], import: rotaryEmbedding },
};
