/** Random programs through the whole compiler, on threads, run by OpenCL. */
import { closeDevices, compile, load, openDevice, use } from '@open-claw/core';
import { type Target, targetsOfGpus } from '@open-claw/core/device';
import { afterAll, describe, expect, it } from 'vitest';
import { fuzz } from '../fuzz.js';
import { openCl } from './opencl.js';
import { openClPlugin } from './opencl-plugin.js';

const cl = openCl();
const count = 12;
afterAll(closeDevices);

describe('random programs on threads', () => {
  it.skipIf(typeof cl === 'string')(`${count} programs (needs an OpenCL platform)`, async () => {
    if (typeof cl === 'string') return;
    const generic = targetsOfGpus.find((t) => t.id === 'opencl/generic') as Target;
    const target: Target = { ...generic, compute: [...generic.compute, 'f64'] };
    use(openClPlugin(cl, { ...target, storage: [...target.storage, 'f64'] }));
    const opened = await openDevice('opencl-test');
    const report = await fuzz({
      run: async (graph, inputs) => {
        const program = compile(graph, opened.target, opened.plugin.language);
        const executable = await load(program, opened);
        try {
          return await executable.run(inputs);
        } finally {
          await executable.dispose();
        }
      },
      count,
      first: 0,
      shrinkSteps: 0,
    });
    expect(report.failures.map((failure) => failure.text).join('\n\n')).toBe('');
    expect(report.passed).toBeGreaterThan(0);
  });
});
