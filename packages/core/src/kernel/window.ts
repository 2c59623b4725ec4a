/**
 * Windows: convolution and pooling. Vector targets read a padded copy in shifted tiles, never an
 * unfolded one; targets with threads give every thread one output and mask the padding.
 */
import { type Expression, equal, multiply, product } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { KernelStep } from '../schedule/step.js';
import type { KernelNames } from './frame.js';
import type { LoweredKernel } from './lowered.js';
import { writeWindowCopy } from './window-copy.js';
import { writeWindowGroup } from './window-group.js';
import { planWindow, readsInPlace, type WindowPlan } from './window-plan.js';
import { writeWindowRegister } from './window-register.js';

export function lowerWindow(
  step: KernelStep,
  target: Target,
  names: KernelNames,
): readonly LoweredKernel[] {
  const plan = planWindow(step, target);
  const flops = flopsOf(plan);
  if (target.execution === 'threads') {
    return [{ ...writeWindowGroup(plan, target, names), flops }];
  }
  if (readsInPlace(plan)) {
    return [{ ...writeWindowRegister(plan, target, names, undefined), flops }];
  }
  const copy = writeWindowCopy(plan, target, names);
  return [copy.kernel, { ...writeWindowRegister(plan, target, names, copy), flops }];
}

function flopsOf(plan: WindowPlan): Expression {
  const taps = product(plan.spatial.map((s) => s.kernel));
  const perTap = equal(plan.depth, 1) && plan.weights === undefined ? 1 : 2;
  return multiply(perTap, product(plan.node.shape), plan.depth, taps);
}
