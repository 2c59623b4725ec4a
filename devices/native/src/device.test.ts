/** The CPU device: order, stops, long work beside the event loop, handles, memory. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command, Device, Memory, Module, Target } from '@open-claw/core/device/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compilersOnPath } from './compiler.js';
import { nativeDevice } from './index.js';
import { e, programOf } from './testing/program.js';

const missing = compilersOnPath().length === 0;
if (missing) console.warn('skipped: gcc or clang not found: install build-essential');
const folder = mkdtempSync(join(tmpdir(), 'claw-device-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** counts[g] += 1, `n` times over, so that a task can be made as long as wanted. */
const counting = programOf('native/generic', {
  lanes: 1,
  buffers: { counts: new Int32Array(1) },
  sizes: { n: 0, tasks: 0 },
  grid: [['g', e.variable('tasks')]],
  write(k) {
    const expression = e.variable('g', e.variable('tasks'));
    const place = k.let('i32', [], { kind: 'scalar', expression });
    const one = k.literal('i32', 1);
    // An atomic is work that no compiler folds into one addition.
    const step = k.body((inner) => {
      inner.statements.push({
        kind: 'atomic',
        name: 'add',
        buffer: 'counts',
        index: place,
        value: one,
      });
    });
    k.statements.push({
      kind: 'for',
      index: 'i',
      start: 0,
      end: e.variable('n'),
      step: 1,
      body: step,
    });
  },
});

