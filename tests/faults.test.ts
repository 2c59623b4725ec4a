/**
 * Faults of a driver at every call of a program: each ends in its own error with what to do next,
 * nothing is kept, no wrong number comes back, and the process goes on.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runExam } from '@open-claw/conformance';
import {
  closeDevices,
  compile,
  type HostTensor,
  isFailure,
  load,
  type OpenClawError,
  openDevice,
  use,
} from '@open-claw/core';
import { interpret } from '@open-claw/core/internal';
import { cudaDevice, type GpuRow, gpuRows } from '@open-claw/device-cuda';
import { buildStub, stubCompiler } from '@open-claw/device-cuda/stub';
import koffi from 'koffi';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isClose, layeredGraph, layeredInputs, withFault } from './layers.js';

const folder = mkdtempSync(join(tmpdir(), 'claw-faults-'));
const missing = stubCompiler() === undefined;
if (missing) console.warn('skipped: no C compiler for the stubs: install build-essential');
afterAll(async () => {
  await closeDevices();
  rmSync(folder, { recursive: true, force: true });
});

const graph = layeredGraph();
const inputs = layeredInputs(3, 1);
const expected = interpret(graph, inputs);
/** More calls of a kind than a program makes. */
const mostCalls = 40;

/** Loads, runs once, and gives everything back, whatever happens. */
async function runOn(id: string): Promise<HostTensor[]> {
  const opened = await openDevice(id);
  const program = await load(compile(graph, opened.target, opened.plugin.language), opened);
  try {
    return await program.run(inputs);
  } finally {
    await program.dispose();
  }
}

/** The errors of a fault at the first call of its kind, the second … until none comes any more. */
async function errorsAtEveryCall(
  kind: string,
  id: string,
  between: (error: OpenClawError) => Promise<void>,
): Promise<readonly OpenClawError[]> {
  const errors: OpenClawError[] = [];
  for (let n = 1; n <= mostCalls; n++) {
    const result = await withFault(`${kind}@${n}`, () => runOn(id).catch((error) => error));
    if (!isFailure(result)) {
      // Without an error there is the right answer, never another one.
      expect(result).toSatisfy(isClose(expected));
      return errors;
    }
    errors.push(result);
    await between(result);
  }
  throw new Error(`${kind} never ends`);
}

/** One row that shares a context, and one whose codes are told by their text. */
const rows = [({ knownCodes }: GpuRow) => knownCodes, ({ knownCodes }: GpuRow) => !knownCodes];

describe.skipIf(missing).each(rows.flatMap((fits) => gpuRows.find(fits) ?? []))('$name', (row) => {
  const [id, other] = [`cuda/${row.name}:0`, `cuda/${row.name}:1`];
  let bytes: () => number;
  let restore: () => void;
  beforeAll(async () => {
    const places = buildStub(row, join(folder, row.name));
    use(cudaDevice(row, { places, cache: join(folder, 'cache') }));
    const library = koffi.load(join(places.libraries[0] as string, row.libraries[0] as string));
    const [count, back] = ['uint64_t claw_stub_bytes()', 'void claw_stub_restore()'].map((text) =>
      library.func(text),
    );
    bytes = () => Number(count?.());
    restore = () => void back?.();
    expect(await runOn(id)).toSatisfy(isClose(expected));
  });

  const isEmpty = async (): Promise<void> => {
    await (await openDevice(id)).device.sync();
    expect(bytes()).toBe(0);
  };

  it('runs out of memory at any allocation', async () => {
    const errors = await errorsAtEveryCall('memory', id, isEmpty);
    expect(errors.length).toBeGreaterThan(0);
    for (const error of errors) {
      expect(error).toMatchObject({ code: 'OC-DEVICE-01', retry: 'smaller', kind: 'transient' });
    }
    await isEmpty();
  });

  it('is refused any launch', async () => {
    const errors = await errorsAtEveryCall('refuse', id, isEmpty);
    expect(errors).toHaveLength(5);
    for (const error of errors) {
      expect(error).toMatchObject({ code: 'OC-DEVICE-02', retry: 'never' });
      expect(error.what).toContain('too many resources');
    }
  });

  it('fails in any kernel, and opens the card again', async () => {
    const errors = await errorsAtEveryCall('launch', id, async () => {
      expect(await runOn(id)).toSatisfy(isClose(expected));
      await isEmpty();
    });
    expect(errors).toHaveLength(5);
    for (const error of errors) expect(error).toMatchObject({ kind: 'transient', retry: 'reopen' });
  });

  it('loses the card in any kernel, and goes on with another', async () => {
    const errors = await errorsAtEveryCall('lost', id, async () => {
      expect(await runOn(other)).toSatisfy(isClose(expected));
      const again = await runOn(id).catch((error) => error);
      expect(again).toMatchObject({ retry: 'other-device' });
      restore();
    });
    expect(errors).toHaveLength(5);
    for (const error of errors) expect(error).toMatchObject({ retry: 'other-device' });
  });

  it('cannot see a wrong number in a single run; the exam finds it', async () => {
    const plugin = (await openDevice(id)).plugin;
    const filter = /^graph\/contract$/;
    const honest = await runExam(plugin, { device: id, filter });
    expect(honest).toMatchObject({ failed: 0, crashed: 0, timeout: 0 });
    const report = await withFault('wrong@3', () => runExam(plugin, { device: id, filter }));
    expect(report.failed).toBeGreaterThan(0);
    const bad = report.cases.find(({ outcome }) => outcome === 'failed');
    expect(bad?.reason).toMatch(/element|differs|not/);
  });
});
