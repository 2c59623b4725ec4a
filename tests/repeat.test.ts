/** Runs with the same arrays again and again: the same answers as runs with new ones. */
import { closeDevices, compile, type HostTensor, load, openDevice } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { afterAll, describe, expect, it } from 'vitest';
import { useDevices } from './devices.js';

const ids = (await useDevices()).filter((id) => id === 'native' || id.startsWith('wasm'));

afterAll(closeDevices);

const size = 20000;
const [rows, columns] = [300, 80];

/** Long and short inputs and results, and a constant. */
function graphOf(): core.Graph {
  const f32 = (name: string, shape: readonly number[]): core.Node =>
    core.input(name, { dtype: 'f32', shape });
  const [x, y, z] = [f32('x', [size]), f32('y', [4]), f32('z', [rows, columns])] as const;
  const weight = core.constant(
    core.hostTensor(
      'f32',
      [columns, rows],
      Float32Array.from({ length: rows * columns }, (_, i) => (i % 7) - 3),
    ),
  );
  const total = core.sum(x, [0]);
  const outputs = [core.multiply(x, 2), core.add(y, total), core.matmul(z, weight), y];
  return core.graphOf([x, y, z], outputs);
}

const random = (seed: number, shape: readonly number[]): HostTensor =>
  core.hostTensor(
    'f32',
    shape,
    Float32Array.from({ length: core.elementCount(shape) }, (_, i) => ((i * seed) % 11) - 5),
  );
const inputsOf = (seed: number): HostTensor[] => [
  random(seed, [size]),
  random(seed + 1, [4]),
  random(seed + 2, [rows, columns]),
];
const numbers = (tensor: HostTensor | undefined): number[] =>
  Array.from((tensor as HostTensor).data as Float32Array);

