/** Where rows of a band lie: neighbouring channels' share no places of the first cache. */
import { describe, expect, it } from 'vitest';
import { planBand } from '../../packages/core/src/kernel/window-band.js';
import type { Spatial } from '../../packages/core/src/kernel/window-plan.js';

const axis = (size: number, kernel: number, stride: number): Spatial => ({
  size,
  kernel,
  stride,
  low: 1,
  kernelDilation: 1,
  inputDilation: 1,
  padded: size + 2,
  out: Math.floor((size + 2 - kernel) / stride) + 1,
});

/** Lines of the fullest of the sets of a cache that one element of each row takes. */
function fullest(pitch: number, rows: number): number {
  const sets = new Map<number, number>();
  for (let row = 0; row < rows; row++) {
    const set = Math.floor((row * pitch * 4) / 64) % 64;
    sets.set(set, (sets.get(set) ?? 0) + 1);
  }
  return Math.max(...sets.values());
}

describe('rows of a band', () => {
  const firstCache = 32 * 1024;
  const wish = { channels: 64, bytes: 4, budget: 2 ** 20, wanted: 1, firstCache };

  it.each([
    [56, 3, 2],
    [62, 3, 1],
    [126, 3, 1],
    [30, 3, 1],
    [28, 3, 1],
  ])('of %i elements spread over the sets of a cache', (size, kernel, stride) => {
    const spatial = [axis(8, kernel, 1), axis(size, kernel, stride)];
    const band = planBand(spatial, [1, 1], wish);
    const extent = band?.axes.at(-1)?.extent ?? 0;
    const pitch = band?.pitch ?? 0;
    expect(pitch).toBeGreaterThanOrEqual(extent);
    expect(pitch).toBeLessThanOrEqual(1.25 * extent + 16);
    expect(fullest(pitch, 64)).toBeLessThanOrEqual(2);
  });
});
