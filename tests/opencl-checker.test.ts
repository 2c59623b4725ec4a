/**
 * Every small program's OpenCL kernels under a checker: no access outside a buffer, no race of
 * threads, no wrong call of the interface, and the numbers of the interpreter.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile, load, type OpenDevice } from '@open-claw/core';
import type { Command, Entry, Source } from '@open-claw/core/device';
import { interpretWithBounds } from '@open-claw/core/internal';
import { type Driver, openClDevice, openDriver } from '@open-claw/device-opencl';
import { afterAll, describe, expect, it } from 'vitest';
import { difference } from './fuzz.js';
import { smallPrograms } from './programs.js';

const folder = mkdtempSync(join(tmpdir(), 'claw-checker-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const log = join(folder, 'log.txt');
// The checker reads its settings when its library is opened.
Object.assign(process.env, {
  OCLGRIND_LOG: log,
  OCLGRIND_DATA_RACES: '1',
  OCLGRIND_CHECK_API: '1',
});
const library = ['/usr/lib/oclgrind/liboclgrind-rt.so', '/usr/local/lib/liboclgrind-rt.so'].find(
  (path) => existsSync(path),
);
const driver = library === undefined ? 'none' : openDriver(library);
const missing = typeof driver === 'string';
if (missing) console.warn('skipped: no checker of OpenCL kernels (on Debian: oclgrind)');

/** CL_DEVICE_TYPE, and its values for devices of threads and of vectors. */
const typeQuery = 0x1000;
const kinds = { cpu: 2, gpu: 4 } as const;

/** The checker as a device of one kind: it says of itself that it is all of them. */
function pluginOf(kind: keyof typeof kinds) {
  const bits = Uint8Array.of(kinds[kind], 0, 0, 0, 0, 0, 0, 0);
  const base = driver as Driver;
  const deviceBytes: Driver['deviceBytes'] = (device, what) =>
    what === typeQuery ? bits : base.deviceBytes(device, what);
  return openClDevice({ cache: folder, driver: () => ({ ...base, deviceBytes }) });
}

/** A kernel that runs on one kind of device, and what the checker said meanwhile. */
async function complaintOf(text: string, group: number): Promise<string> {
  const plugin = pluginOf('gpu');
  const [found] = await plugin.probe();
  if (found === undefined || 'reason' in found) throw new Error('the checker is no device');
  const device = await plugin.open(found.id);
  const entry: Entry = {
    name: 'wrong',
    group: [group, 1, 1],
    sharedBytes: 0,
    scratchBytes: 0,
    buffers: [{ name: 'c', write: true }],
    sizes: [],
    indexType: 'i32',
    axes: 1,
  };
  const source: Source = {
    language: 'opencl',
    target: found.target.id,
    text: `__attribute__((reqd_work_group_size(${group}, 1, 1))) ${text}`,
    entries: [entry],
  };
  const module = await device.load(await plugin.compile(source, found.target));
  const memory = await device.allocate(1024);
  writeFileSync(log, '');
  const c = { memory, offset: 0, bytes: 1024, access: 'write' } as const;
  const launch: Command = {
    kind: 'launch',
    module,
    entry: 'wrong',
    grid: [1],
    buffers: [c],
    sizes: [],
    microseconds: 1,
  };
  device.submit([launch]);
  await device.sync().catch(() => {});
  await device.close();
  return readFileSync(log, 'utf8');
}

describe.skipIf(missing)('the checker', () => {
  it('sees an access outside a buffer', async () => {
    const text = '__kernel void wrong(__global int *c) { c[get_global_id(0) + 256] = 1; }';
    expect(await complaintOf(text, 1)).toMatch(/invalid write/i);
  });

  it('sees a race', async () => {
    const body = 'x[get_local_id(0)] = 1; c[get_local_id(0)] = x[get_local_id(0) ^ 1];';
    const text = `__kernel void wrong(__global int *c) { __local int x[8]; ${body} }`;
    expect(await complaintOf(text, 8)).toMatch(/race/i);
  });
});

describe.skipIf(missing).each(['cpu', 'gpu'] as const)('kernels for a %s', (kind) => {
  it.each(smallPrograms())('$name', { timeout: 600_000 }, async ({ graph, inputs }) => {
    const plugin = pluginOf(kind);
    const [found] = await plugin.probe();
    if (found === undefined || 'reason' in found) throw new Error('the checker is no device');
    const { target } = found;
    const device = await plugin.open(found.id);
    const opened: OpenDevice = {
      id: found.id,
      plugin,
      found,
      target,
      evidence: 'emulator',
      device,
    };
    writeFileSync(log, '');
    const executable = await load(compile(graph, target, plugin.language), opened);
    const outputs = await executable.run(inputs);
    await executable.dispose();
    await device.close();
    expect(readFileSync(log, 'utf8')).toBe('');
    for (const [i, { tensor, error }] of interpretWithBounds(graph, inputs).entries()) {
      expect(difference(outputs[i], tensor, error)).toBeUndefined();
    }
  });
});
