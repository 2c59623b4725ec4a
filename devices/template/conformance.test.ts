/** What every device must do before the exam of the conformance package makes sense. */
import { deviceExam } from '@open-claw/conformance';
import type { Device, MemoryArgument, Module, Source, TileProgram } from '@open-claw/core/device';
import { scriptLanguage } from '@open-claw/core/device';
import { describe, expect, it } from 'vitest';
import { templateDevice, templateTarget } from './src/index.js';

const axis = { kind: 'variable', name: 'g', minimum: 0, key: 'g' } as const;
const g = {
  kind: 'sum',
  constant: 0,
  terms: [{ coefficient: 1, atoms: [axis], key: 'g' }],
  key: '(g)',
} as const;
const access = (buffer: string) => ({ buffer, address: g, strides: [] });

/** c[g] = a[g] + a[g], one task per element. */
const double: TileProgram = {
  contract: 1,
  name: 'double0',
  target: templateTarget.id,
  lanes: 1,
  group: 1,
  buffers: [
    { name: 'a', memory: 'f32', access: 'read' },
    { name: 'c', memory: 'f32', access: 'write' },
  ],
  sizes: ['n'],
  indexType: 'i64',
  scratch: [],
  grid: [{ name: 'g', extent: 1 }],
  body: [
    {
      kind: 'let',
      id: 0,
      type: { dtype: 'f32', shape: [] },
      operation: { kind: 'load', access: access('a') },
    },
    {
      kind: 'let',
      id: 1,
      type: { dtype: 'f32', shape: [] },
      operation: { kind: 'binary', name: 'add', a: 0, b: 0 },
    },
    { kind: 'store', access: access('c'), value: 1 },
  ],
  mayFail: false,
};

const plugin = templateDevice({ memoryBytes: 4096 });
const source: Source = scriptLanguage.emit([double], templateTarget);
const load = async (device: Device): Promise<Module> =>
  device.load(await plugin.compile(source, templateTarget));

const bytesOf = (array: Float32Array): Uint8Array => new Uint8Array(array.buffer);

async function argument(device: Device, values: Float32Array): Promise<MemoryArgument> {
  const memory = await device.allocate(values.byteLength);
  await device.write(memory, 0, bytesOf(values));
  return { memory, offset: 0, bytes: values.byteLength, access: 'readWrite' };
}

async function valuesOf(device: Device, from: MemoryArgument): Promise<readonly number[]> {
  const values = new Float32Array(from.bytes / 4);
  await device.read(from.memory, from.offset, bytesOf(values));
  return [...values];
}

const launch = (module: Module, buffers: readonly MemoryArgument[], tasks: number) =>
  ({
    kind: 'launch',
    module,
    entry: 'double0',
    grid: [tasks],
    buffers,
    sizes: [tasks],
    microseconds: 1,
  }) as const;

describe('the pretend chip', () => {
  it('is found, and says that it is a pretence', async () => {
    const [found] = await plugin.probe();
    expect(found).toMatchObject({ id: 'template:0', marks: ['pretend'] });
    await expect(plugin.open('template:1')).rejects.toMatchObject({ code: 'OC-DEVICE-06' });
  });

  it('runs commands in order', async () => {
    const device = await plugin.open('template:0');
    const module = await load(device);
    const a = await argument(device, Float32Array.of(1, 2, 3, 4));
    const c = await argument(device, new Float32Array(4));
    device.submit([
      launch(module, [a, c], 4),
      { kind: 'copy', from: c, to: a },
      launch(module, [a, c], 3),
      { kind: 'fill', to: { ...a, bytes: 4 }, byte: 0 },
    ]);
    expect(await valuesOf(device, c)).toEqual([4, 8, 12, 8]);
    expect(await valuesOf(device, a)).toEqual([0, 4, 6, 8]);
    await device.close();
    await expect(device.allocate(1)).rejects.toMatchObject({ code: 'OC-DEVICE-03' });
  });

  it('refuses what does not fit, and has the memory again after free', async () => {
    const device = await plugin.open('template:0');
    const memory = await device.allocate(4000);
    await expect(device.allocate(100)).rejects.toMatchObject({
      code: 'OC-DEVICE-01',
      kind: 'transient',
      details: { asked: 100, free: 96 },
    });
    device.free(memory);
    await device.sync();
    expect((await device.allocate(4096)).bytes).toBe(4096);
    await expect(device.read(memory, 0, new Uint8Array(4))).rejects.toMatchObject({
      code: 'OC-DEVICE-03',
    });
  });

  it('names the command that failed, once', async () => {
    const device = await plugin.open('template:0');
    const module = await load(device);
    const a = await argument(device, Float32Array.of(1, 2));
    const c = await argument(device, new Float32Array(2));
    device.submit([launch(module, [a, c], 2), launch(module, [a, c], 3)]);
    await expect(device.sync()).rejects.toMatchObject({
      code: 'OC-DEVICE-02',
      details: { command: 1, reason: expect.stringContaining('element 2 of a') },
    });
    await device.sync();
  });

  it('stops at a time limit and at a signal, and lets timers fire meanwhile', async () => {
    const device = await plugin.open('template:0');
    const module = await device.load({
      format: 'script',
      target: templateTarget.id,
      toolchain: 'test',
      bytes: new TextEncoder().encode(`return { double0(buffers, sizes, begin, end) {
        const until = performance.now() + 1;
        while (performance.now() < until) buffers[0][0]++;
      } };`),
      entries: source.entries,
    });
    const a = await argument(device, new Float32Array(1));
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    device.submit([launch(module, [a, a], 1e6)], { timeLimit: 50 });
    await expect(device.sync()).rejects.toMatchObject({ code: 'OC-DEVICE-04' });
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(0);
    // What was stopped holds nothing valid until it is written again.
    await expect(valuesOf(device, a)).rejects.toMatchObject({ code: 'OC-DEVICE-04' });
    await device.write(a.memory, 0, new Uint8Array(4));
    const abort = new AbortController();
    device.submit([launch(module, [a, a], 1e6)], { signal: abort.signal });
    setTimeout(() => abort.abort(), 10);
    await expect(device.sync()).rejects.toMatchObject({ code: 'OC-DEVICE-05' });
  });

  it('refuses source that does not compile', async () => {
    const broken = { ...source, text: 'return {' };
    await expect(plugin.compile(broken, templateTarget)).rejects.toMatchObject({
      code: 'OC-DEVICE-07',
    });
  });
});

describe('the exam', () => {
  for (const { name, run } of deviceExam(templateDevice())) {
    it(name, async () => {
      await run();
    });
  }
});
