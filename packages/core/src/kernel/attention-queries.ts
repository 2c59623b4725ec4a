/** Queries of a task of attention, scaled and laid out as Qᵀ [depth, queries of a task]. */
import { add, type Expression, lessThan, multiply, variable } from '../base/expression.js';
import type { AttentionValues } from './attention-plan.js';
import type { AttentionTiles } from './attention-tiles.js';
import type { KernelBuilder, Value } from './builder.js';
import { laneName } from './fused.js';
import { dividesBy } from './left-pack.js';
import type { TileAxis } from './tile-limits.js';

const rowName = 'row';
/** Vectors with fewer lanes have no square that is worth turning. */
const leastLanes = 4;

export interface QueryBlock {
  readonly builder: KernelBuilder;
  /** Where Qᵀ goes. */
  readonly buffer: string;
  /** Batch and head. */
  readonly at: readonly [Expression, Expression];
  /** First query, and the axis of them all, with its tail. */
  readonly first: Expression;
  readonly axis: TileAxis;
}

/**
 * In squares of vectors, which are read in the order of memory and turned in registers; queries
 * that do not fill a task, and what is left of the depth, element by element.
 */
export function packQueries(
  values: AttentionValues,
  { lanes, queries }: AttentionTiles,
  { builder: b, buffer, at, first, axis }: QueryBlock,
): void {
  const { plan } = values;
  const { depth } = plan;
  const whole = lanes < leastLanes ? 0 : depth - (depth % lanes);
  const scaled = (tile: readonly TileAxis[], query: Expression, d: Expression): Value => {
    const elements = values.single(tile, plan.q, [...at, add(first, query), d]);
    return b.multiply(elements, b.literal('f32', Math.fround(plan.scale)));
  };
  const inRows = (start: number): void =>
    b.for(start, depth, 1, (d) => {
      const row = scaled([axis], variable(laneName, queries), d);
      b.store({ buffer, address: multiply(d, queries), strides: [1] }, row);
    });
  const inSquares = (): void => {
    const square = [rowName, laneName].map((name) => ({ name, count: lanes }));
    const [row, lane] = [variable(rowName, lanes), variable(laneName, lanes)];
    b.for(0, whole, lanes, (d) => {
      b.for(0, queries, lanes, (query) => {
        const address = add(multiply(d, queries), query);
        const turned = scaled(square, add(query, lane), add(d, row));
        b.store({ buffer, address, strides: [queries, 1] }, turned);
      });
    });
    if (whole < depth) inRows(whole);
  };
  if (whole === 0) inRows(0);
  else if (dividesBy(plan.queries, queries)) inSquares();
  else b.if(lessThan(plan.queries, add(first, queries)), () => inRows(0), inSquares);
}
