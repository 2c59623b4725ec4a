/** Register tiles leave room for their operands: a sum that does not fit goes through memory. */
import { describe, expect, it } from 'vitest';
import { makeTarget, plainMachine, rows } from '../../devices/native/src/targets.js';
import { registerTile } from '../../packages/core/src/kernel/register-tile.js';

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
});
