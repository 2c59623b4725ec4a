/** The built command: processes, pipes and the conformance workers. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  buildModel,
  buildNode,
  buildValue,
  tensorProto,
  writeModel,
  writeTensor,
} from '@open-claw/formats';
import { afterAll, describe, expect, it } from 'vitest';
import { denseModel, modelFolder } from '../testing/models.js';

const bin = join(import.meta.dirname, '../../bin/claw.js');
const isBuilt = existsSync(join(import.meta.dirname, '../../dist/cli/main.js'));
if (!isBuilt) console.warn('skipped: packages/openclaw/dist is missing: npx tsc -b');

const folder = modelFolder({ 'dense.onnx': denseModel() });
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function claw(words: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const given = { PATH: process.env['PATH'] ?? '', HOME: folder, ...env };
  const done = spawnSync(process.execPath, [bin, ...words], { encoding: 'utf8', env: given });
  return { exit: done.status, out: done.stdout, err: done.stderr };
}

/** A suite of two cases: a right answer, and a wrong one. */
function writeSuite(path: string): void {
  const tensor = (name: string, values: readonly number[]) =>
    writeTensor(tensorProto(name, { dtype: 'f32', shape: [2], data: Float32Array.from(values) }));
  const model = writeModel(
    buildModel({
      nodes: [buildNode('Neg', ['x'], ['y'])],
      inputs: [buildValue('x', [2])],
      outputs: [buildValue('y', [2])],
    }),
  );
  for (const [name, answer] of [
    ['test_right', [-1, -2]],
    ['test_wrong', [1, 2]],
  ] as const) {
    const data = join(path, 'node', name, 'test_data_set_0');
    mkdirSync(data, { recursive: true });
    writeFileSync(join(path, 'node', name, 'model.onnx'), model);
    writeFileSync(join(data, 'input_0.pb'), tensor('x', [1, 2]));
    writeFileSync(join(data, 'output_0.pb'), tensor('y', answer));
  }
}

describe.skipIf(!isBuilt)('the command claw', () => {
  it('runs a model in a pipe, without a progress bar', () => {
    const words = ['run', join(folder, 'dense.onnx'), '--random', '1', '--size', 'batch=1'];
    const { exit, out, err } = claw([...words, '--device', 'wasm']);
    expect({ exit, err }).toEqual({ exit: 0, err: '' });
    expect(out).toContain('f32');
  });

  it('takes the device from CLAW_DEVICE, and the language from LANG', () => {
    const words = ['run', join(folder, 'dense.onnx'), '--random', '1', '--size', 'batch=1'];
    const { exit, out } = claw([...words, '--json'], { CLAW_DEVICE: 'template' });
    expect(exit).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ device: 'template:0', evidence: 'stub' });
    const { err } = claw(['run', 'no-such.onnx'], { LANG: 'zh_CN.UTF-8' });
    expect(err).toContain('没有');
  });

  it('gives conformance as JSON, and 1 where a case fails', () => {
    const suite = join(folder, 'suite');
    writeSuite(suite);
    const words = ['conform', '--onnx', suite, '--device', 'wasm', '--json'];
    const { exit, out } = claw(words);
    expect(exit).toBe(1);
    const value = JSON.parse(out);
    expect(value).toMatchObject({
      schema: 1,
      command: 'conform',
      device: 'wasm',
      evidence: 'hardware',
      suite: { name: 'suite', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
      total: 2,
      passed: 1,
      failed: 1,
      refused: 0,
      disputed: 0,
      crashed: 0,
      timeout: 0,
    });
    expect(value.cases).toEqual([
      {
        name: 'node/test_right',
        outcome: 'passed',
        maxError: 0,
        hostSteps: 0,
        ms: expect.any(Number),
      },
      {
        name: 'node/test_wrong',
        outcome: 'failed',
        reason: expect.stringContaining('element 0'),
        maxError: 4,
        hostSteps: 0,
        ms: expect.any(Number),
      },
    ]);
    expect(claw([...words, '--filter', 'right']).exit).toBe(0);
    expect(claw([...words, '--filter', 'none of them']).exit).toBe(2);
  });

  it('isolates a case that ends its process, and one that hangs', () => {
    const suite = join(folder, 'bad-suite');
    writeSuite(suite);
    const plugin = join(folder, 'bad.mjs');
    const built = '../../../../devices/template/dist/index.js';
    const template = pathToFileURL(join(import.meta.dirname, built)).href;
    writeFileSync(
      plugin,
      `import { templateDevice } from ${JSON.stringify(template)};
       const good = templateDevice();
       export const plugin = { ...good, name: 'bad', async open(id) {
         const device = await good.open(id);
         if (process.send === undefined) return device;
         const hangs = process.env.HOME.endsWith('hang');
         device.load = () => hangs ? new Promise(() => {}) : process.abort();
         return device;
       } };`,
    );
    const words = ['conform', '--onnx', suite, '--plugin', plugin, '--device', 'bad', '--json'];
    const crashed = claw(words);

    expect(crashed.exit).toBe(1);
    expect(JSON.parse(crashed.out)).toMatchObject({ total: 2, crashed: 2, passed: 0 });
    const hangs = claw([...words, '--filter', 'right', '--time-limit', '100ms'], { HOME: 'hang' });
    expect(hangs.exit).toBe(1);
    expect(JSON.parse(hangs.out)).toMatchObject({ total: 1, timeout: 1, passed: 0 });
  });
});
