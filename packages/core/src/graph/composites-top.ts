/**
 * The few largest of many: the best of every block says which blocks can hold them, and only those
 * are sorted.
 */
import { elementCount } from '../base/host-tensor.js';
import {
  add,
  bitcast,
  cast,
  equal,
  multiply,
  select,
  shiftRight,
  unary,
  xor,
} from './build-elementwise.js';
import { gather, sort } from './build-indexed.js';
import { maximumOver } from './build-reductions.js';
import { iota, scalar } from './build-sources.js';
import { pad, reshape, sliceAxis, unsqueeze } from './build-views.js';
import type { Node } from './node.js';

const leastKey = -(2 ** 31);
/** Lines below this length are sorted whole. */
const shortestLine = 256;

/** Whether blocks pay: fixed sizes, the last axis, keys of 32 bits, and few of many wanted. */
export function isFewOf(x: Node, k: unknown, axis: number): k is number {
  const length = x.shape[axis];
  if (axis !== x.shape.length - 1 || typeof k !== 'number' || typeof length !== 'number') {
    return false;
  }
  if (!x.shape.every((size) => typeof size === 'number' && size > 0)) return false;
  const isWord = x.dtype === 'f32' || x.dtype === 'i32';
  return isWord && k > 0 && length >= shortestLine && k * 32 <= length;
}

/** Whole numbers in the order of the result: the best is the largest, NaN the least. */
function orderOf(x: Node, largest: boolean): Node {
  const downwards = (key: Node): Node => (largest ? key : xor(key, scalar('i32', -1)));
  if (x.dtype === 'i32') return downwards(x);
  // Zeros of both signs are equal.
  const bits = bitcast(select(equal(x, 0), 0, x), 'i32');
  const sign = shiftRight(bits, scalar('i32', 31));
  const magnitude = bitcast(shiftRight(bitcast(sign, 'u32'), scalar('u32', 1)), 'i32');
  return select(unary('isNaN', x), scalar('i32', leastKey), downwards(xor(bits, magnitude)));
}

/**
 * The k best of every line, as `topK` gives them. Every one of them lies in one of the k blocks
 * whose best comes first: before the best of any other block come k elements, one of each.
 */
export function fewOf(x: Node, k: number, largest: boolean): [values: Node, indices: Node] {
  const shape = x.shape as readonly number[];
  const length = shape.at(-1) as number;
  const outer = shape.slice(0, -1);
  const lines = elementCount(outer);
  // The blocks' best and the chosen blocks are sorted: about as many.
  const block = 2 ** Math.max(4, Math.round(Math.log2(Math.sqrt(length / k))));
  const blocks = Math.ceil(length / block);
  const keys = pad(reshape(orderOf(x, largest), [lines, length]), {
    before: [0, 0],
    after: [0, blocks * block - length],
    value: leastKey,
  });
  const cut = reshape(keys, [lines, blocks, block]);
  const numbers = iota({ dtype: 'i32', shape: [lines, blocks] }, 1);
  const best = maximumOver(cut, [2]);
  const [, order] = sort(best, [numbers], { axis: 1, descending: true }) as [Node, Node];
  // In the order of the line again, so that equal elements keep it.
  const [chosen] = sort(sliceAxis(order, 1, 0, k), [], { axis: 1, descending: false }) as [Node];
  const line = iota({ dtype: 'i32', shape: [lines, k] }, 0);
  const rows = reshape(add(multiply(line, scalar('i32', blocks)), chosen), [lines * k]);
  const held = gather(reshape(cut, [lines * blocks, block]), rows, 0);
  const lanes = iota({ dtype: 'i32', shape: [1, 1, block] }, 2);
  const places = add(multiply(unsqueeze(chosen, [2]), scalar('i32', block)), lanes);
  const all = [lines, k * block];
  const [, sorted] = sort(reshape(held, all), [reshape(places, all)], {
    axis: 1,
    descending: true,
  }) as [Node, Node];
  const found = sliceAxis(sorted, 1, 0, k);
  const from = add(multiply(line, scalar('i32', length)), found);
  const values = gather(reshape(x, [lines * length]), reshape(from, [lines * k]), 0);
  const result = [...outer, k];
  return [reshape(values, result), cast(reshape(found, result), 'i64')];
}
