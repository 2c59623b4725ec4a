/** The OpenCL device: order, parts of buffers, stops, the cache, and every fault of a driver. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command, Device, Memory, Module, Source } from '@open-claw/core/device';
import { afterAll, describe, expect, it } from 'vitest';
import { type Driver, openDriver } from './driver.js';
import { openClDevice } from './index.js';

const folder = mkdtempSync(join(tmpdir(), 'claw-opencl-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const driver = openDriver();
const base = typeof driver === 'string' ? undefined : driver;
const missing = base === undefined || base.platforms().length === 0;
if (missing) {
  console.warn('skipped: no OpenCL device (on Debian: ocl-icd-libopencl1 and pocl-opencl-icd)');
}

const text = `
__kernel void twice0(__global const float *a, __global float *c, int n) {
  const int i = (int)get_group_id(0);
  if (i < n) c[i] = 2.0f * a[i];
}
__kernel void slow0(__global float *c, int n) {
  float x = c[get_group_id(0)];
  for (int i = 0; i < n; i++) x = x * 0.5f + 1.0f;
  c[get_group_id(0)] = x;
}
`;
const entry = {
  group: [1, 1, 1],
  sharedBytes: 0,
  scratchBytes: 0,
  indexType: 'i32',
  axes: 1,
} as const;
const source: Source = {
  language: 'opencl',
  target: 'opencl/cpu',
  text,
  entries: [
    {
      ...entry,
      name: 'twice0',
      buffers: [
        { name: 'a', write: false },
        { name: 'c', write: true },
      ],
      sizes: ['n'],
    },
    { ...entry, name: 'slow0', buffers: [{ name: 'c', write: true }], sizes: ['n'] },
  ],
};

interface Case {
  readonly device: Device;
  readonly module: Module;
  readonly a: Memory;
  readonly c: Memory;
}

/** A device whose driver has some calls replaced, with two buffers of 64 floats, a = 0, 1, 2, … */
async function open(faults: (base: Driver) => Partial<Driver> = () => ({})): Promise<Case> {
  if (base === undefined) throw new Error('no driver');
  const faulty: Driver = { ...base, ...faults(base) };
  const plugin = openClDevice({ cache: folder, driver: () => faulty });
  const [found] = await plugin.probe();
  if (found === undefined || 'reason' in found) throw new Error('no device');
  const device = await plugin.open(found.id);
  const target = found.target;
  const module = await device.load(await plugin.compile({ ...source, target: target.id }, target));
  const [a, c] = [await device.allocate(256), await device.allocate(256)];
  await device.write(a, 0, floats(Float32Array.from({ length: 64 }, (_, i) => i)));
  return { device, module, a, c };
}

const floats = (values: Float32Array): Uint8Array => new Uint8Array(values.buffer);

async function valuesOf(device: Device, memory: Memory): Promise<readonly number[]> {
  const values = new Float32Array(64);
  await device.read(memory, 0, floats(values));
  return [...values];
}

const range = (memory: Memory, offset: number, bytes: number, access: 'read' | 'write') => ({
  memory,
  offset,
  bytes,
  access,
});

const twice = ({ module, a, c }: Case, offset = 0, count = 64): Command => ({
  kind: 'launch',
  module,
  entry: 'twice0',
  grid: [count],
  buffers: [range(a, offset, 4 * count, 'read'), range(c, offset, 4 * count, 'write')],
  sizes: [count],
  microseconds: 1,
});

const slow = ({ module, c }: Case, rounds: number, microseconds: number): Command => ({
  kind: 'launch',
  module,
  entry: 'slow0',
  grid: [2],
  buffers: [{ ...range(c, 0, 256, 'write'), access: 'readWrite' }],
  sizes: [rounds],
  microseconds,
});

/** `code` instead of the n-th call from when it is armed. */
const failing = (code: number) => {
  const state = { left: -1 };
  return {
    arm: (n: number): void => {
      state.left = n;
    },
    now: (): number | undefined => (state.left-- === 0 ? code : undefined),
  };
};

