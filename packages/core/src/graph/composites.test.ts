import { describe, expect, it } from 'vitest';
import { type HostTensor, type HostValue, hostTensor, valuesOf } from '../base/host-tensor.js';
import * as b from './build.js';
import * as c from './composites.js';
import { interpret } from './interpret.js';
import type { Node } from './node.js';
import { verify } from './verify.js';

/** Deterministic values in [−2, 2). */
function noise(count: number, seed = 1): number[] {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.fround((state / 2 ** 32) * 4 - 2);
  });
}

const f32 = (shape: readonly number[], values: readonly number[]): HostTensor =>
  hostTensor('f32', shape, values);

function run(
  tensors: readonly HostTensor[],
  build: (...xs: Node[]) => readonly Node[],
): HostTensor[] {
  const inputs = tensors.map(({ dtype, shape }, i) => b.input(`x${i}`, { dtype, shape }));
  const graph = b.graphOf(inputs, build(...inputs));
  verify(graph);
  return interpret(graph, tensors);
}

function near(actual: readonly HostValue[], wanted: readonly number[], tolerance = 1e-6): void {
  expect(actual.length).toBe(wanted.length);
  actual.forEach((value, i) => {
    const want = wanted[i]!;
    const difference = Math.abs(Number(value) - want);
    if (!(difference <= tolerance * (1 + Math.abs(want))) && !Object.is(Number(value), want)) {
      throw new Error(`element ${i}: ${value}, not ${want}`);
    }
  });
}

const sigma = (x: number): number => 1 / (1 + Math.exp(-x));
const erf = (x: number): number => {
  // Series of Abramowitz and Stegun 7.1.5; enough terms for |x| < 3.
  let [term, total] = [x, x];
  for (let n = 1; n < 80; n++) {
    term *= (-x * x) / n;
    total += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * total;
};

describe('activations', () => {
  const xs = [...noise(20), 0, -90, 90];
  const table: [string, (x: Node) => Node, (x: number) => number][] = [
    ['sigmoid', c.sigmoid, sigma],
    ['logSigmoid', c.logSigmoid, (x) => (x < -30 ? x : -Math.log1p(Math.exp(-x)))],
    ['relu', c.relu, (x) => Math.max(x, 0)],
    ['leakyRelu', (x) => c.leakyRelu(x, 0.1), (x) => (x < 0 ? 0.1 * x : x)],
    ['elu', (x) => c.elu(x, 2), (x) => (x > 0 ? x : 2 * Math.expm1(x))],
    ['selu', c.selu, (x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x))],
    ['celu', (x) => c.celu(x, 2), (x) => (x > 0 ? x : 2 * Math.expm1(x / 2))],
    ['softplus', c.softplus, (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))],
    ['softsign', c.softsign, (x) => x / (1 + Math.abs(x))],
    [
      'gelu',
      c.gelu,
      (x) => (Math.abs(x) > 5 ? Math.max(x, 0) : 0.5 * x * (1 + erf(x / Math.SQRT2))),
    ],
    [
      'gelu tanh',
      (x) => c.gelu(x, 'tanh'),
      (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
    ],
    ['silu', c.silu, (x) => x * sigma(x)],
    ['swish', (x) => c.swish(x, 1.7), (x) => x * sigma(1.7 * x)],
    ['mish', c.mish, (x) => x * Math.tanh(Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))))],
    ['hardSigmoid', c.hardSigmoid, (x) => Math.min(Math.max(0.2 * x + 0.5, 0), 1)],
    ['hardSwish', c.hardSwish, (x) => x * Math.min(Math.max(x / 6 + 0.5, 0), 1)],
    ['clip', (x) => c.clip(x, -1, 0.5), (x) => Math.min(Math.max(x, -1), 0.5)],
  ];
  it.each(table)('%s', (_, build, want) => {
    const [y] = run([f32([xs.length], xs)], (x) => [build(x)]);
    near(valuesOf(y!), xs.map(want), 2e-6);
  });

  it('keeps tails that a naive form loses', () => {
    const [y] = run([f32([1], [-40])], (x) => [c.softplus(x)]);
    expect(Number(valuesOf(y!)[0]) / Math.exp(-40)).toBeCloseTo(1, 5);
  });

  it('computes f16 in f32 and rounds once', () => {
    const x = hostTensor('f16', [2], [1.5, -0.25]);
    const [y] = run([x], (v) => [c.silu(v)]);
    expect(y!.dtype).toBe('f16');
    near(valuesOf(y!), [1.5 * sigma(1.5), -0.25 * sigma(-0.25)], 5e-4);
  });
});

