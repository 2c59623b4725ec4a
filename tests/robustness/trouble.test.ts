/** What goes wrong around a model: devices, compilers, folders, memory, values, time. */
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile, isFailure, type OpenClawError } from '@open-claw/core';
import { nativeDevice } from '@open-claw/device-native';
import { buildGraph, buildNode, buildValue, importModel, readModel } from '@open-claw/formats';
import { closeDevices, loadModel, type ModelInputs } from '@open-claw/openclaw';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelOf } from './bad-models.js';
import { claw, temporary } from './commands.js';

const root = temporary();
const model = join(root, 'model.onnx');
const bytes = modelOf([buildNode('Relu', ['x'], ['y'])], [2, 3]);
const native = ['run', model, '--random', '1', '--device', 'native'];
const isRoot = process.getuid?.() === 0;

beforeAll(() => writeFileSync(model, bytes));
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
  return closeDevices();
});

/** A folder with a program `cc` of this text. */
function compilerOf(name: string, text: string): string {
  const folder = join(root, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'cc'), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return folder;
}

function cacheOf(name: string, mode = 0o700): string {
  const folder = join(root, name);
  mkdirSync(folder);
  chmodSync(folder, mode);
  return folder;
}

describe('the device', () => {
  it('is not there: the error says what to do', () => {
    for (const id of ['nothing', 'cuda:7', 'native/z80']) {
      const { exit, err } = claw(['run', model, '--random', '1', '--device', id]);
      expect(exit).toBe(3);
      expect(err).toContain(`OC-DEVICE-06  there is no device "${id}"`);
      expect(err).toContain('claw devices');
    }
  });

  it('lacks a compiler: native says how to get one, others run and tell of it', () => {
    const env = { PATH: '', CLAW_CACHE: cacheOf('empty-path') };
    const alone = claw(native, env);
    expect(alone.exit).toBe(3);
    expect(alone.err).toMatch(/no C compiler works here/);
    expect(alone.err).toMatch(/install gcc or clang/);
    const other = claw(['run', model, '--random', '1', '--device', 'native,wasm', '--json'], env);
    expect(other.exit).toBe(0);
    const { device, fallbacks } = JSON.parse(other.out);
    expect(device).toBe('wasm');
    expect(JSON.stringify(fallbacks)).toContain('no C compiler works here');
  });

  it('has a compiler that fails: its own text is told', () => {
    const text =
      '[ "$1" = --version ] && echo broken-cc 1 && exit 0\necho no-space-in-brain >&2; exit 1';
    const path = compilerOf('broken', text);
    const { exit, err } = claw(native, { PATH: path, CLAW_CACHE: cacheOf('broken-cache') });
    expect(exit).toBe(3);
    expect(err).toContain('no-space-in-brain');
  });

  it('has a compiler that hangs up on kernels: refused with its text', async () => {
    const count = join(root, 'calls');
    const path = compilerOf(
      'second',
      [
        '[ "$1" = --version ] && exec cc --version',
        `if [ -e ${count} ]; then echo bad-kernel >&2; exit 1; fi`,
        `touch ${count}`,
        'exec cc "$@"',
      ].join('\n'),
    );
    const plugin = nativeDevice({ compiler: join(path, 'cc'), cache: cacheOf('second-cache') });
    const found = (await plugin.probe())[0];
    if (found === undefined || !('target' in found)) throw new Error('a compiler is needed');
    const graph = importModel(readModel(bytes)).graph;
    const { source } = compile(graph, found.target, plugin.language);
    if (source === undefined) throw new Error('nothing to compile');
    await expect(plugin.compile(source, found.target)).rejects.toThrow(/OC-DEVICE-07.*bad-kernel/s);
  });
});

describe('the cache', () => {
  it('is open to others: it is not used', () => {
    for (const [name, mode] of [
      ['group', 0o770],
      ['world', 0o777],
      ['readable', 0o755],
    ] as const) {
      const folder = cacheOf(`${name}-cache`, mode);
      const { exit, err } = claw(native, { CLAW_CACHE: folder });
      expect(exit).toBe(3);
      expect(err).toContain('others may use it');
      expect(err).toContain('CLAW_CACHE');
    }
  });

  it.skipIf(!isRoot)('belongs to another user: it is not used (needs root)', () => {
    const folder = cacheOf('foreign');
    chownSync(folder, 12345, 12345);
    const { exit, err } = claw(native, { CLAW_CACHE: folder });
    expect(exit).toBe(3);
    expect(err).toContain('it belongs to another user');
  });

  it('is on a full disk: no half file stays', (context) => {
    const folder = cacheOf('full');
    const options = ['-t', 'tmpfs', '-o', 'size=16k,mode=700', 'none', folder];
    if (spawnSync('mount', options).status !== 0) context.skip('mounting a small disk needs root');
    try {
      const { exit, err } = claw(native, { CLAW_CACHE: folder });
      expect(exit).toBe(3);
      expect(err).toMatch(/ENOSPC|No space left/);
      expect(err).toMatch(/free some space|CLAW_CACHE/);
    } finally {
      spawnSync('umount', [folder]);
    }
  });
});

/** Runs and gives the failure. */
async function failureOf(work: Promise<unknown>): Promise<OpenClawError> {
  const error = await work.then(
    () => new Error('it ran'),
    (reason: unknown) => reason,
  );
  if (!isFailure(error)) throw error;
  return error;
}

