/** Whether a kernel reads a value only at the index that it writes. */
import type { Node } from '../graph/node.js';
import { isElementwise } from './kinds.js';
import type { KernelStep } from './step.js';
import { memoryRoot } from './views.js';

/** Whether `step` reads the given values at its own index only, never through a view. */
export function isSameIndex(step: KernelStep, values: ReadonlySet<Node>): boolean {
  const inputs = new Set(step.inputs);
  const seen = [new Set<Node>(), new Set<Node>()] as const;
  const stack = step.outputs.map((node) => ({ node, isView: false }));
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { node, isView } = top;
    if (seen[isView ? 1 : 0].has(node)) continue;
    seen[isView ? 1 : 0].add(node);
    if (values.has(node) && isView) return false;
    if (inputs.has(node)) {
      // A reshape in memory is another index of the same value.
      if (!values.has(node) && values.has(memoryRoot(node))) return false;
      continue;
    }
    const below = isView || !isElementwise(node);
    for (const input of node.inputs) stack.push({ node: input, isView: below });
  }
  return true;
}
