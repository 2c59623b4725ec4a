/** What every device must do before the exam of the conformance package makes sense. */
import { deviceExam } from '@open-claw/conformance';
import type {
  Command,
  Device,
  Expression,
  MemoryArgument,
  Module,
  Operation,
  Recording,
  Statement,
  TileProgram,
} from '@open-claw/core/device';
import { isFailure } from '@open-claw/core/device';
import { describe, expect, it } from 'vitest';
import { Heap } from './src/heap.js';
import { scalarTarget, simdTarget, wasmDevice } from './src/index.js';
import { healed, poisoned, poisonIn } from './src/poison.js';

function name(text: string): Expression {
  const atom = { kind: 'variable', name: text, minimum: 0, key: text } as const;
  const terms = [{ coefficient: 1, atoms: [atom], key: text }];
  return { kind: 'sum', constant: 0, terms, key: `(${text})` };
}

const f32 = (id: number, operation: Operation): Statement => ({
  kind: 'let',
  id,
  type: { dtype: 'f32', shape: [] },
  operation,
});
const access = (buffer: string, address: Expression) => ({ buffer, address, strides: [] });

const program = (rest: Partial<TileProgram> & Pick<TileProgram, 'name' | 'body'>): TileProgram => ({
  contract: 1,
  target: simdTarget.id,
  lanes: 1,
  group: 1,
  buffers: [
    { name: 'a', memory: 'f32', access: 'read' },
    { name: 'c', memory: 'f32', access: 'write' },
  ],
  sizes: ['n'],
  indexType: 'i32',
  scratch: [],
  grid: [{ name: 'g', extent: name('n') }],
  mayFail: false,
  ...rest,
});

/** c[g] = a[g] + a[g], one task per element. */
const double = program({
  name: 'double0',
  body: [
    f32(0, { kind: 'load', access: access('a', name('g')) }),
    f32(1, { kind: 'binary', name: 'add', a: 0, b: 0 }),
    { kind: 'store', access: access('c', name('g')), value: 1 },
  ],
});

/** c[g] = n-fold sum of a[g], so that time grows with n. */
const slow = program({
  name: 'slow0',
  sizes: ['n', 'rounds'],
  body: [
    f32(0, { kind: 'load', access: access('a', name('g')) }),
    { kind: 'variable', id: 0, type: { dtype: 'f32', shape: [] }, initial: 0 },
    {
      kind: 'for',
      index: 'k',
      start: 1,
      end: name('rounds'),
      step: 1,
      body: [
        f32(1, { kind: 'read', variable: 0 }),
        f32(2, { kind: 'binary', name: 'add', a: 1, b: 0 }),
        { kind: 'assign', variable: 0, value: 2 },
      ],
    },
    f32(3, { kind: 'read', variable: 0 }),
    { kind: 'store', access: access('c', name('g')), value: 3 },
  ],
});

/** Reads at an address that the caller chooses: outside of memory it traps. */
const wild = program({
  name: 'wild0',
  sizes: ['n', 'where'],
  body: [
    f32(0, { kind: 'load', access: access('a', name('where')) }),
    { kind: 'store', access: access('c', name('g')), value: 0 },
  ],
});

const plugin = wasmDevice({ memoryBytes: 2 ** 20 });

async function load(device: Device, programs = [double, slow, wild]): Promise<Module> {
  const source = plugin.language.emit(programs, simdTarget);
  return device.load(await plugin.compile(source, simdTarget));
}

async function argument(
  device: Device,
  values: ArrayLike<number>,
  kind: MemoryArgument['access'] = 'readWrite',
): Promise<MemoryArgument> {
  const array = Float32Array.from(values);
  const memory = await device.allocate(array.byteLength);
  await device.write(memory, 0, new Uint8Array(array.buffer));
  return { memory, offset: 0, bytes: array.byteLength, access: kind };
}

async function values(device: Device, { memory, bytes }: MemoryArgument): Promise<number[]> {
  const into = new Float32Array(bytes / 4);
  await device.read(memory, 0, new Uint8Array(into.buffer));
  return [...into];
}

