/** Which reductions of a step run in which stage, and which outputs are rows or full. */
import { internal } from '../base/errors.js';
import { type Expression, equal, keyOf, product, type Size } from '../base/expression.js';
import type { Node, NodeOf } from '../graph/node.js';
import { maximumOfShares } from '../graph/recognise-softmax.js';
import type { KernelStep } from '../schedule/step.js';
import { type IterationSpace, type Root, spaceIndex } from './fused.js';
import { reshapeIndex } from './view-index.js';

export type Reduce = NodeOf<'reduce'>;

/** Everything of the step between its outputs and its inputs, inputs first. */
export function insideOf(step: KernelStep): Node[] {
  const stop = new Set(step.inputs.map((node) => node.id));
  const seen = new Map<number, Node>();
  const stack = [...step.outputs];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (seen.has(node.id) || stop.has(node.id)) continue;
    seen.set(node.id, node);
    stack.push(...node.inputs);
  }
  return [...seen.values()].sort((a, b) => a.id - b.id);
}

/** Reductions of the step by stage: a stage depends on earlier stages only. */
export function stagesOf(step: KernelStep): Reduce[][] {
  const depth = new Map<number, number>();
  const stages: Reduce[][] = [];
  for (const node of insideOf(step)) {
    const before = Math.max(0, ...node.inputs.map((input) => depth.get(input.id) ?? 0));
    if (node.op === 'reduce') {
      const stage = stages[before] ?? [];
      stages[before] = stage;
      stage.push(node);
      depth.set(node.id, before + 1);
    } else depth.set(node.id, before);
  }
  return stages;
}

/** What stands between the maximum of a softmax and its shares. */
const towardsShares: ReadonlySet<string> = new Set(['expand', 'reshape', 'subtract', 'exp']);

/**
 * Maxima of which nothing is used but the shares of a softmax: where an element is NaN, the sum of
 * the weights is, and so are all shares; the maximum may pass it over.
 */
export function maximaOfShares(step: KernelStep): ReadonlySet<Node> {
  const inside = insideOf(step);
  const users = new Map<Node, Node[]>();
  for (const node of inside) {
    for (const input of node.inputs) users.set(input, [...(users.get(input) ?? []), node]);
  }
  const endsInShares = (node: Node): boolean =>
    !step.outputs.includes(node) &&
    (users.get(node) ?? []).every((user) => {
      if (maximumOfShares(user) !== undefined) return true;
      const isSum = user.op === 'reduce' && (user as Reduce).attributes.kind === 'sum';
      return (isSum || towardsShares.has(user.op)) && endsInShares(user);
    });
  const isMaximum = (node: Node): boolean =>
    node.op === 'reduce' && (node as Reduce).attributes.kind === 'maximum';
  return new Set(inside.filter((node) => isMaximum(node) && endsInShares(node)));
}

/** A reduction step taken apart: its space, stages, and what is stored per row or in full. */
export interface ReductionPlan {
  readonly step: KernelStep;
  readonly space: IterationSpace;
  readonly stages: readonly (readonly Reduce[])[];
  /** See `maximaOfShares`. */
  readonly overNaN: ReadonlySet<Node>;
  readonly rowShape: readonly Size[];
  readonly rowIndex: readonly Expression[];
  readonly fullIndex: readonly Expression[];
  readonly rowRoots: readonly Root[];
  readonly fullRoots: readonly Root[];
}

export function planReduction(step: KernelStep): ReductionPlan {
  const anchor = step.anchor as Reduce;
  const full = (anchor.inputs[0] as Node).shape;
  const space: IterationSpace = { shape: full, reduced: anchor.attributes.axes };
  const fullIndex = spaceIndex(space);
  const keeps = (_: unknown, axis: number): boolean => !space.reduced.includes(axis);
  const rowShape = full.filter(keeps);
  const rowIndex = fullIndex.filter(keeps);
  const rows = product(rowShape);
  const rowRoots: Root[] = [];
  const fullRoots: Root[] = [];
  for (const node of step.outputs) {
    if (equal(product(node.shape), rows)) {
      rowRoots.push({ node, index: reshapeIndex(node.shape, rowShape, rowIndex) });
    } else fullRoots.push({ node, index: reshapeIndex(node.shape, full, fullIndex) });
  }
  const stages = stagesOf(step);
  for (const reduce of stages.flat()) {
    const same =
      keyOf(product((reduce.inputs[0] as Node).shape)) === keyOf(product(full)) &&
      reduce.attributes.axes.length === space.reduced.length;
    if (!same) throw internal('reductions over different rows in one step');
  }
  const overNaN = maximaOfShares(step);
  return { step, space, stages, overNaN, rowShape, rowIndex, fullIndex, rowRoots, fullRoots };
}
