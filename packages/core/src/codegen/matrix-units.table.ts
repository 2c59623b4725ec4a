/**
 * Matrix units of GPUs: what a target lists, how the threads of one bundle hold the operands, and
 * the helper that a dialect calls. A row without a helper for a dialect is unknown to it.
 */
import type { MatrixUnit, MemoryType } from '../base/target.js';
import type { GpuDialectName } from './gpu-dialects.table.js';

/**
 * One call of a unit, by a bundle of `threads` neighbours that run it together. The accumulator
 * lies over a grid of `rows` × `columns` threads, columns fastest.
 */
export interface BundleUnit {
  readonly unit: MatrixUnit;
  readonly threads: number;
  readonly rows: number;
  readonly columns: number;
  /** Memory type of an operand's elements, as they lie in shared memory. */
  readonly memory: MemoryType;
  /** Elements of the depth that a 32-bit register of an operand holds. */
  readonly packed: number;
  /** Name of the helper `(f32 *sum × 4, u32 left × 4, u32 right × 2)`. */
  readonly helper: string;
  /** Text of the helper by dialect, behind its head; `%` names follow the parameters' order. */
  readonly bodies: Readonly<Partial<Record<GpuDialectName, string>>>;
}

/** Sums d0 … d3, left a0 … a3, right b0 and b1, as the instruction takes them. */
const warpInstruction = (instruction: string): string =>
  [
    `asm volatile("${instruction}"`,
    '      " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"',
    '      : "+f"(*d0), "+f"(*d1), "+f"(*d2), "+f"(*d3)',
    '      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));',
  ].join('\n');

/**
 * NVIDIA tensor cores from sm_80 on, as the PTX manual describes mma.m16n8k16: thread 4g + t of a
 * warp holds rows g and g + 8 of A at depths 2t, 2t + 1 and those 8 further, column g of B at the
 * same depths, and of D the columns 2t and 2t + 1 of rows g and g + 8.
 */
const warpUnit = (dtype: 'bf16' | 'f16'): BundleUnit => ({
  unit: {
    name: `mma-${dtype}`,
    m: 16,
    n: 8,
    k: 16,
    left: dtype,
    right: dtype,
    accumulate: 'f32',
    interleave: 1,
    operands: 'shared',
  },
  threads: 32,
  rows: 8,
  columns: 4,
  memory: 'u16',
  packed: 2,
  helper: `mma_m16n8k16_${dtype}`,
  bodies: {
    cuda: warpInstruction(`mma.sync.aligned.m16n8k16.row.col.f32.${dtype}.${dtype}.f32`),
  },
});

export const bundleUnits: readonly BundleUnit[] = [warpUnit('bf16'), warpUnit('f16')];

/** Facts for targets whose chips have the units of NVIDIA from sm_80 on. */
export const warpMatrixUnits: readonly MatrixUnit[] = bundleUnits.map(({ unit }) => unit);

export const bundleUnitOf = (name: string): BundleUnit | undefined =>
  bundleUnits.find(({ unit }) => unit.name === name);
