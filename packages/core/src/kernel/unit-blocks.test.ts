import { describe, expect, it } from 'vitest';
import { unitBlocks } from './unit-blocks.js';

const unit = {
  name: 'unit',
  m: 16,
  n: 16,
  k: 32,
  left: 'bf16',
  right: 'bf16',
  accumulate: 'f32',
  interleave: 2,
  operands: 'global',
} as const;
const tile = { unit, parts: 3, products: 6, rowTiles: 2, columnTiles: 2 };

describe('blocks of a product on a matrix unit', () => {
  it.each([
    [256, 2048, 16],
    [256, 512, 64],
    [1024, 1024, 32],
    [2048, 2048, 64],
    [4096, 64, 18],
    [100, 70, 47],
    [33, 5000, 1],
  ])('%i × %i over %i steps stay in the caches and busy all cores', (rows, columns, steps) => {
    for (const cores of [1, 2, 8]) {
      const blocks = unitBlocks({ rows, columns, steps, outer: 1, cores }, tile);
      const { blockSteps, taskRows, taskPanels } = blocks;
      expect(taskRows % 32).toBe(0);
      expect(taskRows * blockSteps * 64 * tile.parts).toBeLessThanOrEqual(768 * 1024);
      expect(taskPanels * 32).toBeLessThanOrEqual(1024);
      // No row of tiles and no panel that nothing needs.
      expect(taskRows).toBeLessThan(rows + 32);
      expect(taskPanels).toBeLessThanOrEqual(Math.ceil(columns / 32));
      // Blocks of the depth are of nearly one length.
      expect(blockSteps).toBe(Math.ceil(steps / Math.ceil(steps / blockSteps)));
      const tasks = Math.ceil(rows / taskRows) * Math.ceil(columns / 32 / taskPanels);
      const most = Math.ceil(rows / 32) * Math.ceil(columns / 32);
      expect(tasks).toBeGreaterThanOrEqual(Math.min(cores, most));
    }
  });
});
