/** `claw devices` with the stubs of all rows at once; traces written, played again and refused. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { use } from '@open-claw/core';
import { cudaDevice, gpuRows } from '@open-claw/device-cuda';
import { buildStub, stubCompiler } from '@open-claw/device-cuda/stub';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommandLine } from '../packages/openclaw/src/cli/run.js';

const missing = stubCompiler() === undefined;
if (missing) console.warn('skipped: no C compiler for the stubs: install build-essential');
const folder = mkdtempSync(join(tmpdir(), 'claw-devices-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function claw(...words: readonly string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const exit = await runCommandLine(words, {
    out: (text) => void out.push(text),
    err: (text) => void err.push(text),
    isTerminal: false,
    env: {},
    signal: new AbortController().signal,
  });
  return { exit, out: out.join(''), err: err.join('') };
}

const json = async (...words: readonly string[]) => {
  const { exit, out } = await claw(...words, '--json');
  return { exit, value: JSON.parse(out) };
};

describe.skipIf(missing)('claw devices with the stubs of all rows', () => {
  const trace = join(folder, 'rows.trace');
  beforeAll(() => {
    const places = gpuRows.map((row) => buildStub(row, join(folder, row.name)));
    use(
      cudaDevice(gpuRows, {
        places: {
          libraries: places.flatMap(({ libraries }) => libraries),
          commands: places.flatMap(({ commands }) => commands),
        },
      }),
    );
  }, 120_000);

  it('shows two cards of every row, each with facts and as a stub', async () => {
    const { exit, value } = await json('devices', '--device', 'cuda');
    expect(exit).toBe(0);
    const ids = gpuRows.flatMap(({ name }) => [`cuda/${name}:0`, `cuda/${name}:1`]);
    expect(value.devices.map(({ id }: { readonly id: string }) => id)).toEqual(ids);
    for (const [i, device] of value.devices.entries()) {
      const [architecture] = (gpuRows[i >> 1] as (typeof gpuRows)[number]).architectures;
      expect(device).toMatchObject({ found: true, evidence: 'stub', marks: ['stub'] });
      expect(device.target).toMatchObject({
        id: `cuda/${architecture.name}`,
        maxGroup: architecture.maxGroup,
        sharedBytes: architecture.sharedBytes,
      });
      expect(device.driver).not.toBe('');
    }
    const { out } = await claw('devices', '--device', 'cuda');
    for (const id of ids) expect(out).toContain(id);
  });

  it('traces every row into one file, which agrees with the table', async () => {
    const names = gpuRows.map(({ name }) => name);
    expect(await json('devices', '--trace', trace)).toMatchObject({
      exit: 0,
      value: { trace, rows: names },
    });
    const { exit, value } = await json('devices', '--replay', trace);
    for (const report of value.rows) expect(report.differences).toEqual([]);
    expect(value.rows.map(({ row }: { readonly row: string }) => row)).toEqual(names);
    expect(exit).toBe(0);
  });

  it('says where the table differs from a trace', async () => {
    const text = readFileSync(trace, 'utf8');
    const other = join(folder, 'other.trace');
    const release = gpuRows
      .map(({ symbols }) => symbols.release)
      .find((name) => /Free$/.test(`${name}`));
    writeFileSync(other, text.replaceAll(`"${release}"`, '"theirRelease"'));
    const { exit, value } = await json('devices', '--replay', other);
    expect(exit).toBe(0);
    // Another name of a symbol is taken over from the trace; another order of calls is not.
    writeFileSync(other, text.replace(/^.*"part":"moduleLoad".*\n/m, ''));
    const wrong = await json('devices', '--replay', other);
    expect(wrong.exit).toBe(1);
    expect(wrong.value.rows[0].agrees).toBe(false);
    expect(wrong.value.rows[0].differences.join()).toMatch(/load/);
    expect(value.rows).toHaveLength(gpuRows.length);
    writeFileSync(other, '{"trace":1,"row":"nobody","folders":0}\n');
    const unknown = await claw('devices', '--replay', other);
    expect(unknown).toMatchObject({ exit: 1, out: expect.stringContaining('no row of this name') });
  });
});

describe('claw devices', () => {
  const other = join(folder, 'bad.trace');

  it.each([
    ['{"trace":1,"row":"cuda"}', 'field folders'],
    ['nonsense', 'line 1 of the trace is none: it is no JSON'],
    ['{"part":"launch","symbol":"x","code":0}', 'no line before it names a row'],
    ['{"trace":1,"row":"cuda","folders":0}\n[]', 'line 2 of the trace is none'],
    [
      '{"trace":1,"row":"cuda","folders":0}\n\n{"part":"constructor","symbol":"x","code":0}',
      'field part',
    ],
    [
      '{"trace":1,"row":"cuda","folders":0}\n{"part":"launch","symbol":"x","code":"0"}',
      'field code',
    ],
    ['{"trace":1,"row":"cuda","folders":0}\n{"library":[1]}', 'field library'],
  ])('refuses %j as a trace', async (text, reason) => {
    writeFileSync(other, text);
    const { exit, err } = await claw('devices', '--replay', other);
    expect(exit).toBe(2);
    expect(err).toContain('OC-TRACE-01');
    expect(err).toContain(reason);
  });

  it.each([
    [['--replay', join(folder, 'none.trace')], 'cannot be read'],
    [['--replay', other, '--trace', other], 'exclude each other'],
  ])('%j is wrong use', async (words, text) => {
    const { exit, err } = await claw('devices', ...words);
    expect(exit).toBe(2);
    expect(err).toContain(text);
  });
});
