/** How many panels cover an axis. */
import { ceilDivide, type Size } from '../base/expression.js';
import type { Axis } from './axes.js';

/** Panels of `columns` elements; 1 where there is no axis. */
export const panelsOf = (axis: Axis | undefined, columns: number): Size =>
  ceilDivide(axis?.extent ?? 1, columns);
