/** Workers: they take tasks, their errors are told, they end with the device. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Binary, Command, Device, Memory, TileProgram } from '@open-claw/core/device';
import { wasmLanguage } from '@open-claw/core/device';
import { describe, expect, it } from 'vitest';
import { moduleOf, withSharedMemory } from './src/compile.js';
import { simdTarget, WasmDevice, wasmDevice } from './src/index.js';
import { bufferBlock, sizesBlock } from './src/memory.js';
import { Pool } from './src/pool.js';
import type { Job } from './src/queue.js';
import { findThreads, type Running, type Threads } from './src/threads.js';

const host = findThreads() as Threads;

/** c[g] = a[g] + a[g]; with a wild index for a[], it traps. */
const program = (name: string, step: number): TileProgram => {
  const atom = { kind: 'variable', name: 'g', minimum: 0, key: 'g' } as const;
  const at = (coefficient: number) => ({
    kind: 'sum' as const,
    constant: 0,
    terms: [{ coefficient, atoms: [atom], key: 'g' }],
    key: `${coefficient}g`,
  });
  const access = (buffer: string, by: number) => ({ buffer, address: at(by), strides: [] });
  const type = { dtype: 'f32', shape: [] } as const;
  return {
    contract: 1,
    name,
    target: simdTarget.id,
    lanes: 1,
    group: 1,
    buffers: [
      { name: 'a', memory: 'f32', access: 'read' },
      { name: 'c', memory: 'f32', access: 'write' },
    ],
    sizes: [],
    indexType: 'i64',
    scratch: [],
    grid: [{ name: 'g', extent: 2 ** 30 }],
    body: [
      { kind: 'let', id: 0, type, operation: { kind: 'load', access: access('a', step) } },
      { kind: 'let', id: 1, type, operation: { kind: 'binary', name: 'add', a: 0, b: 0 } },
      { kind: 'store', access: access('c', 1), value: 1 },
    ],
    mayFail: false,
  };
};

const source = wasmLanguage.emit([program('double', 1), program('wild', 2 ** 28)], simdTarget);
const given = source.bytes as Uint8Array;

const finished = async (job: Job): Promise<void> => {
  while (job.next().done !== true) await new Promise((resolve) => setImmediate(resolve));
};

