/** Short programs in one call: same answers, same errors, and timers still get their turn. */
import { closeDevices, compile, load, openDevice } from '@open-claw/core';
import {
  add,
  expressions,
  graphOf,
  hostTensor,
  input,
  type Node,
  sum,
  tanh,
} from '@open-claw/core/internal';
import { afterAll, describe, expect, it } from 'vitest';
import { codeOf } from '../packages/openclaw/src/testing/codes.js';
import { useDevices } from './devices.js';

const able: string[] = [];
for (const id of await useDevices()) {
  if ((await openDevice(id)).device.call !== undefined) able.push(id);
}
afterAll(closeDevices);

const vector = (...values: number[]) => hostTensor('f32', [values.length], values);

describe.each(able)('%s', (id) => {
  const made = async (output: (a: Node, b: Node) => Node, size: number | undefined = undefined) => {
    const opened = await openDevice(id);
    const shape = [size ?? expressions.variable('n')];
    const [a, b] = ['a', 'b'].map((name) => input(name, { dtype: 'f32', shape }));
    const graph = graphOf([a, b] as Node[], [output(a as Node, b as Node)]);
    const executable = await load(compile(graph, opened.target, opened.plugin.language), opened);
    let calls = 0;
    const call = opened.device.call?.bind(opened.device);
    opened.device.call = (...all) => {
      const done = call?.(...all) === true;
      if (done) calls++;
      return done;
    };
    return { executable, calls: () => calls };
  };

  it('gives the sums of later inputs, into new arrays and given ones', async () => {
    const { executable, calls } = await made((a, b) => add(a, b), 3);
    const b = vector(10, 20, 30);
    await executable.run([vector(1, 2, 3), b]);
    const [second] = await executable.run([vector(4, 5, 6), b]);
    const into = vector(0, 0, 0);
    const [third] = await executable.run([vector(7, 8, 9), b], { into: [into] });
    expect(Array.from(second?.data as Float32Array)).toEqual([14, 25, 36]);
    expect(third?.data).toBe(into.data);
    expect(Array.from(into.data as Float32Array)).toEqual([17, 28, 39]);
    // A run that lets timers have their turn takes the long way.
    for (let i = 0; i < 50 && calls() === 0; i++) await executable.run([into, b]);
    expect(calls()).toBeGreaterThan(0);
    await executable.dispose();
    await expect(executable.run([b, b])).rejects.toThrow('OC-RUN-08');
  });

  it('follows sizes that change, there and back', async () => {
    const { executable } = await made((a, b) => sum(tanh(add(a, b))));
    for (const count of [4, 4, 900, 900, 4, 3, 3, 2000, 4]) {
      const values = Array.from({ length: count }, (_, i) => (i % 5) / 10);
      const [total] = await executable.run([vector(...values), vector(...values)]);
      const expected = values.reduce((all, x) => all + Math.tanh(2 * x), 0);
      expect(Math.abs(Number(total?.data[0]) - expected)).toBeLessThan(1e-3 * (1 + expected));
    }
    await executable.dispose();
  });

  it('refuses what the long way refuses', async () => {
    const { executable } = await made((a, b) => add(a, b), 3);
    const good = [vector(1, 2, 3), vector(1, 2, 3)];
    await executable.run(good);
    await executable.run(good);
    expect(await codeOf(executable.run([vector(1, 2, 3)]))).toBe('OC-RUN-05');
    expect(await codeOf(executable.run([vector(1, 2), vector(1, 2)]))).toBe('OC-RUN-07');
    expect(await codeOf(executable.run(good, { into: [vector(1)] }))).toBe('OC-RUN-09');
    const aborted = { signal: AbortSignal.abort() };
    expect(await codeOf(executable.run(good, aborted))).toBe('OC-DEVICE-05');
    await executable.dispose();
  });

  it('lets timers have their turn between short runs', async () => {
    const { executable } = await made((a, b) => add(a, b), 3);
    const inputs = [vector(1, 2, 3), vector(1, 2, 3)];
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const end = performance.now() + 200;
    while (performance.now() < end) await executable.run(inputs);
    clearInterval(timer);
    // Every 4 milliseconds on a computer that does nothing else, never without these turns.
    expect(turns).toBeGreaterThan(0);
    await executable.dispose();
  });
});
