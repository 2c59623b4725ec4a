/** A vendor of the CUDA family that nobody knows: one row from outside, and models run. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile, load, openDevice } from '@open-claw/core';
import { hostTensor, interpretWithBounds } from '@open-claw/core/internal';
import { cudaDevice } from '@open-claw/device-cuda';
import { buildStub, stubCompiler } from '@open-claw/device-cuda/stub';
import { closeDevices, loadModel } from '@open-claw/openclaw';
import { afterAll, describe, expect, it } from 'vitest';
import { newcomer } from '../devices/cuda/src/testing/newcomer.js';
import { exampleModel } from './docs/example-model.js';
import { difference, fuzz } from './fuzz.js';
import { smallPrograms } from './programs.js';

const folder = mkdtempSync(join(tmpdir(), 'claw-newcomer-'));
const missing = stubCompiler() === undefined;
if (missing) console.warn('skipped: no C compiler for the stubs: install build-essential');
afterAll(async () => {
  await closeDevices();
  rmSync(folder, { recursive: true, force: true });
});

describe.skipIf(missing)('a vendor of one row', () => {
  const device = 'cuda/newcomer:0';

  it('runs a model, by its own words and within its own limits', async () => {
    const places = buildStub(newcomer, join(folder, 'stub'));
    const plugin = cudaDevice(newcomer, { places, cache: join(folder, 'cache') });
    const model = await loadModel(exampleModel(), { device, plugin });
    const { y } = await model.run({ x: hostTensor('f32', [2, 3], [1, 2, 3, 4, 5, 6]) });
    expect(Array.from(y?.data as Float32Array)).toEqual([0, 4, 0, 10]);
    await model.dispose();
    const { target, evidence } = await openDevice(device);
    const { maxGroup, sharedBytes, name } = newcomer.architectures[0];
    expect(target).toMatchObject({ id: `cuda/${name}`, maxGroup, sharedBytes });
    expect(evidence).toBe('stub');
  });

  it('runs small and random programs', async () => {
    const run: Parameters<typeof fuzz>[0]['run'] = async (graph, inputs) => {
      const opened = await openDevice(device);
      const program = await load(compile(graph, opened.target, opened.plugin.language), opened);
      try {
        return await program.run(inputs);
      } finally {
        await program.dispose();
      }
    };
    for (const { graph, inputs } of smallPrograms().slice(0, 4)) {
      const outputs = await run(graph, inputs);
      for (const [i, { tensor, error }] of interpretWithBounds(graph, inputs).entries()) {
        expect(difference(outputs[i], tensor, error)).toBeUndefined();
      }
    }
    const report = await fuzz({ run, count: 8, first: 77 });
    expect(report.failures[0]?.text).toBeUndefined();
  });
});
