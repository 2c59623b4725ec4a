/** Bundles: what is written is read again, runs without a compiler, and damage is refused. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isFailure, listDevices, loadedPlugins, type Target } from '@open-claw/core';
import { buildModel, buildNode, buildValue, tensorProto, writeModel } from '@open-claw/formats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { usePlugins } from '../devices/plugins.js';
import { loadModel } from '../model/load.js';
import { denseModel } from '../testing/models.js';
import { readBundle, writeBundle } from './bundle.js';
import { compileBundle } from './compile.js';
import { readContainer, writeContainer } from './format.js';

const folder = mkdtempSync(join(tmpdir(), 'claw-bundle-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** y = x · w for a weight that is large enough to be kept by its hash. */
const weight = Float32Array.from({ length: 32 * 32 }, (_, i) => ((i * 7) % 11) - 5);
const wideModel = () =>
  buildModel({
    nodes: [buildNode('MatMul', ['x', 'w'], ['y'])],
    inputs: [buildValue('x', [2, 32])],
    outputs: [buildValue('y', [2, 32])],
    initializers: [tensorProto('w', { dtype: 'f32', shape: [32, 32], data: weight })],
  });
const x = Float32Array.from({ length: 64 }, (_, i) => (i % 5) - 2);
const expected = Array.from({ length: 64 }, (_, at) => {
  const [row, column] = [Math.floor(at / 32), at % 32];
  let sum = 0;
  for (let k = 0; k < 32; k++) sum += (x[row * 32 + k] ?? 0) * (weight[k * 32 + column] ?? 0);
  return sum;
});
const input = { x: { dtype: 'f32' as const, shape: [2, 32], data: x } };

const targetOf = async (id: string): Promise<Target> => {
  const all = (await loadedPlugins()).flatMap(({ targets }) => targets);
  return all.find((target) => target.id === id) as Target;
};

let wasmTarget: Target;
let bundle: Uint8Array;
beforeAll(async () => {
  await usePlugins({});
  const plugins = await loadedPlugins();
  wasmTarget = plugins.find(({ name }) => name === 'wasm')?.targets[0] as Target;
  bundle = (await compileBundle({ proto: wideModel(), name: 'wide' }, wasmTarget, {})).bytes;
});

describe('a bundle', () => {
  it('runs like the model that it was made of', async () => {
    const model = await loadModel(bundle);
    const outputs = await model.run(input);
    expect(Array.from(outputs['y']?.data as Float32Array)).toEqual(expected);
    await model.dispose();
  });

  it('keeps weights by hash, once, and compiles to the same bytes', async () => {
    const { fields, sections } = readContainer(bundle);
    expect(fields['weights']).toHaveLength(1);
    expect(sections.get(String((fields['weights'] as string[])[0]))?.length).toBe(4096);
    const again = await compileBundle({ proto: wideModel(), name: 'wide' }, wasmTarget, {});
    expect(Buffer.compare(again.bytes, bundle)).toBe(0);
    expect(Buffer.compare(writeBundle(readBundle(bundle)), bundle)).toBe(0);
  });

  it('runs with sizes that were not known when it was made', async () => {
    const source = { proto: denseModel(), name: 'dense' };
    const { bytes } = await compileBundle(source, wasmTarget, {});
    const model = await loadModel(bytes);
    for (const rows of [1, 5]) {
      const data = new Float32Array(rows * 3).fill(1);
      const { z } = await model.run({ x: { dtype: 'f32', shape: [rows, 3], data } });
      expect(z?.shape).toEqual([rows, 2]);
      expect(Array.from(z?.data as Float32Array).slice(0, 2)).toEqual([9, 0]);
    }
    await model.dispose();
  });

  it('is refused where it was made by another version or lacks kernels', async () => {
    const parts = readBundle(bundle);
    const older = writeBundle({ ...parts, version: '0.0.1' });
    await expect(loadModel(older)).rejects.toThrow('OC-BUNDLE-02');
    const format = bundle.slice();
    format[8] = 99;
    await expect(loadModel(format)).rejects.toThrow('OC-BUNDLE-02');
    const empty = writeBundle({ ...parts, binaries: new Map() });
    await expect(loadModel(empty)).rejects.toThrow('OC-BUNDLE-03');
  });
});