describe.each(ids)('on %s', (id) => {
  it('runs where memory is enough for a run, but not for a recording of it', async () => {
    const opened = await openDevice(id);
    const x = core.input('x', { dtype: 'f32', shape: [size] });
    const graph = core.graphOf([x], [core.multiply(x, 2), core.add(x, 1)]);
    const program = compile(graph, opened.target, opened.plugin.language);
    const executable = await load(program, opened, { memoryLimit: 10 * size });
    const input = random(3, [size]);
    for (let run = 0; run < 3; run++) {
      const [doubled] = await executable.run([input]);
      expect(numbers(doubled)).toEqual(numbers(core.interpret(graph, [input])[0]));
    }
    await executable.dispose();
  });

  it('sees what the arrays hold at each call, and other arrays', async () => {
    const opened = await openDevice(id);
    const graph = graphOf();
    const executable = await load(compile(graph, opened.target, opened.plugin.language), opened);
    const expectRight = (results: readonly HostTensor[], inputs: readonly HostTensor[]): void => {
      const expected = core.interpret(graph, [...inputs]);
      results.forEach((result, i) => {
        expect(result.shape).toEqual(expected[i]?.shape);
        expect(numbers(result)).toEqual(numbers(expected[i]));
      });
    };
    const inputs = inputsOf(3);
    let into = await executable.run(inputs);
    expectRight(into, inputs);
    const first = into.map(({ data }) => data);
    for (let run = 0; run < 6; run++) {
      for (const [i, fresh] of inputsOf(run + 4).entries()) {
        (inputs[i]!.data as Float32Array).set(fresh.data as Float32Array);
      }
      into = await executable.run(inputs, { into });
      expectRight(into, inputs);
      for (const [i, { data }] of into.entries()) expect(data).toBe(first[i]);
    }
    const others = inputsOf(20);
    expectRight(await executable.run(others), others);
    expectRight(await executable.run(inputs, { into }), inputs);
    // Another input among the same ones, and a result that lies in an input.
    const mixed = [inputs[0], others[1], inputs[2]] as HostTensor[];
    for (let run = 0; run < 4; run++) {
      expectRight(await executable.run(mixed, { into }), mixed);
    }
    const over = [inputs[0], ...into.slice(1)] as HostTensor[];
    const before = inputs.map((tensor) => ({ ...tensor, data: tensor.data.slice() }) as HostTensor);
    for (let run = 0; run < 4; run++) {
      (inputs[0]!.data as Float32Array).set(before[0]!.data as Float32Array);
      expectRight(await executable.run(inputs, { into: over }), before);
    }
    await executable.dispose();
  });

  it.each([1, 2, 3, 4])('gives what runs with new arrays give, sequence %i', async (seed) => {
    const opened = await openDevice(id);
    const graph = graphOf();
    const executable = await load(compile(graph, opened.target, opened.plugin.language), opened);
    let state = seed * 7919;
    const below = (bound: number): number => {
      state = (state * 1103515245 + 12345) % 2 ** 31;
      return Math.floor((state / 2 ** 31) * bound);
    };
    const sets = [inputsOf(3), inputsOf(4)];
    let intos: (HostTensor | undefined)[][] = [];
    let held: { readonly results: readonly HostTensor[]; readonly wanted: number[][] }[] = [];
    let [set, into]: [HostTensor[], (HostTensor | undefined)[]] = [sets[0]!, []];
    for (let step = 0; step < 40; step++) {
      // Mostly the same call again, with other numbers.
      if (below(5) === 0) set = below(3) > 0 ? sets[below(2)]! : inputsOf(below(20));
      if (below(5) === 0) into = below(3) > 0 ? (intos[below(intos.length)] ?? []) : [];
      (set[below(3)]!.data as Float32Array)[below(4)] = below(9);
      const wanted = core.interpret(graph, set).map(numbers);
      const isLimited = below(8) === 0;
      const options = isLimited ? { into, timeLimit: 60_000 } : { into };
      const results = await executable.run(set, options);
      expect(results.map(numbers)).toEqual(wanted);
      // What was given for these results may hold what later ones are.
      held = held.filter((each) => !each.results.some((x, i) => x.data === results[i]?.data));
      for (const each of held) expect(each.results.map(numbers)).toEqual(each.wanted);
      held = [...held.slice(-2), { results, wanted }];
      intos = [...intos.slice(-2), results];
      if (into.length === 0 && below(2) === 0) into = results;
    }
    await executable.dispose();
  });

  it('works on arrays that the device uses where they lie', async () => {
    const length = 40_000;
    const opened = await openDevice(id);
    const x = core.input('x', { dtype: 'f32', shape: [length] });
    const graph = core.graphOf([x], [core.multiply(x, 2)]);
    const executable = await load(compile(graph, opened.target, opened.plugin.language), opened);
    const inputs = [random(3, [length])];
    let into = await executable.run(inputs);
    // In less time than timers may wait for their turn: some are at once.
    for (let run = 0; run < 40; run++) {
      (inputs[0]!.data as Float32Array).fill(run);
      into = await executable.run(inputs, { into });
      const { data } = into[0] as HostTensor;
      expect([data[0], data[length - 1]]).toEqual([2 * run, 2 * run]);
    }
    expect(numbers(into[0])).toEqual(Array(length).fill(78));
    await executable.dispose();
  });

  it('refuses an array that was transferred', async () => {
    const opened = await openDevice(id);
    const graph = graphOf();
    const executable = await load(compile(graph, opened.target, opened.plugin.language), opened);
    const inputs = inputsOf(5);
    let into = await executable.run(inputs);
    for (let run = 0; run < 4; run++) into = await executable.run(inputs, { into });
    const { buffer } = inputs[0]!.data as Float32Array<ArrayBuffer>;
    structuredClone(buffer, { transfer: [buffer] });
    await expect(executable.run(inputs, { into })).rejects.toThrow(/OC-RUN-07/);
    const { buffer: wanted } = into[0]!.data as Float32Array<ArrayBuffer>;
    structuredClone(wanted, { transfer: [wanted] });
    await expect(executable.run(inputsOf(5), { into })).rejects.toThrow(/OC-RUN-09/);
    const fresh = inputsOf(9);
    const results = await executable.run(fresh);
    expect(numbers(results[0])).toEqual(numbers(core.interpret(graph, fresh)[0]));
    await executable.dispose();
  });
});
