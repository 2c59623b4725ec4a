import { describe, expect, it } from 'vitest';
import type { Target } from '../base/target.js';
import * as b from '../graph/build.js';
import { interpret } from '../graph/interpret.js';
import type { Node } from '../graph/node.js';
import { openComposites } from './open.js';
import { primitivesOf } from './primitives.js';
import { printSteps } from './print.js';
import { schedule } from './schedule.js';
import { signatureOf } from './signature.js';
import type { KernelStep, Step } from './step.js';
import { verifySteps } from './verify.js';

const target = { maxBindings: 16 } as Target;
const f32 = (name: string, ...shape: readonly number[]): Node =>
  b.input(name, { dtype: 'f32', shape });

function stepsOf(inputs: readonly Node[], outputs: readonly Node[], facts = target): Step[] {
  const graph = openComposites(b.graphOf(inputs, outputs));
  const steps = schedule(graph, facts);
  verifySteps(graph, steps);
  return steps;
}

const patterns = (steps: readonly Step[]): string[] =>
  steps.map((step) => (step.kind === 'kernel' ? step.pattern : step.kind));

const keep = { keep: true } as const;

describe('schedule', () => {
  it('fuses an elementwise chain with its views into one map', () => {
    const x = f32('x', 4, 8);
    const y = f32('y', 8);
    const z = b.permute(b.multiply(b.exp(b.add(x, y)), b.scalar('f32', 2)), [1, 0]);
    const steps = stepsOf([x, y], [z]);
    expect(patterns(steps)).toEqual(['map']);
    expect((steps[0] as KernelStep).inputs).toEqual([x, b.reshape(y, [1, 8])]);
  });

  it('makes softmax one reduction step', () => {
    const x = f32('x', 16, 64);
    const e = b.exp(b.subtract(x, b.reduce('maximum', x, [1], keep)));
    const steps = stepsOf([x], [b.divide(e, b.reduce('sum', e, [1], keep))]);
    expect(patterns(steps)).toEqual(['reduction']);
    expect((steps[0] as KernelStep).inputs).toEqual([x]);
  });

  it('makes layer normalization one reduction step', () => {
    const [x, gain, bias] = [f32('x', 16, 64), f32('g', 64), f32('b', 64)];
    const count = b.scalar('f32', 64);
    const mean = b.divide(b.reduce('sum', x, [1], keep), count);
    const centred = b.subtract(x, mean);
    const square = b.multiply(centred, centred);
    const variance = b.divide(b.reduce('sum', square, [1], keep), count);
    const scale = b.squareRoot(b.add(variance, b.scalar('f32', 1e-5)));
    const y = b.add(b.multiply(b.divide(centred, scale), gain), bias);
    expect(patterns(stepsOf([x, gain, bias], [y]))).toEqual(['reduction']);
  });

  it('does not widen the reduction of one long row', () => {
    const x = f32('x', 1_000_000);
    const y = b.divide(x, b.reduce('sum', x, [0], keep));
    expect(patterns(stepsOf([x], [y]))).toEqual(['reduction', 'map']);
  });

  it('puts bias, gelu and residual into the epilogue of a product', () => {
    const [x, w, bias] = [f32('x', 32, 64), f32('w', 64, 64), f32('b', 64)];
    const h = b.add(b.matmul(x, w), bias);
    const erf = b.erf(b.multiply(h, b.scalar('f32', Math.SQRT1_2)));
    const gelu = b.multiply(h, b.add(erf, b.scalar('f32', 1)));
    const steps = stepsOf([x, w, bias], [b.add(gelu, x)]);
    expect(patterns(steps)).toEqual(['contract']);
  });

  it('reads a transposed operand in place and writes what is no view', () => {
    const [x, w] = [f32('x', 2, 8, 4, 16), f32('w', 2, 8, 4, 16)];
    const heads = (v: Node): Node => b.permute(v, [0, 2, 1, 3]);
    const scores = b.matmul(heads(x), b.permute(heads(w), [0, 1, 3, 2]));
    expect(patterns(stepsOf([x, w], [scores]))).toEqual(['contract']);
    const merged = b.reshape(heads(x), [8, 8 * 16]);
    const y = b.matmul(merged, f32('m', 128, 4));
    const steps = stepsOf([x, ...y.inputs.filter((n) => n.op === 'input')], [y]);
    expect(patterns(steps)).toEqual(['map', 'contract']);
  });

  it('keeps a value that several kernels need when it is dear, not when it is cheap', () => {
    const x = f32('x', 16, 16);
    const two = (v: Node): Node[] => [b.reduce('sum', v, [0]), b.reduce('sum', v, [1])];
    expect(patterns(stepsOf([x], two(b.exp(x))))).toEqual(['map', 'reduction', 'reduction']);
    const cheap = b.multiply(x, b.scalar('f32', 3));
    expect(patterns(stepsOf([x], two(cheap)))).toEqual(['reduction', 'reduction']);
  });

  it('merges maps of one shape that read each other or the same value', () => {
    const [x, y] = [f32('x', 16, 16), f32('y', 16, 16)];
    const a = b.exp(b.add(x, y));
    const c = b.multiply(b.tanh(a), y);
    const steps = stepsOf([x, y], [a, c]);
    expect(patterns(steps)).toEqual(['map']);
    expect((steps[0] as KernelStep).outputs).toEqual([a, c]);
    // Another index of the same value: two kernels.
    expect(patterns(stepsOf([x, y], [a, b.exp(b.flip(a, [0]))]))).toEqual(['map', 'map']);
    // A kernel between them needs the first.
    const between = b.add(b.matmul(a, x), y);
    const last = b.exp(b.permute(between, [1, 0]));
    expect(patterns(stepsOf([x, y], [a, b.multiply(last, y)]))).toEqual(['map', 'contract', 'map']);
  });

  it('gives steps one signature when they differ in values only', () => {
    const [x, y] = [f32('x', 4, 4), f32('y', 4, 4)];
    const sign = (inputs: readonly Node[], output: Node): string =>
      signatureOf(stepsOf(inputs, [output])[0] as KernelStep).text;
    const total = (v: Node, axis: number): Node => b.cumulate('sum', v, axis);
    expect(sign([x], total(x, 0))).toBe(sign([y], total(y, 0)));
    expect(sign([x], total(x, 0))).not.toBe(sign([x], total(x, 1)));
    const scale = (v: Node, by: number): Node => b.multiply(v, b.scalar('f32', by));
    expect(sign([x], scale(x, 2))).toBe(sign([y], scale(y, 2)));
    expect(sign([x], scale(x, 2))).not.toBe(sign([x], scale(x, 3)));
    expect(sign([x, y], b.subtract(x, y))).not.toBe(sign([x], b.subtract(x, b.exp(x))));
  });

  it('cuts a kernel that would bind too many values', () => {
    const xs = Array.from({ length: 40 }, (_, i) => f32(`x${i}`, 8));
    const sum = xs.reduce((a, c) => b.add(a, c));
    const steps = stepsOf(xs, [sum]);
    for (const step of steps) {
      if (step.kind === 'kernel') expect(step.inputs.length).toBeLessThanOrEqual(13);
    }
    expect(steps.length).toBeGreaterThan(2);
  });

  it('cuts a concatenation of more values than a kernel can bind', () => {
    const xs = Array.from({ length: 20 }, (_, i) => f32(`x${i}`, 2, 1 + (i % 3)));
    const joined = b.graphOf(xs, [b.concat(xs, 1)]);
    const few = primitivesOf(joined, undefined, { ...target, maxBindings: 8 });
    const many = primitivesOf(joined, undefined, { ...target, maxBindings: 31 });
    expect(schedule(many, { maxBindings: 31 } as Target).length).toBeLessThan(
      schedule(few, { maxBindings: 8 } as Target).length,
    );
    const graph = few;
    const steps = schedule(graph, { maxBindings: 8 } as Target);
    verifySteps(graph, steps);
    const reads = steps.map((step) => (step as KernelStep).inputs.length);
    expect(Math.max(...reads)).toBeLessThanOrEqual(5);
  });

  it('binds a size from data on the host, before the step that needs it', () => {
    const n = b.input('n', { dtype: 'i64', shape: [1] });
    const x = f32('x', 1);
    const size = b.elementSize(b.multiply(n, b.scalar('i64', 2)), 0);
    const steps = stepsOf([n, x], [b.exp(b.expand(x, [size]))]);
    expect(patterns(steps)).toEqual(['host', 'bind', 'map']);
  });

  it('downloads a count that only the device knows', () => {
    const mask = b.input('mask', { dtype: 'bool', shape: [100] });
    const x = f32('x', 100);
    const [values, count] = b.compact(mask, x) as [Node, Node];
    const kept = b.slice(values, { starts: [0], sizes: [b.elementSize(count, 0)], steps: [1] });
    const steps = stepsOf([mask, x], [b.exp(kept)]);
    expect(patterns(steps)).toEqual(['compact', 'download', 'bind', 'map']);
    expect(printSteps(steps)).toContain('bind e');
  });

  it('opens a composite, twice with sizes of its own', () => {
    const make = (v: Node): Node =>
      b.composite('kept', {}, [v], ([inner]) => {
        const mask = b.less(b.scalar('f32', 0), inner as Node);
        const [values, count] = b.compact(mask, inner as Node) as [Node, Node];
        const sizes = [b.elementSize(count, 0)];
        const kept = b.slice(values, { starts: [0], sizes, steps: [1] });
        return [b.reduce('sum', b.exp(kept), [0])];
      })[0] as Node;
    const [x, y] = [f32('x', 5), f32('y', 5)];
    const graph = b.graphOf([x, y], [make(x), make(y)]);
    const opened = openComposites(graph);
    const values = [
      { dtype: 'f32' as const, shape: [5], data: new Float32Array([1, -1, 0, 2, -3]) },
      { dtype: 'f32' as const, shape: [5], data: new Float32Array([1, 1, 0, 2, -3]) },
    ];
    const results = interpret(opened, values);
    expect(results).toEqual(interpret(graph, values));
    verifySteps(opened, schedule(opened, target));
  });

  it('is linear and safe in depth', () => {
    const chain = (layers: number): Step[] => {
      const x = f32('x', 8, 8);
      let y: Node = x;
      for (let i = 0; i < layers; i++) {
        y = b.add(b.matmul(y, x), i % 2 === 0 ? x : b.scalar('f32', i));
      }
      return stepsOf([x], [y]);
    };
    expect(chain(20_000)).toHaveLength(20_000);
    const x = f32('x', 8);
    let y: Node = x;
    for (let i = 0; i < 10_000; i++) y = b.add(y, b.scalar('f32', i % 7));
    expect(stepsOf([x], [y]).length).toBeLessThan(200);
  });
});
