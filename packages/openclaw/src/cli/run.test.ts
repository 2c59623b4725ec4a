/** The command line on small models: JSON shapes, exit codes, both languages, untrusted names. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildModel, buildNode, buildValue, readNpy } from '@open-claw/formats';
import { PNG } from 'pngjs';
import { afterAll, describe, expect, it } from 'vitest';
import { denseModel, modelFolder, reshapeModel, unknownModel } from '../testing/models.js';
import { runCommandLine } from './run.js';

const identity = (shape: readonly (number | string)[], type = 1) =>
  buildModel({
    nodes: [buildNode('Identity', ['x'], ['y'])],
    inputs: [buildValue('x', shape, type)],
    outputs: [buildValue('y', shape, type)],
  });

const folder = modelFolder({
  'dense.onnx': denseModel(),
  'open.onnx': denseModel(null),
  'reshape.onnx': reshapeModel(),
  'unknown.onnx': unknownModel(),
  'attention.onnx': buildModel({
    nodes: [
      buildNode('MatMul', ['q', 'k'], ['s']),
      buildNode('Softmax', ['s'], ['p']),
      buildNode('MatMul', ['p', 'v'], ['y']),
    ],
    inputs: ['q', 'k', 'v'].map((name) => buildValue(name, [1, 2, 8, 8])),
    outputs: [buildValue('y', [1, 2, 8, 8])],
  }),
  'image.onnx': identity([1, 3, 2, 2]),
  'sound.onnx': identity(['n']),
  'long.onnx': identity([3], 7),
  'steer.onnx': buildModel({
    nodes: [buildNode('Identity', ['x\u001b[2J'], ['../y\u202e'])],
    inputs: [buildValue('x\u001b[2J', [1])],
    outputs: [buildValue('../y\u202e', [1])],
  }),
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string): string => join(folder, name);

async function claw(words: readonly string[], lang = 'C') {
  let [out, err] = ['', ''];
  const exit = await runCommandLine(words, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    isTerminal: false,
    env: { LANG: lang },
    signal: new AbortController().signal,
  });
  return { exit, out, err };
}

async function json(words: readonly string[]) {
  const { exit, out } = await claw([...words, '--json']);
  return { exit, value: JSON.parse(out) as Record<string, unknown> };
}

const facts = { schema: 1, driver: expect.any(String), evidence: expect.any(String) };

describe('claw', () => {
  it('shows help and its version', async () => {
    const help = await claw(['--help']);
    expect(help).toMatchObject({ exit: 0, err: '' });
    for (const name of ['devices', 'inspect', 'check', 'run', 'explain', 'bench', 'conform']) {
      expect(help.out).toContain(`  ${name} [options]`);
      const { exit, out } = await claw([name, '--help']);
      expect(exit).toBe(0);
      for (const option of ['--device', '--plugin', '--precision', '--level', '--size']) {
        expect(out).toContain(option);
      }
    }
    expect((await claw(['--version'])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('speaks Chinese where LANG says so', async () => {
    const help = await claw(['run', '--help'], 'zh_CN.UTF-8');
    expect(help.out).toContain('运行一次模型');
    expect(help.out).toContain('选项：');
    const wrong = await claw(['run', '--bogus'], 'zh_CN.UTF-8');
    expect(wrong).toMatchObject({ exit: 2 });
    expect(wrong.err).toMatch(/^OC-USAGE-01 {2}未知选项 --bogus\n/);
    const shown = await claw(['inspect', file('dense.onnx')], 'zh_CN.UTF-8');
    expect(shown.out).toContain('算子');
  });

  it.each([
    [['run'], 'the argument model'],
    [['nothing'], 'unknown command'],
    [['run', 'a', 'b'], 'too many arguments'],
    [['run', 'a', '--size', 'batch'], '--size takes name=number'],
    [['run', 'a', '--size', 'batch=x'], 'whole number'],
    [['run', 'a', '--memory', 'lots'], '--memory takes bytes'],
    [['run', 'a', '--time-limit', 'soon'], '--time-limit takes a time'],
    [['explain', file('dense.onnx'), '--stage', 'all'], '--stage is one of'],
    [['run', 'a', '--precision', 'most'], '--precision is one of'],
    [['run', 'no-such.onnx'], 'there is no file'],
    [['check', file('dense.onnx'), '--target', '?'], 'wasm/simd128'],
  ])('%j is wrong use', async (words, text) => {
    const { exit, out, err } = await claw(words);
    expect({ exit, out }).toEqual({ exit: 2, out: '' });
    expect(err.toLowerCase()).toContain(text);
  });

  it.each(['bisect', 'serve', 'new-device'])('%s is reserved', async (name) => {
    const { exit, err } = await claw([name, 'x', '--target', 'y']);
    expect(exit).toBe(3);
    expect(err).toContain('not available in this version');
    const { value } = await json([name]);
    expect(value).toMatchObject({ command: name, error: { code: 'OC-USAGE-02', retry: 'never' } });
  });

  it('gives failures as JSON with all their parts', async () => {
    const { exit, value } = await json(['run', 'no-such.onnx', '--device', 'wasm']);
    expect(exit).toBe(2);
    expect(value).toEqual({
      schema: 1,
      command: 'run',
      device: 'wasm',
      driver: 'none',
      evidence: 'none',
      error: {
        code: 'OC-USAGE-06',
        what: 'there is no file no-such.onnx',
        where: '',
        fix: expect.any(String),
        link: 'docs/en/errors.md#oc-usage-06',
        retry: 'never',
      },
    });
  });
});

describe('claw devices', () => {
  it('lists what is there, and what is not with reason and fix', async () => {
    const { exit, value } = await json(['devices']);
    expect(exit).toBe(0);
    expect(value).toMatchObject({ ...facts, command: 'devices' });
    const list = value['devices'] as Record<string, unknown>[];
    const wasm = list.find(({ id }) => id === 'wasm');
    expect(wasm).toMatchObject({ found: true, evidence: 'hardware', target: { language: 'wasm' } });
    for (const { found, reason, fix } of list) {
      if (found === false) expect([typeof reason, typeof fix]).toEqual(['string', 'string']);
    }
    const one = await json(['devices', '--device', 'template']);
    expect(one.value).toMatchObject({ devices: [{ id: 'template:0', evidence: 'stub' }] });
  });
});

describe('claw inspect', () => {
  it('shows what a model is', async () => {
    const { exit, value } = await json(['inspect', file('dense.onnx')]);
    expect(exit).toBe(0);
    expect(value).toMatchObject({
      inputs: [{ name: 'x', dtype: 'f32', shape: ['batch', 3] }],
      outputs: [{ name: 'z' }],
      opsets: [{ domain: 'ai.onnx', version: 21 }],
      operators: [
        { operator: 'MatMul', count: 1 },
        { operator: 'Relu', count: 1 },
      ],
      parameters: 6,
      bytes: 24,
    });
  });

  it('cannot be used to steer a terminal', async () => {
    const { out } = await claw(['inspect', file('steer.onnx')]);
    expect(out).not.toContain('\u001b[2J');
    expect(out).not.toContain('\u202e');
    const text = (await claw(['inspect', file('steer.onnx'), '--json'])).out;
    expect(text).not.toContain('\u202e');
    expect(JSON.parse(text).outputs[0].name).toBe('../y\u202e');
  });
});

describe('claw check', () => {
  it('needs no card', async () => {
    const { exit, value } = await json(['check', file('dense.onnx'), '--target', 'wasm/simd128']);
    expect(exit).toBe(0);
    expect(value).toMatchObject({ target: 'wasm/simd128', runs: true, refused: [], fallbacks: [] });
    // Facts of a plug-in that nobody has named yet.
    const other = await json(['check', file('dense.onnx'), '--target', 'template/chip']);
    expect(other).toMatchObject({ exit: 0, value: { target: 'template/chip', runs: true } });
    const sized = await json([
      ...['check', file('open.onnx'), '--target', 'opencl/generic'],
      ...['--size', 'x.0=4'],
    ]);
    expect(sized.value).toMatchObject({ runs: true, bytes: { constants: 24, inputs: 48 } });
  });

  it('lists all that is refused at once', async () => {
    const { exit, value } = await json(['check', file('unknown.onnx'), '--target', 'wasm/simd128']);
    expect(exit).toBe(3);
    const refused = value['refused'] as { operator: string }[];
    expect(refused.map(({ operator }) => operator)).toContain('NoSuchOperator');
    expect(JSON.stringify(value)).not.toContain('\u001b');
  });

  it('says which inputs decide', async () => {
    const { value } = await json(['check', file('reshape.onnx'), '--target', 'wasm/simd128']);
    expect(value).toMatchObject({ runs: true, needs: ['s'] });
  });
});

describe('claw run', () => {
  const wasm = ['--device', 'wasm'];

  it('runs, and gives everything as JSON', async () => {
    writeFileSync(file('x.json'), '[[1, 2, 3]]');
    const words = ['run', file('dense.onnx'), '--input', `x=${file('x.json')}`, ...wasm];
    const { exit, value } = await json([...words, '--out', file('out')]);
    expect(exit).toBe(0);
    expect(value).toEqual({
      ...facts,
      command: 'run',
      device: 'wasm',
      evidence: 'hardware',
      inputs: [{ name: 'x', dtype: 'f32', shape: ['batch', 3], given: [1, 3] }],
      outputs: { z: { dtype: 'f32', shape: [1, 2], data: [22, 0] } },
      files: { z: file('out/z.npy') },
      fallbacks: [],
      peakBytes: expect.any(Number),
      ms: expect.any(Number),
    });
    const stored = readNpy(new Uint8Array(readFileSync(file('out/z.npy'))));
    expect(stored).toMatchObject({ shape: [1, 2], data: Float32Array.of(22, 0) });
  });

  it('is reproducible with a seed, and asks for sizes', async () => {
    const run = (seed: string) =>
      json(['run', file('dense.onnx'), '--random', seed, '--size', 'batch=2', ...wasm]);
    const [a, b, c] = [await run('7'), await run('7'), await run('8')];
    expect(a.value['outputs']).toEqual(b.value['outputs']);
    expect(a.value['outputs']).not.toEqual(c.value['outputs']);
    const open = await claw(['run', file('dense.onnx'), '--random', '7', ...wasm]);
    expect(open).toMatchObject({ exit: 2, err: expect.stringContaining('batch') });
  });

  it('gives long integers as text', async () => {
    writeFileSync(file('long.json'), '["9223372036854775807", -1, 0]');
    const words = ['run', file('long.onnx'), '--input', `x=${file('long.json')}`, ...wasm];
    const { value } = await json(words);
    expect(value['outputs']).toMatchObject({ y: { data: ['9223372036854775807', '-1', '0'] } });
  });

  it('takes images, scaled as asked', async () => {
    const image = new PNG({ width: 2, height: 2 });
    image.data.set([255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255, 10, 20, 30, 255]);
    writeFileSync(file('p.png'), PNG.sync.write(image));
    const run = (query: string) =>
      json(['run', file('image.onnx'), '--input', `x=${file('p.png')}${query}`, ...wasm]);
    expect((await run('')).value['outputs']).toMatchObject({
      y: { shape: [1, 3, 2, 2], data: [255, 0, 0, 10, 0, 255, 0, 20, 0, 0, 255, 30] },
    });
    const scaled = await run('?scale=0.1&mean=1,2,3&std=0.5');
    const { data } = (scaled.value['outputs'] as { y: { data: number[] } }).y;
    expect(data[0]).toBeCloseTo(49, 4);
    expect(data[7]).toBeCloseTo(0, 4);
    expect((await run('?std=0')).exit).toBe(2);
  });

  it('takes sound', async () => {
    const bytes = Buffer.alloc(44 + 8);
    bytes.write('RIFF', 0).toString();
    bytes.write('WAVEfmt ', 8);
    bytes.writeUInt32LE(16, 16);
    bytes.writeUInt16LE(1, 20);
    bytes.writeUInt16LE(2, 22);
    bytes.writeUInt16LE(16, 34);
    bytes.write('data', 36);
    bytes.writeUInt32LE(8, 40);
    [16384, 0, -32768, -32768].forEach((sample, i) => {
      bytes.writeInt16LE(sample, 44 + 2 * i);
    });
    writeFileSync(file('s.wav'), bytes);
    const words = ['run', file('sound.onnx'), '--input', `x=${file('s.wav')}`, ...wasm];
    const { value } = await json(words);
    expect(value['outputs']).toMatchObject({ y: { shape: [2], data: [0.25, -1] } });
  });

  it('keeps files of outputs inside the folder', async () => {
    const words = ['run', file('steer.onnx'), '--random', '1', '--out', file('safe'), ...wasm];
    const { exit, value } = await json(words);
    expect(exit).toBe(0);
    const [path] = Object.values(value['files'] as Record<string, string>);
    expect(path).toBe(file('safe/__y_.npy'));
    expect(existsSync(path as string)).toBe(true);
  });

  it('ends with 3 where it is refused and 3 where no such device is', async () => {
    expect((await claw(['run', file('unknown.onnx'), '--random', '1'])).exit).toBe(3);
    const absent = ['run', file('dense.onnx'), '--device', 'no-such-chip'];
    expect((await claw(absent)).exit).toBe(3);
    expect((await claw(['run', file('dense.onnx'), '--level', 'exact'])).exit).toBe(3);
    const small = ['run', file('dense.onnx'), '--random', '1', '--size', 'batch=9', ...wasm];
    expect((await claw([...small, '--memory', '8'])).exit).toBe(3);
  });

  it('takes a plug-in from outside', async () => {
    const plugin = join(import.meta.dirname, '../../../../devices/template');
    if (!existsSync(join(plugin, 'dist/index.js'))) return;
    const words = ['run', file('dense.onnx'), '--random', '1', '--size', 'batch=1'];
    const { exit, value } = await json([...words, '--plugin', plugin, '--device', 'template']);
    expect(exit).toBe(0);
    expect(value).toMatchObject({ device: 'template:0', evidence: 'stub' });
  });
});

describe('claw explain', () => {
  it('shows the steps that are compiled', async () => {
    const words = ['explain', file('attention.onnx'), '--device', 'wasm'];
    const { out } = await claw([...words, '--stage', 'schedule']);
    expect(out).toMatch(/^\s*0 {2}attention /);
    expect(out).not.toContain('reduction');
  });

  it('shows every stage', async () => {
    const stage = async (name: string) =>
      (await claw(['explain', file('dense.onnx'), '--target', 'opencl/generic', '--stage', name]))
        .out;
    expect(await stage('graph')).toContain('contract');
    expect(await stage('schedule')).toContain('contract');
    expect(await stage('kernel')).toContain('kernel k0');
    expect(await stage('source')).toContain('__kernel');
    const { value } = await json(['explain', file('dense.onnx'), '--device', 'wasm']);
    expect(value).toMatchObject({
      target: expect.stringMatching(/^wasm/),
      steps: expect.arrayContaining([expect.objectContaining({ operator: 'contract' })]),
      fallbacks: [],
    });
  });
});

describe('claw bench', () => {
  it('measures, checks and compares with the limit', async () => {
    const words = ['bench', file('dense.onnx'), '--size', 'batch=4', '--runs', '3'];
    const { exit, value } = await json([...words, '--device', 'wasm']);
    expect(exit).toBe(0);
    const [row] = value['results'] as Record<string, unknown>[];
    expect(Object.keys(row ?? {})).toEqual(
      expect.arrayContaining(
        `model sha256 device evidence threads sizes precision runs compileMs firstMs minMs medianMs
        p90Ms flops bytes rate unit limitName limit share maxError checked machine commit`.split(
          /\s+/,
        ),
      ),
    );
    expect(row).toMatchObject({ device: 'wasm', runs: 3, checked: 'interpreter', flops: 48 });
    expect(row?.['share']).toBeGreaterThan(0);
  });
});
