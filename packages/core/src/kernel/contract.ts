/**
 * Contractions: packed panels of the right operand and a register tile for vector targets, group
 * tiles in shared memory for targets with threads.
 *
 * Packing is worth it where many rows use a panel, or where the columns do not lie side by side;
 * panels of constants are packed once. Blocking after Goto and van de Geijn, "Anatomy of
 * high-performance matrix multiplication", ACM TOMS 34(3), 2008.
 */
import {
  equal,
  linearIn,
  multiply,
  product,
  provablyAtLeast,
  type Size,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import type { Axis } from './axes.js';
import { writeGroupContract } from './contract-group.js';
import { writePack } from './contract-pack.js';
import { addressesOf, extentOf, mergeGroups, planContract } from './contract-plan.js';
import { writeRegisterContract } from './contract-register.js';
import { computeType } from './elementwise.js';
import type { KernelNames } from './frame.js';
import type { LoweredKernel } from './lowered.js';
import { registerTile } from './register-tile.js';

const one: Axis = { name: 'none', extent: 1, reduced: false };

/** Whether everything that a value is made of is constant. */
export function isConstantValue(step: KernelStep, node: Node): boolean {
  const stop = new Set(step.inputs.map((input) => input.id));
  const stack = [node];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    if (next.op === 'constant') continue;
    if (stop.has(next.id) || next.inputs.length === 0) return false;
    stack.push(...next.inputs);
  }
  return true;
}

export function lowerContract(
  step: KernelStep,
  target: Target,
  names: KernelNames,
): readonly LoweredKernel[] {
  const plan = planContract(step);
  const leftSeen = addressesOf(plan, target, [plan.left], false);
  const rightSeen = addressesOf(plan, target, [plan.right], false);
  const outSeen = addressesOf(plan, target, plan.roots, true);
  const cost = costOf(plan.node);
  if (target.execution === 'threads') {
    const groups = mergeGroups(plan, [...leftSeen, ...rightSeen, ...outSeen]);
    return [{ ...writeGroupContract(plan, groups, target, names), ...cost }];
  }
  const unpacked = mergeGroups(plan, [...leftSeen, ...rightSeen, ...outSeen]);
  const columns = unpacked.columns.at(-1) ?? one;
  const rows = extentOf(plan.groups.rows);
  const sideBySide = rightSeen.every((e) => {
    const linear = linearIn(e, columns.name);
    return linear !== undefined && (equal(linear.coefficient, 1) || equal(linear.coefficient, 0));
  });
  const constant = isConstantValue(step, plan.right.node);
  const few = equal(rows, 1) || (typeof rows === 'number' && rows < 4);
  const pays = constant || (!few && (!sideBySide || provablyAtLeast(rows, 32)));
  const accumulate = computeType(plan.node.attributes.accumulate);
  const tile = registerTile(
    target,
    accumulate,
    (unpacked.rows.at(-1) ?? one).extent,
    columns.extent,
  );
  if (!pays || target.vectorBytes === 0) {
    return [{ ...writeRegisterContract(plan, unpacked, target, names, tile, undefined), ...cost }];
  }
  // Panels are addressed by the flat depth, so the right operand no longer hinders merging.
  const packed = mergeGroups(plan, [...leftSeen, ...outSeen, plan.depth]);
  const panels = writePack(plan, packed, target, names, tile, constant);
  const kernel = writeRegisterContract(plan, packed, target, names, tile, panels.workspace);
  return [panels.kernel, { ...kernel, ...cost }];
}

/** Multiplications and additions; every operand and the result moved once. */
function costOf(node: Node): { readonly flops: Size } {
  const [a] = node.inputs as [Node];
  const depth =
    node.op === 'contract'
      ? product(node.attributes.contracted.map(([axis]) => a.shape[axis] as Size))
      : 1;
  return { flops: multiply(2, product(node.shape), depth) };
}
