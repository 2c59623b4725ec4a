/** How a loaded program behaves when things go wrong, repeat, or change size. */
import {
  check,
  compile,
  type Executable,
  type HostTensor,
  interpreterExecutable,
  type LoadOptions,
  load,
  type OpenDevice,
} from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { templateDevice } from '@open-claw/device-template';
import { describe, expect, it } from 'vitest';
import { randomTensor, smallPrograms } from './programs.js';

type Facts = Partial<OpenDevice['target']>;

async function openTemplate(facts: Facts = {}): Promise<OpenDevice> {
  const plugin = templateDevice();
  const [found] = await plugin.probe();
  if (found === undefined || 'reason' in found) throw new Error('no pretend chip');
  const target = { ...found.target, ...facts };
  const device = await plugin.open(found.id);
  return { id: found.id, plugin, found, target, evidence: 'stub', device };
}

async function loadOn(
  opened: OpenDevice,
  graph: core.Graph,
  options: LoadOptions = {},
): Promise<Executable> {
  return load(compile(graph, opened.target, opened.plugin.language), opened, options);
}

const input = (name: string, dtype: core.DType, ...shape: core.Size[]): core.Node =>
  core.input(name, { dtype, shape });
const i64 = (...values: readonly number[]): HostTensor =>
  core.hostTensor('i64', [values.length], values.map(BigInt));
const f32 = (...values: readonly number[]): HostTensor =>
  core.hostTensor('f32', [values.length], values);

function gatherGraph(): core.Graph {
  const [x, i] = [input('x', 'f32', 4), input('i', 'i64', 3)];
  return core.graphOf([x, i], [core.gather(x, i, 0)]);
}

/** A program that takes longer than a few milliseconds. */
function manyAdditions(): core.Graph {
  const x = input('x', 'f32', 400_000);
  let y = x;
  for (let i = 0; i < 60; i++) y = core.add(core.multiply(y, x), core.squareRoot(y));
  return core.graphOf([x], [y]);
}

