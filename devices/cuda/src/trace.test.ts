/** Traces that are kept: the rows still make the calls that they made on their stubs. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type GpuRow, gpuRows, replayTrace } from './index.js';

/** As `claw devices --trace` wrote them, one row with a run-time compiler and one without. */
const traceOf = (name: string): string =>
  readFileSync(new URL(`testing/traces/${name}-stub.jsonl`, import.meta.url), 'utf8');
const rowOf = (name: string): GpuRow => gpuRows.find((row) => row.name === name) as GpuRow;

describe.each(['musa', 'supa'])('the kept trace of %s', (name) => {
  const trace = traceOf(name);

  it('agrees with the row, without a driver', async () => {
    const report = await replayTrace(rowOf(name), trace);
    expect(report).toMatchObject({ row: name, agrees: true, stub: true, differences: [] });
    expect(report.steps.map(({ step }) => step)).toEqual(
      'probe compile open load allocate write launch read free close'.split(' '),
    );
  });

  it('differs where the row asks in another order or for another thing', async () => {
    const row = rowOf(name);
    const { fill: _, ...symbols } = row.symbols;
    const missing = trace.split('\n').filter((line) => !line.includes('"part":"launch'));
    const other = await replayTrace(row, missing.join('\n'));
    expect(other.agrees).toBe(false);
    expect(other.differences.join()).toContain('launch');
    const withoutFill = trace.replace(/"fill":"[^"]*",/, '');
    const report = await replayTrace({ ...row, symbols }, withoutFill);
    expect(report.agrees).toBe(false);
  });

  it('shows a wrong number and a failed call as what they are', async () => {
    const wrong = trace.replace('"out":["AAAAAAAAgD8', '"out":["AAAAAAAAgD4');
    const { differences } = await replayTrace(rowOf(name), wrong);
    expect(differences.join()).toContain('element 1 is 0.25, not 1');
    const failed = trace.replace(/("part":"launch\w*",[^\n]*"code":)0/, '$1999');
    const report = await replayTrace(rowOf(name), failed);
    expect(report.differences.join()).toMatch(/OC-DEVICE-02/);
  });
});
