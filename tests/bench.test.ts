/** The harness of `npm run bench`: cases are well-formed, results are checked, charts are drawn. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readModel, validateModel } from '@open-claw/formats';
import { afterAll, describe, expect, it } from 'vitest';
import { cases } from '../bench/cases.mjs';
import { chart } from '../bench/chart.mjs';
import { measureCase, measureFirst } from '../bench/measure.mjs';
import { rowText } from '../bench/report.mjs';

const wasm = {
  name: 'wasm',
  engine: 'openclaw',
  device: 'wasm',
  version: '',
  evidence: '',
  flags: [],
  mostThreads: 1,
  values: 'host',
} as const;
const absent = { ...wasm, name: 'jax-js', engine: 'jax-js', device: '' };
const folder = mkdtempSync(join(tmpdir(), 'claw-bench-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const plan = {
  contestants: [wasm, absent],
  threads: 1,
  rounds: 2,
  folder,
  peers: folder,
  note: () => {},
};
const add = cases.find(({ name }) => name === 'add-16');
if (add === undefined) throw new Error('no case add-16');

describe('npm run bench', () => {
  it('has a name for every case, and models that are valid', () => {
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
    for (const { name, model } of cases) {
      if (!/^(matmul-256|add|softmax|sort|sum|cumsum|attention)/.test(name)) continue;
      expect(() => validateModel(readModel(model()), { fileName: name })).not.toThrow();
    }
  });

  it('measures and checks a case, and says why an engine gives nothing', async () => {
    const [own, other] = await measureCase(add, plan);
    expect(own).toMatchObject({ case: 'add-16', contestant: 'wasm', right: true });
    expect(own?.medianMs).toBeGreaterThan(0);
    expect(own?.minMs).toBeLessThanOrEqual(own?.medianMs ?? 0);
    expect(other?.problem).toMatch(/jax/);
    expect(other?.medianMs).toBeUndefined();
  });

  it('finds a wrong answer', async () => {
    const reference = () => ({ at: [0], values: Float64Array.of(1000), tolerance: 1 });
    const [own] = await measureCase({ ...add, reference }, { ...plan, contestants: [wasm] });
    expect(own?.right).toBe(false);
    expect(rowText(own as NonNullable<typeof own>)).toContain('WRONG by');
  });

  it('measures the way to the first result', async () => {
    const [own] = await measureFirst(add, { ...plan, rounds: 1, contestants: [wasm] });
    expect(own).toMatchObject({ case: 'add-16-first', runs: 1 });
  });

  it('draws ratios to the best of the others', () => {
    const ratios = { 'jax-js': 4, 'tfjs-wasm': 2 };
    const drawn = chart([{ case: 'a<b', contestant: 'wasm', threads: 1, ratios }], [wasm, absent]);
    expect(drawn).toContain('2.00 × tfjs-wasm');
    expect(drawn).toContain('a&#60;b 1T wasm');
    expect(drawn).not.toContain('4.00');
  });
});
