/** Comparing within bounds. */
import { hostTensor } from '@open-claw/core/internal';
import { describe, expect, it } from 'vitest';
import { compareBounded } from './compare.js';

const tensor = (values: readonly number[]) => hostTensor('f32', [values.length], values);

describe('compareBounded', () => {
  const expected = { tensor: tensor([1, 2, Number.NaN]), error: Float64Array.of(0.5, 0, 0) };

  it('takes what is within its bound', () => {
    const same = compareBounded(tensor([1.25, 2, Number.NaN]), expected);
    expect(same).toEqual({ reason: '', maxError: 0.25 });
  });

  it('tells what is not', () => {
    expect(compareBounded(tensor([1, 2.5, 3]), expected)).toEqual({
      reason: '2 of 3: element 1 is 2.5, not 2 ± 0',
      maxError: 0.5,
    });
    expect(compareBounded(tensor([1]), expected).reason).toBe('f32[1] instead of f32[3]');
    expect(compareBounded(undefined, expected).reason).toBe('nothing came back');
  });

  it('promises nothing where the bound is no number', () => {
    const open = { tensor: tensor([1]), error: Float64Array.of(Number.NaN) };
    expect(compareBounded(tensor([9]), open).reason).toBe('');
  });
});
