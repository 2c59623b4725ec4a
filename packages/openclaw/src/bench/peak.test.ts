import { closeDevices, openDevice, type Target, use } from '@open-claw/core';
import { targetsOfGpus } from '@open-claw/core/device/gpu';
import { shaderLanguage } from '@open-claw/core/device/shader';
import { plugin } from '@open-claw/device-wasm';
import { afterAll, expect, it } from 'vitest';
import { measurePeaks, peakProgram } from './peak.js';

afterAll(closeDevices);

it('measures what WebAssembly reaches, whose unit works on vectors', async () => {
  use(plugin);
  const peaks = await measurePeaks(await openDevice('wasm'), 2 ** 16);
  expect(peaks.flops).toBeGreaterThan(0);
  expect(peaks.bandwidth).toBeGreaterThan(0);
  expect(peaks.units).toEqual([]);
});

it('has chains that differ, so that a compiler keeps them all', () => {
  const target = targetsOfGpus.find(({ id }) => id === 'webgpu/software') as Target;
  const { body } = peakProgram(target, false);
  const starts = body.flatMap((s) => (s.kind === 'variable' ? [s.initial] : []));
  expect(starts.length).toBeGreaterThan(8);
  const addresses = body.flatMap((s) =>
    s.kind === 'let' && s.operation.kind === 'load' && starts.includes(s.id)
      ? [s.operation.access.address]
      : [],
  );
  expect(new Set(addresses).size).toBe(starts.length);
});

it.each([false, true])('is written with indices that every language has; reads: %s', (reads) => {
  const target = targetsOfGpus.find(({ id }) => id === 'webgpu/software') as Target;
  const source = shaderLanguage.emit([peakProgram(target, reads)], target);
  expect(source.entries).toHaveLength(1);
});
