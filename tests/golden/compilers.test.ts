/**
 * The sources of every golden program against tools that others wrote: the system's C compiler,
 * clang for CUDA and OpenCL C, the engine's own WebAssembly and JavaScript, and Tint (npm package
 * `webgpu`) for WGSL. A tool that is not there is named and its checks are skipped.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compile, isFailure, type Target } from '@open-claw/core';
import { gpuLanguage, type Source, targetsOfGpus } from '@open-claw/core/device';
import { cudaDevice, type GpuRow, gpuRows } from '@open-claw/device-cuda';
import { afterAll, describe, expect, it } from 'vitest';
import { cudaShim, hipShim } from './cuda-shim.js';
import { type Emitted, emitAll, goldenGraph } from './journey.js';
import { goldenPrograms } from './programs.js';
import { wasmListing } from './wasm-listing.js';

const folder = mkdtempSync(join(tmpdir(), 'claw-golden-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const answers = (command: string): boolean => spawnSync(command, ['--version']).status === 0;
const compiler = ['cc', 'gcc', 'clang'].find(answers);
const clang = ['clang-19', 'clang'].find(answers);
const ptxas = ['ptxas'].find(answers);

const emitted = Object.keys(goldenPrograms).map(
  (name) => [name, emitAll(goldenGraph(name))] as const,
);
const rowOf = (rows: readonly Emitted[], title: string): Emitted => {
  const row = rows.find((candidate) => candidate.title === title);
  if (row === undefined) throw new Error(`there is no row ${title}`);
  return row;
};

/** Runs a compiler over a program's text; gives what it says. */
function compilerSays(command: string, options: readonly string[], text: string): string {
  const path = join(folder, 'source.txt');
  writeFileSync(path, text);
  const run = spawnSync(command, [...options, path], { encoding: 'utf8' });
  return run.status === 0 ? run.stderr : `exit ${run.status}: ${run.stderr}`;
}

/** Checks a language's text of every program, where the program is not refused. */
function checkAll(title: string, check: (text: string, row: Emitted) => void): void {
  for (const [name, rows] of emitted) {
    const row = rowOf(rows, title);
    it.skipIf(row.source === undefined)(name, () => check(row.source?.text ?? '', row));
  }
}

const flags = ['-x', 'c', '-std=gnu17', '-Wall', '-Wno-psabi', '-Wno-unused', '-fsyntax-only'];

describe.skipIf(compiler === undefined)('C by the C compiler (needs cc, gcc or clang)', () => {
  const instructions = ['-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mfma', '-mf16c'];
  const isIntel = process.arch === 'x64';
  checkAll('C', (text) => {
    const options = [...flags, '-fwrapv', '-ffp-contract=off', ...(isIntel ? instructions : [])];
    expect(compilerSays(compiler as string, options, text)).toBe('');
  });
});

describe.skipIf(clang === undefined)('CUDA by clang (needs clang)', () => {
  const shim = join(folder, 'shim.h');
  const bare = ['-nocudalib', '-nocudainc', '-include', shim, '-Wall', '-Wno-unused'];
  const device = ['-x', 'cuda', '--cuda-device-only', '--cuda-gpu-arch=sm_90', '-Wno-unknown-cuda-version'];
  checkAll('CUDA', (text) => {
    writeFileSync(shim, cudaShim);
    expect(compilerSays(clang as string, [...device, ...bare, '-fsyntax-only'], text)).toBe('');
  });
});

describe.skipIf(clang === undefined || ptxas === undefined)(
  'CUDA through PTX by ptxas (needs clang and ptxas)',
  () => {
    const shim = join(folder, 'shim.h');
    const listing = join(folder, 'kernels.ptx');
    const object = join(folder, 'kernels.cubin');
    const quiet = ['-nocudalib', '-nocudainc', '-Wno-unknown-cuda-version'];
    const bare = [...quiet, '-include', shim, '-S', '-o', listing];
    const device = ['-x', 'cuda', '--cuda-device-only', '--cuda-gpu-arch=sm_80', '-O1'];
    checkAll('CUDA', (text) => {
      writeFileSync(shim, cudaShim);
      expect(compilerSays(clang as string, [...device, ...bare], text)).toBe('');
      const options = ['-arch=sm_80', '-c', '-v', '-o', object, listing];
      const { stdout, stderr, status } = spawnSync(ptxas as string, options, { encoding: 'utf8' });
      expect(status, stderr).toBe(0);
      const spills = `${stdout}${stderr}`.match(/\d+ bytes spill (stores|loads)/g) ?? [];
      expect(spills.filter((text) => !text.startsWith('0 '))).toEqual([]);
    });
  },
);

const cudaRow = gpuRows.find(({ name }) => name === 'cuda') as GpuRow;
const cudaPlugin = cudaDevice(cudaRow, { cache: join(folder, 'cache') });

