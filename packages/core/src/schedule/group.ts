/**
 * Groups: an anchor (contraction, window, reduction) with the elementwise work after it that one
 * kernel does. A group has one value that leaves it, so no path can come back into it.
 */
import { equal, type Size } from '../base/expression.js';
import { isOp, type Node, type NodeOf } from '../graph/node.js';
import { isElementwise } from './kinds.js';
import type { Order } from './order.js';
import type { Pattern } from './step.js';

export interface Group {
  readonly pattern: Pattern;
  readonly anchor: Node;
  readonly members: ReadonlySet<Node>;
  /** The one member that is used outside. */
  readonly output: Node;
}

export interface GroupFacts {
  readonly order: Order;
  /** Values that somebody outside the steps reads. */
  readonly leaving: ReadonlySet<Node>;
  /** Nodes that no group may take: the host's, or another group's. */
  readonly taken: (node: Node) => boolean;
}

/** Most nodes of one group; longer chains are cut. */
const mostMembers = 48;
const mostUsers = 32;

/** Where a member of a reduction lives: one value per row, or one per element. */
type Extent = 'row' | 'full';

/** Grows the group of an anchor along elementwise users of the same shape. */
export function growEpilogue(anchor: Node, pattern: Pattern, facts: GroupFacts): Group {
  const fits = (node: Node): Extent | undefined =>
    isElementwise(node) && sameShape(node.shape, anchor.shape) ? 'full' : undefined;
  return grow(anchor, 'full', pattern, facts, fits);
}

/** Grows a reduction over its rows: later reductions of the same axes join. */
export function growReduction(anchor: NodeOf<'reduce'>, facts: GroupFacts): Group {
  const space = (anchor.inputs[0] as Node).shape;
  const { axes } = anchor.attributes;
  const kept = space.map((size, i) => (axes.includes(i) ? 1 : size));
  const wide = mayWiden(space, axes);
  const fits = (node: Node, known: ReadonlyMap<Node, Extent>): Extent | undefined => {
    const inside = node.inputs.map((input) => known.get(input)).filter((e) => e !== undefined);
    const extent = inside.includes('full') ? 'full' : 'row';
    if (node.op === 'reduce') {
      if (extent !== 'full' || !sameShape((node.inputs[0] as Node).shape, space)) return undefined;
      return sameAxes(node.attributes.axes, axes) ? 'row' : undefined;
    }
    if (extent === 'row' && node.op === 'reshape') {
      return sameRows(node.shape, kept) ? 'row' : undefined;
    }
    if (extent === 'row' && node.op === 'expand') {
      const from = (node.inputs[0] as Node).shape;
      return wide && sameShape(from, kept) && sameShape(node.shape, space) ? 'full' : undefined;
    }
    if (!isElementwise(node)) return undefined;
    if (extent === 'full') return sameShape(node.shape, space) ? 'full' : undefined;
    return sameRows(node.shape, kept) ? 'row' : undefined;
  };
  return grow(anchor as Node, 'row', 'reduction', facts, fits);
}

/** One task does one row: few long rows must not pull the work after them into it. */
function mayWiden(space: readonly Size[], axes: readonly number[]): boolean {
  const count = (inside: boolean): number =>
    space.reduce<number>(
      (total, size, i) =>
        axes.includes(i) === inside ? total * (typeof size === 'number' ? size : 64) : total,
      1,
    );
  return count(false) >= 8 || count(true) <= 16384;
}

function grow(
  anchor: Node,
  extent: Extent,
  pattern: Pattern,
  { order, leaving, taken }: GroupFacts,
  fits: (node: Node, known: ReadonlyMap<Node, Extent>) => Extent | undefined,
): Group {
  const known = new Map<Node, Extent>([[anchor, extent]]);
  const usersOf = (node: Node): readonly Node[] => order.users.get(node) ?? [];
  const at = (node: Node): number => order.position.get(node) as number;
  // Members with a user outside, and those users in order of position.
  const open = new Map<Node, number>([[anchor, usersOf(anchor).length]]);
  const waiting: Node[] = [];
  const wait = (node: Node): void => {
    for (const user of usersOf(node)) if (!waiting.includes(user)) waiting.push(user);
    waiting.sort((a, b) => at(b) - at(a));
  };
  let best: { readonly output: Node; readonly size: number } = { output: anchor, size: 1 };
  wait(anchor);
  let left = leaving.has(anchor);
  while (known.size < mostMembers && !left) {
    if (waiting.length === 0 || waiting.length > mostUsers) break;
    const next = waiting.pop() as Node;
    const nextExtent = taken(next) ? undefined : fits(next, known);
    if (nextExtent === undefined) break;
    known.set(next, nextExtent);
    for (const input of new Set(next.inputs)) {
      const readers = open.get(input);
      if (readers === 1) open.delete(input);
      else if (readers !== undefined) open.set(input, readers - 1);
    }
    open.set(next, usersOf(next).length);
    // A reshape is a name of the memory below it, so a group never ends in one.
    if (open.size === 1 && next.op !== 'reshape') best = { output: next, size: known.size };
    left = leaving.has(next);
    wait(next);
  }
  const members = new Set([...known.keys()].slice(0, best.size));
  return { pattern, anchor, members, output: best.output };
}

const sameShape = (a: readonly Size[], b: readonly Size[]): boolean =>
  a.length === b.length && a.every((size, i) => equal(size, b[i] as Size));

const withoutOnes = (shape: readonly Size[]): readonly Size[] => shape.filter((size) => size !== 1);

const sameRows = (a: readonly Size[], b: readonly Size[]): boolean =>
  sameShape(withoutOnes(a), withoutOnes(b));

const sameAxes = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((axis) => b.includes(axis));

/** Whether a group may start here, and the group. */
export function groupOf(node: Node, facts: GroupFacts): Group | undefined {
  if (isOp(node, 'reduce')) return growReduction(node, facts);
  if (node.op === 'contract' || node.op === 'window') return growEpilogue(node, node.op, facts);
  return undefined;
}