function call(
  module: Module,
  entry: string,
  buffers: readonly MemoryArgument[],
  sizes: readonly number[],
  microseconds = 1,
): Command {
  const [from, to] = buffers as [MemoryArgument, MemoryArgument];
  return {
    kind: 'launch',
    module,
    entry,
    grid: [sizes[0] as number],
    buffers: [
      { ...from, access: 'read' },
      { ...to, access: 'write' },
    ],
    sizes,
    microseconds,
  };
}

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
  } catch (error) {
    return isFailure(error) ? error.code : String(error);
  }
  return 'no failure';
};

describe('the plug-in', () => {
  it('finds the engine with its fastest row and no marks', async () => {
    const [found] = await plugin.probe();
    expect(found).toMatchObject({ id: 'wasm', marks: [], peers: [] });
    expect(found).toHaveProperty('target.vectorBytes', 16);
  });
  it('says what is absent', async () => {
    const [absent] = await wasmDevice({ target: 'wasm/none' }).probe();
    expect(absent).toMatchObject({ reason: 'this engine does not run wasm/none' });
  });
  it('rejects bytes that are no module, and devices that are not there', async () => {
    const source = { language: 'wasm', target: 'wasm/simd128', entries: [] };
    const bytes = Uint8Array.of(0, 97, 115, 109, 9, 9, 9, 9);
    expect(await codeOf(plugin.compile({ ...source, bytes }, simdTarget))).toBe('OC-DEVICE-07');
    expect(await codeOf(plugin.open('wasm:7'))).toBe('OC-DEVICE-06');
  });
  it('runs the scalar row', async () => {
    const device = await wasmDevice({ target: 'wasm/scalar' }).open('wasm');
    const source = plugin.language.emit([{ ...double, target: scalarTarget.id }], scalarTarget);
    const module = await device.load(await plugin.compile(source, scalarTarget));
    const [a, c] = [await argument(device, [1, 2]), await argument(device, [0, 0])];
    device.submit([call(module, 'double0', [a, c], [2])]);
    expect(await values(device, c)).toEqual([2, 4]);
    expect(await codeOf(load(device))).toBe('OC-REFUSED-01');
  });
});

