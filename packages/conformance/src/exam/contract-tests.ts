/** The rules of the device contract as tests: what every device must do before it computes. */
import {
  counting,
  type ExamSession,
  ensure,
  expectCode,
  type Memory,
  readAll,
  sameBytes,
} from './session.js';

export type ContractTest = (session: ExamSession) => Promise<void>;

const invalid = ['OC-DEVICE-03'];

const range = (memory: Memory, offset: number, bytes: number, access: 'read' | 'write') => ({
  memory,
  offset,
  bytes,
  access,
});

export const contractTests: Readonly<Record<string, ContractTest>> = {
  'facts are plain and complete': async ({ plugin }) => {
    ensure(plugin.contract === 1, `contract ${plugin.contract}`);
    const ids = plugin.targets.map(({ id }) => id);
    ensure(ids.length > 0 && new Set(ids).size === ids.length, `targets ${ids}`);
    const copy = JSON.parse(JSON.stringify(plugin.targets)) as readonly { readonly id: string }[];
    ensure(
      copy.every(({ id }, i) => id === ids[i]),
      'targets are no plain data',
    );
    for (const { id, storage, offsetAlignment, maxBufferBytes } of plugin.targets) {
      ensure(!storage.includes('string'), `${id}: strings are not stored`);
      ensure(offsetAlignment >= 1, `${id}: offsetAlignment ${offsetAlignment}`);
      ensure(maxBufferBytes > 0, `${id}: maxBufferBytes ${maxBufferBytes}`);
    }
  },

  'the probe names each device once, and what is absent with reason and fix': async ({
    plugin,
  }) => {
    const entries = await plugin.probe();
    const ids = entries.map(({ id }) => id);
    ensure(new Set(ids).size === ids.length, `ids ${ids}`);
    for (const entry of entries) {
      if ('reason' in entry) ensure(entry.fix !== '' && entry.reason !== '', `${entry.id}: empty`);
      else ensure(entry.freeBytes > 0, `${entry.id}: ${entry.freeBytes} bytes free`);
    }
  },

  'an id that is not there is refused': async ({ plugin }) => {
    const work = plugin.open(`${plugin.name}:no-such-device`);
    await expectCode(work, ['OC-DEVICE-06', 'OC-REFUSED-01'], 'open');
  },

  'source of another language is refused': async ({ plugin, found }) => {
    const source = { language: 'none', target: found.target.id, text: '', entries: [] };
    const codes = ['OC-REFUSED-01', 'OC-DEVICE-07'];
    await expectCode(plugin.compile(source, found.target), codes, 'compile');
  },

  'memory is zeroed, also where it was used before': (session) =>
    session.withDevice(async (device) => {
      for (const bytes of [1, 4096, 100_003]) {
        const memory = await device.allocate(bytes);
        ensure(memory.bytes >= bytes, `${memory.bytes} of ${bytes} bytes`);
        sameBytes(await readAll(device, memory), new Uint8Array(bytes), 'fresh memory');
        await device.write(memory, 0, new Uint8Array(bytes).fill(0xab));
        device.free(memory);
        await device.sync();
        const again = await device.allocate(bytes);
        sameBytes(await readAll(device, again), new Uint8Array(bytes), 'memory used before');
        device.free(again);
      }
    }),

  'reads and writes take any offset and length': (session) =>
    session.withDevice(async (device) => {
      const memory = await device.allocate(1000);
      const expected = new Uint8Array(1000);
      for (const [offset, length] of [
        [0, 1000],
        [1, 3],
        [997, 3],
        [513, 0],
        [64, 127],
      ] as const) {
        const bytes = counting(length, offset + 3);
        await device.write(memory, offset, bytes);
        expected.set(bytes, offset);
        // What was given may be reused as soon as write has resolved.
        bytes.fill(0xee);
      }
      sameBytes(await readAll(device, memory), expected, 'whole');
      const part = new Uint8Array(77);
      await device.read(memory, 333, part);
      sameBytes(part, expected.subarray(333, 410), 'part');
    }),

  'order of calls is order of work': (session) =>
    session.withDevice(async (device) => {
      const [a, b] = [await device.allocate(256), await device.allocate(256)];
      const first = counting(256);
      const written = device.write(a, 0, first);
      device.submit([
        { kind: 'copy', from: range(a, 0, 256, 'read'), to: range(b, 0, 256, 'write') },
        { kind: 'fill', to: range(a, 0, 256, 'write'), byte: 7 },
      ]);
      const into = new Uint8Array(256);
      const read = device.read(a, 0, into);
      const later = device.write(a, 0, counting(256, 5));
      await Promise.all([written, read, later]);
      sameBytes(into, new Uint8Array(256).fill(7), 'read before a later write');
      sameBytes(await readAll(device, b), first, 'copy before a later fill');
      sameBytes(await readAll(device, a), counting(256, 5), 'write after a fill');
    }),

  'copies take offsets': (session) =>
    session.withDevice(async (device) => {
      const [a, b] = [await device.allocate(512), await device.allocate(512)];
      const bytes = counting(512, 3);
      await device.write(a, 0, bytes);
      device.submit([
        { kind: 'copy', from: range(a, 100, 60, 'read'), to: range(b, 4, 60, 'write') },
      ]);
      const expected = new Uint8Array(512);
      expected.set(bytes.subarray(100, 160), 4);
      sameBytes(await readAll(device, b), expected, 'copied');
    }),

  'ranges outside of memory are refused': (session) =>
    session.withDevice(async (device) => {
      const memory = await device.allocate(64);
      const bytes = new Uint8Array(65);
      await expectCode(device.read(memory, 0, bytes), invalid, 'read');
      await expectCode(device.write(memory, 60, bytes.subarray(0, 8)), invalid, 'write');
      device.submit([
        { kind: 'copy', from: range(memory, 60, 8, 'read'), to: range(memory, 0, 8, 'write') },
      ]);
      await expectCode(device.sync(), [...invalid, 'OC-DEVICE-02'], 'copy');
    }),

  'too much memory is refused, and the device works on': (session) =>
    session.withDevice(async (device) => {
      await expectCode(device.allocate(2 ** 50), ['OC-DEVICE-01'], 'allocate');
      const memory = await device.allocate(64);
      sameBytes(await readAll(device, memory), new Uint8Array(64), 'memory after it');
    }),

  'freed and foreign handles are refused': (session) =>
    session.withDevice(async (device) => {
      const memory = await device.allocate(64);
      device.free(memory);
      await expectCode(device.read(memory, 0, new Uint8Array(4)), invalid, 'read after free');
      await session.withDevice(async (other) => {
        const foreign = await other.allocate(64);
        await expectCode(device.write(foreign, 0, new Uint8Array(4)), invalid, 'foreign memory');
      });
    }),

  'free waits for the commands before it': (session) =>
    session.withDevice(async (device) => {
      const [a, b] = [await device.allocate(4096), await device.allocate(4096)];
      await device.write(a, 0, counting(4096));
      device.submit([
        { kind: 'copy', from: range(a, 0, 4096, 'read'), to: range(b, 0, 4096, 'write') },
      ]);
      device.free(a);
      sameBytes(await readAll(device, b), counting(4096), 'copied before the free');
    }),

  'a command that fails is told once, and its output stays unreadable': (session) =>
    session.withDevice(async (device) => {
      const memory = await device.allocate(64);
      const buffers = [range(memory, 0, 64, 'write')];
      device.submit([{ kind: 'operator', name: 'no-such-operator', buffers, sizes: [] }]);
      const codes = ['OC-REFUSED-01', 'OC-DEVICE-02'];
      await expectCode(device.sync(), codes, 'sync');
      await device.sync();
      await expectCode(readAll(device, memory), codes, 'read');
      await device.write(memory, 0, counting(64));
      sameBytes(await readAll(device, memory), counting(64), 'written again');
    }),

  'binaries of other targets are refused': (session) =>
    session.withDevice(async (device) => {
      const binary = {
        format: 'none',
        target: 'none/none',
        toolchain: '',
        bytes: new Uint8Array(8),
        entries: [],
      };
      await expectCode(
        device.load(binary),
        ['OC-REFUSED-01', 'OC-DEVICE-03', 'OC-DEVICE-07'],
        'load',
      );
    }),

  'a closed device rejects every call': async (session) => {
    const device = await session.plugin.open(session.found.id);
    const memory = await device.allocate(16);
    await device.close();
    await expectCode(device.allocate(16), [...invalid, 'OC-DEVICE-09'], 'allocate');
    await expectCode(device.sync(), [...invalid, 'OC-DEVICE-09'], 'sync');
    const read = device.read(memory, 0, new Uint8Array(4));
    await expectCode(read, [...invalid, 'OC-DEVICE-09'], 'read');
  },
};