describe('a failing run', () => {
  it('names the operator, and the next run is sound', async () => {
    const executable = await loadOn(await openTemplate(), gatherGraph());
    const x = f32(1, 2, 3, 4);
    await expect(executable.run([x, i64(0, 9, 1)])).rejects.toThrow(/OC-RUN-03.*gather/);
    const [y] = await executable.run([x, i64(3, 0, 1)]);
    expect([...(y as HostTensor).data]).toEqual([4, 1, 2]);
    await expect(executable.run([x, i64(0, -1, 1)])).rejects.toThrow('OC-RUN-03');
  });

  it('fails alone when two programs share a device', async () => {
    const opened = await openTemplate();
    const [slow, good] = await Promise.all([
      loadOn(opened, manyAdditions()),
      loadOn(opened, gatherGraph()),
    ]);
    const values = randomTensor(1, [400_000]);
    const results = await Promise.allSettled([
      slow.run([values], { timeLimit: 2 }),
      good.run([f32(1, 2, 3, 4), i64(3, 0, 1)]),
      slow.run([values], { timeLimit: 2 }),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected']);
  });

  it('does not touch the array that was to receive the output', async () => {
    const executable = await loadOn(await openTemplate(), gatherGraph());
    const into = f32(7, 7, 7);
    const run = executable.run([f32(1, 2, 3, 4), i64(0, 9, 1)], { into: [into] });
    await expect(run).rejects.toThrow('OC-RUN-03');
    expect([...into.data]).toEqual([7, 7, 7]);
  });

  it('writes a large one in place, and only where no task failed', async () => {
    const [x, indices] = [input('x', 'f32', 4), input('indices', 'i64', 20_000)];
    const graph = core.graphOf([x, indices], [core.gather(x, indices, 0)]);
    const executable = await loadOn(await openTemplate(), graph);
    const into = core.hostTensor('f32', [20_000], new Array<number>(20_000).fill(7));
    const at = (last: number): HostTensor =>
      i64(...Array.from({ length: 20_000 }, (_, i) => (i === 19_999 ? last : i % 4)));
    const values = f32(1, 2, 3, 4);
    await expect(executable.run([values, at(9)], { into: [into] })).rejects.toThrow('OC-RUN-03');
    expect(new Set(into.data as Float32Array)).toEqual(new Set([7]));
    const [y] = await executable.run([values, at(2)], { into: [into] });
    expect(y?.data).toBe(into.data);
    expect([...(into.data as Float32Array).slice(-3)]).toEqual([2, 3, 3]);
  });

  it('reports an integer division by zero', async () => {
    const [a, b] = [input('a', 'i32', 2), input('b', 'i32', 2)];
    const executable = await loadOn(
      await openTemplate(),
      core.graphOf([a, b], [core.divide(a, b)]),
    );
    const tensor = (...values: number[]): HostTensor => core.hostTensor('i32', [2], values);
    await expect(executable.run([tensor(1, 2), tensor(1, 0)])).rejects.toThrow(/OC-RUN-01.*divide/);
    const [y] = await executable.run([tensor(7, -7), tensor(2, 2)]);
    expect([...(y as HostTensor).data]).toEqual([3, -3]);
  });

  it('says which input is wrong', async () => {
    const executable = await loadOn(await openTemplate(), gatherGraph());
    await expect(executable.run([f32(1)])).rejects.toThrow(/OC-RUN-05.*1.*2/);
    await expect(executable.run([f32(1), i64(0, 1, 2)])).rejects.toThrow(/OC-RUN-07.*"x".*\[4\]/);
    await expect(executable.run([f32(1, 2, 3, 4), f32(1, 2, 3)])).rejects.toThrow(/OC-RUN-06.*"i"/);
  });

  it('stops at an abort and at a time limit', async () => {
    const executable = await loadOn(await openTemplate(), manyAdditions());
    const values = randomTensor(1, [400_000]);
    const stopped = new AbortController();
    stopped.abort();
    await expect(executable.run([values], { signal: stopped.signal })).rejects.toThrow(
      'OC-DEVICE-05',
    );
    await expect(executable.run([values], { timeLimit: 2 })).rejects.toThrow('OC-DEVICE-04');
    const later = new AbortController();
    const run = executable.run([values], { signal: later.signal });
    setTimeout(() => later.abort(), 5);
    await expect(run).rejects.toThrow('OC-DEVICE-05');
    await executable.run([values]);
  });

  it('is refused above the memory limit, before it allocates', async () => {
    const opened = await openTemplate();
    const x = input('x', 'f32', core.sizeSymbol());
    const graph = core.graphOf([x], [core.exp(x)]);
    const executable = await loadOn(opened, graph, { memoryLimit: 10_000 });
    await executable.run([randomTensor(1, [100])]);
    await expect(executable.run([randomTensor(1, [2000])])).rejects.toThrow(/OC-MEMORY-01.*10000/);
    await executable.run([randomTensor(1, [1000])]);
    expect(executable.peakBytes).toBeLessThanOrEqual(10_000);
  });
});

describe('many runs', () => {
  it('keep memory flat and answers equal', async () => {
    const opened = await openTemplate();
    const x = input('x', 'f32', 8, 16);
    const w = core.constant(randomTensor(2, [16, 16]));
    const graph = core.graphOf([x], [core.maximum(core.matmul(x, w), 0)]);
    const executable = await loadOn(opened, graph);
    const values = randomTensor(3, [8, 16]);
    const [first] = await executable.run([values]);
    const peak = executable.peakBytes;
    for (let i = 0; i < 1000; i++) {
      const [next] = await executable.run([values]);
      if (i % 100 === 0) expect(next).toEqual(first);
    }
    expect(executable.peakBytes).toBe(peak);
  });

  it('may overlap, with different sizes', async () => {
    const n = core.sizeSymbol();
    const x = input('x', 'f32', n, 4);
    const executable = await loadOn(
      await openTemplate(),
      core.graphOf([x], [core.reduce('sum', x, [0])]),
    );
    const sizes = [5, 1, 300, 7, 0, 64];
    const all = await Promise.all(sizes.map((size) => executable.run([ones(size)])));
    all.forEach(([sum], i) => {
      expect([...(sum as HostTensor).data]).toEqual(Array(4).fill(sizes[i]));
    });
  });

  it('write into the arrays that are given', async () => {
    const executable = await loadOn(await openTemplate(), gatherGraph());
    const into = f32(0, 0, 0);
    const [y] = await executable.run([f32(1, 2, 3, 4), i64(0, 1, 2)], { into: [into] });
    expect((y as HostTensor).data).toBe(into.data);
    expect([...into.data]).toEqual([1, 2, 3]);
    const short = executable.run([f32(1, 2, 3, 4), i64(0, 1, 2)], { into: [f32(0)] });
    await expect(short).rejects.toThrow('OC-RUN-09');
  });

  it('end with dispose, which frees everything', async () => {
    const opened = await openTemplate();
    let held = 0;
    const { device } = opened;
    const counted = new Map<object, number>();
    const allocate = device.allocate.bind(device);
    device.allocate = async (bytes) => {
      const memory = await allocate(bytes);
      counted.set(memory, bytes);
      held += bytes;
      return memory;
    };
    const free = device.free.bind(device);
    device.free = (handle) => {
      held -= counted.get(handle) ?? 0;
      counted.delete(handle);
      free(handle);
    };
    for (const { graph, inputs } of smallPrograms().filter(({ name }) => name === 'constants')) {
      const executable = await loadOn(opened, graph);
      await executable.run(inputs);
      expect(held).toBeGreaterThan(0);
      await executable.dispose();
      await expect(executable.run(inputs)).rejects.toThrow('OC-RUN-08');
    }
    expect(held).toBe(0);
  });
});

const ones = (rows: number): HostTensor =>
  core.hostTensor('f32', [rows, 4], Array(rows * 4).fill(1));

describe('compiling', () => {
  it('collects every refusal', async () => {
    const { target, plugin } = await openTemplate();
    const narrow = { ...target, storage: target.storage.filter((d) => !/^(f64|i16)$/.test(d)) };
    const x = input('x', 'f32', 4);
    const outputs = [core.cast(x, 'f64'), core.cast(x, 'i16'), core.exp(x)];
    const graph = core.graphOf([x], outputs);
    expect(check(graph, narrow, plugin.language).refusals).toHaveLength(2);
    expect(() => compile(graph, narrow, plugin.language)).toThrow(/OC-REFUSED-03.*2.*f64.*i16/);
  });

  it('refuses a kernel that stays too large', async () => {
    const { target, plugin } = await openTemplate();
    const emit = (): never => {
      throw core.tooLarge('shared memory', 2, 1);
    };
    const x = input('x', 'f32', 4);
    const graph = core.graphOf([x], [core.exp(x)]);
    expect(() => compile(graph, target, { ...plugin.language, emit })).toThrow('OC-REFUSED-02');
  });

  it('gives equal layers one kernel', async () => {
    const { target, plugin } = await openTemplate();
    let x = input('x', 'f32', 4, 16);
    const first = x;
    for (let i = 0; i < 50; i++) {
      const w = core.constant(randomTensor(i, [16, 16]));
      x = core.maximum(core.matmul(x, w), 0);
    }
    const program = compile(core.graphOf([first], [x]), target, plugin.language);
    expect(program.main.steps).toHaveLength(50);
    expect(program.source?.entries.length).toBeLessThan(4);
  });
});

describe('the reference', () => {
  it('runs behind the same interface', async () => {
    const executable = interpreterExecutable(gatherGraph());
    const [y] = await executable.run([f32(1, 2, 3, 4), i64(3, 0, 1)]);
    expect([...(y as HostTensor).data]).toEqual([4, 1, 2]);
    const stopped = new AbortController();
    stopped.abort();
    const run = executable.run([f32(1, 2, 3, 4), i64(3, 0, 1)], { signal: stopped.signal });
    await expect(run).rejects.toThrow('OC-DEVICE-05');
  });

  it('profiles name each launch', async () => {
    const executable = await loadOn(await openTemplate(), gatherGraph());
    const { outputs, steps } = await executable.profile([f32(1, 2, 3, 4), i64(3, 0, 1)]);
    expect([...(outputs[0] as HostTensor).data]).toEqual([4, 1, 2]);
    expect(steps.map(({ operator }) => operator)).toEqual(['gather']);
  });
});

describe('a target with few bindings and no shared buffers', () => {
  const facts: Facts = { maxBindings: 8, sharedBuffers: false, offsetAlignment: 256 };
  it.each(smallPrograms())('runs $name', async ({ graph, inputs }) => {
    const [plain, narrow] = [await openTemplate(), await openTemplate(facts)];
    const results = await Promise.all(
      [plain, narrow].map(async (opened) => (await loadOn(opened, graph)).run(inputs)),
    );
    expect(results[1]).toEqual(results[0]);
  });
});

describe('strings', () => {
  it('stay on the host, and what they decide goes to the device', async () => {
    const [a, b, x] = [input('a', 'string', 3), input('b', 'string', 3), input('x', 'f32', 3)];
    const graph = core.graphOf([a, b, x], [core.select(core.equal(a, b), x, core.negate(x)), a]);
    const executable = await loadOn(await openTemplate(), graph);
    const words = (...data: string[]): HostTensor => ({ dtype: 'string', shape: [3], data });
    const [y, same] = await executable.run([
      words('p', 'q', 'r'),
      words('p', 'x', 'r'),
      f32(1, 2, 3),
    ]);
    expect([...(y as HostTensor).data]).toEqual([1, -2, 3]);
    expect((same as HostTensor).data).toEqual(['p', 'q', 'r']);
  });
});
