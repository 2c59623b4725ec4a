/** The generator of random programs, the bounds it goes with, and the harness, without a device. */
import {
  type Graph,
  type HostTensor,
  hostTensor,
  interpret,
  interpretWithBounds,
  make,
  nodesOf,
  opNames,
  randomProgram,
  rewrite,
  valuesOf,
} from '@open-claw/core/internal';
import { expect, test } from 'vitest';
import { difference, fuzz, type RunGraph } from './fuzz.js';

const correct: RunGraph = (graph, inputs) => interpret(graph, inputs);

/** An evaluator that takes one operation for another. */
const broken =
  (from: 'tanh' | 'maximum' | 'add', to: 'erf' | 'minimum' | 'subtract'): RunGraph =>
  (graph: Graph, inputs: readonly HostTensor[]) =>
    interpret(
      rewrite(graph, (node) => (node.op === from ? make(to, node.inputs, {}) : undefined)),
      inputs,
    );

test('the same seed gives the same program, different seeds different ones', () => {
  const shown = (seed: number): string => {
    const { graph, inputs } = randomProgram(seed);
    const ops = nodesOf(graph).map(({ op, shape }) => `${op}${shape}`);
    return `${ops} ${inputs.map((tensor) => valuesOf(tensor).join())}`;
  };
  expect(shown(5)).toBe(shown(5));
  expect(new Set([1, 2, 3, 4, 5].map(shown)).size).toBe(5);
});

test('random programs reach every operation', () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 500; seed++) {
    for (const { op } of nodesOf(randomProgram(seed).graph)) seen.add(op);
  }
  // They come from models and from sizes; nothing is computed by them.
  const given = ['constant', 'size'];
  expect(opNames.filter((op) => !seen.has(op) && !given.includes(op))).toEqual([]);
});

test('the interpreter agrees with itself, and bounds are finite', async () => {
  const report = await fuzz({ run: correct, count: 150 });
  expect(report.failures[0]?.text).toBeUndefined();
  expect(report.passed).toBe(150);
  for (let seed = 0; seed < 50; seed++) {
    const { graph, inputs } = randomProgram(seed);
    for (const { error } of interpretWithBounds(graph, inputs)) {
      expect(error.every((bound) => bound < 1e4)).toBe(true);
    }
  }
});

test.each([
  ['tanh', 'erf'],
  ['maximum', 'minimum'],
  ['add', 'subtract'],
] as const)('a device that takes %s for %s is found, the program made small', async (from, to) => {
  const {
    failures: [failure],
  } = await fuzz({ run: broken(from, to), count: 500 });
  expect(failure).toBeDefined();
  const operations = nodesOf(failure!.program.graph).filter(({ op }) => op !== 'input');
  expect(operations.map(({ op }) => op)).toContain(from);
  expect(operations.length).toBeLessThanOrEqual(2);
  expect(Math.max(...failure!.program.inputs.map(({ data }) => data.length))).toBeLessThan(40);
  expect(failure!.text).toContain(from);
});

test('a result is compared by type, by bound, and exactly where the bound is 0', () => {
  const one = hostTensor('f32', [1], [1]);
  expect(difference(undefined, one, Float64Array.of(1))).toContain('nothing');
  expect(difference(hostTensor('f32', [], [1]), one, Float64Array.of(1))).toContain('instead');
  expect(difference(hostTensor('f32', [1], [1.5]), one, Float64Array.of(0.5))).toBeUndefined();
  expect(difference(hostTensor('f32', [1], [1.5]), one, Float64Array.of(0))).toContain('1.5');
  const nan = hostTensor('f32', [1], [Number.NaN]);
  expect(difference(nan, nan, Float64Array.of(0))).toBeUndefined();
  expect(difference(nan, one, Float64Array.of(9))).toContain('NaN');
});