/** Whether the row's own compiler is there: a library on the loader's path, or a command. */
async function hasRuntimeCompiler(): Promise<boolean> {
  const [, rows] = emitted[0] as (typeof emitted)[number];
  const { source, target } = rowOf(rows, 'CUDA');
  try {
    await cudaPlugin.compile(source as Source, target);
    return true;
  } catch (error) {
    if (isFailure(error) && error.code === 'OC-DEVICE-11') return false;
    throw error;
  }
}

describe.skipIf(!(await hasRuntimeCompiler()))(
  'CUDA by the run-time compiler (needs its library, as the pip packages of the toolkit have it)',
  () => {
    for (const [name, rows] of emitted) {
      const { source, target } = rowOf(rows, 'CUDA');
      it.skipIf(source === undefined)(name, async () => {
        const { bytes } = await cudaPlugin.compile(source as Source, target);
        expect(bytes.length).toBeGreaterThan(0);
      });
    }
  },
);

describe.skipIf(clang === undefined)('HIP for amdgcn by clang (needs clang)', () => {
  const shim = join(folder, 'hip.h');
  const assembly = join(folder, 'kernels.s');
  const architectures = ['gfx906', 'gfx90a', 'gfx942', 'gfx1100'];
  const cuda = targetsOfGpus.find(({ id }) => id === 'cuda/sm_80') as Target;
  const target: Target = { ...cuda, id: 'test/hip', language: 'hip', matrixUnits: [] };
  const names = Object.keys(goldenPrograms);
  // Every program for one architecture, the contraction for all of them.
  const cases = [
    ...names.map((name, i) => [name, architectures[i % 4] as string] as const),
    ...architectures.map((architecture) => ['matmul-bias-relu', architecture] as const),
  ];
  it.each([...new Map(cases.map((each) => [each.join(), each])).values()])(
    '%s for %s',
    (name, architecture) => {
      writeFileSync(shim, hipShim);
      const { source } = compile(goldenGraph(name), target, gpuLanguage('hip'));
      const device = ['-x', 'hip', '--cuda-device-only', `--offload-arch=${architecture}`];
      const bare = ['-nogpulib', '-nogpuinc', '-include', shim, '-O2', '-S', '-o', assembly];
      const text = source?.text ?? '';
      expect(compilerSays(clang as string, [...device, ...bare], text)).toBe('');
      const listing = readFileSync(assembly, 'utf8');
      const spills = listing.match(/[sv]gpr_spill_count: +\d+/g) ?? [];
      expect(spills.length).toBeGreaterThan(0);
      expect(spills.filter((count) => !/: +0$/.test(count))).toEqual([]);
    },
  );
});

describe.skipIf(clang === undefined)('OpenCL C by clang (needs clang)', () => {
  const options = ['-x', 'cl', '-cl-std=CL1.2', '--target=spir64', '-Wall', '-Wno-unused'];
  const header = ['-Xclang', '-finclude-default-header', '-fsyntax-only'];
  checkAll('OpenCL C', (text) => {
    expect(compilerSays(clang as string, [...options, ...header], text)).toBe('');
  });
});

describe('JavaScript and WebAssembly by this engine', () => {
  checkAll('JavaScript', (text, { source }) => {
    const made = new Function(text)();
    expect(Object.keys(made)).toEqual(source?.entries.map(({ name }) => name));
  });
  for (const [name, rows] of emitted) {
    it(`${name} as WebAssembly`, () => {
      const { source } = rowOf(rows, 'WebAssembly');
      const bytes = source?.bytes as Uint8Array<ArrayBuffer>;
      expect(WebAssembly.validate(bytes)).toBe(true);
      expect(wasmListing(bytes).match(/^function /gm)).toHaveLength(source?.entries.length ?? 0);
    });
  }
});

async function openShaderCompiler(): Promise<GPUDevice | undefined> {
  try {
    const path = createRequire(import.meta.url).resolve('webgpu');
    const { create, globals } = await import(pathToFileURL(path).href);
    Object.assign(globalThis, globals);
    const holder = globalThis as unknown as { gpuOfTests: GPU };
    holder.gpuOfTests = create([]);
    const adapter = await holder.gpuOfTests.requestAdapter();
    return (await adapter?.requestDevice()) ?? undefined;
  } catch {
    return undefined;
  }
}

const shaderCompiler = await openShaderCompiler();

describe.skipIf(shaderCompiler === undefined)(
  'WGSL by Tint (needs the npm package webgpu and a driver)',
  () => {
    for (const [name, rows] of emitted) {
      const { source } = rowOf(rows, 'WGSL');
      it.skipIf(source === undefined)(name, async () => {
        const module = (shaderCompiler as GPUDevice).createShaderModule({
          code: source?.text ?? '',
        });
        const { messages } = await module.getCompilationInfo();
        expect(messages.map(({ lineNum, message }) => `${lineNum}: ${message}`)).toEqual([]);
      });
    }
  },
);