describe('an open device', () => {
  it('runs commands in order', async () => {
    const device = await plugin.open('wasm');
    const module = await load(device);
    const a = await argument(device, [1, 2, 3]);
    const b = await argument(device, [0, 0, 0]);
    device.submit([call(module, 'double0', [a, b], [3]), { kind: 'copy', from: b, to: a }]);
    device.submit([
      call(module, 'double0', [a, b], [3], 5000),
      { kind: 'fill', to: { ...a, bytes: 4 }, byte: 0 },
    ]);
    const last = values(device, b);
    const first = values(device, a);
    await device.write(b.memory, 0, new Uint8Array(4));
    expect(await last).toEqual([4, 8, 12]);
    expect(await first).toEqual([0, 4, 6]);
    expect(await values(device, b)).toEqual([0, 8, 12]);
    expect((await device.time?.())?.nanoseconds).toHaveLength(2);
  });

  it('lets timers fire while it works, and does nothing for an empty grid', async () => {
    const device = await plugin.open('wasm');
    const module = await load(device);
    const a = await argument(device, new Array(2000).fill(1));
    const c = await argument(device, new Array(2000).fill(0));
    let done = false;
    let fired = 0;
    const timer = setInterval(() => {
      fired += done ? 0 : 1;
    }, 1);
    device.submit([
      call(module, 'slow0', [a, c], [0, 5]),
      call(module, 'slow0', [a, c], [2000, 100_000], 200_000),
    ]);
    const result = await values(device, c);
    done = true;
    clearInterval(timer);
    expect(fired).toBeGreaterThan(3);
    expect(result.every((value) => value === 100_000)).toBe(true);
  });

  it('gives zeroed memory, also where it was used before', async () => {
    const device = await plugin.open('wasm');
    const first = await argument(device, new Array(100_000).fill(7));
    const before = (await device.status?.())?.freeBytes;
    device.free(first.memory);
    const again = await device.allocate(600_000);
    const into = new Uint8Array(600_000).fill(1);
    await device.read(again, 0, into);
    expect(into.every((byte) => byte === 0)).toBe(true);
    device.free(again);
    await device.sync();
    expect((await device.status?.())?.freeBytes).toBeGreaterThan(before as number);
  });

  it('says how much memory is left where it runs out, and waits for frees before', async () => {
    const device = await plugin.open('wasm');
    const module = await load(device);
    const big = await device.allocate(900_000);
    expect(await codeOf(device.allocate(100_000))).toBe('OC-DEVICE-01');
    const a = await argument(device, [1]);
    const c = await argument(device, [0]);
    device.submit([call(module, 'slow0', [a, c], [1, 1000], 5000)]);
    device.free(big);
    expect((await device.allocate(900_000)).bytes).toBe(900_000);
  });

  it('stops at the abort signal and the time limit, and keeps outputs unreadable', async () => {
    const device = await plugin.open('wasm');
    const module = await load(device);
    const a = await argument(device, new Array(1000).fill(1));
    const c = await argument(device, new Array(1000).fill(0));
    const endless = call(module, 'slow0', [a, c], [1000, 10_000_000], 10_000_000);
    const controller = new AbortController();
    device.submit([endless], { signal: controller.signal });
    setTimeout(() => controller.abort('enough'), 5);
    expect(await codeOf(device.sync())).toBe('OC-DEVICE-05');
    expect(await codeOf(values(device, c))).toBe('OC-DEVICE-05');
    device.submit([endless], { timeLimit: 5 });
    expect(await codeOf(values(device, c))).toBe('OC-DEVICE-04');
    device.submit([call(module, 'double0', [c, a], [1000])]);
    expect(await codeOf(device.sync())).toBe('OC-DEVICE-04');
    await device.write(a.memory, 0, new Uint8Array(4000));
    device.submit([call(module, 'double0', [a, c], [1000])]);
    expect(await values(device, c)).toEqual(new Array(1000).fill(0));
  });

  it('names the command that trapped, and skips what follows', async () => {
    const device = await plugin.open('wasm');
    const module = await load(device);
    const a = await argument(device, [1, 2]);
    const b = await argument(device, [5, 6]);
    const c = await argument(device, [7, 8]);
    device.submit([
      call(module, 'double0', [a, b], [2]),
      call(module, 'wild0', [a, c], [1, 2 ** 29]),
      call(module, 'double0', [a, a], [2]),
    ]);
    const failing = device.sync();
    await expect(failing).rejects.toThrow('command 1 failed');
    await expect(failing).rejects.toThrow('out of bounds');
    expect(await values(device, b)).toEqual([2, 4]);
    expect(await codeOf(values(device, c))).toBe('OC-DEVICE-02');
    expect(await codeOf(values(device, a))).toBe('OC-DEVICE-02');
    await device.sync();
  });

  it('refuses handles that are void or foreign, and ranges that do not fit', async () => {
    const device = await plugin.open('wasm');
    const other = await plugin.open('wasm');
    const a = await argument(device, [1, 2]);
    const foreign = await argument(other, [1]);
    expect(await codeOf(device.read(foreign.memory, 0, new Uint8Array(4)))).toBe('OC-DEVICE-03');
    expect(await codeOf(device.read(a.memory, 4, new Uint8Array(8)))).toBe('OC-DEVICE-03');
    const module = await load(device);
    device.submit([call(module, 'double0', [a, a], [2, 9])]);
    expect(await codeOf(device.sync())).toBe('OC-DEVICE-03');
    device.free(module);
    device.submit([call(module, 'double0', [a, a], [2])]);
    expect(await codeOf(device.sync())).toBe('OC-DEVICE-03');
    device.free(a.memory);
    expect(await codeOf(device.write(a.memory, 0, new Uint8Array(4)))).toBe('OC-DEVICE-03');
    await device.close();
    expect(await codeOf(device.sync())).toBe('OC-DEVICE-03');
    expect(await codeOf(device.allocate(4))).toBe('OC-DEVICE-03');
    expect(() => device.submit([])).toThrow('OC-DEVICE-03');
  });

  it('refuses commands that it does not have', async () => {
    const device = await plugin.open('wasm');
    device.submit([{ kind: 'operator', name: 'gemm', buffers: [], sizes: [] }]);
    expect(await codeOf(device.sync())).toBe('OC-REFUSED-01');
  });
});