describe.skipIf(missing)('an OpenCL device', () => {
  it('binds parts of buffers, in the order of the calls', async () => {
    const opened = await open();
    const { device, a, c } = opened;
    device.submit([
      twice(opened),
      { kind: 'copy', from: range(c, 0, 128, 'read'), to: range(a, 128, 128, 'write') },
      twice(opened, 128, 32),
      { kind: 'fill', to: range(c, 3, 2, 'write'), byte: 0 },
    ]);
    const values = await valuesOf(device, c);
    expect(values.slice(2, 5)).toEqual([4, 6, 8]);
    expect(values.slice(32, 35)).toEqual([0, 4, 8]);
    expect((await device.time?.())?.nanoseconds).toHaveLength(4);
    await device.close();
  });

  it('has its memory again when everything is freed', async () => {
    const { device } = await open();
    const free = async (): Promise<number> => (await device.status?.())?.freeBytes ?? 0;
    const memories: Memory[] = [];
    for (let i = 0; i < 40; i++) memories.push(await device.allocate(1000 * (i + 1)));
    for (const memory of memories) device.free(memory);
    await device.sync();
    const again = await device.allocate(5000);
    expect(again.bytes).toBe(5000);
    device.free(again);
    await device.sync();
    expect(await free()).toBeGreaterThan(0);
    await device.close();
    await expect(device.allocate(4)).rejects.toMatchObject({ code: 'OC-DEVICE-03' });
  });

  it('asks for large pages under large new buffers only', async () => {
    const asked: number[] = [];
    const { device } = await open((whole) => ({
      useLargePages: (queue, buffer, bytes) => {
        asked.push(bytes);
        whole.useLargePages(queue, buffer, bytes);
      },
    }));
    const [small, large] = [await device.allocate(65536), await device.allocate(8 * 2 ** 20)];
    const values = new Uint8Array(1024).fill(7);
    await device.write(large, 8 * 2 ** 20 - 1024, values);
    const again = new Uint8Array(1024);
    await device.read(large, 8 * 2 ** 20 - 1024, again);
    expect(again).toEqual(values);
    device.free(large);
    await device.sync();
    // The one that was kept has its pages.
    await device.read(await device.allocate(8 * 2 ** 20), 8 * 2 ** 20 - 1024, again);
    expect(again.every((byte) => byte === 0)).toBe(true);
    expect(asked).toEqual([8 * 2 ** 20]);
    device.free(small);
    await device.close();
  });

  it('lets timers fire while it computes, and stops between commands', async () => {
    const opened = await open();
    const { device, c } = opened;
    device.submit([slow(opened, 1000, 1)]);
    await device.sync();
    let longest = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 1);
    const long = Array.from({ length: 2000 }, () => slow(opened, 3_000_000, 10_000));
    device.submit(long, { timeLimit: 100 });
    await expect(device.sync()).rejects.toMatchObject({ code: 'OC-DEVICE-04', retry: 'smaller' });
    clearInterval(timer);
    expect(longest).toBeGreaterThan(0);
    // What was stopped holds nothing valid until it is written again.
    await expect(valuesOf(device, c)).rejects.toMatchObject({ code: 'OC-DEVICE-04' });
    await device.write(c, 0, new Uint8Array(256));
    expect((await valuesOf(device, c))[0]).toBe(0);
    const abort = new AbortController();
    device.submit(long, { signal: abort.signal });
    setTimeout(() => abort.abort('enough'), 20);
    await expect(device.sync()).rejects.toMatchObject({ code: 'OC-DEVICE-05', cause: 'enough' });
    await device.close();
  });

  it('says what a launch lacks', async () => {
    const opened = await open();
    const { device, a } = opened;
    device.submit([{ ...twice(opened), sizes: [] } as Command]);
    await expect(device.sync()).rejects.toMatchObject({ code: 'OC-DEVICE-02' });
    const [from, to] = [range(a, 0, 64, 'read'), range(a, 32, 64, 'write')];
    device.submit([{ kind: 'copy', from, to }]);
    await expect(device.sync()).rejects.toThrow('overlap');
    await device.close();
  });
});

describe.skipIf(missing)('compiling', () => {
  const compile = async (given: string, counted: { builds: number }) => {
    const build: Driver['buildProgram'] = (program, options) => {
      counted.builds++;
      return (base as Driver).buildProgram(program, options);
    };
    const faulty = { ...(base as Driver), buildProgram: build };
    const plugin = openClDevice({ cache: folder, driver: () => faulty });
    const [found] = await plugin.probe();
    if (found === undefined || 'reason' in found) throw new Error('no device');
    return plugin.compile({ ...source, text: given }, found.target);
  };

  it('names the line of the source that the compiler refuses', async () => {
    const broken = text.replace('2.0f * a[i]', '2.0f * missing[i]');
    const work = compile(broken, { builds: 0 });
    await expect(work).rejects.toMatchObject({
      code: 'OC-DEVICE-07',
      cause: expect.stringContaining('missing'),
    });
    await expect(work).rejects.toThrow(/line 4: .*missing.*if \(i < n\)/);
  });

  it('has the stack that a compiler needs', async () => {
    // Another text each time: drivers keep programs.
    const deep = `${'(1.0f + '.repeat(240)}a[i] + ${Date.now()}${')'.repeat(240)}`;
    const binary = await compile(text.replace('2.0f * a[i]', deep), { builds: 0 });
    expect(binary.entries).toHaveLength(2);
  });

  it('keeps what it compiled, and builds again what was changed', async () => {
    const counted = { builds: 0 };
    const own = `${text}// kept`;
    const first = await compile(own, counted);
    expect(counted.builds).toBe(1);
    expect(await compile(own, counted)).toEqual(first);
    expect(counted.builds).toBe(1);
    const place = join(folder, 'opencl');
    for (const name of readdirSync(place)) {
      if (name.endsWith('.clbin')) writeFileSync(join(place, name), 'evil');
    }
    const again = await compile(own, counted);
    expect(counted.builds).toBe(2);
    expect(Buffer.from(again.bytes).includes('evil')).toBe(false);
  });

  it('gives the text alone where there is no driver, which any device builds', async () => {
    const none = openClDevice({ cache: folder, driver: () => 'none here' });
    const { device, module, a, c } = await open();
    device.free(module);
    const found = (await openClDevice({ cache: folder }).probe())[0];
    const target = found !== undefined && 'target' in found ? found.target : undefined;
    if (target === undefined) throw new Error('no device');
    const binary = await none.compile({ ...source, target: target.id }, target);
    expect(binary.toolchain).toBe('source');
    device.submit([twice({ device, module: await device.load(binary), a, c })]);
    expect((await valuesOf(device, c))[3]).toBe(6);
    await device.close();
  });
});