describe('damage', () => {
  const codeOf = (bytes: Uint8Array): string => {
    try {
      readBundle(bytes);
      return 'none';
    } catch (error) {
      return isFailure(error) ? error.code : String(error);
    }
  };

  it('is found at every byte that is cut or changed', () => {
    for (let length = 0; length < bundle.length; length += length < 64 ? 1 : 97) {
      expect(codeOf(bundle.subarray(0, length))).toBe('OC-BUNDLE-01');
    }
    const { sections } = readContainer(bundle);
    const used = [...sections.values()].map((each) => each.byteOffset - bundle.byteOffset);
    const first = Math.min(...used);
    for (let at = 0; at < bundle.length; at += at < first ? 1 : 61) {
      const changed = bundle.slice();
      changed[at] = (changed[at] ?? 0) ^ 0x10;
      const code = codeOf(changed);
      // Bytes between sections mean nothing.
      const isGap = code === 'none';
      if (isGap) expect(isPadding(bundle, at)).toBe(true);
      else expect(code).toMatch(/^OC-BUNDLE-0[12]$/);
    }
  });

  function isPadding(file: Uint8Array, at: number): boolean {
    const header = 48 + new DataView(file.buffer, file.byteOffset).getUint32(12, true);
    if (at < header) return false;
    const { sections } = readContainer(file);
    return ![...sections.values()].some((each) => {
      const start = each.byteOffset - file.byteOffset;
      return at >= start && at < start + each.length;
    });
  }

  it('is refused where the header says what cannot be', () => {
    const { fields, sections } = readContainer(bundle);
    const { sections: _, ...plain } = fields;
    const all = [...sections.values()];
    const wrong: Record<string, unknown>[] = [
      { model: 'ff' },
      { model: 7 },
      { weights: ['00'] },
      { weights: 'none' },
      { precision: 'best' },
      { target: null },
      { target: { id: 'x' } },
      { sizes: { n: -1 } },
      { binaries: [{}] },
      { binaries: {} },
      { runtime: 'ff' },
      { name: 3 },
    ];
    for (const each of wrong) {
      expect(codeOf(writeContainer({ ...plain, ...each }, all))).toBe('OC-BUNDLE-01');
    }
    expect(codeOf(writeContainer(plain, all))).toBe('none');
    expect(codeOf(writeContainer([] as never, []))).toBe('OC-BUNDLE-01');
  });
});

describe('on the CPU', async () => {
  await usePlugins({ device: 'native' });
  const native = (await listDevices()).find(
    (listing) => 'found' in listing && listing.found.id === 'native',
  );
  it.skipIf(native === undefined)('runs where there is no compiler and no cache', async () => {
    const path = join(folder, 'wide.onnx');
    const out = join(folder, 'wide.claw');
    writeFileSync(path, writeModel(wideModel()));
    const target = await targetOf('native/generic');
    const made = await compileBundle({ proto: wideModel(), name: 'wide' }, target, {});
    writeFileSync(out, made.bytes);
    const claw = fileURLToPath(new URL('../../bin/claw.js', import.meta.url));
    const run = (source: string) =>
      spawnSync(process.execPath, [claw, 'run', source, '--random', '1', '--json'], {
        encoding: 'utf8',
        env: { PATH: '/nowhere', CLAW_CACHE: join(folder, 'cache'), CLAW_DEVICE: 'native' },
      });
    expect(run(path).stdout).toContain('no C compiler works here');
    const ran = run(out);
    expect(ran.stderr).toBe('');
    const answer = JSON.parse(ran.stdout) as { device: string; outputs: { y: { data: number[] } } };
    expect(answer.device).toBe('native/generic');
    expect(answer.outputs.y.data).toHaveLength(64);
    expect(readFileSync(out).length).toBe(made.bytes.length);
  });
});
