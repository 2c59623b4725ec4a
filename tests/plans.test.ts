/** Plans: a program that is kept is the program, and what it followed from finds it again. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compile, type HostTensor, hostTensor } from '@open-claw/core';
import { cLanguage, wasmLanguage } from '@open-claw/core/device';
import {
  add,
  canonicalGraph,
  constant,
  type Graph,
  graphOf,
  ifThen,
  input,
  matmul,
  type Node,
  noteLooks,
  randomProgram,
  readPlan,
  relu,
  softmax,
  writePlan,
} from '@open-claw/core/internal';
import { simdTarget } from '@open-claw/device-wasm';
import { afterAll, describe, expect, it } from 'vitest';
import { makeTarget, plainMachine, rows } from '../devices/native/src/targets.js';
import { goldenPrograms } from './golden/programs.js';

const avx512 = rows.find(({ name }) => name === 'avx512') as (typeof rows)[number];
const targets = [
  [makeTarget(avx512, plainMachine), cLanguage],
  [simdTarget, wasmLanguage],
] as const;

const contextOf = (graph: Graph) => ({ graph, constants: canonicalGraph(graph).constants });

describe('a plan', () => {
  const everywhere = (graph: Graph): number => {
    let kept = 0;
    for (const [target, language] of targets) {
      const program = compile(graph, target, language);
      const context = contextOf(graph);
      const plan = writePlan(program, context);
      if (plan === undefined) continue;
      kept++;
      expect(readPlan(plan, context)).toEqual(program);
    }
    return kept;
  };

  it('is the program again, for every golden program without regions', () => {
    const kept = Object.values(goldenPrograms).filter((make) => everywhere(make((n) => n)) > 0);
    expect(kept.length).toBeGreaterThan(8);
  });

  it('is the program again, for random programs', () => {
    let kept = 0;
    for (let seed = 0; seed < 60; seed++) kept += everywhere(randomProgram(seed).graph);
    expect(kept).toBeGreaterThan(60);
  });

  it('takes its constants from the graph that it is read for', () => {
    const make = (fill: number) => {
      const data = new Float32Array(300 * 300).fill(fill);
      const x = input('x', { dtype: 'f32', shape: [4, 300] });
      return graphOf([x], [matmul(x, constant({ dtype: 'f32', shape: [300, 300], data }))]);
    };
    const [first, second] = [make(1), make(2)] as const;
    expect(canonicalGraph(first).text).toBe(canonicalGraph(second).text);
    const [[target, language]] = targets;
    const plan = writePlan(compile(first, target, language), contextOf(first));
    const program = plan && readPlan(plan, contextOf(second));
    expect(program).toEqual(compile(second, target, language));
    const tensors = program?.main.buffers.flatMap(({ tensor }) => tensor ?? []);
    expect(tensors).toEqual(contextOf(second).constants);
  });

  it('is none for programs with regions', () => {
    const [flag, x] = [
      input('flag', { dtype: 'bool', shape: [] }),
      input('x', { dtype: 'f32', shape: [8] }),
    ];
    const graph = graphOf(
      [flag, x],
      ifThen(
        flag,
        [x],
        ([a]) => [relu(a as Node)],
        ([a]) => [a as Node],
      ),
    );
    const [[target, language]] = targets;
    expect(writePlan(compile(graph, target, language), contextOf(graph))).toBeUndefined();
  });

  it('is refused where it was changed', () => {
    const graph = goldenPrograms['matmul-bias-relu']?.((n) => n) as Graph;
    const [[target, language]] = targets;
    const plan = writePlan(compile(graph, target, language), contextOf(graph));
    if (plan === undefined) throw new Error('not kept');
    const { text, bytes } = plan;
    const context = contextOf(graph);
    for (let length = 0; length < text.length; length += 97) {
      expect(readPlan({ text: text.slice(0, length), bytes }, context)).toBeUndefined();
    }
    const changed = (from: RegExp, to: string) => {
      expect(text).toMatch(from);
      return readPlan({ text: text.replace(from, to), bytes }, context);
    };
    expect(changed(/"format":1/, '"format":2')).toBeUndefined();
    expect(changed(/"buffers":\[\d+/, '"buffers":[99')).toBeUndefined();
    expect(changed(/"\$input":0/, '"$input":77')).toBeUndefined();
    expect(changed(/"\$shared":0/, '"$shared":9999')).toBeUndefined();
    expect(changed(/"entry":"k0"/, '"entry":"k9"')).toBeUndefined();
    expect(changed(/"operator":0/, '"operator":5')).toBeUndefined();
  });
});

describe('a graph as text', () => {
  const made = (most: number, shape = [2, 3]) => {
    const x = input('x', { dtype: 'f32', shape });
    return canonicalGraph(
      graphOf([x], [softmax(add(x, constant(hostTensor('f32', [], [most]))), 1)]),
    );
  };

  it('does not depend on what was built before', () => {
    const before = made(1).text;
    for (let i = 0; i < 5; i++) randomProgram(i);
    expect(made(1).text).toBe(before);
    expect(made(1, [2, 4]).text).not.toBe(before);
  });

  it('leaves the content of constants to who reads it', () => {
    expect(made(1).text).toBe(made(2).text);
    expect(made(1).constants[0]?.data[0]).toBe(1);
  });
});

describe('a large constant that shapes a program', () => {
  it('is noted, and one that does not is not', () => {
    const size = 300;
    const mask = Float32Array.from({ length: size * size }, (_, i) =>
      i % size <= Math.floor(i / size) ? 0 : -Infinity,
    );
    const data = new Float32Array(size * size).fill(0.5);
    const tensors: HostTensor[] = [mask, data].map((each) => ({
      dtype: 'f32',
      shape: [size, size],
      data: each,
    }));
    const [causal, weight] = tensors.map((tensor) => constant(tensor)) as [Node, Node];
    const q = input('q', { dtype: 'f32', shape: [2, size, 16] });
    const k = input('k', { dtype: 'f32', shape: [2, 16, size] });
    const v = input('v', { dtype: 'f32', shape: [2, size, 16] });
    const weights = softmax(add(matmul(q, k), causal), 2);
    const x = input('x', { dtype: 'f32', shape: [4, size] });
    const graph = graphOf([q, k, v, x], [matmul(weights, v), matmul(x, weight)]);
    const [[target, language]] = targets;
    const { looked } = noteLooks(() => compile(graph, target, language));
    expect([...looked]).toEqual([tensors[0]]);
  });
});

describe('between processes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'claw-plans-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const door = new URL('../packages/openclaw/rolled/index.js', import.meta.url);
  const script = `
    const { tensor, setDevice } = await import(${JSON.stringify(door.href)});
    setDevice('wasm');
    const x = tensor([1, 2, 3, 4]).reshape(2, 2);
    console.log(JSON.stringify(Array.from(await x.matmul(x).relu().data())));`;
  const run = () => {
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] ?? '', CLAW_CACHE: folder },
      cwd: fileURLToPath(new URL('..', import.meta.url)),
    });
    expect(stderr).toBe('');
    return JSON.parse(stdout) as unknown;
  };
  const files = () => readdirSync(join(folder, 'plans')).sort();

  it('a program is compiled once, and again where its file was changed', () => {
    expect(run()).toEqual([7, 10, 15, 22]);
    const first = files();
    expect(first.length).toBeGreaterThan(1);
    expect(run()).toEqual([7, 10, 15, 22]);
    expect(files()).toEqual(first);
    for (const name of first) {
      const path = join(folder, 'plans', name);
      const content = readFileSync(path);
      content[content.length >> 1] = (content[content.length >> 1] ?? 0) ^ 1;
      writeFileSync(path, content);
    }
    expect(run()).toEqual([7, 10, 15, 22]);
    expect(files()).toEqual(first);
  });
});
