/** Statistics of runs, and the limit that work meets first. */
import { describe, expect, it } from 'vitest';
import { quantile, shareOf, summarize } from './measure.js';

describe('measuring', () => {
  it('summarizes times', () => {
    expect(quantile([1, 2, 3, 4], 0.5)).toBe(2.5);
    expect(summarize([5, 1, 3, 2, 4], 9)).toEqual({
      firstMs: 9,
      runs: 5,
      minMs: 1,
      medianMs: 3,
      p90Ms: 4.6,
      spread: 1 / 3,
    });
  });

  it('compares with the limit that is met first', () => {
    const peaks = {
      flops: 1e12,
      flopsName: 'F',
      bandwidth: 1e10,
      bandwidthName: 'B',
      readBandwidth: 1e10,
      units: [],
    };
    expect(shareOf({ flops: 1e9, bytes: 1e6 }, peaks, 2)).toEqual({
      rate: 500,
      unit: 'GFLOP/s',
      limitName: 'F',
      limit: 1000,
      share: 0.5,
    });
    const moved = shareOf({ flops: 1e3, bytes: 1e6 }, peaks, 1);
    expect(moved).toMatchObject({ unit: 'GB/s', limitName: 'B', limit: 10 });
    expect(moved.share).toBeCloseTo(0.1);
  });
});
