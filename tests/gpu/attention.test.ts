/** Attention as one kernel of groups of threads, on stubs of two rows with unlike memory. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeDevices, openDevice, use } from '@open-claw/core';
import { cudaDevice, gpuRows } from '@open-claw/device-cuda';
import { buildStub, stubCompiler } from '@open-claw/device-cuda/stub';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkAttention, chosenPrograms, randomPrograms } from '../attention-programs.js';

const folder = mkdtempSync(join(tmpdir(), 'claw-attention-'));
const missing = stubCompiler() === undefined;
if (missing) console.warn('skipped: no C compiler for the stubs: install build-essential');
const rows = [gpuRows[0], gpuRows[3]].filter((row) => row !== undefined);

afterAll(async () => {
  await closeDevices();
  rmSync(folder, { recursive: true, force: true });
});

describe.skipIf(missing).each(rows)('attention on the stub of $name', (row) => {
  const id = `cuda/${row.name}:0`;
  beforeAll(() => {
    const places = buildStub(row, join(folder, row.name));
    use(cudaDevice(row, { places, cache: join(folder, 'cache') }));
  });

  it('has groups that share memory', async () => {
    const { target } = await openDevice(id);
    expect(target).toMatchObject({ execution: 'threads' });
    expect(target.sharedBytes).toBeGreaterThan(16 * 1024);
  });

  it('agrees with its body', async () => {
    const programs = chosenPrograms.filter((_, i) => i % 3 === rows.indexOf(row));
    expect(await checkAttention(id, programs)).toBe(programs.length);
  });

  it('agrees for random sizes and masks', async () => {
    await checkAttention(id, randomPrograms.slice(0, 4));
  });
});
