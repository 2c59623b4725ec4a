/** Arrays of the host that kernels see by windows: the same bits as from copies of them. */
import {
  compile,
  type Device,
  type HostTensor,
  hostTensor,
  type LoadedExecutable,
  load,
} from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { describe, expect, it } from 'vitest';
import { wasmDevice } from './src/index.js';

const f32 = (name: string, ...shape: core.Size[]) => core.input(name, { dtype: 'f32', shape });
const n = core.expressions.variable('n');

/** Programs with the sizes of their inputs, and how many of their arrays have windows. */
const cases: Readonly<
  Record<
    string,
    {
      readonly inputs: readonly core.Node[];
      readonly make: (...x: core.Node[]) => readonly core.Node[];
      readonly size?: number;
      readonly lent: number;
    }
  >
> = {
  'a line with a tail': {
    inputs: [f32('x', 100_003)],
    make: (x) => [core.add(core.multiply(x!, 2), 1)],
    lent: 2,
  },
  'the first part of a line': {
    inputs: [f32('x', 200_000)],
    make: (x) => [core.add(core.sliceAxis(x!, 0, 0, 100_003), 1)],
    lent: 2,
  },
  'the first rows of a number that is not known': {
    inputs: [f32('x', n, 130)],
    make: (x) => [core.sum(core.sliceAxis(x!, 0, 0, 500), [1])],
    size: 911,
    lent: 1,
  },
  'two lines and results of two types': {
    inputs: [f32('x', 270_000), f32('y', 270_000)],
    make: (x, y) => [core.multiply(x!, y!), core.cast(core.less(x!, y!), 'u8')],
    lent: 4,
  },
  'rows and what is the same for all': {
    inputs: [f32('x', 300, 257), f32('y', 257)],
    make: (x, y) => [core.softmax(core.add(x!, y!))],
    lent: 2,
  },
  'rows of a number that is not known': {
    inputs: [f32('x', n, 130)],
    make: (x) => [core.softmax(x!)],
    size: 911,
    lent: 2,
  },
  'rows of a length that is not known': {
    inputs: [f32('x', 700, n)],
    make: (x) => [core.softmax(x!)],
    size: 130,
    lent: 2,
  },
  'sums of rows': { inputs: [f32('x', 70_000, 3)], make: (x) => [core.sum(x!, [1])], lent: 2 },
  'the sum of a line': { inputs: [f32('x', 600_000)], make: (x) => [core.sum(x!, [0])], lent: 1 },
  'prefix sums of rows': {
    inputs: [f32('x', 700, 130)],
    make: (x) => [core.cumulate('sum', x!, 1)],
    lent: 2,
  },
  'an input of two kernels': {
    inputs: [f32('x', 300_000)],
    make: (x) => [core.add(x!, core.sum(x!, [0])), core.multiply(x!, 3)],
    lent: 3,
  },
  'rows in another order': {
    inputs: [f32('x', 300, 280)],
    make: (x) => [core.permute(x!, [1, 0]), core.flip(x!, [0])],
    lent: 2,
  },
  'a product': {
    inputs: [f32('x', 256, 200), f32('y', 200, 256)],
    make: (x, y) => [core.matmul(x!, y!)],
    lent: 0,
  },
};

const random = (seed: number, shape: readonly number[]): HostTensor =>
  hostTensor(
    'f32',
    shape,
    Float32Array.from({ length: core.elementCount(shape) }, (_, i) => ((i * seed) % 1009) / 64 - 7),
  );

/** A device that counts what it is lent, or takes nothing. */
function observed(device: Device, takes: boolean) {
  const seen = { count: 0 };
  const lend = (bytes: Uint8Array) => {
    const memory = device.lend?.(bytes);
    if (memory !== undefined) seen.count += 1;
    return memory;
  };
  const of: Device = Object.create(device, { lend: { value: takes ? lend : undefined } });
  return { device: of, seen };
}

