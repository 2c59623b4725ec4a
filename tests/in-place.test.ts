/** Results in the memory of values that die: answers, what is copied, what a donation means. */
import { compile, type HostTensor, load, type OpenDevice, openDevice } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { readResident, releaseResident, uploadResident } from '@open-claw/core/internal';
import { describe, expect, it } from 'vitest';
import { useDevices } from './devices.js';
import { randomTensor } from './programs.js';

const ids = await useDevices();

interface Counted {
  readonly opened: OpenDevice;
  readonly counts: { copy: number; launch: number };
}

/** The device, with the commands counted. */
async function counted(id: string): Promise<Counted> {
  const opened = await openDevice(id);
  const counts = { copy: 0, launch: 0 };
  const device = new Proxy(opened.device, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        if (name === 'submit') {
          for (const { kind } of args[0] as readonly { kind: string }[]) {
            if (kind === 'copy' || kind === 'launch') counts[kind]++;
          }
        }
        return member.apply(target, args);
      };
    },
  });
  return { opened: { ...opened, device }, counts };
}

type Options = Parameters<typeof compile>[3];
const loadOn = (graph: core.Graph, opened: OpenDevice, options?: Options) =>
  load(compile(graph, opened.target, opened.plugin.language, options), opened);

const numbers = (tensor: HostTensor | undefined): number[] => [
  ...((tensor as HostTensor).data as Float32Array),
];
const offset = (at: number): HostTensor => core.hostTensor('i64', [2], [BigInt(at), 0n]);

/** A cache of 64 rows that gets one more row, and a sum over it. */
function cacheGraph(): core.Graph {
  const cache = core.input('cache', { dtype: 'f32', shape: [64, 8] });
  const row = core.input('row', { dtype: 'f32', shape: [1, 8] });
  const at = core.input('at', { dtype: 'i64', shape: [2] });
  const next = core.update(cache, core.multiply(row, 2), at);
  return core.graphOf([cache, row, at], [next, core.reduce('sum', next, [0])]);
}

/** A running state: many rows are written, one per iteration, and a counter goes along. */
function loopGraph(trip: number): core.Graph {
  const start = core.input('start', { dtype: 'f32', shape: [trip, 4] });
  const scale = core.input('scale', { dtype: 'f32', shape: [1, 4] });
  const first = core.constant(core.hostTensor('i64', [2], [0n, 0n]));
  const one = core.constant(core.hostTensor('i64', [2], [1n, 0n]));
  const made = core.loop({
    trip,
    carried: [start, first],
    invariants: [scale, one],
    body: ([state, at], [factor, step]) => ({
      carried: [
        core.update(state as core.Node, core.exp(factor as core.Node), at as core.Node),
        core.add(at as core.Node, step as core.Node),
      ],
    }),
  });
  return core.graphOf([start, scale], [made[0] as core.Node]);
}