const rows = (values: readonly number[], width: number): number[][] =>
  Array.from({ length: values.length / width }, (_, i) => values.slice(i * width, (i + 1) * width));
const total = (xs: readonly number[]): number => xs.reduce((a, x) => a + x, 0);
const softmaxOf = (row: readonly number[]): number[] => {
  const e = row.map((x) => Math.exp(x - Math.max(...row)));
  return e.map((x) => x / total(e));
};

describe('softmax family', () => {
  const x = noise(12);
  it('softmax, logSoftmax, logSumExp', () => {
    const [s, l, z] = run([f32([3, 4], x)], (v) => [
      c.softmax(v),
      c.logSoftmax(v),
      c.logSumExp(v, [1]),
    ]);
    near(valuesOf(s!), rows(x, 4).flatMap(softmaxOf));
    near(
      valuesOf(l!),
      rows(x, 4).flatMap((r) => softmaxOf(r).map(Math.log)),
    );
    near(
      valuesOf(z!),
      rows(x, 4).map((r) => Math.log(total(r.map(Math.exp)))),
    );
  });

  it('logSumExp of −∞ is −∞', () => {
    const inf = Number.NEGATIVE_INFINITY;
    const [z] = run([f32([2], [inf, inf])], (v) => [c.logSumExp(v)]);
    expect(valuesOf(z!)).toEqual([inf]);
  });

  it('cross entropy with weights and ignored labels', () => {
    const labels = hostTensor('i64', [3], [1n, -1n, 3n]);
    const weights = f32([4], [1, 2, 3, 4]);
    const [loss] = run([f32([3, 4], x), labels, weights], (v, y, w) => [
      c.crossEntropy(v, y, { weights: w, ignore: -1 })[0],
    ]);
    const logs = rows(x, 4).map((r) => softmaxOf(r).map(Math.log));
    near(valuesOf(loss!), [-(2 * logs[0]![1]! + 4 * logs[2]![3]!) / 6]);
  });
});

