/** Register tiles leave room for their operands: a sum that does not fit goes through memory. */
import { describe, expect, it } from 'vitest';
import { makeTarget, plainMachine, rows } from '../../devices/native/src/targets.js';
import { accumulatorsOf, registerTile } from '../../packages/core/src/kernel/register-tile.js';

describe('register tiles', () => {
  const targets = rows.map((row) => makeTarget(row, plainMachine));
  const wide = targets.filter(({ vectorRegisters }) => vectorRegisters >= 32);

  it.each([64, 250, 256, 1000, 1024, 3072])('fit the registers for %i rows and columns', (n) => {
    for (const target of wide) {
      const { rows: height, columns, lanes } = registerTile(target, 'f32', n, n);
      const vectors = columns / lanes;
      expect(height * vectors + vectors + 1).toBeLessThanOrEqual(target.vectorRegisters);
      expect(height * vectors).toBeGreaterThanOrEqual(target.vectorRegisters / 2);
    }
  });

  // With a third of the sums less, two units of four steps wait for them.
  it.each([256, 512, 1024, 2048])('of few registers hold as many sums, for %i rows', (n) => {
    const few = targets.filter(({ vectorRegisters: count }) => count >= 16 && count < 32);
    for (const target of few) {
      const { rows: height, columns, lanes } = registerTile(target, 'f32', n, n);
      const vectors = columns / lanes;
      const most = Math.floor(accumulatorsOf(target, vectors) / vectors);
      expect(height).toBeGreaterThanOrEqual(most - 1);
    }
  });
});
