/**
 * Every call of the driver fails in turn: the error has a name, no wrong number comes back, and
 * every object of the driver is given back.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Command, type Device, isFailure, type Source } from '@open-claw/core/device';
import { afterAll, describe, expect, it } from 'vitest';
import { type Driver, type Handle, type ObjectKind, openDriver } from './driver.js';
import { openClDevice } from './index.js';

const folder = mkdtempSync(join(tmpdir(), 'claw-opencl-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const opened = openDriver();
const driver = typeof opened === 'string' ? undefined : opened;
const missing = driver === undefined || driver.platforms().length === 0;
if (missing) {
  console.warn('skipped: no OpenCL device (on Debian: ocl-icd-libopencl1 and pocl-opencl-icd)');
}

const makers = {
  createContext: 'context',
  createQueue: 'queue',
  createBuffer: 'memory',
  createSubBuffer: 'memory',
  createProgram: 'program',
  createProgramFromBinary: 'program',
  createKernel: 'kernel',
} as const satisfies Partial<Record<keyof Driver, ObjectKind>>;

/** Calls that put a command into the queue and fill in its event. */
const commands = ['launch', 'fill', 'copy', 'read', 'write'] as const;
const waits = ['launchAside', 'buildProgram', 'wait'] as const;

type Call = keyof typeof makers | (typeof commands)[number] | (typeof waits)[number];
const calls: readonly Call[] = [
  ...(Object.keys(makers) as (keyof typeof makers)[]),
  ...commands,
  ...waits,
];

interface Watched {
  readonly driver: Driver;
  /** Objects that are not given back. */
  readonly live: Map<Handle, ObjectKind>;
  /** Whether the fault happened. */
  hit: boolean;
}

/** A driver whose nth call of one kind gives an error code instead; it counts its objects. */
function watched(base: Driver, at: Call, nth: number, code: number): Watched {
  const live = new Map<Handle, ObjectKind>();
  let count = 0;
  const faulty: Record<string, unknown> = { ...base };
  const result: Watched = { driver: faulty as unknown as Driver, live, hit: false };
  const fails = (name: Call): boolean => {
    if (name !== at || count++ !== nth) return false;
    result.hit = true;
    return true;
  };
  const wrap = (name: Call, wrapped: (original: (...v: never[]) => unknown) => unknown): void => {
    faulty[name] = wrapped(base[name] as (...v: never[]) => unknown);
  };
  for (const [name, kind] of Object.entries(makers) as [keyof typeof makers, ObjectKind][]) {
    wrap(name, (original) => (...values: never[]) => {
      if (fails(name)) return { object: 0, code };
      const made = original(...values) as ReturnType<Driver['createContext']>;
      if (made.code === 0) live.set(made.object, kind);
      return made;
    });
  }
  for (const name of [...commands, 'launchAside'] as const) {
    wrap(name, (original) => (...values: never[]) => {
      if (fails(name)) return name === 'launchAside' ? Promise.resolve(code) : code;
      const event = values.at(-1) as unknown as BigUint64Array;
      const note = (done: number): number => {
        if (done === 0) live.set(event[0] as bigint, 'event');
        return done;
      };
      const done = original(...values) as number | Promise<number>;
      return typeof done === 'number' ? note(done) : done.then(note);
    });
  }
  for (const name of ['buildProgram', 'wait'] as const) {
    wrap(
      name,
      (original) =>
        (...values: never[]) =>
          fails(name) ? Promise.resolve(code) : original(...values),
    );
  }
  // One that is not known to keep programs itself, so that compiled forms are asked for.
  faulty['platformText'] = () => 'some platform';
  faulty['release'] = (kind: ObjectKind, object: Handle) => {
    live.delete(object);
    base.release(kind, object);
  };
  return result;
}

const source = (target: string, salt: string): Source => ({
  language: 'opencl',
  target,
  text: `__kernel void twice(__global const float *a, __global float *c) {
  c[get_group_id(0)] = 2.0f * a[get_group_id(0)];
}
// ${salt}`,
  entries: [
    {
      name: 'twice',
      group: [1, 1, 1],
      sharedBytes: 0,
      scratchBytes: 0,
      indexType: 'i32',
      axes: 1,
      buffers: [
        { name: 'a', write: false },
        { name: 'c', write: true },
      ],
      sizes: [],
    },
  ],
});

/** Uses a device in every way, checks what it reads, gives all errors. */
async function use(given: Driver, salt: string): Promise<readonly unknown[]> {
  const errors: unknown[] = [];
  const note = (error: unknown): void => void errors.push(error);
  const plugin = openClDevice({ cache: folder, driver: () => given });
  const [found] = await plugin.probe();
  if (found === undefined || 'reason' in found) throw new Error('no device');
  let device: Device | undefined;
  try {
    const binary = await plugin.compile(source(found.target.id, salt), found.target);
    device = await plugin.open(found.id);
    const module = await device.load(binary);
    const [a, c] = [await device.allocate(4096), await device.allocate(4096)];
    await device.write(a, 0, new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer));
    const [from, to] = [1024, 2048].map((offset) => ({ offset, bytes: 16 }));
    const whole = { memory: a, offset: 0, bytes: 16, access: 'read' } as const;
    const launch = (offset: number): Command => ({
      kind: 'launch',
      module,
      entry: 'twice',
      grid: [4],
      buffers: [whole, { memory: c, offset, bytes: 16, access: 'write' }],
      sizes: [],
      microseconds: 1,
    });
    const part = (range: { offset: number; bytes: number } | undefined) =>
      ({ memory: c, offset: 0, bytes: 16, access: 'readWrite', ...range }) as const;
    device.submit([launch(0), launch(1024), { kind: 'copy', from: part(from), to: part(to) }]);
    device.submit([{ kind: 'fill', to: part({ offset: 0, bytes: 16 }), byte: 0 }, launch(0)]);
    await device.sync().catch(note);
    const last = device;
    for (const offset of [0, 1024, 2048]) {
      const values = new Float32Array(4);
      await last.read(c, offset, new Uint8Array(values.buffer)).then(
        () => expect([...values]).toEqual([2, 4, 6, 8]),
        (error: unknown) => {
          if (!isFailure(error)) throw error;
          note(error);
        },
      );
    }
    for (const handle of [a, c, module]) device.free(handle);
    await device.sync().catch(note);
  } catch (error) {
    note(error);
  } finally {
    await device?.close();
  }
  return errors;
}

/** Out of resources, out of memory, an unknown code, a queue that is gone. */
const codes = [-5, -4, -9999, -36];

describe.skipIf(missing).each(calls)('where %s fails', (name) => {
  it.each(codes)('with %i', { timeout: 120_000 }, async (code) => {
    let hits = 0;
    for (let nth = 0; nth < 6; nth++) {
      const under = watched(driver as Driver, name, nth, code);
      // Another text where the compiler itself is to be called.
      const salt = name === 'createProgram' && nth === 0 ? `${name} ${code}` : '';
      const errors = await use(under.driver, salt);
      expect(errors.filter((error) => !isFailure(error))).toEqual([]);
      expect([...under.live.values()]).toEqual([]);
      if (!under.hit) {
        expect(errors).toEqual([]);
        break;
      }
      hits++;
    }
    // All may be done before anyone waits.
    if (name !== 'wait') expect(hits).toBeGreaterThan(0);
  });
});
