/**
 * Limits of targets with threads, one fact lowered at a time: kernels keep within it, by other
 * tiles or other steps, and what cannot is refused by name.
 */
import { check, compile, isFailure, type Target } from '@open-claw/core';
import {
  gpuDialects,
  gpuLanguage,
  type Language,
  type TileProgram,
  targetsOfGpus,
} from '@open-claw/core/device';
import {
  add,
  type Graph,
  graphOf,
  input,
  matmul,
  type Node,
  relu,
  sort,
} from '@open-claw/core/internal';
import { describe, expect, it } from 'vitest';
import { smallPrograms } from './programs.js';

const dialect = Object.keys(gpuDialects)[0] as keyof typeof gpuDialects;
const language = gpuLanguage(dialect);
const base = targetsOfGpus.find((target) => target.language === language.name) as Target;

const product = (dtype: 'f32' | 'bf16' | 'f64', size: number): Graph => {
  const [a, b] = ['a', 'b'].map((name) => input(name, { dtype, shape: [size, size] }));
  return graphOf([a, b] as Node[], [relu(matmul(a as Node, b as Node))]);
};
const kinds = ['attention', 'elementwise', 'convolution'];
const graphs: readonly (readonly [string, Graph])[] = [
  ...smallPrograms()
    .filter(({ name }) => kinds.some((kind) => name.startsWith(kind)))
    .map(({ name, graph }) => [name, graph] as const),
  ['f32 product', product('f32', 256)],
  ['bf16 product', product('bf16', 256)],
  ['f64 product', product('f64', 128)],
];

/** Compiles for the target with some facts changed; gives the tile programs and the source. */
function emitted(graph: Graph, facts: Partial<Target>) {
  const programs: TileProgram[] = [];
  const recorder: Language = {
    name: language.name,
    emit(kernels, target) {
      programs.splice(0, programs.length, ...kernels);
      return language.emit(kernels, target);
    },
  };
  const { source } = compile(graph, { ...base, ...facts }, recorder);
  return { programs, entries: source?.entries ?? [], text: source?.text ?? '' };
}

describe.each(graphs)('%s', (_, graph) => {
  it.each([32, 128])('has groups of at most %i threads', (maxGroup) => {
    const { entries } = emitted(graph, { maxGroup, preferredGroup: maxGroup });
    expect(entries.length).toBeGreaterThan(0);
    for (const { group } of entries)
      expect(group[0] * group[1] * group[2]).toBeLessThanOrEqual(maxGroup);
  });

  it.each([28, 4])('shares at most %i KiB', (kibibytes) => {
    const sharedBytes = kibibytes * 1024;
    const { entries, programs } = emitted(graph, { sharedBytes });
    expect(programs.length).toBe(entries.length);
    for (const entry of entries) expect(entry.sharedBytes).toBeLessThanOrEqual(sharedBytes);
  });

  it.each([4, 6])('binds at most %i buffers, or is refused by name', (maxBindings) => {
    const { refusals } = check(graph, { ...base, maxBindings }, language);
    for (const { error } of refusals) expect(error.what).toContain('buffers');
    if (refusals.length > 0) return;
    for (const { buffers } of emitted(graph, { maxBindings }).entries) {
      expect(buffers.length).toBeLessThanOrEqual(maxBindings);
    }
  });

  it('leaves where a launch has more groups than tasks', () => {
    const { text, entries } = emitted(graph, { maxGrid: [65535, 65535, 65535] });
    const returns = text.match(/^ {2}if \(!\(task < .*\)\) return;$/gm) ?? [];
    expect(returns).toHaveLength(entries.length);
  });

  it('takes each buffer once, to read or to write', () => {
    for (const { buffers } of emitted(graph, {}).programs) {
      expect(new Set(buffers.map(({ name }) => name)).size).toBe(buffers.length);
    }
  });

  it('moves no vectors and calls no unit that the target does not list', () => {
    const { text } = emitted(graph, { matrixUnits: [], accessBytes: 0 });
    expect(text).not.toMatch(/vector_|mma_/);
  });
});

it('cuts a fusion with more inputs than bindings into several kernels', () => {
  const inputs = Array.from({ length: 9 }, (_, i) => input(`x${i}`, { dtype: 'f32', shape: [64] }));
  const sum = inputs.reduce((a, b) => add(a, b));
  const { entries } = emitted(graphOf(inputs, [sum]), { maxBindings: 4 });
  expect(entries.length).toBeGreaterThan(1);
  for (const { buffers } of entries) expect(buffers.length).toBeLessThanOrEqual(4);
});

it('refuses by name what one kernel cannot bind', () => {
  const [keys, payload] = ['keys', 'payload'].map((name) =>
    input(name, { dtype: 'f32', shape: [9] }),
  );
  const sorted = sort(keys as Node, [payload as Node]);
  const graph = graphOf([keys, payload] as Node[], sorted);
  const { refusals } = check(graph, { ...base, maxBindings: 4 }, language);
  expect(refusals.map(({ error }) => error.what).join()).toMatch(/a kernel of \d+ buffers/);
});

it('refuses elements that indices of 32 bits cannot count', () => {
  const x = input('x', { dtype: 'i8', shape: [2 ** 31 + 8] });
  const facts = { ...base, indexBits: 32, maxBufferBytes: 2 ** 40, memoryBytes: 2 ** 42 } as const;
  try {
    compile(graphOf([x], [relu(x)]), facts, language);
  } catch (error) {
    expect(isFailure(error) && error.kind).toBe('refused');
    return;
  }
  throw new Error('it was not refused');
});
