/** The programs of examples/ run and print what they promise. */
import { afterEach, expect, it, vi } from 'vitest';

afterEach(() => vi.restoreAllMocks());

async function linesOf(program: () => Promise<unknown>): Promise<readonly string[]> {
  const lines: string[] = [];
  vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line));
  await program();
  return lines;
}

it('array-program draws', async () => {
  const lines = await linesOf(() => import('../examples/array-program.mjs'));
  expect(lines).toHaveLength(24);
  expect(lines[11]).toMatch(/^ {2,3},.*@{25}.*\.$/);
  expect(lines[0]).toBe(lines[23]);
});

it('gradient-of-gradient finds the lowest point', async () => {
  const lines = await linesOf(() => import('../examples/gradient-of-gradient.mjs'));
  expect(lines[5]).toBe('step 6: x = 2.250000');
  expect(Number(lines[6]?.split(': ')[1])).toBeCloseTo(36, 3);
});

it('train-mlp tells the spirals apart', async () => {
  const lines = await linesOf(() => import('../examples/train-mlp.mjs'));
  expect(lines).toHaveLength(5);
  expect(Number.parseFloat(lines[4] as string)).toBeGreaterThan(97);
});
