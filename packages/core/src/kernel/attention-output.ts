/** Rows of attention's result: asked for while scores are made, and stored at a task's end. */
import { add, type Expression, equal, variable } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { AttentionValues } from './attention-plan.js';
import type { KernelBuilder, Value } from './builder.js';
import { lowerCast } from './elementwise.js';
import { laneName, storeAt } from './fused.js';
import { writeTiles } from './nest.js';
import { linearInLanes, type TileAxis } from './tile-limits.js';
import { flatten } from './view-index.js';

export interface ResultRows {
  readonly builder: KernelBuilder;
  readonly target: Target;
  readonly values: AttentionValues;
  readonly buffer: string;
  /** Batch and head. */
  readonly at: readonly [Expression, Expression];
  /** Columns of a tile. */
  readonly columns: number;
}

/** Columns of a row, a tile at a time; the last one may be cut. */
export function eachColumns(
  { builder, values, columns }: Pick<ResultRows, 'builder' | 'values' | 'columns'>,
  body: (column: Expression, axis: TileAxis) => void,
): void {
  writeTiles(builder, 0, values.plan.width, columns, (column, tail) => {
    const axis: TileAxis = { name: laneName, count: columns };
    body(column, tail === undefined ? axis : { ...axis, tail });
  });
}

const outputOf = ({ plan }: AttentionValues): Node => plan.step.outputs[0] as Node;

function indexOf(
  { values, at, columns }: ResultRows,
  query: Expression,
  column: Expression,
): readonly Expression[] {
  return values.outputIndex([...at, query, add(column, variable(laneName, columns))]);
}

/** Stores f32 values of one tile of a row. */
export function storeResult(
  rows: ResultRows,
  [query, column]: readonly [Expression, Expression],
  axis: TileAxis,
  value: Value,
): void {
  const { builder, target, values, buffer } = rows;
  const output = outputOf(values);
  const result = lowerCast(builder, target, 'f32', output.dtype, false, value);
  storeAt(values.place([axis]), buffer, output, indexOf(rows, query, column), result);
}

/** Asks memory for a row that is stored later, where a hint is no load that waits. */
export function touchResult(rows: ResultRows, query: Expression): void {
  const { builder, target, values, buffer, columns } = rows;
  if (target.execution !== 'vector' || target.operandsAhead === true) return;
  const output = outputOf(values);
  eachColumns(rows, (column, axis) => {
    if (axis.tail !== undefined) return;
    const place = values.place([axis]);
    const address = place.finish(flatten(output.shape, indexOf(rows, query, column)));
    const linear = linearInLanes(address, place.tile);
    if (linear === undefined || !equal(linear.strides[0] ?? 0, 1)) return;
    builder.touch(buffer, linear.base, columns);
  });
}
