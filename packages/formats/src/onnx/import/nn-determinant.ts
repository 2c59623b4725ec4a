/** Det: elimination with row exchanges, for all matrices of a batch at once. */
import type { OperatorCall } from './context.js';
import { build, type Node, type Size, size } from './core.js';
import { positionAlong } from './lookups.js';
import type { OperatorTable } from './registry.js';

/** One column of elimination: [matrices [B, n, n], determinants so far [B]]. */
function eliminate(matrices: Node, determinant: Node, column: Size): readonly [Node, Node] {
  const [batch, n] = matrices.shape as [Size, Size];
  const row = positionAlong([1, n], 1);
  const here = build.equal(row, build.size(column));
  const values = build.reshape(build.sliceAxis(matrices, 2, column, 1), [batch, n]);
  const open = build.lessEqual(build.size(column), row);
  const place = build.argMax(build.select(open, build.absolute(values), -1), 1, { keep: true });
  const isPivot = build.equal(row, place);
  const pick = (mask: Node): Node =>
    build.sum(build.select(build.unsqueeze(mask, [2]), matrices, 0), [1], { keep: true });
  const [pivotRow, ownRow] = [pick(isPivot), pick(here)];
  const lower = build.select(build.unsqueeze(isPivot, [2]), ownRow, matrices);
  const exchanged = build.select(build.unsqueeze(here, [2]), pivotRow, lower);
  const pivot = build.sliceAxis(pivotRow, 2, column, 1);
  const by = build.select(build.equal(pivot, 0), 1, pivot);
  const factors = build.divide(build.sliceAxis(exchanged, 2, column, 1), by);
  const below = build.unsqueeze(build.less(build.size(column), row), [2]);
  const rest = build.subtract(exchanged, build.multiply(factors, pivotRow));
  const same = build.reshape(build.equal(place, build.size(column)), [batch]);
  const value = build.reshape(pivot, [batch]);
  const signed = build.select(same, value, build.negate(value));
  return [build.select(below, rest, exchanged), build.multiply(determinant, signed)];
}

function determinant(call: OperatorCall): Node {
  const x = call.tensor(0);
  const rank = x.shape.length;
  if (rank < 2) throw call.refuse(`an input of rank ${rank}`);
  const outer = x.shape.slice(0, -2);
  const [n, m] = x.shape.slice(-2) as [Size, Size];
  call.require('equal', n, m, 'Det: sides of the matrices');
  const batch = size.product(outer);
  const wide = build.accumulateType(x.dtype);
  const start = build.reshape(build.cast(x, wide), [batch, n, n]);
  const [, result] = build.loop({
    trip: n,
    carried: [start, build.broadcastTo(build.scalar(wide, 1), [batch])],
    body: ([matrices, product], _, iteration) => ({
      carried: eliminate(matrices as Node, product as Node, iteration),
    }),
  }) as [Node, Node];
  return build.cast(build.reshape(result, outer), x.dtype);
}

export const determinantOperators: OperatorTable = {
  Det: { versions: [11, 22], import: determinant },
};
