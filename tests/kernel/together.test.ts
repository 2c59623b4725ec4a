/** Nodes that are made together with what they are made of: softmax, and gelu by tanh. */
import { closeDevices, compile, type HostTensor, load, openDevice } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { afterAll, describe, expect, it } from 'vitest';
import { useDevices } from '../devices.js';

const ids = await useDevices();
afterAll(closeDevices);

const { NaN: none, POSITIVE_INFINITY: infinite } = Number;

async function run(id: string, build: (x: core.Node) => core.Node, x: HostTensor) {
  return (await runAll(id, (node) => [build(node)], x))[0] as Float32Array;
}

async function runAll(id: string, build: (x: core.Node) => readonly core.Node[], x: HostTensor) {
  const opened = await openDevice(id);
  const node = core.input('x', { dtype: 'f32', shape: x.shape });
  const program = compile(core.graphOf([node], build(node)), opened.target, opened.plugin.language);
  const executable = await load(program, opened);
  const results = await executable.run([x]);
  await executable.dispose();
  return results.map(({ data }) => data as Float32Array);
}

const columns = 37;
const fill = (value: (i: number) => number): number[] =>
  Array.from({ length: columns }, (_, i) => value(i));
const rows = [
  fill((i) => ((i * 29) % 37) / 3 - 6),
  fill((i) => -3 * i),
  fill((i) => (i === 5 ? 0 : -infinite)),
  fill(() => -infinite),
  fill((i) => (i === 36 ? none : i)),
  fill((i) => (i === 0 ? none : -i)),
  fill((i) => (i === 0 ? infinite : i)),
  fill((i) => (i % 2 === 0 ? 3e38 : -3e38)),
  fill((i) => -86 - i / 8),
];

function softmaxOf(row: readonly number[]): number[] {
  const top = row.reduce((a, b) => Math.max(a, b));
  const weights = row.map((x) => Math.exp(x - top));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
}

const geluOf = (x: number): number =>
  0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

describe.each(ids)('together on %s', (id) => {
  it('softmax is right for wide, masked, infinite and undefined rows', async () => {
    const data = Float32Array.from(rows.flat());
    const y = await run(id, (x) => core.softmax(x), {
      dtype: 'f32',
      shape: [rows.length, columns],
      data,
    });
    const expected = rows.flatMap((row) => softmaxOf(row.map(Math.fround)));
    expected.forEach((value, i) => {
      const got = y[i] as number;
      if (Number.isNaN(value)) expect(got).toBeNaN();
      else if (value === 0) expect(got).toBe(0);
      // What is below normal may be 0; a difference of scores is rounded once.
      else expect(Math.abs(got - value)).toBeLessThanOrEqual(1e-5 * value + 2 ** -126);
    });
  });

  it('a maximum that more than shares are made of keeps NaN', async () => {
    const data = Float32Array.from(rows.flat());
    const shape = [rows.length, columns];
    const build = (x: core.Node): readonly core.Node[] => {
      const top = core.maximumOver(x, [1], { keep: true });
      return [core.softmax(x), core.exp(core.subtract(x, top))];
    };
    const [, weights = []] = await runAll(id, build, { dtype: 'f32', shape, data });
    rows.forEach((row, i) => {
      if (!row.some(Number.isNaN)) return;
      expect([...weights.slice(i * columns, (i + 1) * columns)]).toEqual(row.map(() => none));
    });
  });

  it('softmax of more than the caches hold is right to the last row', async () => {
    const [count, length] = [700, 160];
    const data = Float32Array.from({ length: count * length }, (_, i) => ((i * 37) % 101) / 10 - 5);
    const y = await run(id, (x) => core.softmax(x), { dtype: 'f32', shape: [count, length], data });
    for (const row of [0, 1, count / 2, count - 1]) {
      const own = data.subarray(row * length, (row + 1) * length);
      softmaxOf([...own]).forEach((value, i) => {
        expect(Math.abs((y[row * length + i] as number) - value)).toBeLessThan(1e-5 * value);
      });
    }
  });

  it('gelu by tanh is right from one infinity to the other', async () => {
    const values = [
      -infinite,
      -3e38,
      -1e10,
      -200,
      -30,
      -9,
      -5.5,
      -1e-30,
      -0,
      0,
      1e-30,
      9,
      30,
      3e38,
      infinite,
      none,
    ];
    for (let x = -12; x < 12; x += 1 / 16) values.push(x);
    const data = Float32Array.from(values);
    const y = await run(id, (x) => core.gelu(x, 'tanh'), {
      dtype: 'f32',
      shape: [data.length],
      data,
    });
    data.forEach((x, i) => {
      const [got, value] = [y[i] as number, geluOf(x)];
      if (Number.isNaN(value)) expect(got).toBeNaN();
      else if (Math.abs(x) > 20) expect(got + 0).toBe(Math.fround(Math.max(x, 0)));
      else expect(Math.abs(got - value)).toBeLessThanOrEqual(1e-6 * Math.max(Math.abs(x), 1e-30));
    });
  });
});
