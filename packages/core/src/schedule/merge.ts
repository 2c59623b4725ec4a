/**
 * Merges map steps of one shape into one with several outputs: where the later reads the earlier
 * at the same index, or both read the same value. Takes and gives steps in order.
 */
import { equal } from '../base/expression.js';
import type { Node } from '../graph/node.js';
import { isSameIndex } from './same-index.js';
import type { KernelStep, Step } from './step.js';

const mostOutputs = 4;
/** Operations of one merged kernel. */
const mostNodes = 128;
/** Earlier maps that are looked at: keeps merging linear, and lifetimes short. */
const mostRecent = 8;

export function mergeMaps(
  steps: readonly Step[],
  maxBindings: number,
  readsOf: (step: Step) => readonly Node[],
): Step[] {
  const merged: (Step | undefined)[] = [];
  // Places of maps that nothing after them has read: these may still move down.
  let recent: number[] = [];
  for (const next of steps) {
    let step = next;
    if (step.kind === 'kernel' && step.pattern === 'map') {
      for (const at of recent.toReversed()) {
        const joined = join(merged[at] as KernelStep, step as KernelStep, maxBindings);
        if (joined === undefined) continue;
        merged[at] = undefined;
        step = joined;
      }
    }
    const reads = new Set(readsOf(step));
    recent = recent.filter((at) => {
      const earlier = merged[at] as KernelStep | undefined;
      return earlier !== undefined && !earlier.outputs.some((output) => reads.has(output));
    });
    merged.push(step);
    if (step.kind === 'kernel' && step.pattern === 'map') {
      recent = [...recent, merged.length - 1].slice(-mostRecent);
    }
  }
  return merged.filter((step) => step !== undefined);
}

function join(a: KernelStep, b: KernelStep, maxBindings: number): KernelStep | undefined {
  const [shapeA, shapeB] = [(a.outputs[0] as Node).shape, (b.outputs[0] as Node).shape];
  if (shapeA.length !== shapeB.length) return undefined;
  if (!shapeA.every((size, i) => equal(size, shapeB[i] as typeof size))) return undefined;
  const outputs = [...a.outputs, ...b.outputs];
  const own = new Set<Node>(a.outputs);
  const inputs = [...new Set([...a.inputs, ...b.inputs.filter((input) => !own.has(input))])];
  const shares = inputs.length < a.inputs.length + b.inputs.length;
  const fits = outputs.length <= mostOutputs && inputs.length + outputs.length + 2 <= maxBindings;
  if (!shares || !fits) return undefined;
  const joined: KernelStep = { ...b, inputs, outputs };
  return isSameIndex(b, own) && countNodes(joined) <= mostNodes ? joined : undefined;
}

function countNodes(step: KernelStep): number {
  const inputs = new Set(step.inputs);
  const seen = new Set<Node>();
  const stack = [...step.outputs];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (seen.has(node) || inputs.has(node)) continue;
    seen.add(node);
    stack.push(...node.inputs);
  }
  return seen.size;
}
