/** From a step to tile programs for a target: the verb of the kernel room. */
import { refused } from '../base/errors.js';
import type { Target } from '../base/target.js';
import type { KernelStep } from '../schedule/step.js';
import { lowerCompact } from './compact.js';
import { lowerContract } from './contract.js';
import { lowerCumulate } from './cumulate.js';
import type { KernelNames } from './frame.js';
import type { LoweredKernel, Tuning } from './lowered.js';
import { lowerMap } from './map.js';
import { lowerRandomBits } from './random-bits.js';
import { lowerReduction } from './reduction.js';
import { lowerScatter } from './scatter.js';
import { lowerSort } from './sort.js';
import { lowerUpdate } from './update.js';
import { lowerWindow } from './window.js';

type Lowering = (
  step: KernelStep,
  target: Target,
  names: KernelNames,
  tuning: Tuning,
) => readonly LoweredKernel[];

const lowerings: Readonly<Record<KernelStep['pattern'], Lowering>> = {
  map: (step, target, names) => [lowerMap(step, target, names)],
  reduction: (step, target, names) => [lowerReduction(step, target, names)],
  contract: lowerContract,
  window: lowerWindow,
  scatter: lowerScatter,
  cumulate: lowerCumulate,
  sort: lowerSort,
  compact: lowerCompact,
  update: lowerUpdate,
  randomBits: lowerRandomBits,
};

/**
 * Tile programs that do a step's work, in order of launch. Throws `refused` where the target
 * cannot hold or compute a dtype of the step.
 */
export function lower(
  step: KernelStep,
  target: Target,
  tuning: Tuning,
  names: KernelNames,
): readonly LoweredKernel[] {
  for (const node of [...step.inputs, ...step.outputs]) {
    if (!target.storage.includes(node.dtype)) {
      throw refused(`dtype ${node.dtype}`, `${target.id} has no memory type for it`, node.op);
    }
  }
  return lowerings[step.pattern](step, target, names, tuning);
}