describe.each(ids)('in place on %s', (id) => {
  it('a donated cache grows where it lies', async () => {
    const { opened, counts } = await counted(id);
    const executable = await loadOn(cacheGraph(), opened);
    const start = randomTensor(1, [64, 8]);
    const wanted = Float32Array.from(start.data as Float32Array);
    let cache = await uploadResident(opened, start);
    const { memory } = cache;
    for (let i = 0; i < 5; i++) {
      const row = randomTensor(i + 2, [1, 8]);
      wanted.set(
        numbers(row).map((value) => value * 2),
        8 * i,
      );
      const others = [await uploadResident(opened, row), await uploadResident(opened, offset(i))];
      const results = await executable.runResident([cache, ...others], { donate: [0, 1, 2] });
      cache = results[0] as typeof cache;
      releaseResident(results[1] as typeof cache);
    }
    expect(cache.memory).toBe(memory);
    expect(counts.copy).toBe(0);
    expect(numbers(await readResident(cache))).toEqual([...wanted]);
    releaseResident(cache);
    await executable.dispose();
  });

  it('a cache that is kept stays as it was', async () => {
    const { opened } = await counted(id);
    const executable = await loadOn(cacheGraph(), opened);
    const start = randomTensor(1, [64, 8]);
    const cache = await uploadResident(opened, start);
    const row = await uploadResident(opened, randomTensor(2, [1, 8]));
    const at = await uploadResident(opened, offset(3));
    const [next, sum] = await executable.runResident([cache, row, at]);
    expect(numbers(await readResident(cache))).toEqual(numbers(start));
    const changed = numbers(await readResident(next as typeof cache));
    expect(changed.slice(24, 32)).toEqual(numbers(randomTensor(2, [1, 8])).map((v) => v * 2));
    for (const value of [next, sum, cache, row, at]) releaseResident(value as typeof cache);
    await executable.dispose();
  });

  it('a value that is given twice is not written over', async () => {
    const { opened } = await counted(id);
    const [a, b] = ['a', 'b'].map((name) => core.input(name, { dtype: 'f32', shape: [2, 4] }));
    const at = core.constant(offset(0));
    const piece = core.slice(b as core.Node, { starts: [1, 0], sizes: [1, 4], steps: [1, 1] });
    const next = core.update(a as core.Node, piece, at);
    const graph = core.graphOf([a, b] as core.Node[], [next, core.add(next, b as core.Node)]);
    const executable = await loadOn(graph, opened);
    const x = randomTensor(5, [2, 4]);
    const value = await uploadResident(opened, x);
    const [made, sum] = await executable.runResident([value, value], { donate: [0, 1] });
    const rows = [...numbers(x).slice(4), ...numbers(x).slice(4)];
    expect(numbers(await readResident(made as typeof value))).toEqual(rows);
    const total = rows.map((v, i) => Math.fround(v + (numbers(x)[i] as number)));
    expect(numbers(await readResident(sum as typeof value))).toEqual(total);
    for (const each of [made, sum]) releaseResident(each as typeof value);
    await executable.dispose();
  });

  it('a loop copies its state once, not at each iteration', async () => {
    const { opened, counts } = await counted(id);
    const executable = await loadOn(loopGraph(40), opened);
    const inputs = [randomTensor(1, [40, 4]), randomTensor(2, [1, 4])];
    const [made] = await executable.run(inputs);
    expect(counts.copy).toBeLessThanOrEqual(2);
    const [wanted] = core.interpret(loopGraph(40), inputs);
    numbers(made).forEach((value, i) => {
      expect(value).toBeCloseTo(numbers(wanted)[i] as number, 5);
    });
    await executable.dispose();
  });

  it('optimizer state that is donated is renewed where it lies', async () => {
    const { opened, counts } = await counted(id);
    const [w, g] = ['w', 'g'].map((name) => core.input(name, { dtype: 'f32', shape: [100] }));
    const next = core.subtract(w as core.Node, core.multiply(g as core.Node, 0.5));
    const graph = core.graphOf([w, g] as core.Node[], [next]);
    const executable = await loadOn(graph, opened, { donate: [0] });
    const [x, y] = [randomTensor(1, [100]), randomTensor(2, [100])];
    const state = await uploadResident(opened, x);
    const gradient = await uploadResident(opened, y);
    const [made] = await executable.runResident([state, gradient], { donate: [0] });
    expect((made as typeof state).memory).toBe(state.memory);
    expect(counts.copy).toBe(0);
    const wanted = numbers(x).map((v, i) => Math.fround(v - (numbers(y)[i] as number) * 0.5));
    expect(numbers(await readResident(made as typeof state))).toEqual(wanted);
    const again = await executable.run([x, y]);
    expect(numbers(again[0])).toEqual(wanted);
    expect(numbers(x)).toEqual(numbers(randomTensor(1, [100])));
    for (const each of [made, gradient]) releaseResident(each as typeof state);
    await executable.dispose();
  });
});
