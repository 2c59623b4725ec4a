/** Measured choices: tables are followed, results stay, the time is bounded, files are checked. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeDevices, compile, load, openDevice, tune } from '@open-claw/core';
import { graphOf, hostTensor, input, matmul, type Node, softmax } from '@open-claw/core/internal';
import { loadModel } from '@open-claw/openclaw';
import { afterAll, describe, expect, it } from 'vitest';
import { matmulModel } from '../bench/models.mjs';
import { useDevices } from './devices.js';

const ids = (await useDevices()).filter((id) => id === 'wasm' || id === 'native');
const folder = mkdtempSync(join(tmpdir(), 'claw-tune-'));
afterAll(async () => {
  await closeDevices();
  rmSync(folder, { recursive: true, force: true });
});

function product(): { graph: ReturnType<typeof graphOf>; inputs: ReturnType<typeof hostTensor>[] } {
  const [a, b] = ['a', 'b'].map((name) => input(name, { dtype: 'f32', shape: [64, 64] }));
  const graph = graphOf([a, b] as Node[], [softmax(matmul(a as Node, b as Node))]);
  const values = Array.from({ length: 4096 }, (_, i) => ((i * 13) % 17) / 17 - 0.5);
  const tensor = hostTensor('f32', [64, 64], values);
  return { graph, inputs: [tensor, tensor] };
}

describe.each(ids)('tuning on %s', (id) => {
  it('follows a table by step, and takes what is no choice for none', async () => {
    const { graph, inputs } = product();
    const opened = await openDevice(id);
    const { target, plugin } = opened;
    const usual = compile(graph, target, plugin.language);
    const keys = usual.main.steps.flatMap((step) => (step.kind === 'launch' ? [step.key] : []));
    const key = keys.find((each) => each?.startsWith('contract')) ?? '';
    expect(key).toBe('contract contract f32[64,64] f32[64,64] > f32[64,64]');
    const textOf = (tuning: Record<string, Record<string, number>>): string => {
      const { source } = compile(graph, target, plugin.language, { tuning });
      return source?.text ?? Buffer.from(source?.bytes ?? []).toString('hex');
    };
    expect(textOf({ [key]: { halvings: 2 } })).not.toBe(textOf({}));
    for (const halvings of [-1, 1.5, 1e9, Number.NaN]) {
      expect(textOf({ [key]: { halvings } })).toBe(textOf({}));
    }
    expect(textOf({ 'another step': { halvings: 2 } })).toBe(textOf({}));
    const tuned = compile(graph, target, plugin.language, { tuning: { '*': { halvings: 1 } } });
    const [expected, actual] = [await load(usual, opened), await load(tuned, opened)];
    const [x] = await expected.run(inputs);
    const [y] = await actual.run(inputs);
    const [left, right] = [x?.data as Float32Array, y?.data as Float32Array];
    for (const [i, value] of left.entries()) expect(right[i]).toBeCloseTo(value, 6);
    await Promise.all([expected.dispose(), actual.dispose()]);
  });

  it('measures every candidate, and only the defaults where there is no time', async () => {
    const { graph, inputs } = product();
    const opened = await openDevice(id);
    const now = (): number => performance.now();
    const found = await tune(graph, opened, inputs, { budget: 60_000, now });
    expect(found.candidates.length).toBeGreaterThan(2);
    for (const { times, choice } of found.steps) {
      expect(times.every((time) => time !== undefined && time >= 0)).toBe(true);
      // Gains of a few percent are noise.
      const least = Math.min(...times.map((time) => time ?? 0));
      expect((times[choice] ?? 0) * 0.97 - 1e-12).toBeLessThanOrEqual(choice > 0 ? least : 1e9);
    }
    const none = await tune(graph, opened, inputs, { budget: 0, now });
    expect(none.tuning).toEqual({});
    expect(none.steps.every(({ times }) => times.length === 1)).toBe(true);
  });
});

it('takes choices from a file, and refuses a file that is none', async () => {
  const path = join(folder, 'tuning.json');
  const options = { device: 'wasm', tuningFile: path };
  const bytes = matmulModel(16);
  await expect(loadModel(bytes, options)).rejects.toThrow('OC-USAGE-06');
  const entry = { program: 'x', target: 'y', cores: 1, driver: 'z', tuning: { a: { b: 'c' } } };
  for (const text of ['', '[]', '{"schema":2}', JSON.stringify({ schema: 1, kind: 'tuning' })]) {
    writeFileSync(path, text);
    await expect(loadModel(bytes, options)).rejects.toThrow('OC-USAGE-03');
  }
  writeFileSync(path, JSON.stringify({ schema: 1, kind: 'tuning', entries: [entry] }));
  await expect(loadModel(bytes, options)).rejects.toThrow('OC-USAGE-03');
  writeFileSync(path, JSON.stringify({ schema: 1, kind: 'tuning', entries: [] }));
  const model = await loadModel(bytes, options);
  expect(model.outputs.map(({ name }) => name)).toEqual(['y']);
  await model.dispose();
});
