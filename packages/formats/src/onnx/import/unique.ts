/** Unique: the different values (or slices) of a tensor, where they stand and how often. */
import type { OperatorCall } from './context.js';
import { build, type Node, type Size, size } from './core.js';
import { chosenRows } from './lookups.js';
import type { OperatorTable } from './registry.js';

/** Rows in ascending order, and the row number each came from; the first column counts most. */
function sortRows(rows: Node, columns: number): Node {
  const count = rows.shape[0] as Size;
  let order = build.iota({ dtype: 'i64', shape: [count] }, 0);
  for (let column = columns - 1; column >= 0; column--) {
    const keys = build.reshape(build.sliceAxis(rows, 1, column, 1), [count]);
    // Stable sorts by the last column first leave rows in lexical order.
    order = build.sort(build.gather(keys, order, 0), [order], { axis: 0 })[1] as Node;
  }
  return order;
}

/** Whether each row of a sorted list begins a new run of equal rows. */
function runStarts(sorted: Node): Node {
  const count = sorted.shape[0] as Size;
  const at = build.iota({ dtype: 'i64', shape: [count] }, 0);
  const before = build.maximum(build.subtract(at, 1n), 0n);
  const differs = build.notEqual(sorted, build.gather(sorted, before, 0));
  const changed = build.notEqual(build.sum(build.cast(differs, 'i32'), [1]), 0);
  return build.or(changed, build.equal(at, 0n));
}

function unique(call: OperatorCall): readonly Node[] {
  const x = call.tensor(0);
  const whole = !call.hasAttribute('axis');
  const axis = whole ? 0 : call.axis(call.int('axis'), x.shape.length);
  const values = whole ? build.reshape(x, [size.product(x.shape)]) : x;
  const order = values.shape.map((_, i) => i);
  const front = [axis, ...order.filter((i) => i !== axis)];
  const moved = build.permute(values, front);
  const count = moved.shape[0] as Size;
  const width = call.staticSize(size.product(moved.shape.slice(1)), 'the size of a slice');
  if (width > 1024) throw call.refuse(`slices of ${width} elements are not compared`);
  const rows = build.reshape(moved, [count, width]);
  const sortedFrom = sortRows(rows, width);
  const starts = runStarts(build.gather(rows, sortedFrom, 0));
  const group = build.subtract(build.cumulate('sum', build.cast(starts, 'i64'), 0), 1n);
  const zeros = build.broadcastTo(build.scalar('i64', 0n), [count]);
  const inverse = build.scatter('replace', zeros, sortedFrom, group);
  const ones = build.broadcastTo(build.scalar('i64', 1n), [count]);
  const totals = build.scatter('sum', zeros, group, ones);
  // The sort is stable, so a run begins with the first of its equal rows.
  const first = chosenRows(starts, sortedFrom);
  const number = first.shape[0] as Size;
  const counts = build.sliceAxis(totals, 0, 0, number);
  const pick = (places: Node): Node => {
    const back = order.map((i) => front.indexOf(i));
    return build.permute(build.gather(moved, places, 0), back);
  };
  if (call.int('sorted', 1) !== 0) return [pick(first), first, inverse, counts];
  const groups = build.iota({ dtype: 'i64', shape: [number] }, 0);
  const [places, from] = build.sort(first, [groups], { axis: 0 }) as [Node, Node];
  const rank = build.scatter(
    'replace',
    build.broadcastTo(build.scalar('i64', 0n), [number]),
    from,
    groups,
  );
  return [pick(places), places, build.gather(rank, inverse, 0), build.gather(counts, from, 0)];
}

export const uniqueOperators: OperatorTable = {
  Unique: { versions: [11], import: unique },
};
