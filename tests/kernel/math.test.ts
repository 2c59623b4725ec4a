import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { expandMath, expandPower } from '../../packages/core/src/kernel/math.js';
import type { MathName } from '../../packages/core/src/kernel/tile.js';
import { allowed, cases, sweep, unit, worstOf } from './math-cases.js';
import { column, runTile, scriptTarget } from './run-tile.js';

for (const single of [true, false]) {
  for (const [name, item] of Object.entries(cases)) {
    const { single: f32, double: f64 } = item;
    const bound = allowed(item, single);
    it(`${name} of ${single ? 'f32' : 'f64'} is within ${bound} ulp`, () => {
      const x = sweep(single ? f32 : f64, single) as Float32Array<ArrayBuffer>;
      const write = single ? 'f32' : 'f64';
      const y = runTile([column(x)], write, (b, [v]) => {
        if (v === undefined) throw new Error('no value');
        return expandMath(b, scriptTarget, name as MathName, v);
      });
      const { worst, message } = worstOf(name, x, y);
      expect(worst, message).toBeLessThanOrEqual(bound);
    });
  }
}

it.each([true, false])('powers are within 1.5 ulp (f32: %s)', (single) => {
  const random = sweep([0.01, 3], single);
  const x = random.map((v) => Math.abs(v)) as Float32Array<ArrayBuffer>;
  // Results all over the range of the type.
  const y = random.map((v, i) => (i % 2 === 0 ? v * 20 : 80 / Math.log(Math.abs(v)))) as typeof x;
  const z = runTile([column(x), column(y)], single ? 'f32' : 'f64', (b, [v, w]) => {
    if (v === undefined || w === undefined) throw new Error('no value');
    return expandPower(b, scriptTarget, single ? 'f32' : 'f64', v, w);
  });
  let worst = 0;
  x.forEach((value, i) => {
    const exact = value === 1 ? 1 : value ** (y[i] as number);
    const rounded = single ? Math.fround(exact) : exact;
    const got = Number(z[i]);
    if (Object.is(got, rounded)) return;
    const ordinary = Number.isFinite(rounded) && Number.isFinite(got);
    const error = ordinary ? Math.abs(got - exact) / unit(exact, single) : Infinity;
    worst = Math.max(worst, error);
  });
  // The f64 reference is itself off by up to one.
  expect(worst).toBeLessThanOrEqual(single ? 1.5 : 2.5);
});

it.each(['ARCHITECTURE.md', 'ARCHITECTURE.zh.md'])('%s states the bounds', (name) => {
  const text = readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| ((?:`\w+`(?:, )?)+) \| ([\d.]+) \| ([\d.]+) \|$/gm)];
  const stated = rows.flatMap(([, names = '', single, double]) =>
    [...names.matchAll(/`(\w+)`/g)].map(([, each]) => [each, [Number(single), Number(double)]]),
  );
  const tested = Object.entries(cases).map(([each, { ulps }]) => [each, [...ulps]]);
  expect(Object.fromEntries(stated)).toEqual(Object.fromEntries(tested));
});
