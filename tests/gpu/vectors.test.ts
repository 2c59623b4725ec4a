/** OpenCL C for CPUs: whole vectors, read by an outside compiler. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile } from '@open-claw/core';
import { gpuLanguage, type Target, targetsOfGpus } from '@open-claw/core/device';
import * as core from '@open-claw/core/internal';
import { afterAll, describe, expect, it } from 'vitest';
import { smallPrograms } from '../programs.js';

const language = gpuLanguage('opencl');
const generic = targetsOfGpus.find(({ id }) => id === 'opencl/generic') as Target;
const cpu: Target = {
  ...generic,
  id: 'opencl/cpu',
  execution: 'vector',
  vectorBytes: 32,
  vectorRegisters: 16,
  compute: [...generic.compute, 'f64'],
  storage: [...generic.storage, 'f64'],
  streamBytes: 2 ** 20,
};
const textOf = (graph: core.Graph, target = cpu): string =>
  compile(graph, target, language).source?.text ?? '';

function scaled(dtype: core.DType, length: number): core.Graph {
  const x = core.input('x', { dtype, shape: [length] });
  return core.graphOf([x], [core.maximum(core.multiply(x, 1.5), 0)]);
}

describe('OpenCL C with vectors', () => {
  it('loads, computes and stores whole vectors', () => {
    const text = textOf(scaled('f32', 64));
    expect(text).toMatch(/const float8 \w+ = vload8\(0, b1/);
    expect(text).toMatch(/store_float8\(b0/);
    expect(text).not.toMatch(/= b1\[/);
  });

  it('takes fewer lanes of wider types, and switches them on', () => {
    const text = textOf(scaled('f64', 64));
    expect(text).toContain('#pragma OPENCL EXTENSION cl_khr_fp64 : enable');
    expect(text).toMatch(/const double4 \w+ = vload4\(0, b1/);
    const { compute, storage } = generic;
    expect(() => textOf(scaled('f64', 64), { ...cpu, compute, storage })).toThrow(/f64/);
  });

  it('writes large outputs past the caches, small ones through them', () => {
    const large = textOf(scaled('f32', 2 ** 20));
    expect(large).toMatch(/ stream_float8\(b0/);
    expect(large).toContain('mem_fence(CLK_GLOBAL_MEM_FENCE);');
    expect(textOf(scaled('f32', 2 ** 10))).not.toContain('stream_');
  });

  it('needs no launch of exactly as many groups as tasks', () => {
    const text = textOf(scaled('f32', 2 ** 20), { ...cpu, maxGrid: [65535, 65535, 65535] });
    expect(text).toMatch(/if \(!\(task < \d+ \? 1 : 0\)\) return;/);
  });
});

const clang = ['clang-19', 'clang'].find((name) => spawnSync(name, ['--version']).status === 0);
if (clang === undefined) console.warn('skipped: no compiler that reads OpenCL C (clang-19)');
const folder = mkdtempSync(join(tmpdir(), 'claw-vectors-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it.skipIf(clang === undefined)('every small program compiles without a warning', () => {
  const path = join(folder, 'kernels.cl');
  for (const { name, graph } of smallPrograms()) {
    writeFileSync(path, textOf(graph));
    const dialect = ['-x', 'cl', '-cl-std=CL1.2', '-Xclang', '-finclude-default-header'];
    const options = [...dialect, '--target=spir64', '-fsyntax-only', '-Wall', '-Wno-unused', path];
    const run = spawnSync(clang as string, options, { encoding: 'utf8' });
    expect(`${name}: ${run.stderr}`).toBe(`${name}: `);
  }
});
