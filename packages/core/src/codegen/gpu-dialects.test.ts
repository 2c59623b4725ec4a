import { describe, expect, it } from 'vitest';
import { ceilDivide, minimum, multiply, subtract, variable } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { TileProgram } from '../kernel/tile.js';
import { gpuLanguage } from './gpu.js';
import { type GpuDialectName, gpuDialects } from './gpu-dialects.table.js';
import { shaderLanguage } from './shader.js';
import { targetsOfGpus } from './targets-gpu.table.js';

const target = targetsOfGpus.find((t) => t.id === 'opencl/generic') as Target;

const webgpu = targetsOfGpus.find((t) => t.id === 'webgpu/default') as Target;

const n = variable('n');
const g = variable('g', ceilDivide(n, 64));
const access = (buffer: string) => ({
  buffer,
  address: multiply(64, g),
  strides: [1],
  limits: [{ high: minimum(64, subtract(n, multiply(64, g))) }],
});

/** total = Σ max(x, 0), one partial sum per task; fails where a value is below −1. */
const program: TileProgram = {
  contract: 1,
  name: 'positive0',
  target: target.id,
  lanes: 1,
  group: 32,
  buffers: [
    { name: 'x', memory: 'f32', access: 'read' },
    { name: 'total', memory: 'f32', access: 'write' },
  ],
  sizes: ['n'],
  indexType: 'i32',
  scratch: [],
  grid: [{ name: 'g', extent: ceilDivide(n, 64) }],
  body: [
    {
      kind: 'let',
      id: 0,
      type: { dtype: 'f32', shape: [64] },
      operation: { kind: 'load', access: access('x') },
    },
    {
      kind: 'let',
      id: 1,
      type: { dtype: 'f32', shape: [] },
      operation: { kind: 'literal', value: 0 },
    },
    {
      kind: 'let',
      id: 2,
      type: { dtype: 'f32', shape: [64] },
      operation: { kind: 'binary', name: 'maximum', a: 0, b: 1 },
    },
    {
      kind: 'let',
      id: 3,
      type: { dtype: 'f32', shape: [] },
      operation: { kind: 'reduce', name: 'add', a: 2, axis: 0 },
    },
    { kind: 'store', access: { buffer: 'total', address: g, strides: [] }, value: 3 },
    {
      kind: 'let',
      id: 4,
      type: { dtype: 'f32', shape: [] },
      operation: { kind: 'literal', value: -1 },
    },
    {
      kind: 'let',
      id: 5,
      type: { dtype: 'bool', shape: [64] },
      operation: { kind: 'compare', name: 'less', a: 0, b: 4 },
    },
    { kind: 'fail', when: 5, code: 9 },
  ],
  mayFail: true,
};

const textOf = (name: GpuDialectName): string =>
  gpuLanguage(name).emit([program], target).text as string;

