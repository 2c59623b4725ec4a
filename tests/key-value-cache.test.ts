/**
 * A step of decoding: one new key and value go into caches that are donated, then one query sees
 * what is there. Nothing is copied or allocated that grows with the caches.
 */
import { closeDevices, compile, type HostTensor, load, openDevice } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import {
  type Resident,
  readResident,
  releaseResident,
  uploadResident,
} from '@open-claw/core/internal';
import { afterAll, describe, expect, it } from 'vitest';
import { useDevices } from './devices.js';
import { randomTensor } from './programs.js';

// The pretend chip opens attention into its body.
const ids = (await useDevices()).filter((id) => !id.startsWith('template'));

afterAll(closeDevices);

const [heads, depth] = [3, 16];

/** [queries, new key, new value, keys, values, place] → [result, keys, values]. */
function stepGraph(length: number): core.Graph {
  const f32 = (name: string, rows: number): core.Node =>
    core.input(name, { dtype: 'f32', shape: [1, heads, rows, depth] });
  const [q, k, v] = [f32('q', 1), f32('k', 1), f32('v', 1)];
  const [keys, values] = [f32('keys', length), f32('values', length)];
  const at = core.input('at', { dtype: 'i64', shape: [] });
  const zero = core.constant(core.hostTensor('i64', [1], [0n]));
  const place = core.concat([zero, zero, core.reshape(at, [1]), zero], 0);
  const [nextKeys, nextValues] = [core.update(keys, k, place), core.update(values, v, place)];
  const y = core.attention(q, nextKeys, nextValues, { causal: true, causalOffset: at });
  return core.graphOf([q, k, v, keys, values, at], [y, nextKeys, nextValues]);
}

const row = (seed: number): HostTensor => randomTensor(seed, [1, heads, 1, depth]);
const number = (at: number): HostTensor => core.hostTensor('i64', [], [BigInt(at)]);

interface Counts {
  copies: number;
  launches: number;
  bytes: number;
}

/** Decodes four tokens; what one step took on the device, after the first. */
async function decode(id: string, length: number): Promise<Counts> {
  const opened = await openDevice(id);
  const counts: Counts = { copies: 0, launches: 0, bytes: 0 };
  const device = new Proxy(opened.device, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        if (name === 'allocate') counts.bytes += args[0] as number;
        if (name === 'submit') {
          for (const { kind } of args[0] as readonly { kind: string }[]) {
            if (kind === 'copy') counts.copies++;
            if (kind === 'launch') counts.launches++;
          }
        }
        return member.apply(target, args);
      };
    },
  });
  const watched = { ...opened, device };
  const graph = stepGraph(length);
  const program = compile(graph, opened.target, opened.plugin.language);
  const executable = await load(program, watched);
  const empty = core.hostTensor(
    'f32',
    [1, heads, length, depth],
    Array(heads * length * depth).fill(0),
  );
  let expected: readonly HostTensor[] = [empty, empty, empty];
  let caches = [await uploadResident(watched, empty), await uploadResident(watched, empty)];
  const memories = caches.map(({ memory }) => memory);
  const steps: Counts[] = [];
  for (let token = 0; token < 4; token++) {
    const given = [row(3 * token + 1), row(3 * token + 2), row(3 * token + 3)];
    const at = number(token);
    const fresh = await Promise.all([...given, at].map((x) => uploadResident(watched, x)));
    Object.assign(counts, { copies: 0, launches: 0, bytes: 0 });
    const inputs = [...fresh.slice(0, 3), ...caches, ...fresh.slice(3)];
    const results = await executable.runResident(inputs, { donate: [3, 4] });
    steps.push({ ...counts });
    expected = core.interpret(graph, [...given, ...expected.slice(1), at]);
    const [y, ...next] = results as [Resident, ...Resident[]];
    const have = [...((await readResident(y)).data as Float32Array)];
    [...((expected[0] as HostTensor).data as Float32Array)].forEach((want, i) => {
      expect(Math.abs((have[i] as number) - want)).toBeLessThan(1e-5);
    });
    caches = next;
    expect(caches.map(({ memory }) => memory)).toEqual(memories);
    for (const value of [y, ...fresh]) releaseResident(value);
  }
  for (const cache of caches) releaseResident(cache);
  await executable.dispose();
  return steps.at(-1) as Counts;
}

describe.each(ids)('a step of decoding on %s', (id) => {
  it('writes into the caches and moves nothing that grows with them', async () => {
    const [short, long] = [await decode(id, 32), await decode(id, 1024)];
    expect(long).toEqual(short);
    expect(short.copies).toBe(0);
    expect(short.bytes).toBeLessThan(4096);
  });
});