/** A pool over memory in which `a` and the module lie; the calling thread takes no task. */
async function setUp(around: Threads = host) {
  const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
  const { bytes } = await moduleOf(given, true);
  const [a, c, code] = [65536, 65536 + 4096, 65536 + 8192];
  new Uint8Array(memory.buffer).set(bytes, code);
  new Uint32Array(memory.buffer, bufferBlock, 2).set([a, c]);
  const numbers = new Float32Array(memory.buffer, a, 100).fill(1).map((_, i) => i);
  new Float32Array(memory.buffer, a, 100).set(numbers);
  const blocks = { buffers: bufferBlock, sizes: sizesBlock };
  const pool = new Pool(memory, around, 3, blocks);
  const open = (entry: number): void =>
    pool.open({
      slot: 0,
      version: 1,
      moduleAddress: code,
      moduleBytes: bytes.byteLength,
      entry,
      scratch: 65536 * 3,
      scratchBytes: 64,
      chunk: 7,
      tasks: 100,
    });
  const results = new Float32Array(memory.buffer, c, 100);
  /** Every task is taken, or an error made the rest void. */
  const untilTaken = async (): Promise<void> => {
    const end = performance.now() + 8000;
    while (pool.take(0) < 100 && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  return { pool, open, results, untilTaken };
}

describe('the pool', () => {
  it('has workers that run all tasks, launch after launch', async () => {
    const { pool, open, results, untilTaken } = await setUp();
    for (let round = 0; round < 3; round++) {
      results.fill(-1);
      open(0);
      await untilTaken();
      await finished(pool.close());
      expect([...results]).toEqual(Array.from({ length: 100 }, (_, i) => 2 * i));
    }
    await pool.end();
  });

  it('tells the error of a worker, and goes on after it', async () => {
    const { pool, open, untilTaken } = await setUp();
    open(1);
    await untilTaken();
    await expect(finished(pool.close())).rejects.toThrow('memory access out of bounds');
    open(0);
    await untilTaken();
    await finished(pool.close());
    await pool.end();
  });

  it('tells that a worker ended, and starts new ones', async () => {
    const started: Running[] = [];
    const watched: Threads = {
      ...host,
      start(data, ended) {
        const running = host.start(data, ended);
        started.push(running);
        return running;
      },
    };
    const { pool, open, untilTaken } = await setUp(watched);
    open(0);
    await started[0]?.stop();
    await expect(finished(pool.close())).rejects.toThrow('threads: 1');
    open(0);
    expect(started).toHaveLength(4);
    await untilTaken();
    await finished(pool.close());
    await pool.end();
  });
});

describe('a device with threads', () => {
  const open = async (threads: number) => {
    const plugin = wasmDevice({ threads, target: simdTarget.id, memoryBytes: 2 ** 24 });
    return plugin.open('wasm');
  };
  const binary: Binary = {
    format: 'wasm',
    target: simdTarget.id,
    toolchain: 'wasm-1',
    bytes: given,
    entries: source.entries,
  };
  const tasks = 4000;
  const launch = async (device: Device, entry: string): Promise<Float32Array> => {
    const module = await device.load(binary);
    const bytes = 4 * tasks;
    const [a, c] = await Promise.all([device.allocate(bytes), device.allocate(bytes)]);
    await device.write(
      a,
      0,
      new Uint8Array(Float32Array.from({ length: tasks }, (_, i) => i).buffer),
    );
    const command: Command = {
      kind: 'launch',
      module,
      entry,
      grid: [tasks],
      buffers: [
        { memory: a, offset: 0, bytes, access: 'read' },
        { memory: c, offset: 0, bytes, access: 'write' },
      ],
      sizes: [],
      microseconds: 1e6,
    };
    device.submit([command]);
    const into = new Float32Array(tasks);
    await device.read(c, 0, new Uint8Array(into.buffer));
    device.free(module);
    return into;
  };

  it('gives what one thread gives, and names a command that trapped', async () => {
    const [one, three] = await Promise.all([open(1), open(3)]);
    const expected = await launch(one, 'double');
    for (let round = 0; round < 3; round++) {
      expect(await launch(three, 'double')).toEqual(expected);
    }
    await expect(launch(three, 'wild')).rejects.toThrow('out of bounds');
    expect(await launch(three, 'double')).toEqual(expected);
    await Promise.all([one.close(), three.close()]);
  });

  it('runs through windows of arrays of the host, and names what trapped there', async () => {
    const device = await open(3);
    const module = await device.load(binary);
    const bytes = 4 * tasks;
    const from = Float32Array.from({ length: tasks }, (_, i) => i);
    const to = new Float32Array(tasks);
    const lend = (array: Float32Array) => device.lend?.(new Uint8Array(array.buffer)) as Memory;
    const run = async (entry: string): Promise<void> => {
      const buffers = [
        { memory: lend(from), offset: 0, bytes, access: 'read' as const },
        { memory: lend(to), offset: 0, bytes, access: 'write' as const },
      ];
      const rest = { buffers, sizes: [], windows: [4, 4], microseconds: 1e6 };
      device.submit([{ kind: 'launch', module, entry, grid: [tasks], ...rest }]);
      await device.sync();
    };
    for (let round = 0; round < 3; round++) {
      to.fill(-1);
      await run('double');
      expect(to).toEqual(from.map((x) => 2 * x));
      await expect(run('wild')).rejects.toThrow('out of bounds');
    }
    await device.close();
  });

  it('says how many threads it has, and takes what has no workers', async () => {
    const [found] = await wasmDevice({ threads: 3 }).probe();
    expect(found).toMatchObject({ target: { cores: 3 } });
    const device = new WasmDevice(2 ** 20, [simdTarget.id], 3, undefined);
    expect((await launch(device, 'double'))[tasks - 1]).toBe(2 * (tasks - 1));
    await device.close();
  });

  it('keeps no process alive', () => {
    const index = fileURLToPath(new URL('dist/index.js', import.meta.url));
    const text = `
      const { wasmDevice } = await import(${JSON.stringify(index)});
      const device = await wasmDevice({ threads: 3 }).open('wasm');
      const bytes = Uint8Array.from(${JSON.stringify([...given])});
      const entries = ${JSON.stringify(source.entries)};
      const target = '${simdTarget.id}';
      const module = await device.load({ format: 'wasm', target, bytes, entries });
      const memory = await device.allocate(4096);
      const buffer = { memory, offset: 0, bytes: 4096, access: 'readWrite' };
      const buffers = [buffer, buffer];
      const rest = { grid: [100], buffers, sizes: [], microseconds: 1e6 };
      device.submit([{ kind: 'launch', module, entry: 'double', ...rest }]);
      await device.sync();
      console.log('done');`;
    const args = ['--input-type=module', '-e', text];
    const { stdout, status } = spawnSync(process.execPath, args, {
      timeout: 20_000,
      encoding: 'utf8',
    });
    expect([stdout.trim(), status]).toEqual(['done', 0]);
  });
});

describe('a module for shared memory', () => {
  it('differs in the type of its memory only', () => {
    const shared = withSharedMemory(given);
    expect(shared.length).toBe(given.length + 3);
    expect(WebAssembly.validate(shared as Uint8Array<ArrayBuffer>)).toBe(true);
    expect(() => withSharedMemory(given.subarray(0, 8))).toThrow('no memory');
  });
});
