/** Results of a device against the interpreter's, within the bounds of the operation table. */
import type { HostTensor } from '@open-claw/core';
import { type BoundedTensor, readElement } from '@open-claw/core/internal';

export interface Difference {
  /** Empty where every element is within its bound. */
  readonly reason: string;
  /** Largest |computed − reference| over finite numbers. */
  readonly maxError: number;
}

const typeText = ({ dtype, shape }: HostTensor): string => `${dtype}[${shape.join(',')}]`;

/** Elements for which nothing is promised (a bound that is not a number) count for nothing. */
export function compareBounded(
  actual: HostTensor | undefined,
  { tensor: expected, error }: BoundedTensor,
): Difference {
  if (actual === undefined) return { reason: 'nothing came back', maxError: 0 };
  if (typeText(actual) !== typeText(expected)) {
    return { reason: `${typeText(actual)} instead of ${typeText(expected)}`, maxError: 0 };
  }
  let maxError = 0;
  let wrong = 0;
  let first = '';
  for (let i = 0; i < expected.data.length; i++) {
    const [have, want] = [readElement(actual, i), readElement(expected, i)];
    if (have === want || (Number.isNaN(have) && Number.isNaN(want))) continue;
    const distance = Math.abs(Number(have) - Number(want));
    if (Number.isFinite(distance)) maxError = Math.max(maxError, distance);
    const bound = error[i] as number;
    if (Number.isNaN(bound) || distance <= bound) continue;
    if (wrong++ === 0) first = `element ${i} is ${have}, not ${want} ± ${bound}`;
  }
  const reason = wrong === 0 ? '' : `${wrong} of ${expected.data.length}: ${first}`;
  return { reason, maxError };
}