describe('C for GPUs', () => {
  it('says a kernel in CUDA', () => {
    expect(textOf('cuda')).toMatchInlineSnapshot(`
      "extern "C" __global__ void __launch_bounds__(32) positive0(
          const float *__restrict__ x,
          float *total,
          int *status,
          int n) {
        __shared__ float exchange_f32[32];
        const int lane = (int)threadIdx.x;
        const int task = (int)blockIdx.x;
        const int g = task;
        const float v0_0 = lane < (n - g * 64) ? x[g * 64 + lane] : 0.0f;
        const float v0_1 = (lane + 32) < (n - g * 64) ? x[g * 64 + lane + 32] : 0.0f;
        const float v2_0 = (v0_0 > 0.0f || v0_0 != v0_0 ? v0_0 : 0.0f);
        const float v2_1 = (v0_1 > 0.0f || v0_1 != v0_1 ? v0_1 : 0.0f);
        float p3_0 = v2_0;
        p3_0 = p3_0 + v2_1;
        exchange_f32[lane] = p3_0;
        __syncthreads();
        if (lane < 16) {
          const float o_1 = exchange_f32[lane + 16];
          p3_0 = p3_0 + o_1;
          exchange_f32[lane] = p3_0;
        }
        __syncthreads();
        if (lane < 8) {
          const float o_2 = exchange_f32[lane + 8];
          p3_0 = p3_0 + o_2;
          exchange_f32[lane] = p3_0;
        }
        __syncthreads();
        if (lane < 4) {
          const float o_3 = exchange_f32[lane + 4];
          p3_0 = p3_0 + o_3;
          exchange_f32[lane] = p3_0;
        }
        __syncthreads();
        if (lane < 2) {
          const float o_4 = exchange_f32[lane + 2];
          p3_0 = p3_0 + o_4;
          exchange_f32[lane] = p3_0;
        }
        __syncthreads();
        if (lane < 1) {
          const float o_5 = exchange_f32[lane + 1];
          p3_0 = p3_0 + o_5;
          exchange_f32[lane] = p3_0;
        }
        __syncthreads();
        const float v3r_6_0 = exchange_f32[0];
        if (lane < 1) total[g] = v3r_6_0;
        const bool v5_0 = v0_0 < (-1.0f);
        const bool v5_1 = v0_1 < (-1.0f);
        if (v5_0) atomicMin(status, 9);
        if (v5_1) atomicMin(status, 9);
      }
      "
    `);
  });

  it('says it in OpenCL C', () => {
    expect(textOf('opencl')).toMatchInlineSnapshot(`
      "#pragma OPENCL FP_CONTRACT OFF
      __attribute__((reqd_work_group_size(32, 1, 1))) __kernel void positive0(
          const __global float *restrict x,
          __global float *total,
          __global int *status,
          int n) {
        __local float exchange_f32[32];
        const int lane = (int)get_local_id(0);
        const int task = (int)get_group_id(0);
        const int g = task;
        const float v0_0 = lane < (n - g * 64) ? x[g * 64 + lane] : 0.0f;
        const float v0_1 = (lane + 32) < (n - g * 64) ? x[g * 64 + lane + 32] : 0.0f;
        const float v2_0 = (v0_0 > 0.0f || v0_0 != v0_0 ? v0_0 : 0.0f);
        const float v2_1 = (v0_1 > 0.0f || v0_1 != v0_1 ? v0_1 : 0.0f);
        float p3_0 = v2_0;
        p3_0 = p3_0 + v2_1;
        exchange_f32[lane] = p3_0;
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane < 16) {
          const float o_1 = exchange_f32[lane + 16];
          p3_0 = p3_0 + o_1;
          exchange_f32[lane] = p3_0;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane < 8) {
          const float o_2 = exchange_f32[lane + 8];
          p3_0 = p3_0 + o_2;
          exchange_f32[lane] = p3_0;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane < 4) {
          const float o_3 = exchange_f32[lane + 4];
          p3_0 = p3_0 + o_3;
          exchange_f32[lane] = p3_0;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane < 2) {
          const float o_4 = exchange_f32[lane + 2];
          p3_0 = p3_0 + o_4;
          exchange_f32[lane] = p3_0;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        if (lane < 1) {
          const float o_5 = exchange_f32[lane + 1];
          p3_0 = p3_0 + o_5;
          exchange_f32[lane] = p3_0;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        const float v3r_6_0 = exchange_f32[0];
        if (lane < 1) total[g] = v3r_6_0;
        const bool v5_0 = v0_0 < (-1.0f);
        const bool v5_1 = v0_1 < (-1.0f);
        if (v5_0) atomic_min(status, 9);
        if (v5_1) atomic_min(status, 9);
      }
      "
    `);
  });

  it('says it in SUPA, which has its own names of threads', () => {
    const lines = textOf('supa').split('\n');
    const common = new Set(textOf('cuda').split('\n'));
    expect(lines.filter((line) => !common.has(line))).toMatchInlineSnapshot(`
      [
        "  const int lane = (int)thread_idx.x;",
        "  const int task = (int)block_idx.x;",
      ]
    `);
  });

  it('says it in the other dialects as in CUDA', () => {
    const names = Object.keys(gpuDialects) as GpuDialectName[];
    const others = names.filter((name) => !['cuda', 'opencl', 'supa'].includes(name));
    expect(others).toEqual(['hip', 'dtk', 'musa', 'maca', 'corex', 'hggc']);
    for (const name of others) expect(textOf(name)).toBe(textOf('cuda'));
  });

  it('tells a launch what it needs', () => {
    expect(gpuLanguage('cuda').emit([program], target).entries).toEqual([
      {
        name: 'positive0',
        group: [32, 1, 1],
        sharedBytes: 128,
        scratchBytes: 0,
        buffers: [
          { name: 'x', write: false },
          { name: 'total', write: true },
          { name: 'status', write: true },
        ],
        sizes: ['n'],
        indexType: 'i32',
        axes: 1,
      },
    ]);
  });

  it('refuses types that the chip lacks', () => {
    const poor: Target = { ...target, compute: ['i32', 'bool'] };
    expect(() => gpuLanguage('opencl').emit([program], poor)).toThrow('type f32 is refused');
  });
});

describe('WGSL', () => {
  it('says a kernel', async () => {
    const file = 'golden/sum-of-positives.wgsl';
    await expect(shaderLanguage.emit([program], webgpu).text).toMatchFileSnapshot(file);
  });

  it('refuses floats and indices of 64 bits by name', () => {
    const wide: TileProgram = {
      ...program,
      buffers: program.buffers.map((buffer) => ({ ...buffer, memory: 'f64' })),
    };
    expect(() => shaderLanguage.emit([wide], target)).toThrow('type f64 is refused');
    const index: TileProgram = { ...program, indexType: 'i64' };
    expect(() => shaderLanguage.emit([index], target)).toThrow('64-bit index arithmetic');
  });
});
