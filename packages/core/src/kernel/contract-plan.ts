/**
 * A contraction as four groups of axes (batch, rows, columns, depth), with the index of every
 * operand over them, merged where the accesses allow.
 */
import { type Expression, product, type Size } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node, NodeOf } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import { type Axis, indexOf, mergeAxes } from './axes.js';
import { literalOf } from './elementwise.js';
import { KernelFrame } from './frame.js';
import type { Root } from './fused.js';
import { type Place, ValueLowering } from './value.js';
import { flatten, reshapeIndex } from './view-index.js';

export interface ContractPlan {
  readonly step: KernelStep;
  readonly node: NodeOf<'contract'>;
  readonly left: Root;
  readonly right: Root;
  /** Outputs of the step; the contraction itself is a value at `anchorIndex`. */
  readonly roots: readonly Root[];
  readonly anchorIndex: readonly Expression[];
  /** Flat position along the contracted axes. */
  readonly depth: Expression;
  readonly groups: {
    readonly batch: readonly Axis[];
    readonly rows: readonly Axis[];
    readonly columns: readonly Axis[];
    readonly depth: readonly Axis[];
  };
}

function axesFor(stem: string, sizes: readonly Size[], reduced: boolean): Axis[] {
  return sizes.map((extent, i) => ({ name: `$${stem}${i}`, extent, reduced }));
}

export function planContract(step: KernelStep): ContractPlan {
  const node = step.anchor as NodeOf<'contract'>;
  const [a, b] = node.inputs as [Node, Node];
  const { batch, contracted } = node.attributes;
  const sizeOf = (of: Node, axis: number): Size => of.shape[axis] as Size;
  // Both are equal: where one is a symbol, the other may be known.
  const sharedSize = ([left, right]: readonly [number, number]): Size => {
    const size = sizeOf(a, left);
    return typeof size === 'number' ? size : sizeOf(b, right);
  };
  const freeOf = (of: Node, taken: readonly number[]): number[] =>
    of.shape.map((_, axis) => axis).filter((axis) => !taken.includes(axis));
  const leftFree = freeOf(
    a,
    [...batch, ...contracted].map((pair) => pair[0]),
  );
  const rightFree = freeOf(
    b,
    [...batch, ...contracted].map((pair) => pair[1]),
  );
  const groups = {
    batch: axesFor('p', batch.map(sharedSize), false),
    rows: axesFor(
      'm',
      leftFree.map((axis) => sizeOf(a, axis)),
      false,
    ),
    columns: axesFor(
      'n',
      rightFree.map((axis) => sizeOf(b, axis)),
      false,
    ),
    depth: axesFor('d', contracted.map(sharedSize), true),
  };
  const leftIndex: Expression[] = [];
  const rightIndex: Expression[] = [];
  const fill = (index: Expression[], axes: readonly number[], group: readonly Axis[]): void =>
    axes.forEach((axis, i) => {
      index[axis] = indexOf(group[i] as Axis);
    });
  fill(
    leftIndex,
    batch.map(([axis]) => axis),
    groups.batch,
  );
  fill(
    rightIndex,
    batch.map(([, axis]) => axis),
    groups.batch,
  );
  fill(
    leftIndex,
    contracted.map(([axis]) => axis),
    groups.depth,
  );
  fill(
    rightIndex,
    contracted.map(([, axis]) => axis),
    groups.depth,
  );
  fill(leftIndex, leftFree, groups.rows);
  fill(rightIndex, rightFree, groups.columns);
  const anchorIndex = [...groups.batch, ...groups.rows, ...groups.columns].map(indexOf);
  return {
    step,
    node,
    left: { node: a, index: leftIndex },
    right: { node: b, index: rightIndex },
    roots: step.outputs.map((output) => ({
      node: output,
      index: reshapeIndex(output.shape, node.shape, anchorIndex),
    })),
    anchorIndex,
    depth: flatten(
      groups.depth.map((axis) => axis.extent),
      groups.depth.map(indexOf),
    ),
    groups,
  };
}

/** Addresses that computing `roots` needs; the anchor's own value counts as known. */
export function addressesOf(
  plan: ContractPlan,
  target: Target,
  roots: readonly Root[],
  stores: boolean,
): Expression[] {
  const seen: Expression[] = [];
  const frame = new KernelFrame(plan.step, target);
  const place: Place = {
    builder: frame.builder,
    target,
    bufferOf: (node) => frame.input(node),
    finish: (e) => e,
    tile: [],
    known: (node, index) => {
      if (node.id !== plan.node.id) return undefined;
      seen.push(flatten(plan.node.shape, index));
      return literalOf(frame.builder, node.dtype, 0);
    },
    failBase: 0,
    record: (e) => seen.push(e),
  };
  const values = new ValueLowering(place);
  for (const { node, index } of roots) {
    values.value(node, index);
    if (stores) seen.push(flatten(node.shape, index));
  }
  return seen;
}

export interface MergedGroups {
  readonly batch: readonly Axis[];
  readonly rows: readonly Axis[];
  readonly columns: readonly Axis[];
  readonly depth: readonly Axis[];
  readonly dropped: ReadonlySet<string>;
}

/** Addresses by what they are addresses of; those of a packed operand's depth do not count. */
export interface SeenAddresses {
  readonly left: readonly Expression[];
  readonly right: readonly Expression[];
  readonly out: readonly Expression[];
  readonly packsLeft: boolean;
  readonly packsRight: boolean;
}

/**
 * Merges every group on its own, so that its last axis is as long as the accesses allow. Packing
 * walks the original axes of the depth, but the merged ones of the other groups.
 */
export function mergeGroups(plan: ContractPlan, seen: SeenAddresses): MergedGroups {
  const { left, right, out, packsLeft, packsRight } = seen;
  const { batch, rows, columns, depth } = plan.groups;
  const all = [...left, ...right, ...out];
  const deep = [...(packsLeft ? [] : left), ...(packsRight ? [] : right), plan.depth];
  const parts = {
    batch: mergeAxes(batch, all),
    rows: mergeAxes(rows, all),
    columns: mergeAxes(columns, all),
    depth: mergeAxes(depth, deep),
  };
  const dropped = new Set(Object.values(parts).flatMap((part) => [...part.dropped]));
  return {
    batch: parts.batch.axes,
    rows: parts.rows.axes,
    columns: parts.columns.axes,
    depth: parts.depth.axes,
    dropped,
  };
}

/** Product of a group's extents. */
export const extentOf = (axes: readonly Axis[]): Size => product(axes.map((axis) => axis.extent));
