/**
 * Composites that one kernel computes whole: which ones a target's kernels take, and the group of
 * attention. What is not taken is opened into its body (see open.ts).
 */
import { ownBytes, type Target } from '../base/target.js';
import { isOp, type Node, type NodeOf } from '../graph/node.js';
import type { Group, GroupFacts } from './group.js';
import { isTop } from './top.js';

/** Longest head, in elements: the tiles of a task hold all of it. */
const longestHead = 256;

const isStored = (node: Node): boolean =>
  node.dtype === 'f32' || node.dtype === 'f16' || node.dtype === 'bf16';

const isHead = (size: Node['shape'][number] | undefined): boolean =>
  typeof size === 'number' && size > 0 && size <= longestHead;

/** Shared elements of the smallest tile of a group, beside one row of values for each key. */
const smallestGroup = { threads: 64, keys: 16, elements: 72 };

/** Whether tasks have vectors and memory of their own, or groups share enough of it. */
function holdsTiles(target: Target, width: number): boolean {
  if (target.execution === 'threads') {
    const { threads, keys, elements } = smallestGroup;
    return target.maxGroup >= threads && target.sharedBytes >= 4 * keys * (width + elements);
  }
  return target.execution === 'vector' && target.vectorBytes > 0 && ownBytes(target) > 0;
}

/** Whether all queries and keys of a head share one number. */
const isOfHead = ({ shape }: Node): boolean => shape.slice(-2).every((size) => size === 1);

/** Attention with f32 sums, known head sizes and no scores to be given out. */
function isAttention(node: NodeOf<'composite'>): boolean {
  const { name, parameters } = node.attributes;
  if (name !== 'attention' || node.results.length !== 1) return false;
  const [q, k, v, ...rest] = node.inputs as [Node, Node, Node, ...Node[]];
  const offset = rest[Number(parameters['mask']) + Number(parameters['bias'])];
  return (
    (offset === undefined || isOfHead(offset)) &&
    [q, k, v].every(isStored) &&
    isHead(q.shape[3]) &&
    isHead(v.shape[3]) &&
    parameters['capLast'] !== true &&
    typeof q.shape[1] === 'number' &&
    typeof k.shape[1] === 'number'
  );
}

const isWholeAttention = (node: Node, target: Target): boolean =>
  isOp(node, 'composite') &&
  isAttention(node) &&
  holdsTiles(target, (node.inputs[2] as Node).shape[3] as number);

/** Whether the target's kernels take this composite whole. */
export const isWhole = (node: Node, target: Target): boolean =>
  isWholeAttention(node, target) || isTop(node, target);

/**
 * The group of attention that is taken whole, undefined for others: its result, and the
 * permutations and reshapes after it that nothing else reads; it ends in a permutation or the
 * result itself.
 */
export function groupOfWhole(node: Node, { order, leaving, taken }: GroupFacts): Group | undefined {
  if (isOp(node, 'composite') && node.attributes.name !== 'attention') return undefined;
  const [result, ...others] = order.users.get(node) ?? [];
  if (result === undefined || result.op !== 'part' || others.length > 0) return undefined;
  const chain: Node[] = [node, result];
  let output: Node = result;
  let length = chain.length;
  for (let last: Node = result; !leaving.has(last); ) {
    const [next, ...more]: readonly Node[] = order.users.get(last) ?? [];
    const isView = next?.op === 'permute' || next?.op === 'reshape';
    if (next === undefined || more.length > 0 || !isView || taken(next)) break;
    chain.push(next);
    last = next;
    if (next.op !== 'permute') continue;
    output = next;
    length = chain.length;
  }
  return { pattern: 'attention', anchor: node, members: new Set(chain.slice(0, length)), output };
}
