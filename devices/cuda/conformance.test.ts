/** The rows on their stubs: contract, every fault, traces, and a vendor added from outside. */
import type { Memory } from '@open-claw/core/device';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cudaDevice, type GpuRow, gpuRows, replayTrace, traceRow } from './src/index.js';
import { stubCompiler } from './src/stub.js';
import {
  binaryFor,
  expected,
  folder,
  foundOn,
  readyOn,
  rejectionOf,
  removeFolder,
  type Stub,
  stubOf,
  withFault,
} from './src/testing/faults.js';
import { newcomer } from './src/testing/newcomer.js';
import { walk } from './src/walk.js';

const missing = stubCompiler() === undefined;
if (missing) console.warn('skipped: no C compiler for the stubs: install build-essential');
const rowOf = (name: string): GpuRow => gpuRows.find((row) => row.name === name) as GpuRow;

afterAll(removeFolder);

describe('the rows', () => {
  it('have facts without a card, each under a name of its own', () => {
    const { contract, name, targets } = cudaDevice();
    expect({ contract, name }).toEqual({ contract: 1, name: 'cuda' });
    const ids = targets.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const target of targets) expect(target.sharedBytes).toBeGreaterThanOrEqual(28 * 1024);
    expect(new Set(gpuRows.map(({ dialect }) => dialect)).size).toBe(gpuRows.length);
  });

  it('say what is missing and what to install', async () => {
    const plugin = cudaDevice(gpuRows, { places: { libraries: [folder], commands: [] } });
    const absent = await plugin.probe();
    expect(absent.map(({ id }) => id)).toEqual(gpuRows.map(({ name }) => `cuda/${name}`));
    for (const [i, entry] of absent.entries()) {
      const row = gpuRows[i] as GpuRow;
      expect(entry).toMatchObject({ reason: expect.stringContaining(row.libraries[0] as string) });
      expect(entry).toMatchObject({ fix: expect.stringContaining(row.install.driver) });
    }
    const error = await rejectionOf(plugin.open('cuda/musa:0'));
    expect(error).toMatchObject({ code: 'OC-DEVICE-06', kind: 'unavailable' });
  });
});

