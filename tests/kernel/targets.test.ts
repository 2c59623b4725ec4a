/**
 * Kernels made for other machines (vectors, groups of threads), verified and run as plain
 * JavaScript against the interpreter: what the kernel room decides, without any chip.
 */
import { closeDevices, compile, load, openDevice, use } from '@open-claw/core';
import { type Graph, type HostTensor, interpretWithBounds } from '@open-claw/core/internal';
import { templateDevice } from '@open-claw/device-template';
import { afterAll, describe, expect, it } from 'vitest';
import type { Target } from '../../packages/core/src/base/target.js';
import type { Language } from '../../packages/core/src/codegen/language.js';
import { scriptLanguage } from '../../packages/core/src/codegen/script.js';
import { verifyProgram } from '../../packages/core/src/kernel/verify.js';
import { difference, fuzz } from '../fuzz.js';
import { smallPrograms } from '../programs.js';
import { scriptTarget } from './run-tile.js';

const targets: readonly Target[] = [
  { ...scriptTarget, id: 'test/scalar' },
  { ...scriptTarget, id: 'test/vector16', vectorBytes: 16, cores: 4, cacheBytes: [32768, 1 << 20] },
  {
    ...scriptTarget,
    id: 'test/vector32',
    vectorBytes: 32,
    vectorRegisters: 32,
    cores: 2,
    cacheBytes: [32768, 1 << 20],
  },
  {
    ...scriptTarget,
    id: 'test/threads',
    execution: 'threads',
    maxGroup: 64,
    preferredGroup: 16,
    sharedBytes: 16384,
    indexBits: 32,
  },
];

const language: Language = {
  ...scriptLanguage,
  emit(kernels, target) {
    for (const kernel of kernels) verifyProgram(kernel);
    return scriptLanguage.emit(kernels, target);
  },
};

const plugin = templateDevice();
use(plugin);
afterAll(closeDevices);

async function run(
  target: Target,
  graph: Graph,
  inputs: readonly HostTensor[],
): Promise<readonly HostTensor[]> {
  const opened = await openDevice('template');
  const executable = await load(compile(graph, target, language), { ...opened, target });
  try {
    return await executable.run(inputs);
  } finally {
    await executable.dispose();
  }
}

const count = Number(process.env['CLAW_FUZZ'] ?? 60);

describe.each(targets)('$id', (target) => {
  it.each(smallPrograms())('runs $name', async ({ graph, inputs }) => {
    const expected = interpretWithBounds(graph, inputs);
    const outputs = await run(target, graph, inputs);
    expected.forEach(({ tensor, error }, i) => {
      expect(difference(outputs[i], tensor, error)).toBeUndefined();
    });
  });

  it(`runs ${count} random programs`, { timeout: 600_000 }, async () => {
    const report = await fuzz({
      run: (graph, inputs) => run(target, graph, inputs),
      count,
      first: 5000,
      mostFailures: 6,
    });
    expect(report.failures.map(({ text }) => text)).toEqual([]);
  });
});
