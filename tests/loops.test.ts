/** Counted loops, whose rounds are one list of commands: any number of runs, of any sizes. */
import { closeDevices, compileFor, load, openDevice } from '@open-claw/core';
import type { Node } from '@open-claw/core/internal';
import * as core from '@open-claw/core/internal';
import { afterAll, describe, expect, it } from 'vitest';
import { useDevices } from './devices.js';
import { randomTensor } from './programs.js';

const ids = await useDevices();
afterAll(closeDevices);

const width = 20;

/** h ← tanh(x[i] + h·W) for every row of x, all h stacked; also counts the rounds in place. */
function recurrent(rows: core.Size): core.Graph {
  const x = core.input('x', { dtype: 'f32', shape: [rows, width] });
  const first = core.input('h', { dtype: 'f32', shape: [1, width] });
  const weight = core.constant(randomTensor(9, [width, width], 'f32'));
  const total = core.broadcastTo(core.scalar('f32', 0), [4]);
  const results = core.loop({
    trip: rows,
    carried: [first, total],
    invariants: [x, weight],
    body: ([h, count], [all, w], at) => {
      const row = core.gather(all as Node, core.reshape(core.size(at), [1]), 0);
      const next = core.tanh(core.add(row, core.matmul(h as Node, w as Node)));
      return {
        carried: [next, core.add(count as Node, 1)],
        stacked: [core.reshape(next, [width])],
      };
    },
  });
  return core.graphOf([x, first], results);
}

const bodiesOf = (graph: core.Graph): readonly core.Graph[] =>
  core.nodesOf(graph).flatMap((node) => (node.op === 'loop' ? [node.attributes.body] : []));

it('constants that a loop is given are constants inside of it', () => {
  const [body] = bodiesOf(core.simplify(recurrent(3)));
  const ops = core.nodesOf(body as core.Graph).map(({ op }) => op);
  expect(body?.inputs).toHaveLength(3);
  expect(ops).toContain('constant');
});

describe.each(ids)('on %s', (id) => {
  it.each([3, 4, 'any number of'])('%s rounds, run after run', async (rows) => {
    const graph = recurrent(typeof rows === 'number' ? rows : core.sizeSymbol());
    const opened = await openDevice(id);
    const executable = await load(compileFor(graph, opened), opened);
    const counts = typeof rows === 'number' ? [rows, rows, rows] : [5, 2, 5, 0, 1, 5];
    for (const [i, count] of counts.entries()) {
      const inputs = [randomTensor(i, [count, width], 'f32'), randomTensor(7, [1, width], 'f32')];
      const expected = core.interpret(graph, inputs).map(core.valuesOf);
      // Twice with the same arrays: the second run may be a recording.
      let into = await executable.run(inputs);
      for (let again = 0; again < 3; again++) into = await executable.run(inputs, { into });
      into.map(core.valuesOf).forEach((values, at) => {
        expect(values).toHaveLength(expected[at]?.length ?? -1);
        values.forEach((value, j) => {
          expect(Math.abs(Number(value) - Number(expected[at]?.[j]))).toBeLessThanOrEqual(1e-5);
        });
      });
    }
    await executable.dispose();
  });

  it('stops a long one at the limit of time', async () => {
    const x = core.input('x', { dtype: 'f32', shape: [256, 256] });
    const [y] = core.loop({
      trip: 1500,
      carried: [x],
      body: ([value]) => ({ carried: [core.tanh(core.matmul(value as Node, value as Node))] }),
    });
    const opened = await openDevice(id);
    const graph = core.graphOf([x], [y as Node]);
    const executable = await load(compileFor(graph, opened), opened);
    const inputs = [randomTensor(1, [256, 256], 'f32')];
    await expect(executable.run(inputs, { timeLimit: 40 })).rejects.toThrow('OC-DEVICE-04');
    await executable.dispose();
  });
});
