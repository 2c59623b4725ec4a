/** The rows of the CPU device: what each instruction set gives, and how to compile for it. */
import {
  type DType,
  dtypeFacts,
  type MatrixUnit,
  type Target,
} from '@open-claw/core/device/contract';

export interface NativeRow {
  /** Second part of the target's id; chooses the tokens of the C language. */
  readonly name: 'amx' | 'avx512' | 'avx512f' | 'avx2' | 'neon' | 'generic';
  /** Bit of claw_features that must be set; 0 where any CPU will do. */
  readonly feature: number;
  readonly vectorBytes: number;
  readonly vectorRegisters: number;
  readonly flags: readonly string[];
  readonly fusedMultiplyAdd: boolean;
  /** See target.elementsLoaded. */
  readonly elementsLoaded?: true;
  /** Operations that its tokens have beyond those of every row (see target.math). */
  readonly math: readonly string[];
  /** Whether its tokens have stores that bypass the caches. */
  readonly streams: boolean;
  readonly matrixUnits?: readonly MatrixUnit[];
}

const avx512Flags = [
  '-mavx512f',
  '-mavx512bw',
  '-mavx512dq',
  '-mavx512vl',
  '-mavx2',
  '-mfma',
  '-mf16c',
  '-mbmi2',
];

/** Tiles of 16 rows of 64 bytes, eight of them; 4 bytes of a column lie side by side. */
const tileUnit = (name: string, left: DType, right: DType, accumulate: DType): MatrixUnit => {
  const side = left === 'bf16' ? 2 : 4;
  const shape = { m: 16, n: 16, k: 16 * side, interleave: side, tiles: 8 };
  return { name, left, right, accumulate, operands: 'global', ...shape };
};

/**
 * Beside two ports of 16 lanes; from products of 1,024² with 16 to 192 rows or columns, dynamic and
 * constant.
 */
const tileSplitting = { plain: 0.037, product: 0.0034, left: 1.3, right: 0.5 };

/** Words of four bytes, multiplied by vectors: on what a word holds, m and n are any tile's. */
const byteUnit: MatrixUnit = {
  name: 'dot-u8-i8',
  left: 'u8',
  right: 'i8',
  accumulate: 'i32',
  operands: 'register',
  m: 1,
  n: 1,
  k: 4,
  interleave: 4,
};

/** Words of two signed halves, for operands that bytes do not hold and vectors without those. */
const pairUnit: MatrixUnit = {
  ...byteUnit,
  name: 'dot-i16',
  left: 'i16',
  right: 'i16',
  k: 2,
  interleave: 2,
};

