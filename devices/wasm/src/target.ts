/** Facts about WebAssembly as a target: one row per set of vector instructions. */
import { dtypes, type MatrixUnit, type Target } from '@open-claw/core/device/contract';
import { maxBindings } from './launch.js';

/** All that 32-bit addresses reach. */
export const addressableBytes = 2 ** 32;
/** The first page holds arguments of kernels. */
const reservedBytes = 65536;

const kibibyte = 2 ** 10;
const usableBytes = addressableBytes - reservedBytes;

/** Words of two signed halves, multiplied by vectors: m and n are any tile's. */
const pairUnit: MatrixUnit = {
  name: 'dot-i16',
  left: 'i16',
  right: 'i16',
  accumulate: 'i32',
  operands: 'register',
  m: 1,
  n: 1,
  k: 2,
  interleave: 2,
};

/** Words of four bytes, those of the left unsigned, multiplied and added to sums in one. */
const byteUnit: MatrixUnit = {
  ...pairUnit,
  name: 'dot-u8i8',
  left: 'u8',
  right: 'i8',
  k: 4,
  interleave: 4,
};

/** 128-bit vectors; multiply-add rounds twice. */
export const simdTarget: Target = {
  id: 'wasm/simd128',
  language: 'wasm',
  execution: 'vector',
  vectorBytes: 16,
  // An engine has what the CPU has; all of them work with the 16 of x86.
  vectorRegisters: 16,
  operandsAhead: true,
  hintsLoad: true,
  cores: 1,
  // An engine does not tell; nearly every CPU of today has at least this.
  cacheBytes: [32 * kibibyte, 256 * kibibyte],
  maxGroup: 1,
  preferredGroup: 1,
  sharedBytes: 0,
  spaces: [
    {
      name: 'global',
      class: 'global',
      bytes: usableBytes,
      alignment: 64,
      copiesTo: ['global', 'scratch'],
    },
    {
      name: 'scratch',
      class: 'scratch',
      bytes: usableBytes,
      alignment: 16,
      copiesTo: ['global', 'scratch'],
    },
  ],
  matrixUnits: [pairUnit],
  compute: ['f32', 'f64', 'i32', 'u32', 'i64', 'u64', 'bool'],
  storage: dtypes.filter((dtype) => dtype !== 'string'),
  math: ['keepsSums'],
  fusedMultiplyAdd: false,
  maxBindings,
  maxBufferBytes: usableBytes,
  offsetAlignment: 64,
  sharedBuffers: true,
  indexBits: 64,
  maxGrid: [2 ** 31 - 1, 2 ** 31 - 1, 2 ** 31 - 1],
  memoryBytes: usableBytes,
};

/** With relaxed vector instructions, where multiply-add rounds once. */
export const relaxedTarget: Target = {
  ...simdTarget,
  id: 'wasm/relaxed',
  fusedMultiplyAdd: true,
};

/** With a relaxed product of bytes that is exact for all of them, unsigned by signed. */
export const relaxedDotTarget: Target = {
  ...relaxedTarget,
  id: 'wasm/relaxed-dot',
  matrixUnits: [byteUnit, pairUnit],
};

/** Engines without vector instructions. */
export const scalarTarget: Target = {
  ...simdTarget,
  id: 'wasm/scalar',
  vectorBytes: 0,
  matrixUnits: [],
};

/** The same with addresses of 64 bits, which the engine checks at every access. */
const wide = (target: Target, id: string): Target => ({ ...target, id, addressBits: 64 });
export const wideTarget: Target = wide(simdTarget, 'wasm/memory64');
export const wideRelaxedTarget: Target = wide(relaxedTarget, 'wasm/memory64-relaxed');
export const wideDotTarget: Target = wide(relaxedDotTarget, 'wasm/memory64-relaxed-dot');

export const isWide = ({ addressBits }: Target): boolean => addressBits === 64;

/** Fastest last, first those with narrow addresses. */
export const targets: readonly Target[] = [
  scalarTarget,
  simdTarget,
  relaxedTarget,
  relaxedDotTarget,
  wideTarget,
  wideRelaxedTarget,
  wideDotTarget,
];
