/** What the kernel room hands over: tile programs with what their parameters stand for. */
import type { Size } from '../base/expression.js';
import type { Precision } from '../base/precision.js';
import type { Node } from '../graph/node.js';
import type { TileProgram } from './tile.js';

/** Memory that only the kernels of one step use, as a packed operand or partial sums. */
export interface Workspace {
  readonly kind: 'workspace';
  readonly id: number;
  readonly bytes: Size;
  /** Made from constants only: computed once after loading and kept. */
  readonly constant: boolean;
}

export interface LoweredKernel {
  readonly program: TileProgram;
  /** One per program.buffers, without the status word. */
  readonly arguments: readonly (Node | Workspace)[];
  /** Run once after loading: all inputs are constants. */
  readonly once: boolean;
  /** Floating-point operations and bytes moved, over symbols; for costs and limits. */
  readonly flops: Size;
  readonly bytes: Size;
}

/** The kernels of a step, of which the last does its work at this cost. */
export const withCost = (
  kernels: readonly LoweredKernel[],
  cost: Partial<Pick<LoweredKernel, 'flops' | 'bytes'>>,
): readonly LoweredKernel[] =>
  kernels.map((kernel, i) => (i === kernels.length - 1 ? { ...kernel, ...cost } : kernel));

/** What the caller chooses: measured choices, and how accurate f32 contractions must be. */
export interface Choices {
  readonly tuning: Tuning;
  /** Of contractions that do not say their own. */
  readonly precision: Precision;
}

/** Measured choices by key (see tune.ts); empty means the defaults. */
export type Tuning = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** Reasons that a task may give in the status word; code = step · 8 + reason. */
export const failReasons = {
  indexOutOfRange: 1,
  divisionByZero: 2,
  capacityExceeded: 3,
} as const;

export const choicesOf = ({ tuning = {}, precision = 'highest' }: Partial<Choices>): Choices => ({
  tuning,
  precision,
});
