/**
 * Every golden program's journey against the text that is kept. Where a change is meant, run
 * `npx vitest run tests/golden -u` and read the difference: it shows the effect on every chip.
 */
import { describe, expect, it, vi } from 'vitest';
import { goldenPrograms } from './programs.js';

const update = 'a stage changed: if that is meant, run `npx vitest run tests/golden -u`';

describe('the journey of', () => {
  for (const name of Object.keys(goldenPrograms)) {
    it(name, async () => {
      // Fresh modules, so that ids count from the start whatever was built before.
      vi.resetModules();
      const { journey } = await import('./journey.js');
      await expect(journey(name), update).toMatchFileSnapshot(`${name}.txt`);
    });
  }
});
