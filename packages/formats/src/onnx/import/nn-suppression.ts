/** NonMaxSuppression: boxes by score, without those that overlap a better one of their class. */
import type { OperatorCall } from './context.js';
import { build, type Node, type Size, size } from './core.js';
import { positionAlong } from './lookups.js';
import type { OperatorTable } from './registry.js';

interface Corners {
  readonly low: readonly [Node, Node];
  readonly high: readonly [Node, Node];
  readonly area: Node;
}

/** Corners of boxes [batch, boxes, 4], in any order or as center and size. */
function cornersOf(boxes: Node, centered: boolean): Corners {
  const column = (index: number): Node =>
    build.reshape(build.sliceAxis(boxes, 2, index, 1), boxes.shape.slice(0, 2));
  const [a, b, c, d] = [column(0), column(1), column(2), column(3)];
  const half = (x: Node): Node => build.multiply(x, 0.5);
  const low = centered
    ? ([build.subtract(a, half(c)), build.subtract(b, half(d))] as const)
    : ([build.minimum(a, c), build.minimum(b, d)] as const);
  const high = centered
    ? ([build.add(a, half(c)), build.add(b, half(d))] as const)
    : ([build.maximum(a, c), build.maximum(b, d)] as const);
  const area = build.multiply(build.subtract(high[0], low[0]), build.subtract(high[1], low[1]));
  return { low, high, area };
}

/** Whether boxes [batch, i, j] overlap by more than the threshold. */
function overlaps({ low, high, area }: Corners, threshold: Node): Node {
  const rows = (x: Node): Node => build.unsqueeze(x, [2]);
  const columns = (x: Node): Node => build.unsqueeze(x, [1]);
  const side = (axis: 0 | 1): Node => {
    const end = build.minimum(rows(high[axis]), columns(high[axis]));
    const start = build.maximum(rows(low[axis]), columns(low[axis]));
    return build.maximum(build.subtract(end, start), 0);
  };
  const shared = build.multiply(side(0), side(1));
  const union = build.subtract(build.add(rows(area), columns(area)), shared);
  const some = build.less(0, union);
  const ratio = build.divide(shared, build.select(some, union, 1));
  return build.and(some, build.less(build.cast(threshold, ratio.dtype), ratio));
}

const scalarOf = (x: Node): Node => build.reshape(x, []);

/** [selected, 3]: batch, class and box of each selected box, best first within a class. */
function nonMaxSuppression(call: OperatorCall): Node {
  const [boxes, scores] = [call.tensor(0), call.tensor(1)];
  const [batch, count] = boxes.shape as [Size, Size];
  const classes = scores.shape[1] as Size;
  const most = call.has(2) ? scalarOf(build.cast(call.tensor(2), 'i64')) : build.scalar('i64', 0n);
  const threshold = call.has(3) ? scalarOf(call.tensor(3)) : build.scalar('f32', 0);
  const clash = overlaps(cornersOf(boxes, call.int('center_point_box', 0) !== 0), threshold);
  const shape = [batch, classes, count];
  const [sorted, order] = build.sort(scores, [build.broadcastTo(positionAlong(shape, 2), shape)], {
    axis: 2,
    descending: true,
  }) as [Node, Node];
  const good = call.has(4)
    ? build.less(build.cast(scalarOf(call.tensor(4)), sorted.dtype), sorted)
    : build.broadcastTo(build.scalar('bool', true), shape);
  const rows = size.multiply(batch, classes);
  const kept = keep({ clash, order, good, most, rows, batch, classes, count });
  const columns = [
    build.broadcastTo(positionAlong(shape, 0), shape),
    build.broadcastTo(positionAlong(shape, 1), shape),
    order,
  ].map((x) => build.reshape(x, [size.multiply(rows, count), 1]));
  const [values, chosen] = build.compact(
    build.reshape(kept, [size.multiply(rows, count)]),
    build.concat(columns, 1),
  );
  return build.sliceAxis(values, 0, 0, build.elementSize(chosen, 0));
}

interface Candidates {
  readonly clash: Node;
  readonly order: Node;
  readonly good: Node;
  readonly most: Node;
  readonly rows: Size;
  readonly batch: Size;
  readonly classes: Size;
  readonly count: Size;
}

/** Which boxes, best first, stay: one after the other, each takes those that it overlaps out. */
function keep(all: Candidates): Node {
  const { clash, order, good, most, rows, batch, classes, count } = all;
  const flat = (x: Node): Node => build.reshape(x, [rows, count]);
  const pairs = build.reshape(clash, [size.multiply(batch, count), count]);
  const [, stacked] = build
    .loop({
      trip: count,
      carried: [flat(good), build.broadcastTo(build.scalar('i64', 0n), [rows])],
      invariants: [pairs, flat(order), most],
      body: ([alive, taken], [table, places, limit], iteration) => {
        const [live, chosen] = [alive as Node, taken as Node];
        const at = (x: Node): Node => build.reshape(build.sliceAxis(x, 1, iteration, 1), [rows]);
        const stays = build.and(at(live), build.less(chosen, limit as Node));
        const box = at(places as Node);
        const line = positionAlong([rows], 0);
        const first = build.multiply(build.divide(line, build.size(classes)), build.size(count));
        // Overlaps of this row's box with all boxes, in the order of the boxes, not of the scores.
        const byBox = build.gather(table as Node, build.add(first, box), 0);
        const starts = build.multiply(build.unsqueeze(line, [1]), build.size(count));
        const spots = build.add(starts, places as Node);
        const hit = build.gather(build.reshape(byBox, [size.multiply(rows, count)]), spots, 0);
        const gone = build.and(hit, build.unsqueeze(stays, [1]));
        const next = build.and(live, build.not(gone));
        return {
          carried: [next, build.add(chosen, build.cast(stays, 'i64'))],
          stacked: [stays],
        };
      },
    })
    .slice(1) as [Node, Node];
  return build.transpose(stacked);
}

export const suppressionOperators: OperatorTable = {
  NonMaxSuppression: { versions: [10, 11], import: nonMaxSuppression },
};