describe.each([1, 3])('by %i threads', (threads) => {
  it.each(Object.keys(cases))('%s', async (name) => {
    const { inputs, make, size: known = 0, lent } = cases[name] as (typeof cases)[string];
    const plugin = wasmDevice({ threads });
    const [found] = await plugin.probe();
    const { target } = found as { target: core.Target };
    const program = compile(core.graphOf(inputs, make(...inputs)), target, plugin.language);
    const plain = await plugin.open('wasm');
    const given = inputs.map(({ shape }, i) =>
      random(
        7 + i,
        shape.map((size) => (typeof size === 'number' ? size : known)),
      ),
    );
    const results: HostTensor[][] = [];
    const counts: number[] = [];
    for (const takes of [false, true]) {
      const { device, seen } = observed(plain, takes);
      const executable: LoadedExecutable = await load(program, {
        id: 'wasm',
        device,
        plugin,
        target,
      } as never);
      results.push(await executable.run(given));
      counts.push(seen.count);
      const into = await executable.run(given);
      results.push(await executable.run(given, { into }));
      await executable.dispose();
    }
    await plain.close();
    const [first, ...others] = results;
    const bits = (all: readonly HostTensor[] = []): Buffer[] =>
      all.map(({ data }) => Buffer.from((data as Float32Array).buffer));
    for (const other of others) {
      expect(bits(other).every((each, i) => each.equals(bits(first)[i] as Buffer))).toBe(true);
    }
    expect(counts).toEqual([0, lent]);
  });
});

describe('an array of the host', () => {
  it('leaves no window behind: all memory is one block again', async () => {
    const plugin = wasmDevice({ threads: 1 });
    const [found] = await plugin.probe();
    const { target } = found as { target: core.Target };
    const device = await plugin.open('wasm');
    const x = f32('x', 300, 1000);
    const program = compile(core.graphOf([x], [core.softmax(x)]), target, plugin.language);
    const freeBytes = async (): Promise<number> => (await device.status?.())?.freeBytes ?? 0;
    const before = await freeBytes();
    const executable = await load(program, { id: 'wasm', device, plugin, target } as never);
    const tensor = random(7, [300, 1000]);
    await executable.run([tensor]);
    const cut = { signal: AbortSignal.abort() };
    await expect(executable.run([tensor], cut)).rejects.toThrow('OC-DEVICE-05');
    await executable.dispose();
    expect(before - (await freeBytes())).toBeLessThan(2 ** 16);
    await device.close();
  });

  it('that is given for two results holds the last one', async () => {
    const plugin = wasmDevice({ threads: 1 });
    const [found] = await plugin.probe();
    const { target } = found as { target: core.Target };
    const device = await plugin.open('wasm');
    const size = 100_000;
    const x = f32('x', size);
    const graph = core.graphOf([x], [core.cumulate('sum', x, 0), core.add(x, 1)]);
    const program = compile(graph, target, plugin.language);
    const executable = await load(program, { id: 'wasm', device, plugin, target } as never);
    const ones = hostTensor('f32', [size], new Float32Array(size).fill(1));
    const into = hostTensor('f32', [size], new Float32Array(size));
    await executable.run([ones], { into: [into, into] });
    expect((into.data as Float32Array).every((value) => value === 2)).toBe(true);
    await executable.dispose();
    await device.close();
  });

  it('is refused where a kernel has no window of it, and everywhere else', async () => {
    const device = await wasmDevice({ threads: 1 }).open('wasm');
    const memory = device.lend?.(new Uint8Array(4096)) as { bytes: number };
    const reason = 'an array of the host';
    await expect(device.read(memory, 0, new Uint8Array(8))).rejects.toThrow(reason);
    await expect(device.write(memory, 0, new Uint8Array(8))).rejects.toThrow(reason);
    device.free(memory);
    await expect(device.read(memory, 0, new Uint8Array(8))).rejects.toThrow('freed');
    await device.close();
  });
});
