/**
 * Reductions of fewer rows than the machine has cores, or of one long row: a first kernel reduces
 * blocks of the rows into partial results, a second one those. Which steps, and a block's length.
 */
import { isFloat } from '../base/dtype.js';
import { ceilDivide, type Expression, multiply, product, type Size } from '../base/expression.js';
import type { Target } from '../base/target.js';
import { type Axis, isAtLeast } from './axes.js';
import { computeType } from './elementwise.js';
import type { Workspace } from './lowered.js';
import type { Reduce, ReductionPlan } from './reduction-plan.js';

/** The outermost reduced axis in blocks; partial results are [blocks, rows]. */
export interface Parts {
  readonly axis: Axis;
  /** Indices of the axis per block. */
  readonly block: number;
  readonly blocks: Size;
  readonly rows: number;
}

/** Elements of a block at least, so that a second kernel is paid for. */
const leastElements = 2 ** 15;
/** And at most, so that no task is long and the second cache holds what it reads. */
const mostElements = 2 ** 17;
/** Blocks per core, so that all end together. */
const blocksPerCore = 8;

/** The blocks of a step whose axes are merged; undefined where its rows are tasks enough. */
export function partsOf(
  plan: ReductionPlan,
  target: Target,
  reduced: readonly Axis[],
  rowTasks: Size,
  tile: number,
): Parts | undefined {
  const [axis] = reduced;
  const rows = product(plan.rowShape);
  if (axis === undefined || plan.stages.length !== 1 || plan.fullRoots.length > 0) return undefined;
  // A part of a product may overflow where the product does not.
  const isProduct = ({ attributes: { kind, accumulate } }: Reduce): boolean =>
    kind === 'product' && isFloat(accumulate);
  if (plan.stages.flat().some(isProduct)) return undefined;
  if (typeof rows !== 'number' || typeof rowTasks !== 'number') return undefined;
  const isOne = target.cores < 2;
  if (rows === 0 || rowTasks >= (isOne ? 2 : target.cores)) return undefined;
  const inside = product(reduced.slice(1).map(({ extent }) => extent));
  if (typeof inside !== 'number' || inside === 0) return undefined;
  const perIndex = inside * rows;
  const most = Math.ceil(mostElements / perIndex);
  const least = isOne ? most : Math.ceil(leastElements / perIndex);
  const { extent } = axis;
  if (isOne && typeof extent !== 'number') return undefined;
  const share = typeof extent === 'number' ? Math.ceil(extent / (target.cores * blocksPerCore)) : 0;
  const fair = Math.min(share, most);
  // Whole tiles where the axis is the one that lanes lie along.
  const step = reduced.length === 1 ? tile : 1;
  const block = Math.ceil(Math.max(least, fair, 1) / step) * step;
  if (!isAtLeast(axis, 2 * block) && typeof extent === 'number') return undefined;
  return { axis, block, blocks: ceilDivide(extent, block), rows };
}

/** Where the partial results of reduction `number` of the step are. */
export function partialResults({ blocks, rows }: Parts, reduce: Reduce, number: number): Workspace {
  const { accumulate } = reduce.attributes;
  const bytes = accumulate !== 'bool' && /64$/.test(computeType(accumulate)) ? 8 : 4;
  return { kind: 'workspace', id: number, bytes: multiply(bytes, rows, blocks), constant: false };
}

/** Address of a row's partial result of a block. */
export const partialAddress = (parts: Parts, block: Expression): Expression =>
  multiply(block, parts.rows);
