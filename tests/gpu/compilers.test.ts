/** Printed GPU text against outside tools: compilers that read it, and OpenCL that runs it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gpuDialects, gpuLanguage, scriptLanguage } from '@open-claw/core/device';
import { afterAll, describe, expect, it } from 'vitest';
import { openCl } from './opencl.js';
import {
  arithmeticKernel,
  buffersOf,
  indexKernel,
  matrixProduct,
  rowKernel,
  type Sample,
  threadsTarget,
  valuesOf,
} from './programs.js';

const types = ['f32', 'f64', 'i32', 'u32', 'i64', 'u64'] as const;
const samples: Readonly<Record<string, Sample>> = {
  'a tiled matrix product': matrixProduct('i32', { m: 16, n: 32, k: 8 }, 64),
  'a matrix product with 64-bit indices': matrixProduct('i64', { m: 32, n: 32, k: 16 }, 128),
  'reductions, a transpose and a scan': rowKernel('i64', 64),
  'a group that no tile divides': rowKernel('i32', 48),
  'indices, atomics, loops and narrow memory': indexKernel('i32', 64),
  'arithmetic of every type': arithmeticKernel(types, 16),
};

/** What a toolkit's own headers declare, for compilers that come without one. */
const shim = `
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __shared__ __attribute__((shared))
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
struct Three { unsigned x, y, z; };
extern const __device__ Three threadIdx, blockIdx, gridDim, thread_idx, block_idx, grid_dim;
__device__ int atomicAdd(int *, int);
__device__ int atomicMin(int *, int);
__device__ int atomicMax(int *, int);
extern "C" {
__device__ void __syncthreads();
__device__ float floorf(float); __device__ float ceilf(float); __device__ float truncf(float);
__device__ float rintf(float); __device__ float fabsf(float); __device__ float sqrtf(float);
__device__ double floor(double); __device__ double ceil(double); __device__ double trunc(double);
__device__ double rint(double); __device__ double fabs(double); __device__ double sqrt(double);
}
`;

const clang = ['clang-19', 'clang'].find((name) => spawnSync(name, ['--version']).status === 0);
const folder = mkdtempSync(join(tmpdir(), 'claw-gpu-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const optionsOf = (dialect: string): readonly string[] => {
  if (dialect === 'opencl') {
    return ['-x', 'cl', '-cl-std=CL1.2', '-Xclang', '-finclude-default-header', '--target=spir64'];
  }
  const device = ['--cuda-device-only', '-include', join(folder, 'shim.h')];
  if (dialect === 'hip' || dialect === 'dtk') {
    return ['-x', 'hip', ...device, '--offload-arch=gfx906', '-nogpulib', '-nogpuinc'];
  }
  return ['-x', 'cuda', ...device, '--cuda-gpu-arch=sm_80', '-nocudalib', '-nocudainc'];
};

describe('GPU text compiles', () => {
  for (const dialect of Object.keys(gpuDialects) as (keyof typeof gpuDialects)[]) {
    it.skipIf(clang === undefined)(`${dialect} (needs clang)`, () => {
      const path = join(folder, `${dialect}.txt`);
      writeFileSync(join(folder, 'shim.h'), shim);
      for (const [name, { program }] of Object.entries(samples)) {
        const { text } = gpuLanguage(dialect).emit([program], threadsTarget);
        writeFileSync(path, text as string);
        const output = ['-o', join(folder, 'out'), path];
        const options = [
          ...optionsOf(dialect),
          '-Wall',
          '-Wno-unused',
          '-O1',
          '-S',
          '-emit-llvm',
          ...output,
        ];
        const run = spawnSync(clang as string, options, { encoding: 'utf8' });
        expect(`${name}: ${run.stderr}`).toBe(`${name}: `);
      }
    });
  }
});

const cl = openCl();

describe('OpenCL text gives the numbers of the script language', () => {
  for (const [name, sample] of Object.entries(samples)) {
    it.skipIf(typeof cl === 'string')(`${name} (needs an OpenCL platform)`, () => {
      if (typeof cl === 'string') return;
      const { program, sizes, grid } = sample;
      const tasks = grid.reduce((product, extent) => product * extent, 1);
      const script = scriptLanguage.emit([program], threadsTarget);
      const expected = buffersOf(sample);
      new Function(script.text as string)()[program.name](expected, sizes, 0, tasks);
      const actual = buffersOf(sample);
      const source = gpuLanguage('opencl').emit([program], threadsTarget);
      cl.load(source).run(program.name, tasks, actual, sizes);
      expect(valuesOf(sample, actual)).toEqual(valuesOf(sample, expected));
    });
  }
});
