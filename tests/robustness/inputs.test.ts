/** Inputs of a run that do not fit, in code and from files: each has its own code, nothing runs. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isFailure } from '@open-claw/core';
import { buildNode, buildValue, readNpy, writeNpy } from '@open-claw/formats';
import { closeDevices, type InputValue, loadModel, type ModelInputs } from '@open-claw/openclaw';
import { zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelOf } from './bad-models.js';
import { claw, type Ended, english, runAll, temporary } from './commands.js';

const inputs = [buildValue('x', ['n', 3]), buildValue('k', [2], 7), buildValue('b', [1], 9)];
const nodes = [
  buildNode('Relu', ['x'], ['y']),
  buildNode('Neg', ['k'], ['z']),
  buildNode('Not', ['b'], ['w']),
];
const outputs = ['y', 'z', 'w'].map((name) => buildValue(name, null));
const model = modelOf(nodes, null, { inputs, outputs });

const x = { dtype: 'f32', shape: [1, 3], data: Float32Array.of(-1, 0, 2) } as const;
const k = { dtype: 'i64', shape: [2], data: BigInt64Array.of(-1n, 2n ** 40n) } as const;
const b = { dtype: 'bool', shape: [1], data: Uint8Array.of(1) } as const;
const good = { x, k, b };

afterAll(closeDevices);

/** Anything at all may come from plain scripts. */
const wrong: readonly [string, Record<string, unknown>, string][] = [
  ['more data than the shape', { ...good, x: { ...x, shape: [1, 2] } }, 'OC-INPUT-01'],
  ['less data than the shape', { ...good, x: { ...x, shape: [2, 3] } }, 'OC-INPUT-01'],
  ['a size that does not fit', { ...good, x: { ...x, shape: [3, 1] } }, 'OC-INPUT-01'],
  ['a rank that does not fit', { ...good, x: { ...x, shape: [3] } }, 'OC-INPUT-01'],
  ['a negative size', { ...good, x: { ...x, shape: [-1, -3] } }, 'OC-INPUT-01'],
  ['a fraction as size', { ...good, x: { ...x, shape: [0.5, 6] } }, 'OC-INPUT-01'],
  ['another dtype', { ...good, k: { dtype: 'f32', shape: [2], data: x.data } }, 'OC-INPUT-01'],
  ['an array of another dtype', { ...good, x: { ...x, data: k.data } }, 'OC-INPUT-01'],
  ['a dtype that is none', { ...good, x: { ...x, dtype: '__proto__' } }, 'OC-INPUT-01'],
  ['text for numbers', { ...good, x: [['a', 'b', 'c']] }, 'OC-INPUT-01'],
  ['text for integers', { ...good, k: ['1', 'zwei'] }, 'OC-INPUT-01'],
  ['fractions for integers', { ...good, k: [1.5, 2] }, 'OC-INPUT-01'],
  ['NaN for integers', { ...good, k: [Number.NaN, 2] }, 'OC-INPUT-01'],
  ['integers beyond the dtype', { ...good, k: [2n ** 63n, 0n] }, 'OC-INPUT-01'],
  ['numbers for bools', { ...good, b: [7] }, 'OC-INPUT-01'],
  ['bytes for bools', { ...good, b: { ...b, data: Uint8Array.of(7) } }, 'OC-INPUT-01'],
  ['rows of unequal length', { ...good, x: [[1, 2, 3], [4]] }, 'OC-INPUT-01'],
  ['nothing', { ...good, x: null }, 'OC-INPUT-01'],
  ['undefined', { ...good, x: undefined }, 'OC-INPUT-01'],
  ['a function', { ...good, x: () => 1 }, 'OC-INPUT-01'],
  ['an object without data', { ...good, x: { dtype: 'f32', shape: [1, 3] } }, 'OC-INPUT-01'],
  ['a missing input', { x, k }, 'OC-INPUT-03'],
  ['an unknown name', { ...good, X: x }, 'OC-INPUT-02'],
  ['a name of the prototype', { ...good, ['__proto__x']: x, constructor: x }, 'OC-INPUT-02'],
  ['no object', undefined as never, 'OC-INPUT-03'],
];

async function codeOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
  } catch (error) {
    return isFailure(error) ? `${error.code} ${error.kind}` : String(error);
  }
  return 'no error';
}

describe.each(['native', 'wasm', 'interpreter'])('inputs in code on %s', (device) => {
  it('refuses each kind of wrong input and runs afterwards', async () => {
    const loaded = await loadModel(model, { device });
    const codes = new Map<string, string>();
    for (const [name, given] of wrong) {
      codes.set(name, await codeOf(() => loaded.run(given as ModelInputs)));
      const { y, z } = await loaded.run(good);
      expect([...(y?.data ?? [])]).toEqual([0, 0, 2]);
      expect([...(z?.data ?? [])]).toEqual([1n, -(2n ** 40n)]);
    }
    expect(codes).toEqual(new Map(wrong.map(([name, , code]) => [name, `${code} usage`])));
    await loaded.dispose();
  });

  it('takes NaN, infinities and sizes of zero as values', async () => {
    const loaded = await loadModel(model, { device });
    const odd: InputValue = [[Number.NaN, Number.POSITIVE_INFINITY, -0]];
    const { y } = await loaded.run({ ...good, x: odd });
    expect([...(y?.data ?? [])]).toEqual([Number.NaN, Number.POSITIVE_INFINITY, 0]);
    const empty = { dtype: 'f32', shape: [0, 3], data: new Float32Array(0) } as const;
    expect((await loaded.run({ ...good, x: empty }))['y']?.shape).toEqual([0, 3]);
    await loaded.dispose();
  });
});

