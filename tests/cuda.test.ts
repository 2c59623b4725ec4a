/**
 * The rows of the CUDA family on their stubs: every small program and random programs against the
 * interpreter. CLAW_FUZZ=COUNT@SEED says how many random ones per row (12 where absent).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeDevices, compile, load, openDevice, use } from '@open-claw/core';
import {
  graphOf,
  hostTensor,
  input,
  interpret,
  matmul,
  type Node,
  readElement,
} from '@open-claw/core/internal';
import { cudaDevice, gpuRows } from '@open-claw/device-cuda';
import { buildStub, stubCompiler } from '@open-claw/device-cuda/stub';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fuzz, type RunGraph } from './fuzz.js';
import { smallPrograms } from './programs.js';

const folder = mkdtempSync(join(tmpdir(), 'claw-cuda-'));
const missing = stubCompiler() === undefined;
if (missing) console.warn('skipped: no C compiler for the stubs: install build-essential');
const [count, first = 0] = (process.env['CLAW_FUZZ'] ?? '12').split('@').map(Number) as [
  number,
  number?,
];

afterAll(async () => {
  await closeDevices();
  rmSync(folder, { recursive: true, force: true });
});

describe.skipIf(missing).each(gpuRows)('$name on its stub', (row) => {
  const id = `cuda/${row.name}:0`;
  beforeAll(() => {
    const places = buildStub(row, join(folder, row.name));
    use(cudaDevice(row, { places, cache: join(folder, 'cache') }));
  });

  const run: RunGraph = async (graph, inputs) => {
    const opened = await openDevice(id);
    const executable = await load(compile(graph, opened.target, opened.plugin.language), opened);
    try {
      return await executable.run(inputs);
    } finally {
      await executable.dispose();
    }
  };

  it('is labelled a stub', async () => {
    expect(await openDevice(id)).toMatchObject({ evidence: 'stub', id });
  });

  it.each(smallPrograms())('runs $name', async ({ graph, inputs }) => {
    const expected = interpret(graph, inputs);
    const outputs = await run(graph, inputs);
    expect(outputs).toHaveLength(expected.length);
    for (const [i, tensor] of expected.entries()) {
      const output = outputs[i] as (typeof outputs)[number];
      expect({ dtype: output.dtype, shape: output.shape }).toEqual({
        dtype: tensor.dtype,
        shape: tensor.shape,
      });
      const tolerance = { bf16: 1e-2, f16: 2e-3 }[tensor.dtype as string] ?? 2e-5;
      for (let j = 0; j < tensor.data.length; j++) {
        const [a, b] = [Number(readElement(output, j)), Number(readElement(tensor, j))];
        if (Object.is(a, b) || a === b) continue;
        expect(Math.abs(a - b)).toBeLessThanOrEqual(tolerance * (1 + Math.abs(b)));
      }
    }
  });

  it('multiplies matrices of one element', async () => {
    const [a, b] = ['a', 'b'].map((name) => input(name, { dtype: 'f32', shape: [1, 1] }));
    const product = graphOf([a as Node, b as Node], [matmul(a as Node, b as Node)]);
    const [result] = await run(
      product,
      [3, 5].map((v) => hostTensor('f32', [1, 1], [v])),
    );
    expect(Array.from(result?.data as Float32Array)).toEqual([15]);
  });

  it(`runs ${count} random programs`, { timeout: 60_000 + count * 5000 }, async () => {
    const report = await fuzz({ run, count, first });
    expect(report.failures[0]?.text).toBeUndefined();
    expect(report.passed).toBeGreaterThan(count / 3);
  });
});
