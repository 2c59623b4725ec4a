/**
 * Stretches of a kernel's innermost axis in which no condition changes, as those of concatenations
 * and of padding do: in each of them every tile is of one kind, and no mask is made.
 */
import { add, type Expression, equal, linearIn, multiply, substitute } from '../base/expression.js';
import type { Axis } from './axes.js';
import type { KernelBuilder } from './builder.js';
import type { PlannedAxes } from './fused.js';
import type { Bindings } from './nest.js';

/** First index, and the one after the last. */
export type Stretch = readonly [start: number, end: number];

/** More stretches than this are more code than masks. */
const mostStretches = 8;

/** Undefined where there is one, where sizes are not known, or where vectors hold little. */
export function stretchesOf(
  { name, extent }: Axis,
  { changes, dropped }: PlannedAxes,
  lanes: number,
): readonly Stretch[] | undefined {
  if (typeof extent !== 'number' || lanes === 1) return undefined;
  const points = new Set([0, extent]);
  for (const change of changes) {
    const own = substitute(change, (each) => (dropped.has(each) ? 0 : undefined));
    const along = linearIn(own, name);
    if (along === undefined || !equal(along.coefficient, 1)) continue;
    if (typeof along.rest === 'number' && -along.rest > 0 && -along.rest < extent) {
      points.add(-along.rest);
    }
  }
  if (points.size === 2 || points.size > mostStretches + 1) return undefined;
  const sorted = [...points].sort((a, b) => a - b);
  const stretches = sorted.slice(1).map((end, i): Stretch => [sorted[i] as number, end]);
  const inVectors = stretches.reduce((sum, [start, end]) => sum + wholeOf(end - start, lanes), 0);
  return 4 * inVectors >= 3 * extent ? stretches : undefined;
}

const wholeOf = (length: number, tile: number): number => length - (length % tile);

/** Walks a stretch by tiles, then by vectors, then what is left of one. */
export function writeStretch(
  builder: KernelBuilder,
  bindings: Bindings,
  { name }: Axis,
  [start, end]: Stretch,
  { tile, lanes }: { readonly tile: number; readonly lanes: number },
  write: (tail: number | undefined, tile: number) => void,
): void {
  let from = start;
  for (const width of new Set([tile, lanes])) {
    const count = Math.floor((end - from) / width);
    const first = from;
    // Counted, so that the last index is known.
    const body = (number: Expression): void => {
      bindings.set(name, add(first, multiply(number, width)));
      write(undefined, width);
    };
    if (count > 0) builder.for(0, count, 1, body);
    from += count * width;
  }
  if (from === end) return;
  bindings.set(name, from);
  write(end - from, lanes);
}
