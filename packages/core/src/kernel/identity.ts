/** Reductions as tile operations, and the values that change nothing. */
import { dtypeFacts, integerRange, isInteger } from '../base/dtype.js';
import type { Node, ReductionKind } from '../graph/node.js';
import type { TileReduction } from './tile.js';

/** The tile operation that combines two values of a reduction. */
export const tileReductions: Readonly<Record<ReductionKind, TileReduction>> = {
  sum: 'add',
  product: 'multiply',
  minimum: 'minimum',
  maximum: 'maximum',
};

/** The value that changes nothing, as a number of the accumulation dtype. */
export function identityOf(kind: ReductionKind, dtype: Node['dtype']): number | bigint {
  if (kind === 'sum') return 0;
  if (kind === 'product') return 1;
  const largest = kind === 'minimum';
  if (dtypeFacts[dtype].kind === 'bool') return largest ? 1 : 0;
  if (isInteger(dtype)) return integerRange(dtype)[largest ? 1 : 0];
  return largest ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
}
