import { describe, expect, it } from 'vitest';
import { hostTensor, valuesOf } from '../base/host-tensor.js';
import * as b from './build.js';
import { interpret } from './interpret.js';
import type { Node } from './node.js';
import { compositesIn, recognise, recogniseAttention } from './recognise.js';
import { nodesOf } from './traverse.js';
import { verify } from './verify.js';

const values = (count: number): number[] =>
  Array.from({ length: count }, (_, i) => Math.fround(Math.sin(i * 1.3) * 2));

/** Recognised names; also checks that the results stay the same within rounding. */
function named(inputs: readonly Node[], output: Node): readonly string[] {
  const graph = b.graphOf(inputs, [output]);
  const other = recognise(graph);
  verify(other);
  const tensors = inputs.map(({ shape }) =>
    hostTensor('f32', shape as number[], values((shape as number[]).reduce((a, n) => a * n, 1))),
  );
  const [want, have] = [graph, other].map((g) => valuesOf(interpret(g, tensors)[0]!).map(Number));
  want!.forEach((value, i) => {
    expect(Math.abs(have![i]! - value)).toBeLessThan(2e-6 * (1 + Math.abs(value)));
  });
  return compositesIn(nodesOf(other));
}

const f32 = (...shape: number[]) => ({ dtype: 'f32', shape }) as const;

function plainSoftmax(x: Node, axis: number): Node {
  const e = b.exp(b.subtract(x, b.maximumOver(x, [axis], { keep: true })));
  return b.divide(e, b.sum(e, [axis], { keep: true }));
}

describe('recognise', () => {
  const x = b.input('x', f32(2, 3, 8));

  it('softmax', () => {
    expect(named([x], plainSoftmax(x, 2))).toEqual(['softmax']);
    expect(named([x], plainSoftmax(x, 1))).toEqual(['softmax']);
    const e = b.exp(x);
    expect(named([x], b.divide(e, b.sum(e, [2], { keep: true })))).toEqual([]);
  });

  it('sigmoid and SiLU', () => {
    const s = b.divide(1, b.add(1, b.exp(b.negate(x))));
    expect(named([x], s)).toEqual(['sigmoid']);
    expect(named([x], b.multiply(x, s))).toContain('swish');
  });

  it('GELU in the orders that exporters write', () => {
    const gate = b.add(b.erf(b.divide(x, Math.SQRT2)), 1);
    expect(named([x], b.multiply(b.multiply(x, gate), 0.5))).toEqual(['gelu']);
    expect(named([x], b.multiply(b.multiply(x, 0.5), gate))).toEqual(['gelu']);
    const cube = b.power(x, 3);
    const inner = b.multiply(b.add(x, b.multiply(cube, 0.044715)), Math.sqrt(2 / Math.PI));
    const tanhForm = b.multiply(b.multiply(x, 0.5), b.add(b.tanh(inner), 1));
    expect(named([x], tanhForm)).toEqual(['gelu']);
    const wrong = b.multiply(b.multiply(x, 0.5), b.add(b.erf(b.divide(x, 1.5)), 1));
    expect(named([x], wrong)).toEqual([]);
  });

  it('layer normalization', () => {
    const d = b.subtract(x, b.mean(x, [2], { keep: true }));
    const variance = b.mean(b.power(d, 2), [2], { keep: true });
    const y = b.divide(d, b.squareRoot(b.add(variance, 1e-5)));
    expect(named([x], y)).toEqual(['layerNormalization']);
    const middle = b.mean(b.multiply(d, d), [1], { keep: true });
    expect(named([x], b.divide(d, b.squareRoot(b.add(middle, 1e-5))))).toEqual([]);
  });

  it('attention with scale and bias', () => {
    const [q, k, v] = ['q', 'k', 'v'].map((name) => b.input(name, f32(2, 2, 3, 4))) as [
      Node,
      Node,
      Node,
    ];
    const bias = b.input('bias', f32(1, 1, 3, 3));
    const scores = b.divide(b.matmul(q, b.transpose(k)), 2);
    const y = b.matmul(plainSoftmax(b.add(scores, bias), 3), v);
    expect(named([q, k, v, bias], y)).toEqual(['attention']);
    const bare = b.matmul(plainSoftmax(b.matmul(b.multiply(q, 0.5), b.transpose(k)), 3), v);
    expect(named([q, k, v], bare)).toEqual(['attention']);
  });

  it('attention with a mask, without an axis of heads', () => {
    const [q, k, v] = ['q', 'k', 'v'].map((name) => b.input(name, f32(2, 3, 4))) as [
      Node,
      Node,
      Node,
    ];
    const given = b.input('mask', f32(3, 3));
    const mask = b.less(given, 0.5);
    const scores = b.multiply(b.matmul(q, b.transpose(k)), 0.5);
    for (const seen of [b.select(mask, scores, -1e9), b.select(mask, -1e9, scores)]) {
      expect(named([q, k, v, given], b.matmul(plainSoftmax(seen, 2), v))).toEqual(['attention']);
    }
  });

  it('a constant triangle is causality', () => {
    const q = b.input('q', f32(1, 2, 3, 4));
    const [k, v] = ['k', 'v'].map((name) => b.input(name, f32(1, 2, 5, 4))) as [Node, Node];
    const scores = b.matmul(q, b.transpose(k));
    const parametersOf = (seen: Node): unknown => {
      const graph = b.graphOf([q, k, v], [b.matmul(plainSoftmax(seen, 3), v)]);
      const other = recogniseAttention(graph, () => true);
      const found = nodesOf(other).find((node) => node.op === 'composite');
      return found?.op === 'composite' ? found.attributes.parameters : undefined;
    };
    const triangle = (wrong: number) => (_: unknown, i: number) =>
      i % 5 <= Math.floor(i / 5) + 2 && i !== wrong;
    const added = (wrong: number, value: number): Node => {
      const seen = Array.from({ length: 15 }, triangle(wrong));
      const bias = hostTensor(
        'f32',
        [1, 1, 3, 5],
        seen.map((x) => (x ? 0 : value)),
      );
      return b.add(scores, b.constant(bias));
    };
    expect(parametersOf(added(-1, -1e30))).toMatchObject({ causal: true, bias: false });
    expect(parametersOf(added(-1, -Infinity))).toMatchObject({ causal: true, bias: false });
    expect(parametersOf(added(6, -1e30))).toMatchObject({ causal: false, bias: true });
    expect(parametersOf(added(-1, -5))).toMatchObject({ causal: false, bias: true });
    const mask = b.constant(
      hostTensor(
        'bool',
        [3, 5],
        Array.from({ length: 15 }, (_, i) => Number(triangle(-1)(_, i))),
      ),
    );
    expect(parametersOf(b.select(mask, scores, -Infinity))).toMatchObject({
      causal: true,
      mask: false,
    });
  });

  it('probabilities that are read elsewhere stay', () => {
    const [q, k, v] = ['q', 'k', 'v'].map((name) => b.input(name, f32(2, 3, 4))) as [
      Node,
      Node,
      Node,
    ];
    const chances = plainSoftmax(b.matmul(q, b.transpose(k)), 2);
    const y = b.matmul(chances, v);
    const namesOf = (outputs: readonly Node[]): readonly string[] =>
      compositesIn(nodesOf(recogniseAttention(b.graphOf([q, k, v], outputs), () => true)));
    expect(namesOf([y])).toEqual(['attention']);
    expect(namesOf([y, chances])).toEqual([]);
  });
});
