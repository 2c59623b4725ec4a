/** Models by names: inputs in every form, symbolic sizes, programs for values, refusals. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { closeDevices, use, zeros } from '@open-claw/core';
import { wasmDevice } from '@open-claw/device-wasm';
import { writeModel } from '@open-claw/formats';
import { afterAll, describe, expect, it } from 'vitest';
import { codeOf } from '../testing/codes.js';
import { denseModel, modelFolder, reshapeModel, unknownModel } from '../testing/models.js';
import { loadModel } from './load.js';

const folder = modelFolder({ 'dense.onnx': denseModel() });
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await closeDevices();
});

const dense = (): Uint8Array => writeModel(denseModel());

describe.each(['interpreter', 'wasm'])('a model on %s', (device) => {
  it('takes numbers in every form, for any batch', async () => {
    const model = await loadModel(dense(), { device });
    expect(model.inputs).toEqual([
      { name: 'x', kind: 'tensor', dtype: 'f32', shape: ['batch', 3] },
    ]);
    expect(model.outputs).toMatchObject([{ name: 'z', dtype: 'f32', shape: ['batch', 2] }]);
    const nested = await model.run({
      x: [
        [1, 2, 3],
        [4, 5, 6],
      ],
    });
    expect(nested['z']).toMatchObject({ shape: [2, 2], data: Float32Array.of(22, 0, 49, 0) });
    const flat = await model.run({ x: Float32Array.of(1, 1, 1) });
    expect(flat['z']).toMatchObject({ shape: [1, 2], data: Float32Array.of(9, 0) });
    const none = await model.run({ x: zeros([0, 3]) });
    expect(none['z']?.shape).toEqual([0, 2]);
    await model.dispose();
    expect(await codeOf(model.run({ x: [[1, 2, 3]] }))).toBe('OC-RUN-08');
  });

  it('times its steps by a clock that is finer than milliseconds', async () => {
    if (device === 'interpreter') return;
    const model = await loadModel(dense(), { device });
    const x = { dtype: 'f32' as const, shape: [64, 3], data: new Float32Array(192) };
    const { executable } = await model.programFor({ x });
    const { steps } = await executable.profile([x]);
    expect(steps.some(({ start }) => !Number.isInteger(start))).toBe(true);
    await model.dispose();
  });

  it('writes into the arrays that are given', async () => {
    const model = await loadModel(dense(), { device, sizes: { batch: 1 } });
    expect(model.outputs[0]?.shape).toEqual([1, 2]);
    const z = { dtype: 'f32' as const, shape: [1, 2], data: new Float32Array(2) };
    const { z: same } = await model.run({ x: Float32Array.of(1, 2, 3) }, { into: { z } });
    if (device !== 'interpreter') expect(same?.data).toBe(z.data);
    expect([...(same?.data ?? [])]).toEqual([22, 0]);
    await model.dispose();
  });

  it('is made for the values of inputs where its shapes follow from them', async () => {
    const model = await loadModel(writeModel(reshapeModel()), { device });
    const x = Float32Array.from({ length: 12 }, (_, i) => i);
    for (const shape of [
      [3, 4],
      [2, 3, 2],
      [3, 4],
    ]) {
      const { y } = await model.run({ x, s: shape });
      expect(y).toMatchObject({ shape, data: x });
    }
    await model.dispose();
  });
});

describe('a model', () => {
  it('comes from a path or a file address, with progress', async () => {
    const path = join(folder, 'dense.onnx');
    const stages: string[] = [];
    const model = await loadModel(pathToFileURL(path), {
      device: 'interpreter',
      onProgress: ({ stage }) => stages.push(stage),
    });
    expect(stages).toEqual(['read', 'device', 'compile', 'ready']);
    expect(model.backend).toEqual({ device: 'interpreter', driver: 'none', evidence: 'none' });
    const again = await loadModel(path, { device: 'interpreter' });
    expect((await again.run({ x: [[1, 0, 0]] }))['z']?.data).toEqual(Float32Array.of(1, 2));
  });

  it('tells inputs that are wrong, unknown or missing', async () => {
    const model = await loadModel(dense(), { device: 'interpreter' });
    expect(await codeOf(model.run({}))).toBe('OC-INPUT-03');
    expect(await codeOf(model.run({ x: [[1, 2, 3]], q: 1 }))).toBe('OC-INPUT-02');
    expect(await codeOf(model.run({ x: Float32Array.of(1, 2) }))).toBe('OC-INPUT-01');
    expect(await codeOf(model.run({ x: Int32Array.of(1, 2, 3) }))).toBe('OC-INPUT-01');
    expect(await codeOf(model.run({ x: [[1, 2], [3]] }))).toBe('OC-INPUT-01');
  });

  it('is refused by name: operators, level, devices', async () => {
    const load = (options: object) => loadModel(dense(), { device: 'interpreter', ...options });
    expect(await codeOf(loadModel(writeModel(unknownModel())))).toBe('OC-ONNX-32');
    expect(await codeOf(load({ level: 'exact' }))).toBe('OC-REFUSED-01');
    expect(await codeOf(load({ precision: 'most' }))).toBe('OC-USAGE-01');
    expect(await codeOf(load({ device: 'no-such-chip' }))).toBe('OC-DEVICE-06');
    expect(await codeOf(load({ plugin: './no-such-file.js' }))).toBe('OC-PLUGIN-01');
    expect(await codeOf(load({ signal: AbortSignal.abort() }))).toBe('OC-DEVICE-05');
    expect(await codeOf(loadModel('no-such-file.onnx'))).toBe('OC-USAGE-06');
  });

  it('tells the devices that were wished for and are not there', async () => {
    const model = await loadModel(dense(), { device: 'no-such-chip,interpreter' });
    expect(model.fallbacks).toMatchObject([{ op: 'device', node: 'no-such-chip' }]);
  });

  it('takes the row with wider addresses where memory is too small without', async () => {
    setFlagsFromString('--experimental-wasm-memory64');
    const plugin = wasmDevice();
    const small = async () =>
      (await plugin.probe()).map((entry) =>
        'target' in entry ? { ...entry, target: { ...entry.target, memoryBytes: 8 } } : entry,
      );
    const options = { plugin: { ...plugin, probe: small }, device: 'wasm' };
    await closeDevices();
    const model = await loadModel(dense(), options);
    const { z } = await model.run({ x: [[1, 2, 3]] });
    expect(z?.data).toEqual(Float32Array.of(22, 0));
    expect(model.backend.device).toMatch(/^wasm\/memory64/);
    expect(model.fallbacks).toMatchObject([{ op: 'device', node: 'wasm' }]);
    await model.dispose();
    await closeDevices();
    use(plugin);
  });

  it('opens a row of a device by its id', async () => {
    const model = await loadModel(dense(), { device: 'wasm/scalar' });
    expect(model.backend.device).toBe('wasm/scalar');
    const { z } = await model.run({ x: [[1, 2, 3]] });
    expect(z?.data).toEqual(Float32Array.of(22, 0));
    await model.dispose();
  });
});
