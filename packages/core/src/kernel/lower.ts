/** From a step to tile programs for a target: the verb of the kernel room. */
import { refused } from '../base/errors.js';
import type { Target } from '../base/target.js';
import type { KernelStep } from '../schedule/step.js';
import { lowerAttention } from './attention.js';
import { chosen } from './candidates.js';
import { lowerCompact } from './compact.js';
import { lowerContract } from './contract.js';
import { lowerCumulate } from './cumulate.js';
import type { KernelNames } from './frame.js';
import type { Choices, LoweredKernel } from './lowered.js';
import { lowerMap } from './map.js';
import { lowerRandomBits } from './random-bits.js';
import { lowerReduction } from './reduction.js';
import { lowerScatter } from './scatter.js';
import { lowerSort } from './sort.js';
import { lowerTop } from './top.js';
import { lowerUpdate } from './update.js';
import { lowerWindow } from './window.js';

type Lowering = (
  step: KernelStep,
  target: Target,
  names: KernelNames,
  choices: Choices,
) => readonly LoweredKernel[];

const lowerings: Readonly<Record<KernelStep['pattern'], Lowering>> = {
  map: (step, target, names) => [lowerMap(step, target, names)],
  reduction: (step, target, names) => lowerReduction(step, target, names),
  contract: lowerContract,
  window: lowerWindow,
  attention: lowerAttention,
  scatter: lowerScatter,
  cumulate: lowerCumulate,
  sort: lowerSort,
  topK: (step, target, names) => [lowerTop(step, target, names)],
  compact: lowerCompact,
  update: lowerUpdate,
  randomBits: lowerRandomBits,
};

/** What the largest tiles take of a group's threads and shared bytes. */
const largestGroup = 256;
const largestShared = 8192;

/**
 * A smaller machine of the same kind: what was planned for it fits where the last plan did not.
 * Registers, groups and group-shared memory are halved so many times.
 */
function halved(target: Target, halvings: number): Target {
  if (halvings === 0) return target;
  const half = (value: number, least: number): number =>
    Math.min(value, Math.max(least, Math.floor(value / 2 ** halvings)));
  return {
    ...target,
    vectorRegisters: half(target.vectorRegisters, 2),
    // The tiles of a unit beside a vector register file are what they are.
    matrixUnits: target.execution === 'vector' ? [] : target.matrixUnits,
    preferredGroup: half(target.preferredGroup, 1),
    maxGroup: half(Math.min(target.maxGroup, largestGroup), 1),
    sharedBytes: half(Math.min(target.sharedBytes, largestShared), 512),
  };
}

/** A tuning may come from a file: what is no small count asks for nothing. */
const bounded = (halvings: number): number =>
  Number.isInteger(halvings) && halvings > 0 && halvings <= mostHalvings ? halvings : 0;

const mostHalvings = 4;

const withUnits = (target: Target, units: number): Target =>
  units === 0 && target.execution === 'vector' ? { ...target, matrixUnits: [] } : target;

/**
 * Tile programs that do a step's work, in order of launch. Throws `refused` where the target
 * cannot hold or compute a dtype of the step. `tile.halvings` of the tuning asks for smaller tiles.
 */
export function lower(
  step: KernelStep,
  target: Target,
  choices: Choices,
  names: KernelNames,
): readonly LoweredKernel[] {
  for (const node of [...step.inputs, ...step.outputs]) {
    if (!target.storage.includes(node.dtype)) {
      throw refused(`dtype ${node.dtype}`, `${target.id} has no memory type for it`, node.op);
    }
  }
  const { halvings = 0, units = 1 } = chosen(step, choices);
  const again = choices.tuning['tile']?.['halvings'] ?? 0;
  const machine = halved(withUnits(target, units), bounded(halvings) + again);
  return lowerings[step.pattern](step, machine, names, choices);
}
