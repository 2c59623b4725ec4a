/**
 * Every code block of README, ARCHITECTURE and docs, in both languages, does what the page says:
 * programs run and print what their comments say, commands print the text block that follows,
 * texts of the compiler stand in the golden file that they name.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { hostTensor } from '@open-claw/core/internal';
import { writeNpy } from '@open-claw/formats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Block,
  blocksOf,
  expectedLogs,
  firstDifference,
  pages,
  repository,
} from './blocks.js';
import { cacheModel, exampleModel } from './example-model.js';

const scripts: Readonly<Record<string, string>> = JSON.parse(
  readFileSync(join(repository, 'package.json'), 'utf8'),
).scripts;

const folder = mkdtempSync(join(tmpdir(), 'claw-docs-'));
const programs = join(repository, '.cache', `docs-${process.pid}`);
const original = process.cwd();

beforeAll(() => {
  mkdirSync(programs, { recursive: true });
  mkdirSync(join(folder, 'bin'));
  const shim = join(folder, 'bin', 'claw');
  const command = join(repository, 'packages/openclaw/bin/claw.js');
  writeFileSync(shim, `#!/bin/sh\nexec "${process.execPath}" "${command}" "$@"\n`);
  chmodSync(shim, 0o755);
});

afterAll(() => {
  process.chdir(original);
  rmSync(folder, { recursive: true, force: true });
  rmSync(programs, { recursive: true, force: true });
});

/** A folder of its own with the files that the pages speak of. */
function workFolder(page: string): string {
  const path = join(folder, page.replace(/\W/g, '-'));
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'model.onnx'), exampleModel());
  writeFileSync(join(path, 'cache.onnx'), cacheModel());
  writeFileSync(join(path, 'x.npy'), writeNpy(hostTensor('f32', [2, 3], [1, 2, 3, 4, 5, 6])));
  const traces = join(repository, 'devices/cuda/src/testing/traces');
  cpSync(join(traces, readdirSync(traces).sort()[0] ?? ''), join(path, 'my-card.trace'));
  mkdirSync(join(path, 'devices'), { recursive: true });
  cpSync(join(repository, 'devices/template'), join(path, 'devices/template'), {
    recursive: true,
    filter: (name) => !/node_modules|dist/.test(name),
  });
  return path;
}

let count = 0;

/** Runs a program as a module of its own; gives what it printed. */
async function runProgram(code: string): Promise<readonly string[]> {
  const path = join(programs, `block-${count++}.ts`);
  writeFileSync(path, code);
  const logs: string[] = [];
  const log = console.log;
  console.log = (...values: unknown[]) => {
    logs.push(values.map((value) => (typeof value === 'string' ? value : show(value))).join(' '));
  };
  try {
    await import(pathToFileURL(path).href);
  } finally {
    console.log = log;
  }
  return logs;
}

/** As Node prints values in one line. */
function show(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'string') return `'${value}'`;
  if (Array.isArray(value)) return value.length === 0 ? '[]' : `[ ${value.map(show).join(', ')} ]`;
  if (ArrayBuffer.isView(value)) return show(Array.from(value as Float32Array));
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(([key, each]) => `${key}: ${show(each)}`);
    return members.length === 0 ? '{}' : `{ ${members.join(', ')} }`;
  }
  return String(value);
}

/** Commands that would run these tests again or leave the machine: what they name is there. */
function isKnownCommand(line: string, at: string): boolean {
  const words = line.trim().split(/\s+/);
  const script = words[1] === 'run' ? words[2] : words[1];
  if (words[0] === 'npm' && (words[1] === 'ci' || words[1] === 'install')) return true;
  if (words[0] === 'npm') return script !== undefined && script in scripts;
  if (words[0] === 'npx' && words[1] === 'vitest') {
    return existsSync(join(repository, words[3] ?? '')) || existsSync(join(at, words[3] ?? ''));
  }
  if (words[0] === 'node') return existsSync(join(repository, words[1] ?? ''));
  return words[0] === 'git' && words[1] === 'clone';
}

interface Ran {
  readonly output: string;
  readonly status: number | null;
}

