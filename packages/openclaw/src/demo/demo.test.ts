import { closeDevices, setDevice, use } from '@open-claw/core';
import { plugin as template } from '@open-claw/device-template';
import { wasmDevice } from '@open-claw/device-wasm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareDevices } from './compare.js';
import { draw, pixels, textArt } from './drawing.js';
import { demoTexts, fillText } from './text.js';
import { accuracyOn, stepsFor, train, weightCount } from './train.js';

beforeAll(() => {
  use(wasmDevice());
  use(template);
  setDevice('wasm');
});
afterAll(closeDevices);

describe('drawings', () => {
  it('are the same for the same seed and balanced', () => {
    const [a, b, c] = [draw(100, 1), draw(100, 1), draw(100, 2)];
    expect(a.images).toEqual(b.images);
    expect(a.images).not.toEqual(c.images);
    expect(a.images).toHaveLength(100 * pixels);
    for (let digit = 0; digit < 10; digit++) {
      expect(a.labels.filter((label) => label === digit)).toHaveLength(10);
    }
  });

  it('show as text', () => {
    const art = textArt(draw(10, 3), [0, 1]);
    expect(art.split('\n')).toHaveLength(8);
    expect(art).toMatch(/[#%@]/);
    expect(Math.max(...art.split('\n').map((line) => line.length))).toBeLessThanOrEqual(33);
  });
});

it('learns, and reads alike on every device', async () => {
  const drawings = draw(2000, 1);
  const losses: number[] = [];
  const weights = await train(drawings, (_, loss) => losses.push(loss));
  expect(losses).toHaveLength(stepsFor(drawings) / 10);
  expect(losses.at(-1)).toBeLessThan((losses[0] as number) / 4);
  const unseen = draw(200, 2);
  expect(await accuracyOn(weights, unseen)).toBeGreaterThan(0.85);
  const { outcomes, absent } = await compareDevices(weights, unseen, 20);
  expect(absent).toEqual([]);
  expect(outcomes.map(({ device }) => device)).toEqual(['wasm', 'template:0', 'interpreter']);
  for (const { result } of outcomes) {
    expect(result).toMatchObject({ same: 20 });
    expect('difference' in result && result.difference).toBeLessThan(1e-3);
  }
});

it('speaks both languages with the same marks', () => {
  const marks = (text: unknown): string[] =>
    JSON.stringify(text)
      .match(/\{\w+\}/g)
      ?.sort() ?? [];
  const [en, zh] = [demoTexts('en'), demoTexts('zh')];
  for (const name of Object.keys(en) as (keyof typeof en)[]) {
    expect(marks(zh[name])).toEqual(marks(en[name]));
  }
  expect(weightCount()).toBe(18346);
  expect(fillText('{a} {b}', { a: 1 })).toBe('1 {b}');
});
