/** What steps read and make in device memory. */
import type { Node } from '../graph/node.js';
import type { Step } from './step.js';
import { memoryRoot } from './views.js';

/** Values in device memory that a step reads, by the memory's own name. */
export function readsOf(step: Step): readonly Node[] {
  if (step.kind === 'kernel') return step.inputs.map(memoryRoot);
  if (step.kind === 'region' || step.kind === 'operator') return step.node.inputs.map(memoryRoot);
  return step.kind === 'download' ? [memoryRoot(step.node)] : [];
}

/** Values in device memory that a step makes. */
export function writesOf(step: Step): readonly Node[] {
  if (step.kind === 'kernel' || step.kind === 'region' || step.kind === 'operator') {
    return step.outputs;
  }
  return step.kind === 'upload' ? [step.node] : [];
}