describe('normalizations', () => {
  const x = noise(24);
  const normal = (row: readonly number[], epsilon = 1e-5): number[] => {
    const mean = total(row) / row.length;
    const variance = total(row.map((v) => (v - mean) ** 2)) / row.length;
    return row.map((v) => (v - mean) / Math.sqrt(variance + epsilon));
  };
  it('layer, rms, group, instance', () => {
    const [layer, rms, group, instance] = run([f32([2, 4, 3], x)], (v) => [
      c.layerNormalization(v),
      c.rmsNormalization(v),
      c.groupNormalization(v, 2),
      c.instanceNormalization(v),
    ]);
    near(
      valuesOf(layer!),
      rows(x, 3).flatMap((r) => normal(r)),
      1e-5,
    );
    near(
      valuesOf(rms!),
      rows(x, 3).flatMap((r) => r.map((v) => v / Math.sqrt(total(r.map((u) => u * u)) / 3 + 1e-5))),
      1e-5,
    );
    near(
      valuesOf(group!),
      rows(x, 6).flatMap((r) => normal(r)),
      1e-5,
    );
    near(
      valuesOf(instance!),
      rows(x, 3).flatMap((r) => normal(r)),
      1e-5,
    );
  });

  it('batch normalization by given and by own statistics', () => {
    const [scale, bias, mean, variance] = [
      [1, 2],
      [0.5, -1],
      [0.1, 0.2],
      [1, 4],
    ];
    const tensors = [scale, bias, mean, variance].map((v) => f32([2], v!));
    const [y, own, center] = run([f32([3, 2, 4], x), ...tensors], (v, s, o, m, w) => [
      c.batchNormalization(v!, { scale: s!, bias: o!, mean: m!, variance: w! }),
      ...c.batchNormalizationTraining(v!),
    ]);
    const channel = (i: number): number => Math.floor(i / 4) % 2;
    const want = x.map((v, i) => {
      const k = channel(i);
      return ((v - mean![k]!) / Math.sqrt(variance![k]! + 1e-5)) * scale![k]! + bias![k]!;
    });
    near(valuesOf(y!), want, 1e-5);
    const of = (k: number): number[] => x.filter((_, i) => channel(i) === k);
    near(
      valuesOf(center!),
      [0, 1].map((k) => total(of(k)) / 12),
    );
    const parts = [0, 1].map((k) => normal(of(k)));
    const taken = [0, 0];
    near(
      valuesOf(own!),
      x.map((_, i) => parts[channel(i)]![taken[channel(i)]!++]!),
      1e-5,
    );
  });

  it('lp normalization leaves zeros', () => {
    const [y] = run([f32([2, 2], [3, 4, 0, 0])], (v) => [c.lpNormalization(v)]);
    near(valuesOf(y!), [0.6, 0.8, 0, 0]);
  });
});

describe('selection', () => {
  it('argMax and argMin with ties and NaN', () => {
    const x = f32([2, 4], [1, 3, 3, 0, 2, Number.NaN, 5, Number.NaN]);
    const [first, last, low] = run([x], (v) => [
      c.argMax(v),
      c.argMax(v, 1, { selectLast: true, keep: true }),
      c.argMin(v),
    ]);
    expect(valuesOf(first!)).toEqual([1n, 1n]);
    expect(last!.shape).toEqual([2, 1]);
    expect(valuesOf(last!)).toEqual([2n, 3n]);
    expect(valuesOf(low!)).toEqual([3n, 1n]);
  });

  it('topK, oneHot, triangle', () => {
    const x = f32([2, 3], [1, 5, 5, 4, 2, 3]);
    const indices = hostTensor('i64', [3], [0n, -1n, 7n]);
    const [values, places, hot, lower, upper] = run([x, indices], (v, i) => [
      ...c.topK(v, 2),
      c.oneHot(i, 3, { on: 2, off: -1 }),
      c.triangle(v),
      c.triangle(v, { upper: true, diagonal: 1 }),
    ]);
    expect(valuesOf(values!)).toEqual([5, 5, 4, 3]);
    expect(valuesOf(places!)).toEqual([1n, 2n, 0n, 2n]);
    expect(valuesOf(hot!)).toEqual([2, -1, -1, -1, -1, 2, -1, -1, -1]);
    expect(valuesOf(lower!)).toEqual([1, 0, 0, 4, 2, 0]);
    expect(valuesOf(upper!)).toEqual([0, 5, 5, 0, 0, 3]);
  });
});

