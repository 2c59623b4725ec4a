/** Facts about the pretend chip. Replace every number by your chip's own. */
import type { Target } from '@open-claw/core/device';

const mebibyte = 2 ** 20;

/** Memory of the pretend chip; small, so that running out of it is easy to try. */
export const defaultMemoryBytes = 512 * mebibyte;

/** A scalar machine with one core that stores and computes every type. */
export const templateTarget: Target = {
  id: 'template/chip',
  language: 'script',
  execution: 'vector',
  vectorBytes: 0,
  vectorRegisters: 16,
  cores: 1,
  cacheBytes: [],
  maxGroup: 1,
  preferredGroup: 1,
  sharedBytes: 0,
  spaces: [
    {
      name: 'global',
      class: 'global',
      bytes: defaultMemoryBytes,
      alignment: 64,
      copiesTo: ['global'],
    },
  ],
  matrixUnits: [],
  compute: ['f32', 'f64', 'i32', 'u32', 'i64', 'u64', 'bool'],
  storage: [
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
    'i64',
    'i32',
    'i16',
    'i8',
    'i4',
    'i2',
    'u64',
    'u32',
    'u16',
    'u8',
    'u4',
    'u2',
    'bool',
  ],
  math: [],
  fusedMultiplyAdd: false,
  maxBindings: 64,
  maxBufferBytes: defaultMemoryBytes,
  offsetAlignment: 64,
  sharedBuffers: true,
  indexBits: 64,
  maxGrid: [2 ** 31 - 1, 65535, 65535],
  memoryBytes: defaultMemoryBytes,
};