/** Longer than any test waits: a loop of 2^40 additions of a large value. */
function long(): Uint8Array {
  const body = buildGraph({
    nodes: [buildNode('Sin', ['a'], ['b']), buildNode('Identity', ['c'], ['d'])],
    inputs: [buildValue('i', [], 7), buildValue('c', [], 9), buildValue('a', ['n', 1000])],
    outputs: [buildValue('d', [], 9), buildValue('b', ['n', 1000])],
  });
  const value = { name: 'body', kind: 'graph', value: body } as const;
  return modelOf([buildNode('Loop', ['trips', '', 'x'], ['y'], [value])], ['n', 1000], {
    inputs: [buildValue('x', ['n', 1000]), buildValue('trips', [], 7)],
  });
}

describe.each(['native', 'wasm', 'interpreter'])('on %s', (device) => {
  const sine = new Float32Array(2000).fill(0.5);
  const x = { dtype: 'f32', shape: [2, 1000], data: sine } as const;
  const trips = (count: bigint) =>
    ({ dtype: 'i64', shape: [], data: BigInt64Array.of(count) }) as const;

  it('names the operator whose index is outside, and runs again', async () => {
    const gather = modelOf([buildNode('Gather', ['x', 'i'], ['y'])], [4], {
      inputs: [buildValue('x', [4]), buildValue('i', ['n'], 7)],
    });
    const loaded = await loadModel(gather, { device });
    const table = Float32Array.of(1, 2, 3, 4);
    const given = (...index: bigint[]): ModelInputs => ({ x: table, i: BigInt64Array.from(index) });
    const into = { y: { dtype: 'f32', shape: [2], data: Float32Array.of(7, 7) } } as const;
    for (const index of [4n, -5n, 2n ** 62n, -(2n ** 63n)]) {
      const { code, message } = await failureOf(loaded.run(given(0n, index), { into }));
      expect(['OC-RUN-02', 'OC-RUN-03']).toContain(code);
      expect(message).toMatch(/gather/i);
      expect(message).toMatch(/fix {2}give indices/);
      expect([
        [7, 7],
        [0, 0],
      ]).toContainEqual([...into.y.data]);
      const { y } = await loaded.run(given(3n, -1n));
      expect([...(y?.data ?? [])]).toEqual([4, 4]);
    }
    await loaded.dispose();
  });

  it('names the division by zero, and runs again', async () => {
    const divide = modelOf([buildNode('Div', ['x', 'k'], ['y'])], [4], {
      inputs: [buildValue('x', [2], 6), buildValue('k', [2], 6)],
    });
    const loaded = await loadModel(divide, { device });
    const given = (...by: number[]): ModelInputs => ({ x: [6, -9], k: Int32Array.from(by) });
    const { code, message } = await failureOf(loaded.run(given(2, 0)));
    expect(code).toBe('OC-RUN-01');
    expect(message).toMatch(/div/i);
    expect([...((await loaded.run(given(2, 3)))['y']?.data ?? [])]).toEqual([3, -3]);
    await loaded.dispose();
  });

  it('stops at a signal and at a time limit, and runs again', async () => {
    const loaded = await loadModel(long(), { device });
    const endless = { x, trips: trips(2n ** 40n) };
    const early = AbortSignal.abort('at once');
    expect((await failureOf(loaded.run(endless, { signal: early }))).code).toBe('OC-DEVICE-05');
    const start = performance.now();
    // The interpreter holds the thread, so no signal can reach it under way.
    if (device !== 'interpreter') {
      const late = AbortSignal.timeout(60);
      expect((await failureOf(loaded.run(endless, { signal: late }))).code).toBe('OC-DEVICE-05');
    }
    const limited = await failureOf(loaded.run(endless, { timeLimit: 60 }));
    expect(limited.code).toBe('OC-DEVICE-04');
    expect(limited.message).toMatch(/raise the time limit/);
    expect(performance.now() - start).toBeLessThan(3000);
    const { y } = await loaded.run({ x, trips: trips(2n) });
    expect(Number(y?.data[1999])).toBeCloseTo(Math.sin(Math.sin(0.5)), 5);
    await loaded.dispose();
  });

  it.skipIf(device === 'interpreter')('keeps to its memory, and runs again', async () => {
    const nodes = [buildNode('Transpose', ['x'], ['t']), buildNode('MatMul', ['x', 't'], ['y'])];
    const loaded = await loadModel(modelOf(nodes, ['n', 8]), { device, memory: 1e6 });
    const rows = (n: number) =>
      ({ dtype: 'f32', shape: [n, 8], data: new Float32Array(8 * n).fill(1) }) as const;
    for (let i = 0; i < 3; i++) {
      const { y } = await loaded.run({ x: rows(2) });
      expect([...(y?.data ?? [])]).toEqual([8, 8, 8, 8]);
      const { code, message } = await failureOf(loaded.run({ x: rows(20_000) }));
      expect(code).toBe('OC-MEMORY-01');
      expect(message).toMatch(/\d{9} bytes.*limit is 1000000/);
    }
    expect(loaded.peakBytes).toBeLessThanOrEqual(1e6);
    await loaded.dispose();
  });
});
