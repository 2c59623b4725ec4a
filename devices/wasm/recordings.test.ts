/** Recordings of what cannot run: they take no memory, and say what is wrong when they run. */
import type { Command } from '@open-claw/core/device';
import { expect, it } from 'vitest';
import { WasmDevice } from './src/index.js';

it('holds no memory for launches that it cannot prepare', async () => {
  const device = new WasmDevice(2 ** 22, []);
  const memory = await device.allocate(64);
  const { freeBytes } = await device.status();
  const launch: Command = {
    kind: 'launch',
    module: { entries: [] },
    entry: 'none',
    buffers: [{ memory, offset: 0, bytes: 64, access: 'read' }],
    sizes: [],
    grid: [1],
    microseconds: 1,
  };
  const recording = await device.record([launch, launch]);
  expect(await device.status()).toEqual({ freeBytes });
  device.submit([{ kind: 'replay', recording }]);
  await expect(device.sync()).rejects.toMatchObject({ code: 'OC-DEVICE-03' });
  await device.close();
});