describe.skipIf(missing).each(gpuRows)('$name on its stub', (row) => {
  let stub: Stub;
  beforeAll(() => {
    stub = stubOf(row);
  });

  it('is found, twice, as a stub', async () => {
    const found = await foundOn(stub.plugin);
    expect(found.map(({ id }) => id)).toEqual([`cuda/${row.name}:0`, `cuda/${row.name}:1`]);
    expect(found[0]).toMatchObject({ marks: ['stub'], driver: expect.stringContaining('lib') });
    const [table] = row.architectures;
    expect(found[0]?.target).toMatchObject({ id: `cuda/${table.name}`, maxGroup: table.maxGroup });
  });

  it('hides cards as the variable of its driver says', async () => {
    process.env[row.visible] = '1';
    const one = await foundOn(stub.plugin);
    process.env[row.visible] = '';
    const none = await stub.plugin.probe();
    delete process.env[row.visible];
    expect(one).toHaveLength(1);
    expect(none).toMatchObject([{ id: `cuda/${row.name}` }]);
  });

  it('walks, and the trace of it can be replayed', async () => {
    expect(await walk(stub.plugin)).toContainEqual({
      step: 'read',
      outcome: 'done 300 right values',
    });
    expect(stub.bytes()).toBe(0);
    const trace = await traceRow(row, { places: stub.places });
    expect(await replayTrace(row, trace)).toMatchObject({
      agrees: true,
      stub: true,
      differences: [],
    });
    const other = { ...row, symbols: { ...row.symbols, allocate: 'anotherAllocate' } };
    const changed = trace.replaceAll(`"${row.symbols.allocate}"`, '"theirAllocate"');
    expect(await replayTrace(other, changed)).toMatchObject({ agrees: true });
    const lines = trace.split('\n');
    const half = lines.slice(
      0,
      lines.findIndex((line) => line.includes('"part":"allocate"')),
    );
    expect(await replayTrace(row, half.join('\n'))).toMatchObject({ agrees: false });
  });

  it('runs out of memory with the numbers, and has it back', async () => {
    const { device } = await readyOn(stub.plugin, `cuda/${row.name}:0`);
    const start = stub.bytes();
    const error = await withFault('memory@2', async () => {
      const first = await device.allocate(1000);
      const failed = await rejectionOf(device.allocate(1000));
      device.free(first);
      return failed;
    });
    expect(error).toMatchObject({ code: 'OC-DEVICE-01', kind: 'transient', retry: 'smaller' });
    expect(error.details).toMatchObject({ asked: 1000 });
    expect(await rejectionOf(device.allocate(2 ** 31))).toMatchObject({ code: 'OC-DEVICE-01' });
    await device.sync();
    expect(stub.bytes()).toBe(start);
    await device.close();
    expect(stub.bytes()).toBe(0);
  });

  it('tells what the compiler says', async () => {
    const fresh = stubOf(row, {}, { cache: `${folder}/cache-${row.name}` });
    const work = (): Promise<unknown> => binaryFor(fresh.plugin);
    const error = await withFault('compile@1', () => rejectionOf(work()));
    expect(error).toMatchObject({ code: 'OC-DEVICE-07', retry: 'never' });
    expect(error.cause).toContain('an error on demand');
    await work();
  });

  it('tells a launch that is refused, and goes on', async () => {
    const ready = await readyOn(stub.plugin, `cuda/${row.name}:0`);
    await withFault('refuse@2', async () => ready.launch(3));
    const error = await rejectionOf(ready.read());
    expect(error).toMatchObject({ code: 'OC-DEVICE-02', details: { command: 1 } });
    expect(error.what).toContain('too many resources');
    // What the failed command was to write is no answer, though an earlier one wrote it.
    expect(await rejectionOf(ready.read())).toMatchObject({ code: 'OC-DEVICE-02' });
    ready.launch();
    expect(await ready.read()).toEqual(expected);
    await ready.device.close();
  });

  it('loses the device when a kernel fails, and opens it again', async () => {
    const ready = await readyOn(stub.plugin, `cuda/${row.name}:0`);
    await withFault('launch@2', async () => {
      ready.launch(3);
      const error = await rejectionOf(ready.read());
      expect(error).toMatchObject({ code: 'OC-DEVICE-02', retry: 'reopen', kind: 'transient' });
      expect(error.what).toContain('unspecified launch failure');
    });
    expect(await ready.device.lost).toMatchObject({ code: 'OC-DEVICE-09', retry: 'reopen' });
    const calls = [
      ready.read(),
      ready.device.sync(),
      ready.device.allocate(4),
      ready.device.write(ready.y, 0, new Uint8Array(4)),
    ];
    for (const call of calls) expect((await rejectionOf(call)).code).toBe('OC-DEVICE-09');
    await ready.device.close();
    expect(stub.bytes()).toBe(0);
    const again = await readyOn(stub.plugin, `cuda/${row.name}:0`);
    again.launch();
    expect(await again.read()).toEqual(expected);
    await again.device.close();
  });

  it('goes on with another card when one is lost', async () => {
    const [first, second] = await Promise.all([
      readyOn(stub.plugin, `cuda/${row.name}:0`),
      readyOn(stub.plugin, `cuda/${row.name}:1`),
    ]);
    await withFault('lost@1', async () => {
      first.launch();
      expect(await rejectionOf(first.read())).toMatchObject({ retry: 'other-device' });
    });
    expect(await first.device.lost).toMatchObject({ retry: 'other-device' });
    second.launch();
    expect(await second.read()).toEqual(expected);
    await Promise.all([first.device.close(), second.device.close()]);
    expect((await rejectionOf(stub.plugin.open(`cuda/${row.name}:0`))).retry).toBe('other-device');
    stub.restore();
    expect(stub.bytes()).toBe(0);
  });

  it('shows a wrong result as wrong', async () => {
    const wrong = await withFault('wrong@1', () => walk(stub.plugin));
    expect(wrong.find(({ step }) => step === 'read')?.outcome).toMatch(/element 0 is .* not 0/);
  });
});

