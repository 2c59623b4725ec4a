/** Constants of programs that share a device: one copy by content and layout, freed in the end. */
import { compile, load, type OpenDevice, openDevice } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { describe, expect, it } from 'vitest';
import { useDevices } from './devices.js';
import { difference } from './fuzz.js';
import { randomTensor } from './programs.js';

const ids = await useDevices();

interface Counted {
  readonly opened: OpenDevice;
  readonly held: () => number;
  readonly written: () => number;
}

/** The device with its allocations and writes counted, and a store of its own. */
async function counted(id: string): Promise<Counted> {
  const opened = await openDevice(id);
  const live = new Map<unknown, number>();
  let written = 0;
  const device = new Proxy(opened.device, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        if (name === 'write') written += (args[2] as Uint8Array).byteLength;
        if (name === 'free') live.delete(args[0]);
        const made: unknown = member.apply(target, args);
        if (name !== 'allocate') return made;
        return (made as Promise<unknown>).then((memory) => {
          live.set(memory, args[0] as number);
          return memory;
        });
      };
    },
  });
  const held = (): number => [...live.values()].reduce((total, bytes) => total + bytes, 0);
  return { opened: { ...opened, device }, held, written: () => written };
}

/** Two layers with weights of 64 KiB and more; the weights are new arrays with every call. */
function layers(rows: number): core.Graph {
  const x = core.input('x', { dtype: 'f32', shape: [rows, 128] });
  const [a, b] = [1, 2].map((seed) => core.constant(randomTensor(seed, [128, 128])));
  const bias = core.constant(randomTensor(3, [128]));
  const hidden = core.maximum(core.add(core.matmul(x, a as core.Node), bias), 0);
  return core.graphOf([x], [core.matmul(hidden, b as core.Node)]);
}

const loadOn = (graph: core.Graph, opened: OpenDevice) =>
  load(compile(graph, opened.target, opened.plugin.language), opened);

describe.each(ids)('constants on %s', (id) => {
  it('are shared by programs and freed with the last', async () => {
    const { opened, held, written } = await counted(id);
    const first = await loadOn(layers(16), opened);
    const [bytes, uploaded] = [held(), written()];
    const second = await loadOn(layers(32), opened);
    // A status word at most.
    expect(held() - bytes).toBeLessThanOrEqual(4);
    expect(written() - uploaded).toBeLessThanOrEqual(4);
    const x = randomTensor(5, [16, 128]);
    const [wanted] = await first.run([x]);
    await first.dispose();
    const twice = core.hostTensor(
      'f32',
      [32, 128],
      [...(x.data as Float32Array), ...(x.data as Float32Array)],
    );
    const [both] = await second.run([twice]);
    const data = wanted?.data ?? [];
    [...(both?.data ?? [])].forEach((value, i) => {
      expect(Math.abs(Number(value) - Number(data[i % data.length]))).toBeLessThan(1e-3);
    });
    await second.dispose();
    expect(held()).toBe(0);
  });

  it('are one by content only where every byte is equal', async () => {
    const { opened, held } = await counted(id);
    const values = randomTensor(7, [300, 300]);
    const others = { ...values, data: values.data.slice() as Float32Array };
    others.data[77_777] = 12;
    const x = core.input('x', { dtype: 'f32', shape: [300, 300] });
    const graph = core.graphOf(
      [x],
      [core.add(x, core.constant(values)), core.multiply(x, core.constant(others))],
    );
    const executable = await loadOn(graph, opened);
    const ones = core.hostTensor('f32', [300, 300], new Float32Array(90_000).fill(1));
    const [, product] = await executable.run([ones]);
    expect([...(product?.data ?? [])]).toEqual([...others.data]);
    await executable.dispose();
    expect(held()).toBe(0);
  });

  it('meet operands whose sizes are known when the program runs', async () => {
    const { opened } = await counted(id);
    const [depth, batch] = [core.sizeSymbol(1), core.sizeSymbol(1)];
    const inputs = [
      core.input('deep', { dtype: 'f32', shape: [12, depth] }),
      core.input('many', { dtype: 'f32', shape: [batch, 12, 24] }),
    ];
    const [deep, many] = inputs as [core.Node, core.Node];
    const products = [
      core.matmul(deep, core.constant(randomTensor(1, [40, 36]))),
      core.matmul(many, core.constant(randomTensor(2, [1, 24, 36]))),
    ];
    const graph = core.graphOf(inputs, products);
    const executable = await loadOn(graph, opened);
    for (const count of [3, 1]) {
      const given = [randomTensor(3, [12, 40]), randomTensor(4, [count, 12, 24])];
      const outputs = await executable.run(given);
      core.interpretWithBounds(graph, given).forEach(({ tensor, error }, i) => {
        expect(difference(outputs[i], tensor, error)).toBeUndefined();
      });
    }
    await executable.dispose();
  });

  it('do not stay in a layout that only packing reads', async () => {
    const { opened, held } = await counted(id);
    const program = compile(layers(16), opened.target, opened.plugin.language);
    const executable = await load(program, opened);
    const packs = program.main.once.length > 0;
    // Two weights and a bias, in one layout each; packing may pad, blocks are powers of four.
    if (packs) expect(held()).toBeLessThan(2 * 2 * 128 * 128 * 4);
    await executable.dispose();
    expect(held()).toBe(0);
  });
});