describe('a recording', () => {
  const bytesOf = (numbers: readonly number[]): Uint8Array<ArrayBuffer> =>
    new Uint8Array(Float32Array.from(numbers).buffer);

  it('is replayed among other commands, and at once with data in and out', async () => {
    const device = await plugin.open('wasm');
    const module = await load(device);
    const a = await argument(device, [1, 2, 3], 'read');
    const b = await argument(device, [0, 0, 0]);
    const c = await argument(device, [0, 0, 0], 'write');
    const commands = [call(module, 'double0', [a, b], [3]), call(module, 'double0', [b, c], [3])];
    const recording = (await device.record?.(commands)) as Recording;
    expect(recording.commands).toBe(2);
    device.submit([
      { kind: 'replay', recording },
      { kind: 'copy', from: c, to: a },
    ]);
    expect(await values(device, a)).toEqual([4, 8, 12]);
    const again = (await device.record?.([{ kind: 'replay', recording }])) as Recording;
    const into = new Float32Array(3);
    const data = [bytesOf([5, 6, 7]), new Uint8Array(into.buffer)];
    expect(device.call?.(again, [a, c], data)).toBe(true);
    expect([...into]).toEqual([20, 24, 28]);
    expect(await values(device, b)).toEqual([10, 12, 14]);
  });

  it('does not run at once behind other work, for long, or on invalid data', async () => {
    const device = await plugin.open('wasm');
    const module = await load(device);
    const a = await argument(device, [1, 2], 'read');
    const c = await argument(device, [0, 0], 'write');
    const data = [bytesOf([3, 4]), bytesOf([0, 0])];
    const short = (await device.record?.([call(module, 'double0', [a, c], [2])])) as Recording;
    const long = call(module, 'slow0', [a, c], [2, 1000], 5000);
    const longer = (await device.record?.([long])) as Recording;
    const filling = (await device.record?.([{ kind: 'fill', to: c, byte: 0 }])) as Recording;
    expect(device.call?.(longer, [a, c], data)).toBe(false);
    expect(device.call?.(filling, [a, c], data)).toBe(false);
    device.submit([long]);
    expect(device.call?.(short, [a, c], data)).toBe(false);
    await device.sync();
    expect(device.call?.(short, [a, c], data)).toBe(true);
    device.submit([call(module, 'wild0', [a, c], [1, 2 ** 29])]);
    expect(await codeOf(device.sync())).toBe('OC-DEVICE-02');
    expect(device.call?.(short, [a, c], data)).toBe(false);
  });

  it('skips what comes after a trap, and says which command it was', async () => {
    const device = await plugin.open('wasm');
    const module = await load(device);
    const a = await argument(device, [1, 2], 'read');
    const [b, c] = [await argument(device, [0, 0]), await argument(device, [0, 0])];
    const wild = call(module, 'wild0', [a, b], [1, 2 ** 29]);
    const recording = (await device.record?.([
      call(module, 'double0', [a, c], [2]),
      wild,
      call(module, 'double0', [a, b], [2]),
    ])) as Recording;
    device.submit([{ kind: 'replay', recording }]);
    await expect(device.sync()).rejects.toThrow('command 1 failed');
    expect(await values(device, c)).toEqual([2, 4]);
    expect(await codeOf(values(device, b))).toBe('OC-DEVICE-02');
    expect((await device.time?.())?.nanoseconds).toHaveLength(3);
  });

  it('runs no more once memory that it works on is freed, or a module', async () => {
    const device = await plugin.open('wasm');
    const module = await load(device);
    const a = await argument(device, [1, 2], 'read');
    const c = await argument(device, [0, 0], 'write');
    const recording = (await device.record?.([call(module, 'double0', [a, c], [2])])) as Recording;
    device.free(a.memory);
    device.submit([{ kind: 'replay', recording }]);
    expect(await codeOf(device.sync())).toBe('OC-DEVICE-03');
    const b = await argument(device, [3, 4], 'read');
    const next = (await device.record?.([call(module, 'double0', [b, c], [2])])) as Recording;
    device.submit([{ kind: 'replay', recording: next }]);
    // What ran before is valid again where it was written.
    await device.sync();
    expect(await values(device, c)).toEqual([6, 8]);
    device.free(module);
    device.submit([{ kind: 'replay', recording: next }]);
    expect(await codeOf(device.sync())).toBe('OC-DEVICE-03');
    // A launch that could never run is recorded, and says so when it does.
    const late = (await device.record?.([call(module, 'double0', [b, c], [2])])) as Recording;
    device.submit([{ kind: 'replay', recording: late }]);
    expect(await codeOf(device.sync())).toBe('OC-DEVICE-03');
  });

  it('runs at once where it was seen to be short, and nothing that is freed', async () => {
    const device = await wasmDevice({ threads: 1 }).open('wasm');
    const module = await load(device);
    const a = await argument(device, [1, 2, 3], 'read');
    const b = await argument(device, [0, 0, 0]);
    const c = await argument(device, [0, 0, 0], 'write');
    const other = await argument(device, [0], 'write');
    const commands: Command[] = [
      { kind: 'copy', from: a, to: b },
      call(module, 'double0', [b, c], [3], 5000),
    ];
    const recording = (await device.record?.(commands)) as Recording;
    expect(device.call?.(recording, [], [])).toBe(false);
    device.submit([{ kind: 'replay', recording }]);
    await device.sync();
    const into = new Float32Array(3);
    const data = [bytesOf([5, 6, 7]), new Uint8Array(into.buffer)];
    expect(device.call?.(recording, [a, c], data)).toBe(true);
    expect([...into]).toEqual([10, 12, 14]);
    device.free(other.memory);
    expect(device.call?.(recording, [], [])).toBe(true);
    device.free(b.memory);
    expect(() => device.call?.(recording, [], [])).toThrow('OC-DEVICE-03');
    await device.sync();
  });

  it('leaves nothing to read where it trapped, and is of one device', async () => {
    const device = await plugin.open('wasm');
    const module = await load(device);
    const a = await argument(device, [1, 2], 'read');
    const c = await argument(device, [7, 8], 'write');
    const wrong = call(module, 'wild0', [a, c], [1, 2 ** 29]);
    const recording = (await device.record?.([wrong])) as Recording;
    const into = new Float32Array([5, 6]);
    const data = [bytesOf([3, 4]), new Uint8Array(into.buffer)];
    expect(() => device.call?.(recording, [a, c], data)).toThrow('command 0 failed');
    expect([...into]).toEqual([5, 6]);
    expect(await codeOf(values(device, c))).toBe('OC-DEVICE-02');
    const other = await plugin.open('wasm');
    expect(() => other.call?.(recording, [], [])).toThrow('OC-DEVICE-03');
    other.submit([{ kind: 'replay', recording }]);
    expect(await codeOf(other.sync())).toBe('OC-DEVICE-03');
    device.free(recording);
    await device.sync();
  });
});