/** Runs `claw`, `cp` and `ls` lines of a block in order; checks the others. */
function runCommands(code: string, at: string, language: string): Ran {
  let [output, status]: [string, number | null] = ['', 0];
  for (const line of code.replace(/\\\n\s*/g, ' ').split('\n')) {
    const command = line.replace(/(^|\s)#.*$/, '').trim();
    if (command === '') continue;
    if (!/^(claw|cp|cat|echo|[A-Z_]+=\S+ claw)\b/.test(command)) {
      expect(isKnownCommand(command, at), `a command that is not known: ${command}`).toBe(true);
      continue;
    }
    const env = {
      ...process.env,
      PATH: `${join(folder, 'bin')}:${process.env['PATH']}`,
      LANG: language,
      LC_ALL: language,
      NO_COLOR: '1',
    };
    const run = spawnSync('sh', ['-c', command], { cwd: at, env, encoding: 'utf8' });
    output += run.stdout + run.stderr;
    status = run.status;
  }
  return { output, status };
}

/** Lines of a text that a golden file holds, in order; `…` stands for lines left out. */
function firstLineNotIn(code: string, golden: string): string | undefined {
  const plain = (line: string): string => line.trim().replace(/\s+/g, ' ');
  const kept = golden.split('\n').map(plain);
  let at = 0;
  for (const line of code.split('\n').map(plain)) {
    if (line === '' || line === '…') continue;
    const found = kept.indexOf(line, at);
    if (found < 0) return line;
    at = found + 1;
  }
  return undefined;
}

/** A program with a diff's lines put in. */
function applied(code: string, diff: string): string {
  const lines = diff.split('\n');
  const removed = lines.filter((line) => line.startsWith('-')).map((line) => line.slice(1).trim());
  const added = lines.filter((line) => line.startsWith('+')).map((line) => line.slice(1));
  expect(removed).toHaveLength(1);
  const at = code.split('\n').findIndex((line) => line.trim() === removed[0]);
  expect(at, `the program has no line ${removed[0]}`).toBeGreaterThanOrEqual(0);
  return code
    .split('\n')
    .toSpliced(at, 1, ...added)
    .join('\n');
}

it('the README shows install, program and result before line 25', () => {
  for (const page of ['README.md', 'README.zh.md']) {
    const [install, program] = blocksOf(page);
    expect(install?.code).toMatch(/^npm ci/);
    const lines = program?.code.split('\n') ?? [];
    expect((program?.line ?? 0) + lines.length).toBeLessThan(25);
    expect(lines.filter((line) => line.trim() !== '').length).toBeLessThanOrEqual(6);
    expect(expectedLogs(program?.code ?? '')).toHaveLength(1);
  }
});

it('every program of the pages has types that fit', () => {
  const path = join(programs, 'types');
  mkdirSync(path);
  for (const [i, page] of pages().entries()) {
    for (const { language, code, line } of blocksOf(page)) {
      // Top-level await needs a module, also where a block imports nothing.
      if (language === 'ts')
        writeFileSync(join(path, `page-${i}-${line}.ts`), `${code}\nexport {};`);
    }
  }
  const settings = {
    extends: join(repository, 'tsconfig.test.json'),
    include: ['./*.ts'],
    exclude: [],
  };
  writeFileSync(join(path, 'tsconfig.json'), JSON.stringify(settings));
  const compiler = join(repository, 'node_modules/typescript/bin/tsc');
  const run = spawnSync(process.execPath, [compiler, '-p', path], { encoding: 'utf8' });
  // The sources that they import have a gate of their own.
  expect(run.stdout.split('\n').filter((line) => /^\.cache\b/.test(line))).toEqual([]);
  expect(run.stderr).toBe('');
});

describe.each(pages().filter((page) => blocksOf(page).length > 0))('%s', (page) => {
  const language = /zh/.test(page) ? 'zh_CN.UTF-8' : 'en_US.UTF-8';
  const at = workFolder(page);
  let program: Block | undefined;
  let output = '';

  for (const block of blocksOf(page)) {
    it(`line ${block.line}: ${block.language} ${block.info}`, async () => {
      process.chdir(at);
      const golden = /^golden=(\S+)$/.exec(block.info)?.[1];
      if (golden !== undefined) {
        const text = readFileSync(join(repository, `tests/golden/${golden}.txt`), 'utf8');
        expect(firstLineNotIn(block.code, text)).toBeUndefined();
      } else if (/^(ts|js)$/.test(block.language)) {
        program = block;
        const logs = await runProgram(block.code);
        output = logs.join('\n');
        const expected = expectedLogs(block.code);
        if (expected.length > 0) expect(logs).toEqual(expected);
      } else if (block.language === 'diff') {
        expect(program, 'a diff needs a program before it').toBeDefined();
        const code = applied((program as Block).code, block.code);
        expect(await runProgram(code)).toEqual(expectedLogs(code));
      } else if (block.language === 'sh') {
        const ran = runCommands(block.code, at, language);
        output = ran.output;
        const exit = Number(/exit=(\d)/.exec(block.info)?.[1] ?? 0);
        expect(`exit ${ran.status}: ${ran.status === exit ? '' : output}`).toBe(`exit ${exit}: `);
      } else if (/^(text|console)$/.test(block.language) && block.follows) {
        expect(firstDifference(block.code, output)).toBeUndefined();
      } else {
        expect(['text', 'console', '']).toContain(block.language);
      }
    });
  }
});