describe.skipIf(missing)('CPU device', () => {
  const plugin = nativeDevice({ cache: folder, row: 'generic', threads: 2 });
  const target = plugin.targets.find(({ id }) => id === 'native/generic') as Target;
  let device: Device;
  let module: Module;
  beforeAll(async () => {
    device = await plugin.open('native');
    await plugin.language.ready?.();
    const binary = await plugin.compile(plugin.language.emit([counting], target), target);
    module = await device.load(binary);
  });
  afterAll(() => device.close());

  const launch = (memory: Memory, n: number, tasks: number, microseconds = 1): Command => ({
    kind: 'launch',
    module,
    entry: counting.name,
    grid: [tasks],
    buffers: [{ memory, offset: 0, bytes: memory.bytes, access: 'readWrite' }],
    sizes: [n, tasks],
    microseconds,
  });
  const counts = async (memory: Memory): Promise<Int32Array> => {
    const into = new Int32Array(memory.bytes / 4);
    await device.read(memory, 0, new Uint8Array(into.buffer));
    return into;
  };

  it('memory is zeroed and aligned, small and large', async () => {
    for (const bytes of [0, 4, 4096, 5 * 2 ** 20]) {
      const memory = await device.allocate(bytes);
      const into = new Uint8Array(bytes).fill(1);
      await device.read(memory, 0, into);
      expect(into.every((x) => x === 0)).toBe(true);
      device.free(memory);
    }
  });

  it('keeps the order of calls, short and long ones mixed', async () => {
    const memory = await device.allocate(4);
    const other = await device.allocate(4);
    const whole = (m: Memory) => ({ memory: m, offset: 0, bytes: 4, access: 'readWrite' as const });
    device.submit([launch(memory, 1000, 1, 10_000)]);
    device.submit([launch(memory, 10, 1)]);
    device.submit([{ kind: 'copy', from: whole(memory), to: whole(other) }]);
    device.submit([{ kind: 'fill', to: whole(memory), byte: 0 }]);
    device.submit([launch(memory, 5, 1)]);
    expect([...(await counts(other))]).toEqual([1010]);
    expect([...(await counts(memory))]).toEqual([5]);
  });

  it('spreads tasks over threads and runs each once', async () => {
    const memory = await device.allocate(4 * 999);
    device.submit([launch(memory, 100, 999, 5000), launch(memory, 1, 999, 5000)]);
    expect((await counts(memory)).every((x) => x === 101)).toBe(true);
    const { nanoseconds } = (await device.time?.()) ?? { nanoseconds: [] };
    expect(nanoseconds).toHaveLength(2);
  });

  it('runs each task once on devices with fewer and with more threads than another', async () => {
    const binary = await plugin.compile(plugin.language.emit([counting], target), target);
    for (const threads of [1, 4, 3]) {
      const own = await nativeDevice({ cache: folder, row: 'generic', threads }).open('native');
      const loaded = await own.load(binary);
      for (const tasks of [1, 2, 3, 5, 998]) {
        const memory = await own.allocate(4 * tasks);
        const command = { ...launch(memory, 50, tasks, 5000), module: loaded };
        for (let i = 0; i < 5; i++) own.submit([command as Command, command as Command]);
        const into = new Int32Array(tasks);
        await own.read(memory, 0, new Uint8Array(into.buffer));
        expect(into.every((x) => x === 500)).toBe(true);
      }
      await own.close();
    }
  });

  it('lets timers fire while long work runs', async () => {
    const memory = await device.allocate(4 * 64);
    let done = false;
    let fired = 0;
    const timer = setInterval(() => {
      if (!done) fired++;
    }, 5);
    device.submit([launch(memory, 1_000_000, 64, 500_000)]);
    await device.sync();
    done = true;
    clearInterval(timer);
    expect(fired).toBeGreaterThan(2);
  });

  it('stops at a signal and at a time limit, with the number of the command', async () => {
    const memory = await device.allocate(4 * 4096);
    const controller = new AbortController();
    const long = launch(memory, 1_000_000, 4096, 10_000_000);
    device.submit([launch(memory, 1, 1), long], { signal: controller.signal });
    setTimeout(() => controller.abort('enough'), 20);
    await expect(device.sync()).rejects.toMatchObject({
      code: 'OC-DEVICE-05',
      details: { command: 1 },
    });
    // What was not written whole is not readable, by nobody.
    await expect(counts(memory)).rejects.toMatchObject({ code: 'OC-DEVICE-05' });
    device.submit([launch(memory, 1, 1)]);
    await expect(device.sync()).rejects.toMatchObject({ code: 'OC-DEVICE-05' });
    const again = (): Promise<void> => device.write(memory, 0, new Uint8Array(memory.bytes));
    await again();
    device.submit([long], { timeLimit: 30 });
    await expect(device.sync()).rejects.toMatchObject({
      code: 'OC-DEVICE-04',
      details: { command: 0, limit: 30 },
    });
    await again();
    device.submit([launch(memory, 1, 1)], { signal: AbortSignal.abort() });
    await expect(device.sync()).rejects.toMatchObject({ code: 'OC-DEVICE-05' });
    // The failure is reported once, and the device goes on.
    await device.sync();
  });

  it('replays a recording', async () => {
    const memory = await device.allocate(4);
    const recording = await device.record?.([launch(memory, 3, 1), launch(memory, 4, 1)]);
    if (recording === undefined) throw new Error('no recording');
    device.submit([{ kind: 'replay', recording }, launch(memory, 1, 1)]);
    device.submit([{ kind: 'replay', recording }]);
    expect([...(await counts(memory))]).toEqual([15]);
  });

  it('calls a recording at once, and refuses one of memory that is freed', async () => {
    // Nothing that other tests spoiled lies on it.
    const device = await plugin.open('native');
    const binary = await plugin.compile(plugin.language.emit([counting], target), target);
    const module = await device.load(binary);
    const memory = await device.allocate(4);
    const other = await device.allocate(4);
    const recording = await device.record?.(
      [3, 4].map((n) => ({ ...launch(memory, n, 1), module })),
    );
    if (recording === undefined) throw new Error('no recording');
    const word = new Uint8Array(4);
    const place = { memory, offset: 0, bytes: 4, access: 'write' } as const;
    expect(device.call?.(recording, [], [])).toBe(true);
    device.free(other);
    expect(device.call?.(recording, [place], [word])).toBe(true);
    expect(new Int32Array(word.buffer)[0]).toBe(14);
    device.free(memory);
    expect(() => device.call?.(recording, [], [])).toThrow('OC-DEVICE-03');
    device.submit([{ kind: 'replay', recording }]);
    await expect(device.sync()).rejects.toMatchObject({ code: 'OC-DEVICE-03' });
    await device.close();
  });

  it('refuses what does not exist, does not fit or is gone', async () => {
    const memory = await device.allocate(8);
    await expect(device.read(memory, 4, new Uint8Array(8))).rejects.toMatchObject({
      code: 'OC-DEVICE-03',
    });
    await expect(device.allocate(2 ** 50)).rejects.toMatchObject({ code: 'OC-DEVICE-01' });
    device.free(memory);
    await expect(device.write(memory, 0, new Uint8Array(8))).rejects.toMatchObject({
      code: 'OC-DEVICE-03',
    });
    device.submit([launch(memory, 1, 1)]);
    await expect(device.sync()).rejects.toMatchObject({ code: 'OC-DEVICE-03' });
    await expect(plugin.open('native/none')).rejects.toMatchObject({ code: 'OC-DEVICE-06' });
  });

  it('frees after the work that uses it, and closes', async () => {
    const own = await plugin.open('native');
    const memory = await own.allocate(4 * 64);
    await plugin.language.ready?.();
    const binary = await plugin.compile(plugin.language.emit([counting], target), target);
    const loaded = await own.load(binary);
    const command = launch(memory, 10_000, 64, 5000);
    own.submit([{ ...command, module: loaded } as Command]);
    own.free(memory);
    own.free(loaded);
    await own.sync();
    await own.close();
    await expect(own.allocate(1)).rejects.toMatchObject({ code: 'OC-DEVICE-03' });
  });
});
