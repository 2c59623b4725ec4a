/** What a tuner may try for a step: plain data, measured by runtime/tune.ts. */
import type { Target } from '../base/target.js';
import type { Node } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import type { Choices } from './lowered.js';

/** Numbers by name; the default has none. */
export type Candidate = Readonly<Record<string, number>>;

/**
 * `halvings`: tiles for a machine with so many times half the registers, group and shared memory.
 * `units`: 0 keeps a step of a vector target off the matrix units.
 */
export function candidatesFor(target: Target): readonly Candidate[] {
  const hasUnits = target.execution === 'vector' && target.matrixUnits.length > 0;
  return [{}, ...(hasUnits ? [{ units: 0 }] : []), { halvings: 1 }, { halvings: 2 }];
}

/** Stands for every step that has no entry of its own. */
export const anyStep = '*';

/** What a choice is measured for: a step's pattern, operator and types; a size not known is `?`. */
export function stepKey({ pattern, anchor, inputs, outputs }: KernelStep): string {
  const type = ({ dtype, shape }: Node): string =>
    `${dtype}[${shape.map((size) => (typeof size === 'number' ? size : '?')).join(',')}]`;
  const types = (nodes: readonly Node[]): string => nodes.map(type).join(' ');
  return `${pattern} ${anchor.op} ${types(inputs)} > ${types(outputs)}`;
}

/** The choice for a step; names that are not known mean nothing. */
export const chosen = (step: KernelStep, { tuning }: Choices): Candidate =>
  (Object.hasOwn(tuning, stepKey(step)) ? tuning[stepKey(step)] : tuning[anyStep]) ?? {};
