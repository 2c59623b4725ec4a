import { expect, test } from 'vitest';
import { isShort, learnPace, type Pace } from './pace.js';

const paceOf = (): Pace => ({ rate: undefined, estimate: 0 });

function listOf(paces: readonly Pace[], estimate: number, copies = 0) {
  const launches = paces.map((pace, index) => ({ index, pace, estimate }));
  return { launches, microseconds: estimate * paces.length + copies };
}

const took = (...microseconds: readonly number[]): BigInt64Array =>
  BigInt64Array.from(microseconds, (each) => BigInt(each * 1000));

test('work that was never run is short by its estimate alone', () => {
  const seen = paceOf();
  learnPace(listOf([seen], 1500), took(1500));
  expect(isShort([listOf([seen], 2000)])).toBe(true);
  expect(isShort([listOf([seen, paceOf()], 1000)])).toBe(false);
  expect(isShort([listOf([paceOf()], 500)])).toBe(true);
  expect(isShort([listOf([], 0, 1000)])).toBe(false);
});

test('a kernel estimated too high comes to the thread of the caller, one too low leaves it', () => {
  const quick = paceOf();
  learnPace(listOf([quick], 9000), took(900));
  expect(isShort([listOf([quick], 9000)])).toBe(true);
  // A time says nothing of much larger launches: a part of it does not grow with the sizes.
  expect(isShort([listOf([quick], 20_000)])).toBe(false);
  const slow = paceOf();
  expect(isShort([listOf([slow], 400)])).toBe(true);
  learnPace(listOf([slow], 400), took(31_000));
  expect(isShort([listOf([slow], 400)])).toBe(false);
});

test('a disturbed run moves a rate by a tenth, a shorter one and a very long one at once', () => {
  const pace = paceOf();
  learnPace(listOf([pace], 1000), took(1000));
  learnPace(listOf([pace], 1000), took(9000));
  expect(pace.rate).toBe(1.1);
  learnPace(listOf([pace], 1000), took(800));
  expect(pace.rate).toBe(0.8);
  learnPace(listOf([pace], 1000), took(50_000));
  expect(pace.rate).toBe(50);
});

test('copies beside launches keep their estimate', () => {
  const pace = paceOf();
  learnPace(listOf([pace], 1000), took(500));
  expect(isShort([listOf([pace], 1000, 2400)])).toBe(true);
  expect(isShort([listOf([pace], 1000, 2600)])).toBe(false);
});
