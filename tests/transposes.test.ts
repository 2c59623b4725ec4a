/** Values that are written in another order than they lie in memory, on every device found. */
import { closeDevices, compile, compileFor, load, openDevice } from '@open-claw/core';
import type { HostTensor, Node } from '@open-claw/core/internal';
import * as core from '@open-claw/core/internal';
import { nativeDevice } from '@open-claw/device-native';
import { afterAll, describe, expect, it } from 'vitest';
import { useDevices } from './devices.js';
import { randomTensor } from './programs.js';

const ids = await useDevices();
afterAll(closeDevices);

const dtypes = ['f32', 'f64', 'f16', 'i64', 'i32', 'i8', 'u8', 'bool'] as const;
const turns = [
  { shape: [48, 64], axes: [1, 0] },
  { shape: [33, 47], axes: [1, 0] },
  { shape: [3, 70, 20], axes: [0, 2, 1] },
  { shape: [20, 3, 35], axes: [2, 1, 0] },
  { shape: [17, 40, 19], axes: [1, 2, 0] },
  { shape: [3, 70], axes: [1, 0] },
  { shape: [2, 5, 29], axes: [0, 2, 1] },
] as const;

async function runOn(id: string, graph: core.Graph, inputs: readonly HostTensor[]) {
  const opened = await openDevice(id);
  const executable = await load(compileFor(graph, opened), opened);
  try {
    return await executable.run(inputs);
  } finally {
    await executable.dispose();
  }
}

describe.each(ids)('on %s', (id) => {
  it.each(dtypes)('%s is turned', async (dtype) => {
    const given = turns.map(({ shape }, i) => randomTensor(i + 1, shape, dtype));
    const inputs = given.map(({ shape }, i) => core.input(`x${i}`, { dtype, shape }));
    const outputs = turns.map(({ axes }, i) => core.permute(inputs[i] as Node, axes));
    const graph = core.graphOf(inputs, outputs);
    expect(await runOn(id, graph, given)).toEqual(core.interpret(graph, given));
  });

  it('fused with what lies in order, with rows and with columns', async () => {
    const [x, y, row, column] = [
      core.input('x', { dtype: 'f32', shape: [37, 50] }),
      core.input('y', { dtype: 'i32', shape: [50, 37] }),
      core.input('row', { dtype: 'f32', shape: [37] }),
      core.input('column', { dtype: 'f32', shape: [50, 1] }),
    ] as const;
    const turned = core.multiply(core.permute(x, [1, 0]), row);
    const sum = core.add(core.add(turned, core.cast(y, 'f32')), column);
    const graph = core.graphOf([x, y, row, column], [sum, core.cast(core.negate(turned), 'f16')]);
    const given = [
      randomTensor(1, [37, 50], 'f32'),
      randomTensor(2, [50, 37], 'i32'),
      randomTensor(3, [37], 'f32'),
      randomTensor(4, [50, 1], 'f32'),
    ];
    const expected = core.interpret(graph, given).map(core.valuesOf);
    const found = (await runOn(id, graph, given)).map(core.valuesOf);
    found.forEach((values, i) => {
      values.forEach((value, at) => {
        const wanted = Number(expected[i]?.[at]);
        const slack = (i === 0 ? 2 ** -22 : 2 ** -10) * Math.max(1, Math.abs(wanted));
        expect(Math.abs(Number(value) - wanted)).toBeLessThanOrEqual(slack);
      });
    });
  });

  it('to rows shorter than a vector, with rows and with columns', async () => {
    const [x, row, column] = [
      core.input('x', { dtype: 'f32', shape: [3, 50] }),
      core.input('row', { dtype: 'f32', shape: [3] }),
      core.input('column', { dtype: 'f32', shape: [50, 1] }),
    ] as const;
    const turned = core.maximum(core.permute(x, [1, 0]), row);
    const graph = core.graphOf([x, row, column], [core.maximum(turned, column), turned]);
    const given = [
      randomTensor(1, [3, 50], 'f32'),
      randomTensor(2, [3], 'f32'),
      randomTensor(3, [50, 1], 'f32'),
    ];
    expect(await runOn(id, graph, given)).toEqual(core.interpret(graph, given));
  });

  it('of sizes that only the run tells', async () => {
    const shape = [core.sizeSymbol(), core.sizeSymbol()];
    const x = core.input('x', { dtype: 'f32', shape });
    const graph = core.graphOf([x], [core.permute(x, [1, 0])]);
    for (const [n, m] of [
      [1, 1],
      [16, 32],
      [45, 18],
    ] as const) {
      const given = [randomTensor(n, [n, m], 'f32')];
      expect(await runOn(id, graph, given)).toEqual(core.interpret(graph, given));
    }
  });
});

it('short rows are read a column of many at a time where vectors hold half a line', () => {
  const { targets, language } = nativeDevice();
  const target = targets.find(({ id }) => id === 'native/avx2');
  if (target === undefined) throw new Error('no such row');
  const x = core.input('x', { dtype: 'f32', shape: [3, 1024] });
  const graph = core.graphOf([x], [core.permute(x, [1, 0])]);
  expect(compile(graph, target, language).source?.text).not.toContain('load_stride');
});
