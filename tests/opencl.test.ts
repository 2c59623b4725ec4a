/**
 * Small and random programs on the first OpenCL device, against the interpreter. CLAW_FUZZ says
 * how many random ones, and from which seed, as COUNT@SEED.
 */
import { closeDevices, compile, type HostTensor, load, openDevice, use } from '@open-claw/core';
import { type Graph, interpretWithBounds } from '@open-claw/core/internal';
import { openClDevice } from '@open-claw/device-opencl';
import { afterAll, describe, expect, it } from 'vitest';
import { difference, fuzz } from './fuzz.js';
import { smallPrograms } from './programs.js';

const plugin = openClDevice();
const [found] = await plugin.probe();
const absent = found === undefined || 'reason' in found;
if (absent) {
  console.warn('skipped: no OpenCL device (on Debian: ocl-icd-libopencl1 and pocl-opencl-icd)');
}
const [count = 40, first = 0] = (process.env['CLAW_FUZZ'] ?? '40').split('@').map(Number);
// Drivers compile every program for seconds where the machine does other things too.
const timeout = 600_000;

use(plugin);
afterAll(closeDevices);

async function runOnce(graph: Graph, inputs: readonly HostTensor[]): Promise<HostTensor[]> {
  const opened = await openDevice('opencl:0');
  const executable = await load(compile(graph, opened.target, opened.plugin.language), opened);
  try {
    return await executable.run(inputs);
  } finally {
    await executable.dispose();
  }
}

describe.skipIf(absent)('OpenCL', () => {
  it.each(smallPrograms())('runs $name', { timeout }, async ({ graph, inputs }) => {
    const outputs = await runOnce(graph, inputs);
    const expected = interpretWithBounds(graph, inputs);
    for (const [i, { tensor, error }] of expected.entries()) {
      expect(difference(outputs[i], tensor, error)).toBeUndefined();
    }
  });

  it(`${count} random programs`, { timeout: 10 * timeout }, async () => {
    const report = await fuzz({ run: runOnce, count, first, shrinkSteps: 0 });
    expect(report.failures[0]?.text).toBeUndefined();
    expect(report.passed).toBeGreaterThan(count / 3);
  });
});