/** Best first. */
export const rows: readonly NativeRow[] = [
  {
    name: 'amx',
    feature: 4,
    vectorBytes: 64,
    vectorRegisters: 32,
    flags: [...avx512Flags, '-mavx512vnni', '-mamx-tile', '-mamx-bf16', '-mamx-int8'],
    fusedMultiplyAdd: true,
    math: ['scaleByPower', 'nearDivide'],
    streams: true,
    matrixUnits: [
      { ...tileUnit('amx-bf16', 'bf16', 'bf16', 'f32'), splitting: tileSplitting },
      tileUnit('amx-i8-i8', 'i8', 'i8', 'i32'),
      tileUnit('amx-i8-u8', 'i8', 'u8', 'i32'),
      tileUnit('amx-u8-i8', 'u8', 'i8', 'i32'),
      tileUnit('amx-u8-u8', 'u8', 'u8', 'i32'),
      byteUnit,
      pairUnit,
    ],
  },
  {
    name: 'avx512',
    feature: 16,
    vectorBytes: 64,
    vectorRegisters: 32,
    flags: [...avx512Flags, '-mavx512vnni'],
    fusedMultiplyAdd: true,
    math: ['scaleByPower', 'nearDivide'],
    streams: true,
    matrixUnits: [byteUnit, pairUnit],
  },
  {
    // The first chips with vectors of 512 bits do not multiply bytes.
    name: 'avx512f',
    feature: 2,
    vectorBytes: 64,
    vectorRegisters: 32,
    flags: avx512Flags,
    fusedMultiplyAdd: true,
    math: ['scaleByPower', 'nearDivide'],
    streams: true,
    matrixUnits: [pairUnit],
  },
  {
    name: 'avx2',
    feature: 1,
    vectorBytes: 32,
    vectorRegisters: 16,
    flags: ['-mavx2', '-mfma', '-mf16c'],
    fusedMultiplyAdd: true,
    math: ['keepsSums', 'bounds'],
    streams: true,
    matrixUnits: [pairUnit],
  },
  {
    // What every 64-bit Arm has: no flag asks for it.
    name: 'neon',
    feature: 8,
    vectorBytes: 16,
    vectorRegisters: 32,
    flags: [],
    fusedMultiplyAdd: true,
    elementsLoaded: true,
    math: ['keepsSums'],
    streams: false,
  },
  {
    // What every CPU of the architecture has: 128-bit vectors, and elsewhere scalar code for them.
    name: 'generic',
    feature: 0,
    vectorBytes: 16,
    vectorRegisters: 16,
    flags: [],
    fusedMultiplyAdd: false,
    math: [],
    streams: false,
    matrixUnits: [pairUnit],
  },
];

/** What the machine adds to a row. */
export interface Machine {
  readonly cores: number;
  readonly memoryBytes: number;
  /** Data-cache bytes per core, nearest first. */
  readonly cacheBytes: readonly number[];
}

/** A modest machine, for plans that are made without looking at one. */
export const plainMachine: Machine = {
  cores: 4,
  memoryBytes: 8 * 2 ** 30,
  cacheBytes: [32 * 1024, 1024 * 1024],
};

/**
 * Copies of 24 MiB and less are as fast by plain stores on a machine with 2 MiB of private cache,
 * of 32 MiB and more up to 1.8 times faster by streaming ones.
 */
const streamBytes = ({ cacheBytes }: Machine): number => 12 * (cacheBytes[1] ?? 2 ** 21);

const gridLimit = 2 ** 31 - 1;

export function makeTarget(row: NativeRow, machine: Machine): Target {
  const memory = { alignment: 64, bytes: machine.memoryBytes };
  return {
    id: `native/${row.name}`,
    language: 'c',
    execution: 'vector',
    vectorBytes: row.vectorBytes,
    vectorRegisters: row.vectorRegisters,
    ...(row.elementsLoaded === undefined ? {} : { elementsLoaded: true }),
    cores: machine.cores,
    cacheBytes: machine.cacheBytes,
    ...(row.streams ? { streamBytes: streamBytes(machine) } : {}),
    maxGroup: 1,
    preferredGroup: 1,
    sharedBytes: 0,
    spaces: [
      { ...memory, name: 'global', class: 'global', copiesTo: ['global', 'scratch'] },
      { ...memory, name: 'scratch', class: 'scratch', copiesTo: ['global', 'scratch'] },
    ],
    matrixUnits: row.matrixUnits ?? [],
    compute: ['f32', 'f64', 'i32', 'u32', 'i64', 'u64', 'bool'],
    storage: (Object.keys(dtypeFacts) as DType[]).filter((dtype) => dtype !== 'string'),
    // Every CPU of the rows with fused multiply-add converts f16.
    math: [...(row.fusedMultiplyAdd ? ['half'] : []), ...row.math],
    fusedMultiplyAdd: row.fusedMultiplyAdd,
    maxBindings: 1024,
    maxBufferBytes: machine.memoryBytes,
    offsetAlignment: 64,
    sharedBuffers: true,
    indexBits: 64,
    maxGrid: [gridLimit, gridLimit, gridLimit],
    memoryBytes: machine.memoryBytes,
  };
}
