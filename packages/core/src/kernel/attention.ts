/**
 * Attention as one kernel: softmax(q·kᵀ·scale + masks)·v without the scores ever being in memory.
 * The largest score so far and the sum of weights go along with the weighted sum, which is
 * rescaled where a larger score turns up.
 */
import { type Expression, multiply } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { NodeOf } from '../graph/node.js';
import { hasFewQueries } from '../schedule/key-pieces.js';
import type { KernelStep } from '../schedule/step.js';
import { writeAttentionColumns } from './attention-columns.js';
import { writeAttentionFew } from './attention-few.js';
import { writeAttentionGroup } from './attention-group.js';
import { type AttentionPlan, planAttention } from './attention-plan.js';
import type { KernelNames } from './frame.js';
import type { LoweredKernel } from './lowered.js';

export function lowerAttention(
  step: KernelStep,
  target: Target,
  names: KernelNames,
): readonly LoweredKernel[] {
  const plan = planAttention(step);
  const kernel = writerOf(step, target)(plan, target, names);
  return [{ ...kernel, flops: flopsOf(plan) }];
}

function writerOf(step: KernelStep, target: Target): typeof writeAttentionColumns {
  if (target.execution === 'threads') return writeAttentionGroup;
  const isFew = hasFewQueries(step.anchor as NodeOf<'composite'>, target);
  return isFew ? writeAttentionFew : writeAttentionColumns;
}

/** Both products in full; causality halves what is done. */
const flopsOf = (plan: AttentionPlan): Expression =>
  multiply(
    plan.causal ? 1 : 2,
    plan.batch,
    plan.heads,
    plan.queries,
    plan.keys,
    plan.depth + plan.width,
  );
