/** Arrays of the caller as device memory: what is shared, what is copied, what a failure leaves. */
import {
  compile,
  type HostTensor,
  type LoadOptions,
  load,
  type OpenDevice,
  openDevice,
} from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { describe, expect, it } from 'vitest';
import { useDevices } from './devices.js';
import { randomTensor } from './programs.js';

const ids = await useDevices();
const count = 1 << 16;

/** The device with its transfers counted; `bytes` is what write and read have moved. */
async function counted(id: string): Promise<{ opened: OpenDevice; moved: () => number }> {
  const opened = await openDevice(id);
  let bytes = 0;
  const device = new Proxy(opened.device, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        if (name === 'write' || name === 'read') bytes += (args[2] as Uint8Array).byteLength;
        return member.apply(target, args);
      };
    },
  });
  return { opened: { ...opened, device }, moved: () => bytes };
}

const loadOn = (graph: core.Graph, opened: OpenDevice, options?: LoadOptions) =>
  load(compile(graph, opened.target, opened.plugin.language), opened, options);

function reluGraph(): core.Graph {
  const x = core.input('x', { dtype: 'f32', shape: [core.sizeSymbol()] });
  return core.graphOf([x], [core.maximum(x, 0)]);
}

const expected = (x: HostTensor): number[] =>
  [...(x.data as Float32Array)].map((v) => Math.max(v, 0));
const empty = (): HostTensor => core.hostTensor('f32', [count], new Float32Array(count));

describe.each(ids)('arrays of the caller on %s', (id) => {
  it('give the same numbers, shared or copied', async () => {
    const { opened, moved } = await counted(id);
    const executable = await loadOn(reluGraph(), opened);
    const before = moved();
    const x = randomTensor(1, [count]);
    const into = empty();
    const [y] = await executable.run([x], { into: [into] });
    expect(y?.data).toBe(into.data);
    expect([...(into.data as Float32Array)]).toEqual(expected(x));
    const { wrap, lend } = opened.device;
    const shares = wrap !== undefined || lend !== undefined;
    expect(moved() - before).toBe(shares ? 0 : 8 * count);
    // A result that nobody gave an array for is written into a new one.
    const [z] = await executable.run([x]);
    expect([...((z as HostTensor).data as Float32Array)]).toEqual(expected(x));
    expect(moved() - before).toBe(shares ? 0 : 16 * count);
    await executable.dispose();
  });

  it('are copied where they cover each other', async () => {
    const { opened } = await counted(id);
    const executable = await loadOn(reluGraph(), opened);
    const x = randomTensor(2, [count]);
    const wanted = expected(x);
    const [y] = await executable.run([x], { into: [x] });
    expect([...((y as HostTensor).data as Float32Array)]).toEqual(wanted);
    await executable.dispose();
  });

  it('may lie at any element of a larger array', async () => {
    const { opened } = await counted(id);
    const executable = await loadOn(reluGraph(), opened);
    const source = randomTensor(3, [count + 3]).data as Float32Array;
    const x: HostTensor = { dtype: 'f32', shape: [count], data: source.subarray(3) };
    const whole = new Float32Array(count + 2).fill(7);
    const data = whole.subarray(1, count + 1);
    const into: HostTensor = { dtype: 'f32', shape: [count], data };
    await executable.run([x], { into: [into] });
    expect([...(into.data as Float32Array)]).toEqual(expected(x));
    expect([whole[0], whole[count + 1]]).toEqual([7, 7]);
    await executable.dispose();
  });

  it('hold nothing of a failed run', async () => {
    const { opened } = await counted(id);
    const i = core.input('i', { dtype: 'i64', shape: [count] });
    const x = core.input('x', { dtype: 'f32', shape: [4] });
    const executable = await loadOn(core.graphOf([x, i], [core.gather(x, i, 0)]), opened);
    const indices = new BigInt64Array(count).fill(1n);
    indices[count - 1] = 9n;
    const into = core.hostTensor('f32', [count], new Float32Array(count));
    const run = executable.run([randomTensor(4, [4]), core.hostTensor('i64', [count], indices)], {
      into: [into],
    });
    await expect(run).rejects.toThrow('OC-RUN-03');
    expect((into.data as Float32Array).every((value) => value === 0)).toBe(true);
    await executable.dispose();
  });
});