describe('the few of many', () => {
  const length = 5003;
  const shape = [2, length];
  const numbers = Float32Array.from({ length: 2 * length }, (_, i) => {
    if (i >= length) return i % 3 === 0 ? Number.NEGATIVE_INFINITY : Number.NaN;
    if (i % 97 === 3) return Number.NaN;
    if (i % 11 === 1) return i % 2 === 0 ? 0 : -0;
    return (i * 7919) % 501 === 7 ? Number.POSITIVE_INFINITY : ((i * 7919) % 401) - 200;
  });
  const bits = (x: HostTensor): unknown =>
    x.dtype === 'f32' ? [...new Int32Array((x.data as Float32Array).slice().buffer)] : x.data;

  it.each(['f32', 'i32'] as const)('are those that a sort gives first (%s)', (dtype) => {
    const data = dtype === 'f32' ? numbers : Int32Array.from(numbers, (x) => x * 2 ** 23);
    const x = { dtype, shape, data } as const;
    for (const largest of [true, false]) {
      for (const k of [1, 5, 78]) {
        const [few, places, sorted, order] = run([x], (v) => {
          const all = b.sort(v, [b.iota({ dtype: 'i64', shape }, 1)], {
            axis: 1,
            descending: largest,
          });
          return [...c.topK(v, k, { largest }), ...all.map((each) => b.sliceAxis(each, 1, 0, k))];
        });
        expect(bits(few!)).toEqual(bits(sorted!));
        expect(bits(places!)).toEqual(bits(order!));
      }
    }
  });
});

describe('random', () => {
  const key = hostTensor('u32', [2], [7, 9]);
  it('uniform and normal have their moments', () => {
    const [u, n, w] = run([key], (k) => [
      c.randomUniform(k, [4000], 'f32', -1, 3),
      c.randomNormal(k, [4000], 'f32', 2, 0.5),
      c.randomUniform(k, [100], 'f64'),
    ]);
    const us = valuesOf(u!).map(Number);
    const ns = valuesOf(n!).map(Number);
    expect(Math.min(...us)).toBeGreaterThanOrEqual(-1);
    expect(Math.max(...us)).toBeLessThan(3);
    expect(Math.abs(total(us) / 4000 - 1)).toBeLessThan(0.08);
    expect(Math.abs(total(ns) / 4000 - 2)).toBeLessThan(0.04);
    const deviation = Math.sqrt(total(ns.map((v) => (v - 2) ** 2)) / 4000);
    expect(Math.abs(deviation - 0.5)).toBeLessThan(0.03);
    expect(valuesOf(w!).every((v) => Number(v) >= 0 && Number(v) < 1)).toBe(true);
  });

  it('dropout keeps the share and scales the rest', () => {
    const [y, mask] = run([f32([1000], new Array(1000).fill(1)), key], (x, k) =>
      c.dropout(x, k, 0.25),
    );
    const kept = valuesOf(mask!).filter((v) => v === 1).length;
    expect(Math.abs(kept - 750)).toBeLessThan(60);
    near([...new Set(valuesOf(y!))].sort() as number[], [0, 4 / 3]);
  });
});