describe('inputs from files', () => {
  const folder = temporary();
  const out = join(folder, 'out');
  const path = join(folder, 'model.onnx');
  const npy = (header: string, payload: Uint8Array): Uint8Array => {
    const text = new TextEncoder().encode(`${header}\n`);
    return Uint8Array.of(
      0x93,
      0x4e,
      0x55,
      0x4d,
      0x50,
      0x59,
      1,
      0,
      text.length,
      0,
      ...text,
      ...payload,
    );
  };
  const header = (descr: string, shape: string): string =>
    `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`;
  const text = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
  const plain = writeNpy(x);
  // The directory of a zip claims what it likes; the claim alone is refused.
  const bomb = zipSync({ 'x.npy': plain });
  const at = bomb.findIndex((_, i) => [0x50, 0x4b, 1, 2].every((byte, j) => bomb[i + j] === byte));
  bomb.set([0xff, 0xff, 0xff, 0xf0], at + 24);
  const files: readonly [string, Uint8Array, string, number][] = [
    ['objects.npy', npy(header('|O', '(1, 3)'), new Uint8Array(24)), 'OC-NPY-04', 1],
    ['magic.npy', text('nothing'), 'OC-NPY-01', 1],
    ['version.npy', Uint8Array.from(plain, (v, i) => (i === 6 ? 9 : v)), 'OC-NPY-02', 1],
    ['header.npy', npy('os.system("x")', new Uint8Array(0)), 'OC-NPY-03', 1],
    [
      'exabytes.npy',
      npy(header('<f4', '(1152921504606846976, 3)'), new Uint8Array(12)),
      'OC-NPY-06',
      1,
    ],
    ['short.npy', npy(header('<f4', '(1, 3)'), new Uint8Array(8)), 'OC-NPY-07', 1],
    ['outside.npz', zipSync({ '../x.npy': plain }), 'OC-ZIP-02', 1],
    ['bomb.npz', bomb, 'OC-ZIP-03', 1],
    ['cut.npz', zipSync({ 'x.npy': plain }).subarray(0, 40), 'OC-ZIP-01', 1],
    ['other.npz', zipSync({ 'p.npy': plain, 'q.npy': plain }), 'OC-INPUT-05', 2],
    ['text.json', text([['a', 'b', 'c']]), 'OC-JSON-01', 1],
    ['rows.json', text([[1, 2, 3], [4]]), 'OC-JSON-01', 1],
    ['shape.json', text({ shape: [1, 4], data: [1, 2, 3] }), 'OC-JSON-01', 1],
    ['key.json', text({ shape: [1, 3], data: [1, 2, 3], constructor: 1 }), 'OC-JSON-01', 1],
    ['broken.json', new TextEncoder().encode('[[1,2'), 'OC-JSON-01', 1],
    ['broken.pb', Uint8Array.of(0x08, 0x01, 0x4a, 0x7f), 'OC-PB-01', 1],
    ['picture.png', Uint8Array.of(0x89, 0x50, 1, 2, 3), 'OC-INPUT-05', 2],
    ['sound.wav', text('RIFF'), 'OC-INPUT-05', 2],
    ['plain.pt', zipSync({ 'data.pkl': text('cposix\nsystem') }), 'OC-INPUT-05', 2],
    ['dtype.npy', writeNpy({ ...k, shape: [1, 2] }), 'OC-INPUT-01', 2],
  ];
  const ended = new Map<string, Ended>();
  const common = ['--device', 'template:0', '--random', '1', '--out', out];

  beforeAll(() => {
    mkdirSync(out);
    writeFileSync(path, model);
    const commands = files.map(([name, bytes]) => {
      const file = join(folder, name);
      writeFileSync(file, bytes);
      const words = ['run', path, '--input', `x=${file}`, ...common];
      return { words, env: english, watch: out };
    });
    runAll(commands, folder).forEach((each, i) => void ended.set(files[i]?.[0] ?? '', each));
  }, 60_000);

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.each(files)('refuses %s', (name, _, code, exit) => {
    const { text: told, exit: given, written, ms, growth } = ended.get(name) as Ended;
    expect(told).toContain(`${code}  `);
    expect(given).toBe(exit);
    expect(written).toEqual([]);
    expect(ms).toBeLessThan(2000);
    expect(growth).toBeLessThan(256e6);
  });

  it('names outputs so that no file lands outside', () => {
    const names = [
      '../../evil',
      '/tmp/evil',
      'a\u0000b',
      '..',
      'CON:x',
      'A',
      'a',
      'x'.repeat(5000),
    ];
    const many = names.map((name) => buildNode('Relu', ['x'], [name]));
    const valued = names.map((name) => buildValue(name, null));
    writeFileSync(path, modelOf(many, [1, 3], { outputs: valued }));
    const { exit, out: told } = claw(['run', path, '--json', ...common]);
    expect(exit).toBe(0);
    const { files: made } = JSON.parse(told) as { files: Record<string, string> };
    expect(Object.keys(made)).toHaveLength(names.length);
    const paths = Object.values(made);
    expect(new Set(paths).size).toBe(names.length);
    for (const each of paths) {
      expect(each.startsWith(`${out}/`)).toBe(true);
      expect(each.slice(out.length + 1)).toMatch(/^[\w-][\w.-]*\.npy$/);
    }
    expect(readNpy(new Uint8Array(Buffer.from(plain)))).toEqual(x);
  });
});
