/** The contract, seen from core: facts without a card, the probe, one kernel end to end. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deviceExam } from '@open-claw/conformance';
import { afterAll, describe, expect, it } from 'vitest';
import { compilersOnPath } from './src/compiler.js';
import { nativeDevice } from './src/index.js';
import { e, runCase } from './src/testing/program.js';

const folder = mkdtempSync(join(tmpdir(), 'claw-native-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const missing = compilersOnPath().length === 0;
if (missing) console.warn('skipped: gcc or clang not found: install build-essential');

describe('the CPU', () => {
  const plugin = nativeDevice({ cache: folder });

  it('has facts without being opened', () => {
    expect(plugin.contract).toBe(1);
    expect(plugin.targets.map(({ id }) => id)).toEqual([
      'native/amx',
      'native/avx512',
      'native/avx512f',
      'native/avx2',
      'native/neon',
      'native/generic',
    ]);
    for (const target of plugin.targets) {
      expect(target.execution).toBe('vector');
      expect(target.storage).not.toContain('string');
    }
  });

  it.skipIf(missing)('is found as hardware, with its compiler as driver', async () => {
    const [found] = await plugin.probe();
    expect(found).toMatchObject({ id: 'native', marks: [], peers: [] });
    expect(found).toHaveProperty('driver', expect.stringMatching(/gcc|clang|cc/));
  });

  it.skipIf(missing)('refuses binaries of other devices and rows', async () => {
    const device = await plugin.open('native/generic');
    const binary = {
      format: 'native/1',
      target: 'native/other',
      toolchain: '',
      bytes: new Uint8Array(8),
      entries: [],
    };
    await expect(device.load(binary)).rejects.toMatchObject({ code: 'OC-REFUSED-01' });
    const damaged = { ...binary, target: 'native/generic' };
    await expect(device.load(damaged)).rejects.toMatchObject({ code: 'OC-DEVICE-03' });
    await device.close();
  });

  it.skipIf(missing)('computes', async () => {
    const device = await plugin.open('native');
    const values = Float32Array.of(1, 2, 3, 4);
    const at = e.variable('g', 4);
    await runCase(plugin, device, {
      lanes: 1,
      buffers: { values },
      grid: [['g', 4]],
      write(k) {
        const x = k.load('f32', [], { buffer: 'values', address: at, strides: [] });
        const y = k.let('f32', [], { kind: 'binary', name: 'add', a: x, b: x });
        k.store({ buffer: 'values', address: at, strides: [] }, y);
      },
    });
    expect([...values]).toEqual([2, 4, 6, 8]);
    await device.close();
  });
});

describe.skipIf(missing)('the exam', () => {
  for (const { name, run } of deviceExam(nativeDevice({ cache: folder }))) {
    it(name, async () => {
      await run();
    });
  }
});
