/**
 * Attention of few queries whose keys are a cache with new rows behind it: vector targets read
 * both where they lie, and no device gives another answer for it.
 */
import { compareBounded } from '@open-claw/conformance';
import { closeDevices, compile, load, openDevice } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { afterAll, describe, expect, it } from 'vitest';
import { useDevices } from './devices.js';
import { randomTensor } from './programs.js';

const found = await useDevices();
const ids = found.flatMap((id) => (id === 'native' ? [id, 'native/avx2', 'native/generic'] : [id]));

afterAll(closeDevices);

interface Case {
  readonly heads: number;
  readonly shared: number;
  readonly queries: number;
  readonly past: number;
  readonly depth: number;
  readonly width: number;
  readonly causal?: boolean;
  readonly present?: boolean;
}

/** The new rows are columns of one product, as models write it; the past is an input. */
function graphOf({ heads, shared, queries, past, depth, width, causal, present }: Case) {
  const all = heads * depth + shared * (depth + width);
  const x = core.input('x', { dtype: 'f32', shape: [2, queries, all] });
  const f32 = (name: string, size: number): core.Node =>
    core.input(name, { dtype: 'f32', shape: [2, shared, past, size] });
  const inputs = [x, f32('keys', depth), f32('values', width)] as const;
  const part = (from: number, count: number, size: number): core.Node => {
    const piece = core.sliceAxis(x, 2, from, count * size);
    return core.permute(core.reshape(piece, [2, queries, count, size]), [0, 2, 1, 3]);
  };
  const q = part(0, heads, depth);
  const keys = core.concat([inputs[1], part(heads * depth, shared, depth)], 2);
  const newValues = part((heads + shared) * depth, shared, width);
  const values = core.concat([inputs[2], newValues], 2);
  const causalOffset = core.constant(core.hostTensor('i64', [], [BigInt(past)]));
  const options = causal === true ? { causal, causalOffset } : {};
  const y = core.attention(q, keys, values, options);
  return core.graphOf([...inputs], present === true ? [y, keys, values] : [y]);
}

const cases: readonly Case[] = [
  { heads: 3, shared: 3, queries: 1, past: 131, depth: 64, width: 64 },
  { heads: 4, shared: 2, queries: 2, past: 7, depth: 20, width: 9, causal: true },
  { heads: 6, shared: 1, queries: 1, past: 300, depth: 16, width: 40, causal: true },
  { heads: 2, shared: 2, queries: 5, past: 64, depth: 24, width: 24 },
  { heads: 2, shared: 2, queries: 1, past: 33, depth: 16, width: 16, present: true },
];

describe.each(ids)('on %s', (id) => {
  it.each(cases)('%o', async (given) => {
    const opened = await openDevice(id);
    const graph = graphOf(given);
    const tensors = graph.inputs.map(({ shape }, i) => randomTensor(i + 5, shape as number[]));
    const program = compile(graph, opened.target, opened.plugin.language);
    const executable = await load(program, opened);
    const results = await executable.run(tensors);
    await executable.dispose();
    const expected = core.interpretWithBounds(graph, tensors);
    const reasons = results.map((result, i) => compareBounded(result, expected[i]!).reason);
    expect(reasons).toEqual(results.map(() => ''));
    const isPlain = id.startsWith('native') || id.startsWith('wasm');
    const launches = program.main.steps.filter((step) => step.kind === 'launch').length;
    if (isPlain && given.present !== true) expect(launches).toBe(1);
  });
});
