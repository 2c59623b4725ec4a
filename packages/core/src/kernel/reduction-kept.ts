/**
 * Values that more than one walk over a row needs and that are dear to compute, as the exponential
 * of softmax: the first walk keeps them in the task's own memory, which the cache holds.
 */
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { Axis } from './axes.js';
import type { Reduce, ReductionPlan } from './reduction-plan.js';

const dear: ReadonlySet<string> = new Set(
  (
    'exp log sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf ' +
    'squareRoot divide remainder power'
  ).split(' '),
);

/** Values of a row that fit a task's memory: a quarter of the second cache. */
const mostKept = (target: Target): number => (target.cacheBytes[1] ?? 2 ** 18) / 16;

/** Operands of reductions to be kept; none where a row is too long or its length is not known. */
export function keptOperands(
  plan: ReductionPlan,
  target: Target,
  reduced: readonly Axis[],
  tile: number,
): readonly Node[] {
  const [axis] = reduced;
  if (target.execution !== 'vector' || reduced.length !== 1 || axis === undefined) return [];
  if (typeof axis.extent !== 'number' || axis.extent > mostKept(target)) return [];
  // A row of one whole tile and a tail needs no loop: its values stay in registers.
  if (axis.extent < 2 * tile) return [];
  const operands = plan.stages.map((stage) => stage.map(operandOf));
  return operands.flatMap((stage, i) => {
    const later = [...operands.slice(i + 1).flat(), ...plan.fullRoots.map(({ node }) => node)];
    return stage.filter((node) => {
      if (node.dtype === 'bool') return false;
      const isDear = [...within(plan, node)].some(({ op }) => dear.has(op));
      return isDear && later.some((root) => within(plan, root).has(node));
    });
  });
}

export const operandOf = (reduce: Reduce): Node => reduce.inputs[0] as Node;

/** A value and what it is made of, down to inputs of the step and other reductions. */
function within({ step }: ReductionPlan, root: Node): ReadonlySet<Node> {
  const found = new Set<Node>();
  const stack = [root];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (found.has(node) || step.inputs.includes(node) || node.op === 'reduce') continue;
    found.add(node);
    stack.push(...node.inputs);
  }
  return found;
}
