/** What tests of faults share: stubs in a folder of their own, and a small kernel on a device. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Binary,
  type Device,
  type DevicePlugin,
  type Found,
  isFailure,
  type Memory,
  type Module,
  type OpenClawError,
} from '@open-claw/core/device';
import koffi from 'koffi';
import { type CudaOptions, cudaDevice, type GpuRow } from '../index.js';
import { buildStub, type StubOptions, type StubPlaces } from '../stub.js';
import { lengthOfWalk, sourceOfWalk, tasksOfWalk } from '../walk.js';

export const folder = mkdtempSync(join(tmpdir(), 'claw-cuda-'));
export const removeFolder = (): void => rmSync(folder, { recursive: true, force: true });

let stubs = 0;

export interface Stub {
  readonly plugin: DevicePlugin;
  readonly places: StubPlaces;
  /** Bytes that are allocated on the stub's cards. */
  bytes(): number;
  /** Brings lost cards back. */
  restore(): void;
}

/** A fresh stub of a row and its plug-in. */
export function stubOf(row: GpuRow, stub: StubOptions = {}, more: CudaOptions = {}): Stub {
  const places = buildStub(row, join(folder, `${row.name}-${stubs++}`), stub);
  const library = koffi.load(join(places.libraries[0] as string, row.libraries[0] as string));
  const bytes = library.func('uint64_t claw_stub_bytes()');
  const restore = library.func('void claw_stub_restore()');
  return {
    plugin: cudaDevice(row, { places, cache: join(folder, 'cache'), ...more }),
    places,
    bytes: () => Number(bytes()),
    restore: () => restore(),
  };
}

/** Runs with a fault on demand: the N-th call of a kind. */
export async function withFault<T>(fault: string, work: () => Promise<T>): Promise<T> {
  process.env['CLAW_STUB_FAULT'] = fault;
  try {
    return await work();
  } finally {
    delete process.env['CLAW_STUB_FAULT'];
  }
}

export async function rejectionOf(work: Promise<unknown>): Promise<OpenClawError> {
  try {
    await work;
  } catch (error) {
    if (isFailure(error)) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

export async function foundOn(plugin: DevicePlugin): Promise<readonly Found[]> {
  return (await plugin.probe()).flatMap((entry) => ('target' in entry ? [entry] : []));
}

/** A device with the walk's kernel loaded and its memory filled. */
export interface Ready {
  readonly device: Device;
  readonly module: Module;
  readonly y: Memory;
  launch(times?: number, stop?: Parameters<Device['submit']>[1]): void;
  read(): Promise<readonly number[]>;
}

export const expected: readonly number[] = Array.from({ length: lengthOfWalk }, (_, i) => i);
const bytes = 4 * lengthOfWalk;

export async function binaryFor(plugin: DevicePlugin): Promise<Binary> {
  const [found] = await foundOn(plugin);
  if (found === undefined) throw new Error('the stub has no card');
  return plugin.compile(sourceOfWalk(plugin, found.target), found.target);
}

export async function readyOn(plugin: DevicePlugin, id: string): Promise<Ready> {
  const binary = await binaryFor(plugin);
  const device = await plugin.open(id);
  const module = await device.load(binary);
  const [x, y] = [await device.allocate(bytes), await device.allocate(bytes)];
  await device.write(x, 0, new Uint8Array(Float32Array.from(expected, (v) => v / 4).buffer));
  const command = {
    kind: 'launch',
    module,
    entry: 'walk0',
    grid: [tasksOfWalk],
    buffers: [
      { memory: x, offset: 0, bytes, access: 'read' },
      { memory: y, offset: 0, bytes, access: 'write' },
    ],
    sizes: [lengthOfWalk],
    microseconds: 1,
  } as const;
  return {
    device,
    module,
    y,
    launch: (times = 1, stop = {}) => device.submit(Array(times).fill(command), stop),
    read: async () => {
      const values = new Float32Array(lengthOfWalk);
      await device.read(y, 0, new Uint8Array(values.buffer));
      return [...values];
    },
  };
}
