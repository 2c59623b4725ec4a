/**
 * What follows an accumulator tile: its rows go through the task's own memory, one at a time, so
 * that the epilogue is written once and not once per row.
 */
import { type Expression, minimum, multiply } from '../base/expression.js';
import type { MemoryType } from '../base/target.js';
import type { Value, Variable } from './builder.js';
import type { KernelFrame } from './frame.js';

/**
 * Calls `body` with the number of each row that counts and its content, a tile [columns].
 * `rows`: how many rows count, where not all do.
 */
export function eachRow(
  frame: KernelFrame,
  accumulator: Variable,
  rows: Expression | undefined,
  body: (row: Expression, content: Value) => void,
): void {
  const { builder: b } = frame;
  const { dtype, shape } = accumulator.type;
  const [height = 1, columns = 1] = shape;
  const buffer = frame.scratch(dtype as MemoryType, height * columns);
  b.store({ buffer, address: 0, strides: [columns, 1] }, b.read(accumulator));
  const end = rows === undefined ? height : b.bind(minimum(height, rows));
  b.for(0, end, 1, (row) => {
    const access = { buffer, address: multiply(row, columns), strides: [1] };
    body(row, b.load({ dtype, shape: [columns] }, access, { volatile: true }));
  });
}