describe('heap', () => {
  it('reuses freed blocks and joins neighbours in any order', () => {
    const heap = new Heap(0, 640);
    const blocks = [0, 1, 2, 3].map(() => heap.allocate(100) as number);
    expect(blocks).toEqual([0, 128, 256, 384]);
    expect(heap.allocate(200)).toBeUndefined();
    for (const at of [1, 3, 0, 2]) heap.release(blocks[at] as number, 100);
    expect(heap.freeBytes).toBe(640);
    expect(heap.allocate(640)).toBe(0);
  });
  it('never gives a byte twice', () => {
    const heap = new Heap(64, 64 * 101);
    const held: { start: number; bytes: number }[] = [];
    let state = 12345;
    const random = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    for (let round = 0; round < 2000; round++) {
      const bytes = random(700);
      const start = heap.allocate(bytes);
      if (start !== undefined) {
        const overlap = held.some((h) => h.start < start + bytes && start < h.start + h.bytes);
        expect(overlap).toBe(false);
        held.push({ start, bytes });
      }
      const [gone] = random(2) === 0 ? held.splice(random(held.length), 1) : [];
      if (gone !== undefined) heap.release(gone.start, gone.bytes);
    }
    for (const { start, bytes } of held) heap.release(start, bytes);
    expect(heap.freeBytes).toBe(64 * 100);
  });
});

describe('poison', () => {
  it('cuts what was written out of invalid ranges', () => {
    const error = new Error('bad');
    const poison = healed(poisoned([], 0, 100, error), 20, 40);
    expect(poisonIn(poison, 0, 20)).toBe(error);
    expect(poisonIn(poison, 20, 40)).toBeUndefined();
    expect(poisonIn(poison, 39, 41)).toBe(error);
    expect(healed(poison, 0, 100)).toEqual([]);
  });
});

describe('the exam', () => {
  for (const { name, run } of deviceExam(wasmDevice())) {
    it(name, async () => {
      await run();
    });
  }
});
