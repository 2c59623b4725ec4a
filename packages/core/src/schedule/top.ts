/** Sorts and top-k by tasks that each take lines whole, in memory of their own. */
import { bytesOf } from '../base/dtype.js';
import { ownBytes, type Target } from '../base/target.js';
import { isOp, type Node } from '../graph/node.js';

/** Whether a task has vectors, memory of its own, and words that hold a key with its position. */
export function sortsLines(target: Target): boolean {
  const isVector = target.execution === 'vector' && target.vectorBytes > 4;
  return isVector && ownBytes(target) > 0 && target.compute.includes('i64');
}

/** Most bytes of a task's memory for one line. */
const largestLine = 2 ** 22;
/** Vectors of groups that are walked together. */
export const blockVectors = 4;
/** Lines up to so many vectors are sorted by one comparison of all with all. */
const shortVectors = 4;
/** A sort of all costs less where more than one of so many is wanted. */
const fewest = 4;
/** From this length on a sort of all goes by radix. */
export const longLine = 2048;

/**
 * How one task finds the k best of a line. sort: all are sorted. groups: every lane of so many
 * vectors is a group, whose best bound what may be among the k best, and that alone is sorted.
 */
export type TopMethod =
  | { readonly kind: 'sort' }
  | { readonly kind: 'groups'; readonly vectors: number };

/** Undefined where a line is too long for a task's memory or for its way of sorting. */
export function topMethod(k: number, length: number, lanes: number): TopMethod | undefined {
  const isFew = k * fewest <= length && length > shortVectors * lanes;
  const vectors = isFew ? groupVectors(k, length, lanes) : 0;
  if (vectors > 0) {
    const entries = 24 * length + 4 * (length + k);
    return entries <= largestLine ? { kind: 'groups', vectors } : undefined;
  }
  return length < longLine ? { kind: 'sort' } : undefined;
}

/**
 * Vectors of groups: with two to three times as many groups as are wanted, little more than k
 * elements are as good as the k-th best of the groups' best. 0 where lines are too short for it.
 */
function groupVectors(k: number, length: number, lanes: number): number {
  // Short lines are over before four chains of comparisons would pay.
  const least = length >= 64 * lanes ? 4 : 2;
  const wanted = Math.max(least, Math.ceil((2.5 * k) / lanes));
  const rounds = Math.max(2, Math.floor(length / (wanted * lanes)));
  // As many as still make so many rounds: what no round takes is not among the groups.
  const most = Math.floor(length / (rounds * lanes));
  const vectors = most > blockVectors ? most - (most % blockVectors) : Math.min(most, wanted);
  return vectors * lanes >= 1.4 * k ? vectors : 0;
}

/** Lanes of keys of a node's width, as kernels hold them. */
export const keyLanes = (target: Target, { dtype }: Pick<Node, 'dtype'>): number =>
  Math.max(1, target.vectorBytes / (bytesOf(dtype) > 4 ? 8 : 4));

/** Whether a target's kernels take a top-k whole. */
export function isTop(node: Node, target: Target): boolean {
  if (!isOp(node, 'composite') || node.attributes.name !== 'topK' || !sortsLines(target)) {
    return false;
  }
  const { axis, k } = node.attributes.parameters;
  const keys = node.inputs[0] as Node;
  const length = keys.shape[Number(axis)];
  if (typeof length !== 'number' || keys.dtype === 'bool') return false;
  return topMethod(Number(k), length, keyLanes(target, keys)) !== undefined;
}
