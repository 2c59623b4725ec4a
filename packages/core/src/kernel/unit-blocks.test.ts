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

const bytes = { unit: { ...unit, k: 64, left: 'u8' }, parts: 1, products: 1 } as const;
const halves = { ...tile, parts: 1, products: 1 };

describe('parts of the depth', () => {
  it('let one operand stay in the first cache while the other passes by', () => {
    const work = { rows: 1024, columns: 1024, outer: 1, cores: 1 };
    const half = unitBlocks({ ...work, steps: 32 }, halves);
    expect(half).toMatchObject({ chunkSteps: 16, passesBy: true, panelsInside: false });
    expect(half.asksAhead).toBe(true);
    const byte = unitBlocks({ ...work, steps: 16 }, { ...tile, ...bytes });
    expect(byte).toMatchObject({ chunkSteps: 16, passesBy: true, panelsInside: true });
    expect(byte.asksAhead).toBe(false);
  });

  it('are whole where both fit, and where each tile is multiplied often', () => {
    const small = unitBlocks({ rows: 32, columns: 32, steps: 4, outer: 1, cores: 1 }, halves);
    expect(small).toMatchObject({ chunkSteps: small.blockSteps, passesBy: false });
    const split = unitBlocks({ rows: 999, columns: 999, steps: 32, outer: 1, cores: 1 }, tile);
    expect(split).toMatchObject({ chunkSteps: split.blockSteps, passesBy: false });
  });

  it('of panels that few rows use are not asked for', () => {
    const few = unitBlocks({ rows: 64, columns: 1024, steps: 99, outer: 1, cores: 1 }, tile);
    expect(few).toMatchObject({ panelsInside: false, asksAhead: false });
  });
});

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
      expect(taskPanels * 32).toBeLessThanOrEqual(2048);
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
