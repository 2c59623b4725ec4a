/** Every small program on every device that is there, against the interpreter. */
import { closeDevices, compile, type HostTensor, load, openDevice } from '@open-claw/core';
import {
  add,
  graphOf,
  hostTensor,
  input,
  interpret,
  loop,
  multiply,
  type Node,
  readElement,
} from '@open-claw/core/internal';
import { afterAll, describe, expect, it } from 'vitest';
import { useDevices } from './devices.js';
import { smallPrograms } from './programs.js';

const found = await useDevices();

afterAll(closeDevices);

function expectClose(actual: HostTensor, expected: HostTensor): void {
  expect(actual.dtype).toBe(expected.dtype);
  expect(actual.shape).toEqual(expected.shape);
  const tolerance = expected.dtype === 'bf16' ? 1e-2 : expected.dtype === 'f16' ? 2e-3 : 2e-5;
  for (let i = 0; i < expected.data.length; i++) {
    const [a, b] = [readElement(actual, i), readElement(expected, i)];
    if (typeof b !== 'number' || Number.isInteger(b)) expect(Number(a)).toBeCloseTo(Number(b), 3);
    else expect(Math.abs(Number(a) - b)).toBeLessThanOrEqual(tolerance * (1 + Math.abs(b)));
  }
}

describe.each(found)('%s', (id) => {
  it('stops a long loop when the caller aborts', async () => {
    const opened = await openDevice(id);
    const x = input('x', { dtype: 'f32', shape: [64] });
    const body = ([a]: readonly Node[]) => ({ carried: [multiply(add(a as Node, 1), 0.5)] });
    const graph = graphOf([x], loop({ trip: 3_000_000, carried: [x], body }));
    const executable = await load(compile(graph, opened.target, opened.plugin.language), opened);
    const stopped = new AbortController();
    setTimeout(() => stopped.abort(), 20);
    const values = hostTensor('f32', [64], Array(64).fill(1));
    const run = executable.run([values], { signal: stopped.signal });
    await expect(run).rejects.toThrow('OC-DEVICE-05');
    await executable.dispose();
  });

  it.each(smallPrograms())('runs $name', async ({ graph, inputs }) => {
    const opened = await openDevice(id);
    const executable = await load(compile(graph, opened.target, opened.plugin.language), opened);
    const expected = interpret(graph, inputs);
    // Twice: the second run finds the memory of the first.
    for (let run = 0; run < 2; run++) {
      const outputs = await executable.run(inputs);
      expect(outputs).toHaveLength(expected.length);
      outputs.forEach((output, i) => {
        expectClose(output, expected[i] as HostTensor);
      });
    }
    await executable.dispose();
  });
});
