/** What `check` says about memory is what programs take. */
import { check, compile, load, openDevice } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { expect, it } from 'vitest';
import { useDevices } from './devices.js';
import { randomTensor, smallPrograms } from './programs.js';

await useDevices();
const opened = await openDevice('template');
const { target, plugin } = opened;

it.each(smallPrograms().map((each) => [each.name, each] as const))(
  'is enough for %s',
  async (_name, { graph, inputs }) => {
    const { totalBytes, segments } = check(graph, target, plugin.language);
    expect(segments.length).toBeGreaterThan(0);
    if (totalBytes === undefined) return;
    const executable = await load(compile(graph, target, plugin.language), opened);
    await executable.run(inputs);
    // Small constants share blocks that are larger than they; each is aligned.
    const constants = executable.peakBytes - totalBytes;
    expect(constants).toBeLessThanOrEqual(8192);
    await executable.dispose();
  },
);

it('takes sizes by symbol, and gives bytes per segment', () => {
  const n = core.sizeSymbol();
  const x = core.input('x', { dtype: 'f32', shape: [n] });
  const [values, count] = core.compact(core.greater(x, 0), x) as [core.Node, core.Node];
  const size = core.elementSize(count, 0);
  const kept = core.slice(values, { starts: [0], sizes: [size], steps: [1] });
  const graph = core.graphOf([x], [core.exp(kept)]);
  const unknown = check(graph, target, plugin.language);
  expect(unknown.totalBytes).toBeUndefined();
  const [name] = [...core.expressions.variablesOf(n).keys()];
  const sizes = new Map([[name as string, 1000]]);
  const report = check(graph, target, plugin.language, { sizes });
  expect(report.segments).toHaveLength(2);
  expect(report.segments[0]?.bytes).toBeGreaterThanOrEqual(8000);
  // The count that compact gives is known only at the run.
  expect(report.segments[1]?.bytes).toBeUndefined();
  expect(report.totalBytes).toBeUndefined();
  const whole = core.graphOf([x], [core.exp(x)]);
  const { totalBytes } = check(whole, target, plugin.language, { sizes });
  expect(totalBytes).toBeGreaterThanOrEqual(8000);
  expect(totalBytes).toBeLessThan(9000);
});

it('counts a constant once in the layout that stays', () => {
  const x = core.input('x', { dtype: 'f32', shape: [16, 128] });
  const w = core.constant(randomTensor(1, [128, 128]));
  const graph = core.graphOf([x], [core.matmul(x, w)]);
  const { constantBytes, totalBytes = 0 } = check(graph, target, plugin.language);
  expect(constantBytes).toBeGreaterThanOrEqual(128 * 128 * 4);
  expect(constantBytes).toBeLessThan(128 * 128 * 4 * 1.5);
  expect(totalBytes).toBeGreaterThanOrEqual(constantBytes + 2 * 16 * 128 * 4);
});
