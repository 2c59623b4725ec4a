/**
 * Facts of chips that are checked without a card (`claw check --target`): what holds for every
 * chip of a row, so a program that fits here fits there. A device reports its own facts.
 */
import type { DType } from '../base/dtype.js';
import type { Target } from '../base/target.js';
import { warpMatrixUnits } from './matrix-units.table.js';

const floats: readonly DType[] = [
  'f64',
  'f32',
  'f16',
  'bf16',
  'f8e4m3fn',
  'f8e4m3fnuz',
  'f8e5m2',
  'f8e5m2fnuz',
  'f8e8m0',
  'f4e2m1',
];
const wideIntegers: readonly DType[] = ['i64', 'u64'];
const integers: readonly DType[] = [
  'i32',
  'i16',
  'i8',
  'i4',
  'i2',
  'u32',
  'u16',
  'u8',
  'u4',
  'u2',
  'bool',
];
const everything = [...floats, ...wideIntegers, ...integers];

const gibibyte = 2 ** 30;

const threads: Omit<Target, 'id' | 'language'> = {
  execution: 'threads',
  vectorBytes: 0,
  vectorRegisters: 64,
  cores: 16,
  cacheBytes: [],
  maxGroup: 256,
  preferredGroup: 128,
  sharedBytes: 28 * 1024,
  spaces: [],
  matrixUnits: [],
  compute: ['f32', 'f64', 'i32', 'u32', 'i64', 'u64', 'bool'],
  storage: everything,
  math: [],
  fusedMultiplyAdd: true,
  maxBindings: 32,
  maxBufferBytes: gibibyte,
  offsetAlignment: 256,
  sharedBuffers: true,
  indexBits: 64,
  maxGrid: [2 ** 31 - 1, 65535, 65535],
  memoryBytes: 8 * gibibyte,
};

/** CUDA: 255 registers per thread, 48 KiB of shared memory without asking for more. */
const cuda = {
  ...threads,
  language: 'cuda',
  vectorRegisters: 255,
  maxGroup: 1024,
  preferredGroup: 256,
  sharedBytes: 48 * 1024,
  accessBytes: 16,
  matrixUnits: warpMatrixUnits,
  maxBindings: 64,
} as const;

/** Default limits of the WebGPU specification: what a device gives unasked. */
const webgpu: Target = {
  ...threads,
  id: 'webgpu/default',
  language: 'wgsl',
  preferredGroup: 64,
  sharedBytes: 16 * 1024,
  // 64-bit integers are pairs of words.
  compute: ['f32', 'i32', 'u32', 'i64', 'u64', 'bool'],
  storage: everything.filter((dtype) => dtype !== 'f64'),
  fusedMultiplyAdd: false,
  maxBindings: 8,
  maxBufferBytes: 128 * 2 ** 20,
  sharedBuffers: false,
  indexBits: 32,
  maxGrid: [65535, 65535, 65535],
  memoryBytes: 2 * gibibyte,
};

/**
 * Adapters that are programs: a CPU runs the threads of a group one after the other, so barriers
 * are dear and shared memory gains nothing. Every thread runs a scalar task of its own.
 */
const webgpuSoftware: Target = {
  ...webgpu,
  id: 'webgpu/software',
  execution: 'vector',
  maxGroup: 1,
  preferredGroup: 1,
  sharedBytes: 0,
};

export const targetsOfGpus: readonly Target[] = [
  { ...cuda, id: 'cuda/sm_90', cores: 132, maxBufferBytes: 80e9, memoryBytes: 80e9 },
  { ...cuda, id: 'cuda/sm_80', cores: 108, maxBufferBytes: 40e9, memoryBytes: 40e9 },
  /** Least values that full-profile devices of OpenCL 1.2 are seen with; f64 is an extension. */
  {
    ...threads,
    id: 'opencl/generic',
    language: 'opencl',
    compute: ['f32', 'i32', 'u32', 'i64', 'u64', 'bool'],
    storage: everything.filter((dtype) => dtype !== 'f64'),
    fusedMultiplyAdd: false,
  },
  webgpu,
  webgpuSoftware,
  /** A chip of scratchpads and a matrix unit, as many accelerators are; no language says it yet. */
  {
    ...threads,
    id: 'npu/generic',
    language: 'scratchpad',
    execution: 'scratchpad',
    vectorBytes: 256,
    vectorRegisters: 0,
    cores: 24,
    maxGroup: 1,
    preferredGroup: 1,
    sharedBytes: 0,
    spaces: [
      {
        name: 'global',
        class: 'global',
        bytes: 32 * gibibyte,
        alignment: 512,
        copiesTo: ['local', 'left', 'right'],
      },
      { name: 'local', class: 'scratch', bytes: 192 * 1024, alignment: 32, copiesTo: ['global'] },
      { name: 'left', class: 'scratch', bytes: 64 * 1024, alignment: 512, copiesTo: [] },
      { name: 'right', class: 'scratch', bytes: 64 * 1024, alignment: 512, copiesTo: [] },
      {
        name: 'accumulator',
        class: 'scratch',
        bytes: 128 * 1024,
        alignment: 64,
        copiesTo: ['local', 'global'],
      },
    ],
    matrixUnits: [
      {
        name: 'cube-f16',
        m: 16,
        n: 16,
        k: 16,
        left: 'f16',
        right: 'f16',
        accumulate: 'f32',
        interleave: 1,
        operands: 'scratch',
      },
      {
        name: 'cube-bf16',
        m: 16,
        n: 16,
        k: 16,
        left: 'bf16',
        right: 'bf16',
        accumulate: 'f32',
        interleave: 1,
        operands: 'scratch',
      },
    ],
    compute: ['f32', 'i32', 'u32', 'bool'],
    storage: ['f32', 'f16', 'bf16', 'i32', 'i16', 'i8', 'u32', 'u16', 'u8', 'bool'],
    maxBufferBytes: 32 * gibibyte,
    offsetAlignment: 512,
    memoryBytes: 32 * gibibyte,
  },
];
