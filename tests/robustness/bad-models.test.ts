/** Bad model files through `claw run` and `claw check`: refused by code, fast, in little memory. */
import { linkSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BadModel, badModels, besideFiles } from './bad-models.js';
import { chinese, claw, type Ended, english, runAll, temporary } from './commands.js';

const folder = temporary();
const out = join(folder, 'out');
const cases: readonly BadModel[] = badModels();
const ended = new Map<string, Ended>();

afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeAll(() => {
  const secret = join(folder, 'secret');
  const models = join(folder, 'models');
  for (const path of [secret, models, out]) mkdirSync(path);
  const data = new Uint8Array(24);
  writeFileSync(join(secret, 'w.bin'), data);
  writeFileSync(join(models, besideFiles.data), data);
  symlinkSync(join(secret, 'w.bin'), join(models, besideFiles.link));
  linkSync(join(secret, 'w.bin'), join(models, besideFiles.hard));
  symlinkSync(secret, join(models, besideFiles.folder));
  const kinds = { run: english, check: english, chinese };
  const commands = cases.flatMap(({ name, bytes }) => {
    const path = join(models, `${name}.onnx`);
    writeFileSync(path, bytes);
    const watch = join(out, name);
    mkdirSync(watch);
    const run = ['run', path, '--device', 'template:0', '--random', '1', '--out', watch];
    const check = ['check', path, '--target', 'wasm/simd128'];
    return [
      { words: run, env: kinds.run, watch },
      { words: check, env: kinds.check, watch },
      { words: run, env: kinds.chinese, watch },
    ];
  });
  const results = runAll(commands, folder);
  cases.forEach(({ name }, i) => {
    for (const [k, kind] of Object.keys(kinds).entries()) {
      ended.set(`${kind} ${name}`, results[3 * i + k] as Ended);
    }
  });
}, 120_000);

const codeIn = (text: string): string => /OC-[A-Z]+-\d\d/.exec(text)?.[0] ?? text.slice(0, 500);

describe.each(cases)('$name', ({ name, codes, exit }) => {
  it('is refused by `claw run`', () => {
    const run = ended.get(`run ${name}`) as Ended;
    expect(codes).toContain(codeIn(run.text));
    expect(run.exit).toBe(exit);
    expect(run.written).toEqual([]);
    // Three lines and the code's own, none longer than its quoted parts.
    expect(run.text.length).toBeLessThan(3000);
    expect(run.text).toMatch(/\n {2}fix {2}\S/);
    expect(run.text).not.toContain('\u202e');
    expect(run.text).not.toContain('\u0007');
  });

  it('is refused by `claw check`', () => {
    const check = ended.get(`check ${name}`) as Ended;
    expect([1, 3]).toContain(check.exit);
    expect(check.exit).toBe(exit);
    expect(check.written).toEqual([]);
  });

  it('is told in Chinese under the same code', () => {
    const run = ended.get(`chinese ${name}`) as Ended;
    expect(codes).toContain(codeIn(run.text));
    expect(run.text).toMatch(/[\u4e00-\u9fff]{4}/);
  });

  it('costs little time and memory', () => {
    for (const kind of ['run', 'check', 'chinese']) {
      const { ms, growth } = ended.get(`${kind} ${name}`) as Ended;
      expect(ms).toBeLessThan(2000);
      expect(growth).toBeLessThan(256e6);
    }
  });
});

it('gives its exit codes as a process', () => {
  const path = (name: string): string => join(folder, 'models', `${name}.onnx`);
  const damaged = claw(['run', path('truncated'), '--random', '1', '--out', out]);
  expect(damaged.exit).toBe(1);
  expect(damaged.err).toContain('OC-PB-01');
  expect(damaged.err).toContain('truncated.onnx');
  expect(claw(['check', path('unknown-operator'), '--target', 'wasm/simd128']).exit).toBe(3);
  expect(claw(['run', join(folder, 'absent.onnx')]).exit).toBe(2);
});