describe.skipIf(missing)('faults of a driver', () => {
  it('no room for a buffer: smaller, and the device works on', async () => {
    const fault = failing(-4);
    let calls = 0;
    const { device } = await open((whole) => ({
      createBuffer: (context, bytes) => {
        calls++;
        const code = fault.now();
        return code === undefined ? whole.createBuffer(context, bytes) : { object: 0, code };
      },
    }));
    fault.arm(0);
    // What is kept for reuse is given back before a second attempt.
    expect((await device.allocate(70_000)).bytes).toBe(70_000);
    expect(calls).toBe(4);
    const always = await open((whole) => ({
      createBuffer: (context, bytes) =>
        bytes > 10_000 ? { object: 0, code: -4 } : whole.createBuffer(context, bytes),
    }));
    await expect(always.device.allocate(70_000)).rejects.toMatchObject({
      code: 'OC-DEVICE-01',
      kind: 'transient',
      retry: 'smaller',
    });
    expect((await always.device.allocate(64)).bytes).toBe(64);
    await Promise.all([device.close(), always.device.close()]);
  });

  it('a launch that is not taken has its index; its output stays unreadable', async () => {
    const fault = failing(-5);
    const opened = await open((whole) => ({
      launch: (...values) => fault.now() ?? whole.launch(...values),
      launchAside: async (...values) => fault.now() ?? whole.launchAside(...values),
    }));
    const { device, c } = opened;
    fault.arm(1);
    device.submit([twice(opened), twice(opened), twice(opened)]);
    await expect(device.sync()).rejects.toMatchObject({
      code: 'OC-DEVICE-02',
      details: { command: 1, reason: 'CL_OUT_OF_RESOURCES (-5)' },
      retry: 'smaller',
    });
    await device.sync();
    await expect(valuesOf(device, c)).rejects.toMatchObject({ code: 'OC-DEVICE-02' });
    device.submit([twice(opened)]);
    expect((await valuesOf(device, c))[5]).toBe(10);
    await device.close();
  });

  it('a command that ends badly is told by the wait', async () => {
    const fault = failing(-9999);
    let bad: unknown;
    const opened = await open((whole) => ({
      launch: (queue, kernel, size, event) => {
        const code = whole.launch(queue, kernel, size, event);
        if (fault.now() !== undefined) bad = event[0];
        return code;
      },
      eventStatus: (event) => (event === bad ? -9999 : whole.eventStatus(event)),
    }));
    const { device, c } = opened;
    device.submit([twice(opened)]);
    await device.sync();
    fault.arm(1);
    device.submit([twice(opened), twice(opened)]);
    await expect(device.sync()).rejects.toMatchObject({ details: { command: 1 } });
    bad = undefined;
    await expect(valuesOf(device, c)).rejects.toMatchObject({ code: 'OC-DEVICE-02' });
    await device.close();
  });

  it('a lost device says so to every call, and another can be opened', async () => {
    const fault = failing(-36);
    const opened = await open((whole) => ({
      launchAside: async (...values) => fault.now() ?? whole.launchAside(...values),
    }));
    const { device, c } = opened;
    fault.arm(0);
    device.submit([twice(opened)]);
    const gone = { code: 'OC-DEVICE-09', retry: 'reopen', kind: 'transient' };
    await expect(device.sync()).rejects.toMatchObject(gone);
    expect(await device.lost).toMatchObject({ code: 'OC-DEVICE-09', retry: 'reopen' });
    await expect(device.allocate(4)).rejects.toMatchObject(gone);
    await expect(valuesOf(device, c)).rejects.toMatchObject(gone);
    await device.close();
    const other = await open();
    other.device.submit([twice(other)]);
    expect((await valuesOf(other.device, other.c))[1]).toBe(2);
    await other.device.close();
  });

  it('no context and no queue: another device', async () => {
    const away = { code: 'OC-DEVICE-09', retry: 'other-device' };
    const none = { object: 0, code: -2 };
    await expect(open(() => ({ createContext: () => none }))).rejects.toMatchObject(away);
    await expect(open(() => ({ createQueue: () => none }))).rejects.toMatchObject(away);
  });

  it('marks a library that says it is a stub', async () => {
    const faulty: Driver = { ...(base as Driver), isStub: true };
    const [found] = await openClDevice({ cache: folder, driver: () => faulty }).probe();
    expect(found).toMatchObject({ marks: ['stub'] });
  });
});
