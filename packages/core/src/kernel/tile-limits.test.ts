import { describe, expect, it } from 'vitest';
import { aheadOf } from './tile-limits.js';

describe('what a walk asks for ahead', () => {
  it('lies whole elements on', () => {
    expect(aheadOf(2048, 'f32', [1])).toEqual({ ahead: 512 });
    // A row of 4097 of bf16 that are rounded from f32 as they are read.
    expect(aheadOf(2 * 4097, 'f32', [1])).toEqual({ ahead: 2048 });
    expect(aheadOf(2048, 'f32', [2])).toEqual({});
  });
});