describe('attention', () => {
  const [heads, shared, queries, keys, depth] = [4, 2, 3, 5, 8] as const;
  const [q, k, v] = [
    noise(heads * queries * depth, 3),
    noise(shared * keys * depth, 5),
    noise(shared * keys * depth, 7),
  ];
  const scoresOf = (h: number, i: number, allowed: (j: number) => boolean): number[] =>
    Array.from({ length: keys }, (_, j) => {
      const a = rows(q, depth)[h * queries + i]!;
      const c0 = rows(k, depth)[Math.floor(h / (heads / shared)) * keys + j]!;
      const dot = total(a.map((x, d) => x * c0[d]!)) / Math.sqrt(depth);
      return allowed(j) ? dot : Number.NEGATIVE_INFINITY;
    });
  const want = (allowed: (i: number, j: number) => boolean): number[] =>
    Array.from({ length: heads * queries }, (_, at) => {
      const [h, i] = [Math.floor(at / queries), at % queries];
      const s = scoresOf(h, i, (j) => allowed(i, j));
      const p = s.every((x) => x === Number.NEGATIVE_INFINITY) ? s.map(() => 0) : softmaxOf(s);
      return Array.from({ length: depth }, (_, d) =>
        total(p.map((x, j) => x * rows(v, depth)[Math.floor(h / 2) * keys + j]![d]!)),
      );
    }).flat();
  const tensors = [
    f32([1, heads, queries, depth], q),
    f32([1, shared, keys, depth], k),
    f32([1, shared, keys, depth], v),
  ];

  it('groups heads, masks, and gives zeros to blind queries', () => {
    const mask = hostTensor(
      'bool',
      [queries, keys],
      Array.from({ length: queries * keys }, (_, at) => at >= keys && at % 3 !== 0),
    );
    const [plain, causal, masked] = run([...tensors, mask], (x, y, z, m) => [
      c.attention(x!, y!, z!),
      c.attention(x!, y!, z!, { causal: true, causalOffset: b.scalar('i64', 1) }),
      c.attention(x!, y!, z!, { mask: m! }),
    ]);
    near(
      valuesOf(plain!),
      want(() => true),
      1e-5,
    );
    near(
      valuesOf(causal!),
      want((i, j) => j <= i + 1),
      1e-5,
    );
    near(
      valuesOf(masked!),
      want((i, j) => i >= 1 && (i * keys + j) % 3 !== 0),
      1e-5,
    );
  });

  it('has a type for symbolic lengths', () => {
    const [n, m] = [b.sizeSymbol(), b.sizeSymbol()];
    const at = (s: typeof n) => b.input('x', { dtype: 'f16', shape: [1, 8, s, 64] });
    const [x, y] = [at(n), at(m)];
    const graph = b.graphOf([x, y], [c.attention(x, y, y, { causal: true })]);
    verify(graph);
    expect(graph.outputs[0]!.dtype).toBe('f16');
  });

  it('rotates by halves and by neighbours', () => {
    const x = f32([1, 4], [1, 2, 3, 4]);
    const angle = [0.5, 1.5];
    const tables = [f32([1, 2], angle.map(Math.cos)), f32([1, 2], angle.map(Math.sin))];
    const [halves, neighbours] = run([x, ...tables], (v, co, si) => [
      c.rotaryEmbedding(v!, co!, si!),
      c.rotaryEmbedding(v!, co!, si!, { interleaved: true }),
    ]);
    const turn = (a: number, d: number, t: number): [number, number] => [
      a * Math.cos(t) - d * Math.sin(t),
      a * Math.sin(t) + d * Math.cos(t),
    ];
    const [h0, h1] = [turn(1, 3, 0.5), turn(2, 4, 1.5)];
    near(valuesOf(halves!), [h0[0], h1[0], h0[1], h1[1]]);
    near(valuesOf(neighbours!), [...turn(1, 2, 0.5), ...turn(3, 4, 1.5)]);
  });
});

