/**
 * Windows: convolution and pooling, in shifted tiles, never unfolded. Tasks of vector targets copy
 * the band of the input that they read, with its padding: on a matrix unit, with vectors along the
 * output channels, or along rows of one channel. Where sizes are unknown, or rows do better, a
 * padded copy is made before. Targets with threads give every thread one output and mask padding.
 */
import { add, type Expression, equal, multiply, product, variable } from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { KernelStep } from '../schedule/step.js';
import { axis } from './axes.js';
import { convertsLeft } from './contract.js';
import type { KernelNames } from './frame.js';
import { type LeftPanels, writeLeftPack } from './left-pack.js';
import { type Choices, type LoweredKernel, withCost } from './lowered.js';
import { flatten } from './view-index.js';
import { planChannels } from './window-channel-plan.js';
import { writeWindowChannels } from './window-channels.js';
import { writeWindowCopy } from './window-copy.js';
import { writeWindowGroup } from './window-group.js';
import {
  groupName,
  inGraphOrder,
  planWindow,
  readsInPlace,
  rowAxisName,
  type WindowPlan,
} from './window-plan.js';
import { writeWindowRegister } from './window-register.js';
import { planRows, writeWindowRows } from './window-rows.js';
import { writeWindowUnit } from './window-unit.js';
import { planWindowUnit } from './window-unit-plan.js';

export function lowerWindow(
  step: KernelStep,
  target: Target,
  names: KernelNames,
  { precision }: Pick<Choices, 'precision'>,
): readonly LoweredKernel[] {
  const plan = planWindow(step, target);
  const flops = flopsOf(plan);
  if (target.execution === 'threads') {
    return [{ ...writeWindowGroup(plan, target, names), flops }];
  }
  const unit = planWindowUnit(plan, target, precision);
  if (unit !== undefined) return withCost(writeWindowUnit(plan, unit, target, names), { flops });
  const channels = planChannels(plan, target);
  if (channels !== undefined) {
    return withCost(writeWindowChannels(plan, channels, target, names), { flops });
  }
  const rows = planRows(plan, target);
  if (rows !== undefined) return [{ ...writeWindowRows(plan, rows, target, names), flops }];
  const panels = packWeights(plan, target, names);
  const copy = readsInPlace(plan) ? undefined : writeWindowCopy(plan, target, names);
  const kernel = writeWindowRegister(plan, target, names, copy, panels);
  const before = [panels?.kernel, copy?.kernel].filter((made) => made !== undefined);
  return [...before, { ...kernel, flops }];
}

/** Constant weights that need a conversion, laid out once in the order of their use. */
function packWeights(plan: WindowPlan, target: Target, names: KernelNames): LeftPanels | undefined {
  const { weights, spatial, tile } = plan;
  if (weights === undefined || tile.rows === 1 || target.vectorBytes === 0) return undefined;
  if (!convertsLeft(plan.step, weights, plan.accumulate)) return undefined;
  const group = axis(groupName, plan.groups);
  const row = axis(rowAxisName, plan.rows);
  const depth = [axis('$d', plan.depth), ...spatial.map((s, i) => axis(`$k${i}`, s.kernel))];
  const out = add(multiply(variable(groupName, plan.groups), plan.rows), variable(rowAxisName));
  const [channel, ...taps] = depth.map((d) => variable(d.name, d.extent));
  const index = [out, channel as Expression, ...inGraphOrder(plan.order, taps)];
  const operand = {
    step: plan.step,
    root: { node: weights, index },
    accumulate: plan.accumulate,
    outer: [group],
    row,
    depth,
    flat: flatten(
      depth.map((d) => d.extent),
      [channel as Expression, ...taps],
    ),
    dropped: new Set<string>(),
  };
  return writeLeftPack(operand, target, names, tile.rows);
}

function flopsOf(plan: WindowPlan): Expression {
  const taps = product(plan.spatial.map((s) => s.kernel));
  const perTap = equal(plan.depth, 1) && plan.weights === undefined ? 1 : 2;
  return multiply(perTap, product(plan.node.shape), plan.depth, taps);
}
