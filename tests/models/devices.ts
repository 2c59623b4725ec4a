/**
 * The devices that whole models run on: native and wasm, or what CLAW_TEST_DEVICES names with
 * commas between. `all` is every device of this repository, the rows of the CUDA family on stubs.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listDevices, use } from '@open-claw/core';
import { cudaDevice, gpuRows } from '@open-claw/device-cuda';
import { buildStub, stubCompiler } from '@open-claw/device-cuda/stub';
import { openClDevice } from '@open-claw/device-opencl';
import { plugin as template } from '@open-claw/device-template';
import { webgpuDevice } from '@open-claw/device-webgpu';

const light = ['native', 'wasm'];
const stubs = gpuRows.map(({ name }) => `cuda/${name}:0`);
const every = [...light, 'template:0', 'webgpu:0', 'opencl:0', ...stubs];
const given = process.env['CLAW_TEST_DEVICES'];
const wanted = given === undefined ? light : given === 'all' ? every : given.split(',');

/** Devices that compute on the CPU for what it is; the others stand in for a chip. */
export const isLight = (id: string): boolean => light.includes(id);
/** Whether the caller asked for these devices: then nothing is left out to save time. */
export const isAsked = given !== undefined;
/** For devices that stand in for a chip on one thread, beside other work. */
export const timeout = isAsked ? 900_000 : 60_000;

const folder = mkdtempSync(join(tmpdir(), 'claw-models-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

async function usable(): Promise<readonly string[]> {
  const others = wanted.filter((id) => !light.includes(id));
  if (others.length === 0) return wanted;
  const missing = new Map<string, string>();
  for (const plugin of [template, webgpuDevice(), openClDevice()]) {
    if (others.some((id) => id.split(':')[0] === plugin.name)) use(plugin);
  }
  for (const row of gpuRows) {
    const id = `cuda/${row.name}:0`;
    if (!others.includes(id)) continue;
    if (stubCompiler() === undefined) missing.set(id, 'no C compiler for the stub');
    else {
      const places = buildStub(row, join(folder, row.name));
      use(cudaDevice(row, { places, cache: join(folder, 'cache') }));
    }
  }
  for (const listing of await listDevices()) {
    if ('absent' in listing) missing.set(listing.absent.id, listing.absent.reason);
  }
  return wanted.filter((id) => {
    const reason = missing.get(id);
    if (reason !== undefined) console.warn(`skipped: ${id}: ${reason}`);
    return reason === undefined;
  });
}

/** Ids of the wanted devices that are there; the others are named with the reason. */
export const devices = await usable();
