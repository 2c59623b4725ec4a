/**
 * Stable sort of lines. Long ones go by radix, pass by pass in kernels of their own; short ones are
 * sorted whole by one task each, or by a plain merge sort where a target has no vectors for it.
 */
import type { Target } from '../base/target.js';
import type { NodeOf } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import { sortsLines } from '../schedule/top.js';
import type { KernelNames } from './frame.js';
import type { LoweredKernel } from './lowered.js';
import { lowerLineSort } from './sort-lines.js';
import { lowerMergeSort } from './sort-merge.js';
import { lowerRadixSort, suitsRadix } from './sort-radix.js';

export function lowerSort(
  step: KernelStep,
  target: Target,
  names: KernelNames,
): readonly LoweredKernel[] {
  if (suitsRadix(step.anchor as NodeOf<'sort'>)) return lowerRadixSort(step, target, names);
  return [(sortsLines(target) ? lowerLineSort : lowerMergeSort)(step, target, names)].flat();
}
