/** Facts about a chip, as plain data: what generators may use and must not assume. */
import type { DType } from './dtype.js';

export type { MemoryType } from './memory-type.js';

/** How a claim about a chip was obtained. */
export type Evidence = 'hardware' | 'emulator' | 'stub' | 'none';

/** Types that values have inside kernels. Narrower ones are widened on load. */
export type ComputeType = 'f32' | 'f64' | 'i32' | 'u32' | 'i64' | 'u64' | 'bool';

/** A memory space that tiles may live in. */
export interface Space {
  readonly name: string;
  readonly class: 'global' | 'shared' | 'register' | 'scratch';
  readonly bytes: number;
  readonly alignment: number;
  /** Spaces that may be copied to from here. */
  readonly copiesTo: readonly string[];
}

/** A matrix unit: D[m,n] += A[m,k] · B[k,n]. */
export interface MatrixUnit {
  /** Unique within a target; what a `dot` of a tile program names. */
  readonly name: string;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Types of the elements of A and of B. */
  readonly left: DType;
  readonly right: DType;
  readonly accumulate: DType;
  /**
   * Depth rows of B whose elements of one column lie side by side in memory: B is stored as
   * [k / interleave, n · interleave]. 1 where rows lie as they are.
   */
  readonly interleave: number;
  /**
   * Class of the memory that the operands are loaded from. `register`: they are vectors of 32-bit
   * words that hold neighbours of the depth, and m and n are any tile's.
   */
  readonly operands: 'global' | 'shared' | 'scratch' | 'register';
  /** Tiles of operands and accumulators that one task can hold; absent where that is no limit. */
  readonly tiles?: number;
  /** What f32 split for it costs beside plain code; where absent, it always pays. */
  readonly splitting?: SplitCosts;
}

/** Measured cycles of one core. */
export interface SplitCosts {
  /** Of a multiply-add of f32 by plain code, and by tiles for each product of parts. */
  readonly plain: number;
  readonly product: number;
  /** Of splitting an element of either operand into three parts. */
  readonly left: number;
  readonly right: number;
}

/**
 * What some chips of a language offer and others do not. `half`: elements of 16 bits are loaded and
 * stored on their own, and f16 is converted as the interpreter does. `bundles`: threads that the
 * chip runs together combine their values without memory, however many they are.
 */
export type Feature = 'half' | 'bundles';

export interface Target {
  /** `family/row`, as `native/avx512`, `wasm/simd128`, `cuda/sm_90`. */
  readonly id: string;
  /** Name of the language that its device emits. */
  readonly language: string;
  /**
   * vector: one task is one thread with vector registers; threads: one task is a group of
   * threads; scratchpad: one task copies tiles to local memory.
   */
  readonly execution: 'vector' | 'threads' | 'scratchpad';
  /** Bytes of a vector register; 0 where code is scalar. */
  readonly vectorBytes: number;
  readonly vectorRegisters: number;
  /** Whether all operands of a step are in registers before the first is used. */
  readonly operandsAhead?: boolean;
  /** Whether a hint about memory is a load, which holds up what comes behind where it misses. */
  readonly hintsLoad?: boolean;
  /** Whether an element that multiplies a vector takes an instruction and a register of its own. */
  readonly elementsLoaded?: boolean;
  /** Tasks that run at the same time. */
  readonly cores: number;
  /** Data-cache bytes per core, nearest first; empty where unknown. */
  readonly cacheBytes: readonly number[];
  /**
   * Bytes from which an output is written past the caches: then it would push out what they hold,
   * and fetching the lines that it fills costs more. Absent: never.
   */
  readonly streamBytes?: number;
  /** Threads of one group: the limit, and what to take by default. */
  readonly maxGroup: number;
  readonly preferredGroup: number;
  /** Group-shared memory in bytes. */
  readonly sharedBytes: number;
  /** Most bytes that one access of a thread moves; absent: one element. */
  readonly accessBytes?: number;
  readonly spaces: readonly Space[];
  readonly matrixUnits: readonly MatrixUnit[];
  /** Types that kernels can compute in. */
  readonly compute: readonly ComputeType[];
  /** Types that memory can hold; others are refused by name. */
  readonly storage: readonly DType[];
  /** Functions that the language has correctly enough: exp, log, sin … (see kernel/math). */
  readonly math: readonly string[];
  readonly fusedMultiplyAdd: boolean;
  /** None unless given. */
  readonly features?: readonly Feature[];
  /** Buffers that one kernel may bind. */
  readonly maxBindings: number;
  readonly maxBufferBytes: number;
  /** Alignment of an offset into a buffer that is bound. */
  readonly offsetAlignment: number;
  /** Whether several values may live in one buffer at different offsets within one kernel. */
  readonly sharedBuffers: boolean;
  readonly indexBits: 32 | 64;
  /** Bits of an address, where the language has memories of both kinds; absent: 32. */
  readonly addressBits?: 32 | 64;
  readonly maxGrid: readonly [number, number, number];
  readonly memoryBytes: number;
}

/** Bytes of memory that a task has for itself; 0 where it has none. */
export const ownBytes = ({ spaces }: Target): number =>
  spaces.find((space) => space.class === 'scratch')?.bytes ?? 0;