describe.skipIf(missing)('drivers that are not whole', () => {
  it.each([
    ['cuda', 'cuLaunchKernel'],
    ['musa', 'musaMalloc'],
    ['supa', 'suLaunchKernel'],
  ])('%s without %s is absent, by that name', async (name, symbol) => {
    const { plugin } = stubOf(rowOf(name), { omit: [symbol] });
    const [absent] = await plugin.probe();
    expect(absent).toMatchObject({ reason: expect.stringContaining(`lacks ${symbol}`) });
  });

  it.each(['cuda', 'musa', 'maca'])('%s without its compiler is refused', async (name) => {
    const { plugin } = stubOf(rowOf(name), { withoutCompiler: true });
    const error = await rejectionOf(binaryFor(plugin));
    expect(error).toMatchObject({ code: 'OC-DEVICE-11', kind: 'unavailable' });
    expect(error).toMatchObject({ retry: 'other-device' });
    expect(error.fix).toContain(rowOf(name).install.compiler);
  });

  it('works without calls that are optional', async () => {
    const omit = ['hipMemsetAsync', 'hipMemGetInfo', 'hipStreamQuery', 'hipGetErrorString'];
    const stub = stubOf(rowOf('rocm'), { omit });
    const ready = await readyOn(stub.plugin, 'cuda/rocm:0');
    ready.launch();
    expect(await ready.read()).toEqual(expected);
    const zeroed = await ready.device.allocate(100);
    const bytes = new Uint8Array(100).fill(1);
    await ready.device.read(zeroed, 0, bytes);
    expect(Math.max(...bytes)).toBe(0);
    await ready.device.close();
    expect(stub.bytes()).toBe(0);
  });
});

describe.skipIf(missing)('the device', () => {
  let stub: Stub;
  beforeAll(() => {
    stub = stubOf(rowOf('cuda'), {}, { times: true });
  });

  it('ends a kernel that hangs at the time limit, without holding the event loop', async () => {
    const ready = await readyOn(stub.plugin, 'cuda/cuda:0');
    let ticks = 0;
    const timer = setInterval(() => ticks++, 5);
    await withFault('hang@1', async () => {
      ready.launch(1, { timeLimit: 50 });
      expect(await rejectionOf(ready.read())).toMatchObject({ code: 'OC-DEVICE-04' });
    });
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(5);
    expect(await ready.device.lost).toMatchObject({ retry: 'other-device' });
    await ready.device.close();
  });

  it('records and replays', async () => {
    const { device, module, y } = await readyOn(stub.plugin, 'cuda/cuda:1');
    const fill = (memory: Memory, byte: number) =>
      ({ kind: 'fill', to: { memory, offset: 0, bytes: 8, access: 'write' }, byte }) as const;
    const recording = await device.record?.([fill(y, 3)]);
    if (recording === undefined) throw new Error('nothing was recorded');
    device.submit([fill(y, 9), { kind: 'replay', recording }]);
    const bytes = new Uint8Array(8);
    await device.read(y, 0, bytes);
    expect([...bytes]).toEqual(Array(8).fill(3));
    const times = await device.time?.();
    expect(times).toMatchObject({ clock: 'device' });
    expect(times?.nanoseconds).toHaveLength(2);
    device.free(module);
    await device.close();
    expect(stub.bytes()).toBe(0);
  });

  it('moves more than one piece, both ways', async () => {
    const device = await stub.plugin.open('cuda/cuda:1');
    const values = Uint8Array.from({ length: 9_000_001 }, (_, i) => (i * 7919) >> 5);
    const memory = await device.allocate(values.length);
    await device.write(memory, 0, values);
    const back = new Uint8Array(values.length);
    await device.read(memory, 0, back);
    expect(Buffer.compare(back, values)).toBe(0);
    await device.close();
  });

  it('refuses a binary of another row', async () => {
    const device = await stub.plugin.open('cuda/cuda:1');
    const binary = await binaryFor(stub.plugin);
    const other = { ...binary, format: 'cuda/musa' };
    expect(await rejectionOf(device.load(other))).toMatchObject({ code: 'OC-REFUSED-01' });
    const damaged = { ...binary, bytes: new Uint8Array(64) };
    expect(await rejectionOf(device.load(damaged))).toMatchObject({ code: 'OC-DEVICE-02' });
    await device.close();
  });
});

describe.skipIf(missing)('a vendor from outside', () => {
  it('joins by one row', async () => {
    const { plugin, bytes } = stubOf(newcomer);
    expect(plugin.name).toBe('cuda/newcomer');
    const steps = await walk(plugin);
    expect(steps.map(({ step }) => step)).toContain('close');
    expect(steps).toContainEqual({ step: 'read', outcome: 'done 300 right values' });
    expect(bytes()).toBe(0);
  });
});