describe('recurrent layers', () => {
  const [steps, batch, input, width] = [4, 2, 3, 2] as const;
  const x = noise(steps * batch * input, 11);
  const row = (s: number, n: number): number[] =>
    x.slice((s * batch + n) * input, (s * batch + n + 1) * input);
  const dot = (m: readonly number[], from: readonly number[], at: number): number =>
    total(from.map((value, i) => value * m[at * from.length + i]!));

  function simulate(
    gates: number,
    lengths: readonly number[],
    reverse: boolean,
    cell: (g: number[], h: number[], c: number[], r: readonly number[]) => [number[], number[]],
    w: readonly number[],
    r: readonly number[],
  ): { all: number[]; last: number[] } {
    const all = new Array(steps * batch * width).fill(0);
    const last: number[] = [];
    for (let n = 0; n < batch; n++) {
      let [h, s] = [new Array(width).fill(0), new Array(width).fill(0)] as [number[], number[]];
      for (let k = 0; k < steps; k++) {
        const t = reverse ? steps - 1 - k : k;
        if (t >= lengths[n]!) continue;
        const g = Array.from({ length: gates * width }, (_, i) => dot(w, row(t, n), i));
        [h, s] = cell(g, h, s, r);
        for (let i = 0; i < width; i++) all[(t * batch + n) * width + i] = h[i];
      }
      last.push(...h);
    }
    return { all, last };
  }

  const lstmCell = (g: number[], h: number[], s: number[], r: readonly number[]) => {
    const a = g.map((v, i) => v + dot(r, h, i));
    const next = s.map((v, i) => sigma(a[2 + i]!) * v + sigma(a[i]!) * Math.tanh(a[4 + i]!));
    return [next.map((v, i) => sigma(a[6 + i]!) * Math.tanh(v)), next] as [number[], number[]];
  };
  const gruCell = (g: number[], h: number[], s: number[], r: readonly number[]) => {
    const reset = h.map((_, i) => sigma(g[i]! + dot(r, h, i)));
    const keep = h.map((_, i) => sigma(g[2 + i]! + dot(r, h, 2 + i)));
    const gated = h.map((v, i) => v * reset[i]!);
    const fresh = h.map((_, i) => Math.tanh(g[4 + i]! + dot(r, gated, 4 + i)));
    return [h.map((v, i) => (1 - keep[i]!) * fresh[i]! + keep[i]! * v), s] as [number[], number[]];
  };

  it.each([
    ['lstm', 4, c.lstm, lstmCell],
    ['gru', 3, c.gru, gruCell],
  ] as const)('%s forward, backward, with lengths', (_, gates, build, cell) => {
    const w = noise(gates * width * input, 13);
    const r = noise(gates * width * width, 17);
    const lengths = [4, 2];
    const tensors = [
      f32([steps, batch, input], x),
      f32([gates * width, input], w),
      f32([gates * width, width], r),
      hostTensor('i32', [batch], lengths),
    ];
    const outputs = run(tensors, (v, weights, recurrence, ends) => {
      const common = { x: v!, weights: weights!, recurrence: recurrence! };
      return [
        ...build(common).slice(0, 2),
        ...build({ ...common, reverse: true, lengths: ends! }).slice(0, 2),
      ];
    });
    const forward = simulate(gates, [4, 4], false, cell, w, r);
    const backward = simulate(gates, lengths, true, cell, w, r);
    near(valuesOf(outputs[0]!), forward.all, 1e-5);
    near(valuesOf(outputs[1]!), forward.last, 1e-5);
    near(valuesOf(outputs[2]!), backward.all, 1e-5);
    near(valuesOf(outputs[3]!), backward.last, 1e-5);
  });
});

describe('matMulNBits', () => {
  it('dequantizes blocks of four bits, with and without zero points', () => {
    const [n, k, block] = [2, 6, 4];
    const codes = [3, 15, 0, 8, 7, 1, 9, 9, 2, 4, 6, 8, 10, 12, 5, 5];
    const bytes = Array.from({ length: 8 }, (_, i) => codes[2 * i]! | (codes[2 * i + 1]! << 4));
    const scales = [0.5, 1, 2, 0.25];
    const zeros = [1, 2, 3, 4];
    const a = noise(k, 19);
    const tensors = [
      f32([1, k], a),
      hostTensor('u8', [n, 2, 2], bytes),
      f32([4], scales),
      hostTensor('u8', [n, 1], [zeros[0]! | (zeros[1]! << 4), zeros[2]! | (zeros[3]! << 4)]),
    ];
    const [plain, shifted] = run(tensors, (x, w, s, z) => [
      c.matMulNBits(x!, w!, s!, { bits: 4, block, n, k }),
      c.matMulNBits(x!, w!, s!, { bits: 4, block, n, k, zeroPoints: z! }),
    ]);
    const want = (zero: (b: number) => number): number[] =>
      [0, 1].map((row) =>
        total(
          a.map((v, i) => {
            const at = row * 2 + Math.floor(i / block);
            return v * (codes[row * 8 + i]! - zero(at)) * scales[at]!;
          }),
        ),
      );
    near(
      valuesOf(plain!),
      want(() => 8),
      1e-5,
    );
    near(
      valuesOf(shifted!),
      want((at) => zeros[at]!),
      1e-5,
    );
  });
});
