import { describe, expect, it } from 'vitest';
import { hostTensor, valuesOf } from '../base/host-tensor.js';
import * as b from './build.js';
import * as c from './composites.js';
import { interpret, interpretNode } from './interpret.js';
import type { Graph, Node } from './node.js';
import { simplify } from './simplify.js';
import { nodesOf } from './traverse.js';
import { verify } from './verify.js';

const evaluate = (node: Node, inputs: Parameters<typeof interpretNode>[1]) =>
  interpretNode(node, inputs);
const f32 = (...shape: number[]) => ({ dtype: 'f32', shape }) as const;
const opsOf = (graph: Graph): string[] => nodesOf(graph).map((node) => node.op);

function simpler(inputs: readonly Node[], outputs: readonly Node[]): Graph {
  const graph = simplify(b.graphOf(inputs, outputs), { evaluate });
  verify(graph);
  return graph;
}

describe('simplify', () => {
  const x = b.input('x', f32(2, 3, 4));

  it('removes what has no effect, and nothing else', () => {
    expect(opsOf(simpler([x], [b.multiply(b.divide(b.subtract(x, 0), 1), 1)]))).toEqual(['input']);
    expect(opsOf(simpler([x], [b.negate(b.negate(x))]))).toEqual(['input']);
    expect(opsOf(simpler([x], [b.add(x, -0)]))).toEqual(['input']);
    // −0 + 0 is +0: this addition does something.
    expect(opsOf(simpler([x], [b.add(x, 0)]))).toContain('add');
    // 0 · ∞ is NaN.
    expect(opsOf(simpler([x], [b.multiply(x, 0)]))).toContain('multiply');
    const u = b.input('u', { dtype: 'u32', shape: [3] });
    expect(opsOf(simpler([u], [b.absolute(b.negate(u))]))).toContain('negate');
    const i = b.input('i', { dtype: 'i32', shape: [3] });
    expect(opsOf(simpler([i], [b.add(i, 0)]))).toEqual(['input']);
  });

  it('drops casts through a type that holds every value', () => {
    const h = b.input('h', { dtype: 'f16', shape: [4] });
    expect(opsOf(simpler([h], [b.cast(b.cast(h, 'f32'), 'f16')]))).toEqual(['input']);
    const y = b.input('y', f32(4));
    expect(opsOf(simpler([y], [b.cast(b.cast(y, 'f16'), 'f32')]))).toEqual([
      'input',
      'cast',
      'cast',
    ]);
  });

  it('merges views', () => {
    const inner = b.slice(x, { starts: [0, 1, 0], sizes: [2, 2, 4] });
    const outer = b.slice(inner, { starts: [1, 0, 1], sizes: [1, 2, 2], steps: [1, 1, 2] });
    const graph = simpler([x], [outer]);
    expect(opsOf(graph)).toEqual(['input', 'slice']);
    const [slice] = graph.outputs;
    expect(slice!.op === 'slice' && slice.attributes.starts).toEqual([1, 1, 1]);
    const moved = b.permute(b.reshape(x, [2, 1, 12]), [1, 0, 2]);
    expect(opsOf(simpler([x], [moved]))).toEqual(['input', 'reshape']);
    const pieces = b.split(b.concat([x, b.exp(x)], 1), 1, [3, 3]);
    expect(opsOf(simpler([x], [pieces[0]!]))).toEqual(['input']);
    expect(opsOf(simpler([x], [pieces[1]!]))).toEqual(['input', 'exp']);
  });

  it('folds constants but does not spread them out', () => {
    const scale = b.constantOf('f32', [3, 1], [1, 2, 3]);
    const graph = simpler([x], [b.multiply(x, b.exp(b.add(scale, 1)))]);
    expect(opsOf(graph).sort()).toEqual(['constant', 'expand', 'input', 'multiply']);
    const [result] = interpret(graph, [hostTensor('f32', [2, 3, 4], new Array(24).fill(1))]);
    expect(Number(valuesOf(result!)[0])).toBeCloseTo(Math.exp(2), 5);
  });

  it('leaves a failing constant to run time', () => {
    const bad = b.divide(b.constantOf('i32', [1], [1]), b.constantOf('i32', [1], [0]));
    expect(opsOf(simpler([], [bad]))).toContain('divide');
  });

  it('turns a pointwise convolution into a contraction of equal value', () => {
    const image = b.input('image', f32(2, 3, 2, 2));
    const w = b.input('w', f32(5, 3, 1, 1));
    const graph = b.graphOf([image, w], [b.window('convolve', image, w)]);
    const other = simplify(graph, { evaluate });
    verify(other);
    expect(opsOf(other)).not.toContain('window');
    const tensors = [
      hostTensor(
        'f32',
        [2, 3, 2, 2],
        Array.from({ length: 24 }, (_, i) => i / 8 - 1),
      ),
      hostTensor(
        'f32',
        [5, 3, 1, 1],
        Array.from({ length: 15 }, (_, i) => 1 - i / 8),
      ),
    ];
    expect(valuesOf(interpret(other, tensors)[0]!)).toEqual(
      valuesOf(interpret(graph, tensors)[0]!),
    );
  });

  it('computes sizes instead of tensors', () => {
    const n = b.sizeSymbol();
    const y = b.input('y', { dtype: 'f32', shape: [n, 4] });
    const twice = b.multiply(b.size(n), 2);
    const graph = simpler([y], [b.add(twice, 1)]);
    expect(opsOf(graph)).toEqual(['input', 'size']);
  });

  it('opens a decided branch and prunes what regions do not use', () => {
    const yes = b.scalar('bool', true);
    const [picked] = b.ifThen(
      yes,
      [x],
      ([v]) => [b.exp(v!)],
      ([v]) => [b.tanh(v!)],
    );
    expect(opsOf(simpler([x], [picked!]))).toEqual(['input', 'exp']);

    const extra = b.input('extra', f32(3));
    const [last, all] = b.loop({
      trip: 4,
      carried: [b.constantOf('f32', [3], [0, 0, 0])],
      invariants: [extra, x],
      body: ([state], [e]) => {
        const next = b.add(state!, e!);
        return { carried: [next], stacked: [b.exp(next), next] };
      },
    });
    const graph = simpler([extra, x], [last!]);
    const loop = nodesOf(graph).find((node) => node.op === 'loop')!;
    expect(loop.inputs.length).toBe(2);
    expect(loop.results.length).toBe(1);
    const both = simpler([extra, x], [last!, all!]);
    expect(nodesOf(both).find((node) => node.op === 'loop')!.results.length).toBe(2);
    const tensors = [hostTensor('f32', [3], [1, 2, 3]), hostTensor('f32', [2, 3, 4], [])];
    expect(valuesOf(interpret(graph, tensors)[0]!)).toEqual([4, 8, 12]);
    const [, stacked] = interpret(both, tensors);
    expect(Number(valuesOf(stacked!)[0])).toBeCloseTo(Math.E, 5);
  });

  it('keeps the results of composites', () => {
    const tensors = [
      hostTensor(
        'f32',
        [2, 3, 4],
        Array.from({ length: 24 }, (_, i) => Math.sin(i)),
      ),
    ];
    const graph = b.graphOf([x], [c.softmax(x), c.layerNormalization(x), c.gelu(x), c.argMax(x)]);
    const other = simplify(graph, { evaluate });
    verify(other);
    const [want, have] = [interpret(graph, tensors), interpret(other, tensors)];
    expect(have.map(valuesOf)).toEqual(want.map(valuesOf));
  });

  it('is stack-safe and quick on 20,000 nodes', () => {
    let value: Node = x;
    for (let i = 0; i < 10_000; i++) value = b.add(b.exp(value), 1);
    const graph = simpler([x], [value]);
    expect(opsOf(graph).filter((op) => op === 'exp').length).toBe(10_000);
  });
});
