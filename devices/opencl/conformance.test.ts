/** The exam, the small programs and random programs on the first OpenCL device. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deviceExam } from '@open-claw/conformance';
import { afterAll, describe, expect, it } from 'vitest';
import { openClDevice } from './src/index.js';

const folder = mkdtempSync(join(tmpdir(), 'claw-opencl-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
/** A driver's compiler takes seconds for a kernel of a machine that does other things too. */
const timeout = 600_000;
const plugin = openClDevice({ cache: folder });
const listed = await plugin.probe();
const absent = listed.every((entry) => 'reason' in entry);
if (absent) {
  console.warn('skipped: no OpenCL device (on Debian: ocl-icd-libopencl1 and pocl-opencl-icd)');
}

describe('OpenCL', () => {
  it('has facts without a driver', () => {
    expect(plugin.targets.map(({ id }) => id)).toEqual(['opencl/generic']);
  });

  it('says what is missing where there is no library', async () => {
    const none = openClDevice({ library: '/nowhere/libOpenCL.so.1', cache: folder });
    const [entry] = await none.probe();
    expect(entry).toMatchObject({ id: 'opencl', fix: expect.stringContaining('libOpenCL') });
    await expect(none.open('opencl:0')).rejects.toMatchObject({ code: 'OC-DEVICE-06' });
  });
});

/** A driver's compiler takes minutes for the kernels of every primitive in every dtype. */
const whole = process.env['CLAW_EXAM'] === 'full';
if (!absent && !whole) console.warn('skipped: graphs of the exam (set CLAW_EXAM=full to run them)');

describe.skipIf(absent)('the exam', () => {
  for (const { name, run } of deviceExam(plugin)) {
    it.skipIf(!whole && name.startsWith('graph/'))(name, { timeout }, async () => {
      await run();
    });
  }
});
