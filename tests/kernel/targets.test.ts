/**
 * Kernels made for other machines (vectors, groups of threads), verified and run as plain
 * JavaScript against the interpreter: what the kernel room decides, without any chip.
 */
import { closeDevices } from '@open-claw/core';
import { interpretWithBounds } from '@open-claw/core/internal';
import { afterAll, describe, expect, it } from 'vitest';
import { difference, fuzz } from '../fuzz.js';
import { smallPrograms } from '../programs.js';
import { runOn, targets } from './targets.js';

afterAll(closeDevices);

const count = Number(process.env['CLAW_FUZZ'] ?? 60);

describe.each(targets)('$id', (target) => {
  it.each(smallPrograms())('runs $name', async ({ graph, inputs }) => {
    const expected = interpretWithBounds(graph, inputs);
    const outputs = await runOn(target, graph, inputs);
    expected.forEach(({ tensor, error }, i) => {
      expect(difference(outputs[i], tensor, error)).toBeUndefined();
    });
  });

  it(`runs ${count} random programs`, { timeout: 600_000 }, async () => {
    const report = await fuzz({
      run: (graph, inputs) => runOn(target, graph, inputs),
      count,
      first: 5000,
      mostFailures: 6,
    });
    expect(report.failures.map(({ text }) => text)).toEqual([]);
  });
});
