/**
 * Products on every row that the engine has: whole numbers, so that each answer is exact. Node.js
 * 20 has the relaxed instructions behind a flag, which is set here.
 */
import { setFlagsFromString } from 'node:v8';
import { compile, type HostTensor, hostTensor, load } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { describe, expect, it } from 'vitest';
import {
  relaxedDotTarget,
  relaxedTarget,
  scalarTarget,
  simdTarget,
  wasmDevice,
} from './src/index.js';

setFlagsFromString('--experimental-wasm-relaxed-simd');

const rows = await Promise.all(
  [scalarTarget, simdTarget, relaxedTarget, relaxedDotTarget].map(async ({ id }) => {
    const plugin = wasmDevice({ target: id, threads: 2 });
    const [found] = await plugin.probe();
    return { id, plugin, target: found !== undefined && 'target' in found ? found.target : null };
  }),
);
const has = (row: (typeof rows)[number]): boolean => {
  if (row.target === null) {
    const lack = 'relaxed instructions that a trial finds to be exact (bytes: not Node.js 20)';
    console.warn(`skipped: ${row.id} needs ${lack}`);
  }
  return row.target !== null;
};

async function run(
  { plugin, target }: (typeof rows)[number],
  graph: core.Graph,
  inputs: readonly HostTensor[],
): Promise<HostTensor> {
  if (target === null) throw new Error('no such row');
  const device = await plugin.open('wasm');
  const program = compile(graph, target, plugin.language);
  const executable = await load(program, { id: 'wasm', device, plugin, target } as never);
  const [output] = await executable.run(inputs);
  await executable.dispose();
  await device.close();
  return output as HostTensor;
}

let state = 11;
const below = (limit: number): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
};
const whole = (dtype: core.DType, low: number, count: number, shape: readonly number[]) =>
  hostTensor(
    dtype,
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => low + below(count)),
  );

it('adds up a long line on one core with little drift', async () => {
  const row = rows[1] as (typeof rows)[number];
  const length = 2 ** 22;
  const data = Float32Array.from({ length }, () => below(2 ** 24) / 2 ** 24);
  const x = core.input('x', { dtype: 'f32', shape: [length] });
  const graph = core.graphOf([x], [core.cumulate('sum', x, 0)]);
  const one = { ...row, target: row.target && { ...row.target, cores: 1 } };
  const { data: got } = await run(one, graph, [hostTensor('f32', [length], data)]);
  let [total, most] = [0, 0];
  data.forEach((value, i) => {
    total += value;
    most = Math.max(most, Math.abs(Number(got[i]) - total));
  });
  expect(most).toBeLessThan(6);
});

describe.each(rows.filter(has))('$id', (row) => {
  it.each([
    ['u8', 0, 256, 'i8', -128, 256, 70, 300, 90],
    ['u8', 0, 256, 'u8', 0, 256, 33, 67, 45],
    ['i8', -128, 256, 'i8', -128, 256, 9, 1000, 20],
    ['i16', -32768, 65536, 'i16', -32768, 65536, 6, 33, 14],
    ['i16', -32768, 1, 'i16', -32768, 1, 4, 32, 8],
  ] as const)('%s from %i, %i values, by %s', async (...facts) => {
    const [leftType, leftLow, leftCount, rightType, rightLow, rightCount, m, k, n] = facts;
    const a = whole(leftType, leftLow, leftCount, [m, k]);
    const b = whole(rightType, rightLow, rightCount, [k, n]);
    const x = core.input('a', a);
    for (const y of [core.input('b', b), core.constant(b)]) {
      const product = core.matmul(core.cast(x, 'i32'), core.cast(y, 'i32'));
      const graph = core.graphOf(y.op === 'input' ? [x, y] : [x], [product]);
      const inputs = y.op === 'input' ? [a, b] : [a];
      const [wanted] = core.interpret(graph, inputs);
      expect((await run(row, graph, inputs)).data).toEqual(wanted?.data);
    }
  });

  it.each([
    [1, 40, 70],
    [7, 64, 64],
    [50, 33, 52],
    [65, 20, 129],
    // Rows lie further apart than the offset of an instruction reaches.
    [5, 17_000, 16],
  ])('f32, %i × %i × %i', async (m, k, n) => {
    const [a, b] = [whole('f32', -4, 9, [m, k]), whole('f32', -4, 9, [k, n])];
    const [x, y] = [core.input('a', a), core.input('b', b)];
    const graph = core.graphOf([x, y], [core.add(core.matmul(x, y), 1)]);
    const [wanted] = core.interpret(graph, [a, b]);
    expect((await run(row, graph, [a, b])).data).toEqual(wanted?.data);
  });

  it('takes the least and the greatest, with NaN where the condition says so', async () => {
    const special = [Number.NaN, 0, -0, 1, Number.POSITIVE_INFINITY, -1];
    const values = special.flatMap((a) => special.map((b) => [a, b] as const));
    const [a, b] = [0, 1].map((i) =>
      hostTensor(
        'f32',
        [36],
        values.map((pair) => pair[i] as number),
      ),
    ) as [HostTensor, HostTensor];
    const [x, y] = [core.input('a', a), core.input('b', b)];
    const isLess = core.less(x, y);
    for (const picked of [core.select(isLess, x, y), core.select(isLess, y, x)]) {
      const graph = core.graphOf([x, y], [picked]);
      const [wanted] = core.interpret(graph, [a, b]);
      const got = await run(row, graph, [a, b]);
      const bits = ({ data }: HostTensor) => [...new Int32Array((data as Float32Array).buffer)];
      expect(bits(got)).toEqual(bits(wanted as HostTensor));
    }
  });
});
