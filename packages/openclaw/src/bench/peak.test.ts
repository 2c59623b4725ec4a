import { closeDevices, openDevice, use } from '@open-claw/core';
import { plugin } from '@open-claw/device-wasm';
import { afterAll, expect, it } from 'vitest';
import { measurePeaks } from './peak.js';

afterAll(closeDevices);

it('measures what WebAssembly reaches, whose unit works on vectors', async () => {
  use(plugin);
  const peaks = await measurePeaks(await openDevice('wasm'), 2 ** 16);
  expect(peaks.flops).toBeGreaterThan(0);
  expect(peaks.bandwidth).toBeGreaterThan(0);
  expect(peaks.units).toEqual([]);
});
