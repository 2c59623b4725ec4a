/** Programs that run again and again are replayed by drivers that record, with the same answers. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeDevices, compile, isFailure, load, openDevice, use } from '@open-claw/core';
import { interpret } from '@open-claw/core/internal';
import { cudaDevice, type GpuRow, gpuRows } from '@open-claw/device-cuda';
import { buildStub, stubCompiler } from '@open-claw/device-cuda/stub';
import koffi from 'koffi';
import { afterAll, describe, expect, it } from 'vitest';
import { openCalls } from '../devices/cuda/src/calls.js';
import { isClose, layeredGraph, layeredInputs, layers, withFault } from './layers.js';

const folder = mkdtempSync(join(tmpdir(), 'claw-replays-'));
const missing = stubCompiler() === undefined;
if (missing) console.warn('skipped: no C compiler for the stubs: install build-essential');
afterAll(async () => {
  await closeDevices();
  rmSync(folder, { recursive: true, force: true });
});

/** One row of each shape: contexts, devices that are set, no recording. */
const shapes: readonly ((row: GpuRow) => boolean)[] = [
  ({ symbols }) => symbols.contextRetain !== undefined && symbols.captureBegin !== undefined,
  ({ symbols }) => symbols.deviceSet !== undefined && symbols.captureBegin !== undefined,
  ({ symbols }) => symbols.captureBegin === undefined,
];
const rows = shapes.flatMap((fits) => gpuRows.find(fits) ?? []);

describe.skipIf(missing).each(rows)('$name on its stub', (row) => {
  it('replays a static program where its driver records', { timeout: 120_000 }, async () => {
    const places = buildStub(row, join(folder, row.name));
    const called = { graphLaunch: 0, launch: 0 };
    use(
      cudaDevice(row, {
        places,
        cache: join(folder, 'cache'),
        openCalls: (...given) => {
          const calls = openCalls(...given);
          if (typeof calls === 'string') return calls;
          return {
            ...calls,
            call(part, ...rest) {
              if (part === 'graphLaunch') called.graphLaunch++;
              if (part === 'launch' || part === 'launchDims') called.launch++;
              return calls.call(part, ...rest);
            },
          };
        },
      }),
    );
    const library = koffi.load(join(places.libraries[0] as string, row.libraries[0] as string));
    const bytes = library.func('uint64_t claw_stub_bytes()') as () => unknown;
    const records = row.symbols.captureBegin !== undefined;
    const graph = layeredGraph();
    const opened = await openDevice(`cuda/${row.name}:0`);
    const start = Number(bytes());
    const program = await load(compile(graph, opened.target, opened.plugin.language), opened);
    const check = async (batch: number, seed: number): Promise<void> => {
      const inputs = layeredInputs(batch, seed);
      expect(await program.run(inputs)).toSatisfy(isClose(interpret(graph, inputs)));
    };
    for (let i = 0; i < 5; i++) await check(3, i);
    expect(called.graphLaunch > 0).toBe(records);
    // A launch per layer at the first two runs and while it is recorded, and then none.
    const launches = called.launch;
    const replays = called.graphLaunch;
    await check(3, 10);
    expect(called.launch - launches).toBe(records ? 0 : layers);
    expect(called.graphLaunch - replays).toBe(records ? 1 : 0);

    // Another size is another program, and the first is not taken for it.
    for (let i = 0; i < 4; i++) await check(7, i);
    await check(3, 11);

    // A stop must be able to come between commands.
    const before = called.graphLaunch;
    await program.run(layeredInputs(7, 1), { timeLimit: 60_000 });
    expect(called.graphLaunch).toBe(before);

    // What fails inside of a replay is no answer either.
    for (let i = 0; i < 4; i++) await check(3, i);
    const refused = await withFault('refuse@2', () =>
      program.run(layeredInputs(3, 1)).catch((e) => e),
    );
    expect(isFailure(refused) && refused.code).toBe('OC-DEVICE-02');
    await check(3, 12);
    await check(3, 13);

    await program.dispose();
    await opened.device.sync();
    expect(Number(bytes())).toBe(start);
  });

  it('loses no more than the run in which a replayed kernel fails', async () => {
    const graph = layeredGraph();
    const id = `cuda/${row.name}:1`;
    const opened = await openDevice(id);
    const program = await load(compile(graph, opened.target, opened.plugin.language), opened);
    for (let i = 0; i < 4; i++) await program.run(layeredInputs(3, i));
    const failed = await withFault('launch@3', () =>
      program.run(layeredInputs(3, 1)).catch((e) => e),
    );
    expect(failed).toMatchObject({ kind: 'transient', retry: 'reopen' });
    await program.dispose();
    const again = await openDevice(id);
    expect(again.device).not.toBe(opened.device);
    const second = await load(compile(graph, again.target, again.plugin.language), again);
    const expected = interpret(graph, layeredInputs(3, 1));
    expect(await second.run(layeredInputs(3, 1))).toSatisfy(isClose(expected));
    await second.dispose();
  });
});
