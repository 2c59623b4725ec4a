/** LinearAttention: a matrix of state per head that every step of time decays and writes to. */
import type { OperatorCall } from './context.js';
import { build, type Node, type Size, size } from './core.js';
import type { OperatorTable } from './registry.js';

const rules = ['linear', 'gated', 'delta', 'gated_delta'] as const;
type Rule = (typeof rules)[number];

/** [batch, time, heads·D] → [time, batch, heads, D]. */
function inTime(x: Node, heads: Size): Node {
  const [batch, time, width] = x.shape as [Size, Size, Size];
  const split = build.reshape(x, [batch, time, heads, size.floorDivide(width, heads)]);
  return build.permute(split, [1, 0, 2, 3]);
}

interface Series {
  readonly q: Node;
  readonly k: Node;
  readonly v: Node;
  readonly decay: Node | undefined;
  readonly beta: Node | undefined;
}

function seriesOf(call: OperatorCall, rule: Rule, heads: number, shared: number): Series {
  const gated = rule === 'gated' || rule === 'gated_delta';
  const delta = rule === 'delta' || rule === 'gated_delta';
  const wide = (index: number): Node => {
    const x = call.tensor(index);
    return build.cast(x, build.accumulateType(x.dtype));
  };
  const beta = delta ? wide(5) : undefined;
  return {
    q: inTime(wide(0), heads),
    k: inTime(wide(1), shared),
    v: inTime(wide(2), shared),
    decay: gated ? inTime(wide(4), shared) : undefined,
    beta: beta && inTime(beta, beta.shape[2] as Size),
  };
}

const matrix = [
  [0, 0],
  [1, 1],
] as const;

/** State S[batch, heads, Dk, Dv] after one step, from slices of that step. */
function nextState(state: Node, now: Series): Node {
  const { k, v, decay, beta } = now;
  const decayed =
    decay === undefined ? state : build.multiply(state, build.unsqueeze(build.exp(decay), [3]));
  const known = build.contract(k, decayed, { batch: matrix, contracted: [[2, 2]] });
  const fresh = beta === undefined ? v : build.multiply(beta, build.subtract(v, known));
  const outer = build.multiply(build.unsqueeze(k, [3]), build.unsqueeze(fresh, [2]));
  return build.add(decayed, outer);
}

/** What the queries [batch, heads, Dk] read from the state; groups of them share a head. */
function readOut(q: Node, state: Node): Node {
  const [batch, heads, depth] = q.shape as [Size, Size, Size];
  const shared = state.shape[1] as Size;
  const each = size.floorDivide(heads, shared);
  const grouped = build.reshape(q, [batch, shared, each, depth]);
  const read = build.contract(grouped, state, { batch: matrix, contracted: [[3, 2]] });
  return build.reshape(read, [batch, heads, state.shape[3] as Size]);
}

/** [result, last state]. */
function linearAttention(call: OperatorCall): readonly Node[] {
  const rule = rules.find((each) => each === call.text('update_rule', 'gated_delta'));
  if (rule === undefined) throw call.refuse('unknown update rule');
  const [heads, shared] = [call.int('q_num_heads'), call.int('kv_num_heads')];
  const series = seriesOf(call, rule, heads, shared);
  const { q, k, v } = series;
  const [time, batch, , depth] = k.shape as [Size, Size, Size, Size];
  const given = call.float('scale', 0);
  const scale = given === 0 ? 1 / Math.sqrt(call.staticSize(depth, 'the head size')) : given;
  const past = call.optionalTensor(3);
  const shape = [batch, shared, depth, v.shape[3] as Size];
  const start =
    past === undefined
      ? build.broadcastTo(build.scalar(q.dtype, 0), shape)
      : build.cast(past, q.dtype);
  const names = (['q', 'k', 'v', 'decay', 'beta'] as const).filter((name) => series[name]);
  const [last, stacked] = build.loop({
    trip: time,
    carried: [start],
    invariants: names.map((name) => series[name] as Node),
    body: ([state], all, iteration) => {
      const slices = all.map((x) =>
        build.reshape(build.sliceAxis(x, 0, iteration, 1), x.shape.slice(1)),
      );
      const none: Series = { q, k, v, decay: undefined, beta: undefined };
      const found = Object.fromEntries(names.map((name, i) => [name, slices[i]]));
      const now: Series = { ...none, ...found };
      const next = nextState(state as Node, now);
      return { carried: [next], stacked: [readOut(now.q, next)] };
    },
  }) as [Node, Node];
  const dtype = call.tensor(0).dtype;
  const turned = build.permute(build.multiply(stacked, scale), [1, 0, 2, 3]);
  const width = size.multiply(heads, v.shape[3] as Size);
  const result = build.reshape(turned, [batch, time, width]);
  return [build.cast(result, dtype), build.cast(last, past?.dtype ?? dtype)];
}

export const linearAttentionOperators: OperatorTable = {
  LinearAttention: { versions: [27], import: linearAttention },
};
