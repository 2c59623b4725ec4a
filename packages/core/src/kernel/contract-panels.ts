/** How many panels cover an axis. */
import { ceilDivide, type Size } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Axis } from './axes.js';

/** Panels of `columns` elements; 1 where there is no axis. */
export const panelsOf = (axis: Axis | undefined, columns: number): Size =>
  ceilDivide(axis?.extent ?? 1, columns);

/** Bytes of a block of panels that shall stay in the second cache, beside what else runs there. */
export const panelBudget = ({ cacheBytes: [, second = 2 ** 19] }: Target): number =>
  Math.min(2 ** 20, 2 * second);
