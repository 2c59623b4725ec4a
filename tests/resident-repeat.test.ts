/** Runs on values of the device in any order of calls: the answers of runs that know no others. */
import { closeDevices, compile, type HostTensor, load, openDevice } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import {
  type Resident,
  readResident,
  releaseResident,
  uploadResident,
} from '@open-claw/core/internal';
import { afterAll, describe, expect, it } from 'vitest';
import { codeOf } from '../packages/openclaw/src/testing/codes.js';
import { useDevices } from './devices.js';
import { randomTensor } from './programs.js';

const ids = await useDevices();
afterAll(closeDevices);

const [rows, width] = [6, 8];

/** [state, x, at] → [state with a row written over, a product, x picked by at; fails outside]. */
function graphOf(fails: boolean): core.Graph {
  const count = core.expressions.variable('n');
  const state = core.input('state', { dtype: 'f32', shape: [rows, width] });
  const x = core.input('x', { dtype: 'f32', shape: [count, width] });
  const at = core.input('at', { dtype: 'i64', shape: [1] });
  const first = core.constant(core.hostTensor('i64', [2], [1n, 0n]));
  const row = core.multiply(core.reduce('sum', x, [0]), 0.5);
  const next = core.update(state, core.reshape(row, [1, width]), first);
  const product = core.matmul(x, core.permute(next, [1, 0]));
  const picked = fails ? core.gather(state, at, 0) : core.cast(at, 'f32');
  return core.graphOf([state, x, at], [next, product, core.add(core.tanh(product), 1), picked]);
}

/** Numbers below `bound`, the same ones at every run of the tests. */
function seeded(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * bound);
  };
}

/** A value on the device, with what it has to be. */
interface Held {
  readonly resident: Resident;
  readonly tensor: HostTensor;
}

describe.each(ids)('on %s', (id) => {
  const opening = openDevice(id);
  const programOf = async (fails: boolean) => {
    const opened = await opening;
    const graph = graphOf(fails);
    const program = compile(graph, opened.target, opened.plugin.language);
    return { opened, graph, executable: await load(program, opened) };
  };

  it.each([1, 2, 3, 4, 5, 6])('keeps what is held, sequence %i', async (seed) => {
    const { opened, graph, executable } = await programOf(seed % 2 === 0);
    const random = seeded(seed * 7919);
    const upload = async (tensor: HostTensor): Promise<Held> => {
      return { resident: await uploadResident(opened, tensor), tensor };
    };
    const states: Held[] = [];
    const fresh = async (): Promise<void> => {
      states.push(await upload(randomTensor(random(100), [rows, width])));
    };
    await fresh();
    const xs = await Promise.all(
      [1, 2, 2, 5].map((n) => upload(randomTensor(n + random(50), [n, width]))),
    );
    const places = await Promise.all(
      [0, 3, 99].map((place) => upload(core.hostTensor('i64', [1], [BigInt(place)]))),
    );
    let held: Held[] = [];
    const expectKept = async (): Promise<void> => {
      for (const { resident, tensor } of [...held, ...states]) {
        const { data, shape } = await readResident(resident);
        expect(shape).toEqual(tensor.shape);
        const wanted = tensor.data as Float32Array;
        (data as Float32Array).forEach((value, i) => {
          expect(Math.abs(value - (wanted[i] as number))).toBeLessThan(1e-4);
        });
      }
    };
    // Where the same call comes again and again, its state is given up or not each time.
    let [isStuck, gives] = [true, false];
    for (let step = 0; step < 64; step++) {
      if (step % 8 === 0) [isStuck, gives] = [random(3) > 0, random(2) === 0];
      const [stateAt, xAt, placeAt] = isStuck
        ? [0, 1, 1]
        : [random(states.length), random(xs.length), random(places.length)];
      const state = states[stateAt] as Held;
      const given = [state, xs[xAt] as Held, places[placeAt] as Held];
      const donates = isStuck ? gives : random(3) === 0;
      const inputs = given.map(({ resident }) => resident);
      const options = donates ? { donate: [0] } : {};
      const now = random(4) > 0 ? executable.runResidentNow(inputs, options) : undefined;
      const run = now ?? executable.runResident(inputs, options);
      if (donates) states.splice(stateAt, 1);
      const isWrong = seed % 2 === 0 && placeAt === 2;
      if (isWrong) expect(await codeOf(Promise.resolve(run))).toBe('OC-RUN-03');
      else {
        const expected = core.interpret(
          graph,
          given.map(({ tensor }) => tensor),
        );
        const results = (await run) as readonly Resident[];
        const made = results.map((resident, i): Held => {
          return { resident, tensor: expected[i] as HostTensor };
        });
        if (isStuck ? gives : random(3) === 0) states.unshift(made.shift() as Held);
        held.push(...made);
      }
      if (states.length === 0) await fresh();
      if (random(3) === 0) await expectKept();
      // What is released is in no later list.
      const stays = isStuck ? 0 : random(3);
      for (const { resident } of held.slice(stays)) releaseResident(resident);
      held = held.slice(0, stays);
      while (states.length > 3) releaseResident((states.pop() as Held).resident);
    }
    await expectKept();
    for (const { resident } of [...held, ...states, ...xs, ...places]) releaseResident(resident);
    await executable.dispose();
    expect(executable.runResidentNow([])).toBe(undefined);
  });

  it('is called at once where the device can, and again after a failure', async () => {
    const { opened, executable } = await programOf(true);
    const values = await Promise.all(
      [
        randomTensor(1, [rows, width]),
        randomTensor(2, [2, width]),
        core.hostTensor('i64', [1], [2n]),
      ].map((tensor) => uploadResident(opened, tensor)),
    );
    const run = async (): Promise<boolean> => {
      const now = executable.runResidentNow(values);
      const results = (now ?? (await executable.runResident(values))) as readonly Resident[];
      for (const each of results) releaseResident(each);
      return now !== undefined;
    };
    const calls = async (): Promise<number> => {
      let count = 0;
      for (let i = 0; i < 20; i++) if (await run()) count++;
      return count;
    };
    const able = opened.device.call !== undefined;
    expect((await calls()) > 0).toBe(able);
    const at = values[2] as Resident;
    const place = (value: bigint): Promise<void> =>
      opened.device.write(at.memory, 0, new Uint8Array(BigInt64Array.of(value).buffer));
    await place(50n);
    expect(await codeOf((async () => run())())).toBe('OC-RUN-03');
    expect(await codeOf((async () => run())())).toBe('OC-RUN-03');
    await place(2n);
    expect((await calls()) > 0).toBe(able);
    const limits = { timeLimit: 60_000 };
    expect(executable.runResidentNow(values, limits)).toBe(undefined);
    const aborted = { signal: AbortSignal.abort() };
    expect(await codeOf(executable.runResident(values, aborted))).toBe('OC-DEVICE-05');
    expect((await calls()) > 0).toBe(able);
    for (const each of values) releaseResident(each);
    await executable.dispose();
  });
});
