/**
 * Dialects of C for GPUs, one row each: the only place where their words and their makers' names
 * stand. Everything that a kernel says beyond these tokens is common to all of them. Small floats
 * are integers in memory, so no row needs a vendor's header.
 */
import type { ComputeType, MemoryType } from '../base/target.js';

/**
 * Words for whole vectors of 2, 4, 8 or 16 lanes. `{type}` is a vector's type, `{element}` that of
 * its lanes, `{lanes}` their number.
 */
export interface VectorWords {
  readonly type: string;
  /** Every lane the same, or one value per lane. */
  readonly make: string;
  readonly load: string;
  readonly store: string;
  readonly convert: string;
  readonly reinterpret: string;
  /** Whether the sign bit of a lane is set. */
  readonly any: string;
  /** What this thread has stored is seen by all that comes after the kernel. */
  readonly fence: string;
}

export interface GpuDialect {
  /** Lines at the top of every source. */
  readonly header: readonly string[];
  /** Before a kernel's name; `{group}` is its number of threads. */
  readonly kernel: string;
  /** Before a helper function. */
  readonly helper: string;
  /** Before the element type of a pointer to a buffer. */
  readonly pointer: string;
  readonly restrict: string;
  readonly shared: string;
  /** All threads of the group wait; writes to shared memory are seen afterwards. */
  readonly barrier: string;
  /** As barrier, for writes to buffers too. */
  readonly globalBarrier: string;
  readonly thread: string;
  readonly block: readonly [string, string, string];
  readonly blocks: readonly [string, string];
  readonly types: Readonly<Record<ComputeType | MemoryType, string>>;
  /** Suffix of 64-bit integer literals. */
  readonly longSuffix: string;
  /** Whether functions carry the type in their name, as floorf. */
  readonly typedFunctions: boolean;
  readonly atomics: Readonly<Record<'add' | 'minimum' | 'maximum' | 'exchange', string>>;
  /** Reinterprets bits: `{to}` is the type that it makes; empty where a union must do. */
  readonly reinterpret: string;
  /** How several elements are moved at once: through a struct, or by functions on any pointer. */
  readonly accesses: 'struct' | 'functions';
  /** Behind the name of a shared array that is moved in vectors. */
  readonly aligned: string;
  /** Line before a loop that shall be unrolled `{count}` times. */
  readonly unroll: string;
  /** Line that switches double precision on; empty where it is always there. */
  readonly doubles: string;
  /** Options that the compiler needs for the numbers to be as defined. */
  readonly options: readonly string[];
  /** Absent where the language has no vectors. */
  readonly vectors?: VectorWords;
}

const cTypes: GpuDialect['types'] = {
  bool: 'bool',
  f32: 'float',
  f64: 'double',
  i8: 'signed char',
  i16: 'short',
  i32: 'int',
  i64: 'long long',
  u8: 'unsigned char',
  u16: 'unsigned short',
  u32: 'unsigned int',
  u64: 'unsigned long long',
};

const openclTypes: GpuDialect['types'] = {
  ...cTypes,
  i8: 'char',
  i64: 'long',
  u8: 'uchar',
  u16: 'ushort',
  u32: 'uint',
  u64: 'ulong',
};

/** NVIDIA CUDA C++; the shape that most others follow. */
const cuda: GpuDialect = {
  header: [],
  kernel: 'extern "C" __global__ void __launch_bounds__({group})',
  helper: 'static __device__ __forceinline__',
  pointer: '',
  restrict: '__restrict__',
  shared: '__shared__',
  barrier: '__syncthreads();',
  globalBarrier: '__syncthreads();',
  thread: 'threadIdx.x',
  block: ['blockIdx.x', 'blockIdx.y', 'blockIdx.z'],
  blocks: ['gridDim.x', 'gridDim.y'],
  types: cTypes,
  longSuffix: 'LL',
  typedFunctions: true,
  atomics: {
    add: 'atomicAdd',
    minimum: 'atomicMin',
    maximum: 'atomicMax',
    exchange: 'atomicExch',
  },
  reinterpret: '',
  accesses: 'struct',
  aligned: '__attribute__((aligned(16)))',
  unroll: '#pragma unroll {count}',
  doubles: '',
  options: ['--fmad=false'],
};

const clangHelper = 'static __device__ inline';
const contractOff = '-ffp-contract=off';

export const gpuDialects = {
  cuda,
  /** AMD ROCm. */
  hip: { ...cuda, helper: clangHelper, options: [contractOff] },
  /** Hygon DTK: HIP with its own compiler, which must be told the group size (the kernel does). */
  dtk: { ...cuda, helper: clangHelper, options: [contractOff] },
  /** Moore Threads MUSA C++, mcc or mtrtc. */
  musa: { ...cuda, helper: clangHelper, options: [contractOff] },
  /** MetaX MACA C++, mxcc or mcrtc. */
  maca: { ...cuda, helper: clangHelper, options: [contractOff] },
  /** Iluvatar CoreX: CUDA C++ through a clang; groups may have up to 4096 threads. */
  corex: { ...cuda, helper: clangHelper, options: [contractOff] },
  /** T-Head PPU: HGGC C++. */
  hggc: { ...cuda, helper: clangHelper, options: [contractOff] },
  /** Biren SUPA C++: CUDA's shape with lower-case built-in names. */
  supa: {
    ...cuda,
    helper: clangHelper,
    thread: 'thread_idx.x',
    block: ['block_idx.x', 'block_idx.y', 'block_idx.z'],
    blocks: ['grid_dim.x', 'grid_dim.y'],
    options: [contractOff],
  },
  /** Khronos OpenCL C 1.2 and later. */
  opencl: {
    header: ['#pragma OPENCL FP_CONTRACT OFF'],
    kernel: '__attribute__((reqd_work_group_size({group}, 1, 1))) __kernel void',
    helper: 'static inline',
    pointer: '__global ',
    restrict: 'restrict',
    shared: '__local',
    barrier: 'barrier(CLK_LOCAL_MEM_FENCE);',
    globalBarrier: 'barrier(CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE);',
    thread: 'get_local_id(0)',
    block: ['get_group_id(0)', 'get_group_id(1)', 'get_group_id(2)'],
    blocks: ['get_num_groups(0)', 'get_num_groups(1)'],
    types: openclTypes,
    longSuffix: 'L',
    typedFunctions: false,
    atomics: {
      add: 'atomic_add',
      minimum: 'atomic_min',
      maximum: 'atomic_max',
      exchange: 'atomic_xchg',
    },
    reinterpret: 'as_{to}',
    accesses: 'functions',
    aligned: '',
    unroll: '__attribute__((opencl_unroll_hint({count})))',
    doubles: '#pragma OPENCL EXTENSION cl_khr_fp64 : enable',
    options: ['-cl-fp32-correctly-rounded-divide-sqrt'],
    vectors: {
      type: '{element}{lanes}',
      make: '({type})({list})',
      load: 'vload{lanes}(0, {pointer})',
      store: 'vstore{lanes}({value}, 0, {pointer});',
      convert: 'convert_{type}({value})',
      reinterpret: 'as_{type}({value})',
      any: 'any({value})',
      fence: 'mem_fence(CLK_GLOBAL_MEM_FENCE);',
    },
  },
} as const satisfies Readonly<Record<string, GpuDialect>>;

export type GpuDialectName = keyof typeof gpuDialects;
