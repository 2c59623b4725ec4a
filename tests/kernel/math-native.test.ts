/** The bounds of the mathematical functions on the instructions of this CPU. */
import { compile, load } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { nativeDevice } from '@open-claw/device-native';
import { describe, expect, it } from 'vitest';
import { cases, sweep, worstOf } from './math-cases.js';

type Name = keyof typeof cases;
const names = Object.keys(cases) as Name[];
const plugin = nativeDevice();

describe.each(['native/avx512', 'native/avx2'])('%s', (row) => {
  it.each(['f32', 'f64'] as const)('functions of %s are within their bounds', async (dtype) => {
    const target = plugin.targets.find(({ id }) => id === row);
    const device = await plugin.open(row).catch(() => undefined);
    const found = (await plugin.probe()).find((one) => 'target' in one);
    if (device === undefined || target === undefined || found === undefined) return;
    if (!('target' in found)) return;
    const opened = { id: row, device, plugin, found, target, evidence: 'hardware' as const };
    const single = dtype === 'f32';
    const columns = names.map((name) => sweep(cases[name][single ? 'single' : 'double'], single));
    const inputs = columns.map(({ length }, i) => core.input(`x${i}`, { dtype, shape: [length] }));
    const graph = core.graphOf(
      inputs,
      names.map((name, i) => core.unary(name, inputs[i] as core.Node)),
    );
    const executable = await load(compile(graph, target, plugin.language), opened);
    const results = await executable.run(
      columns.map((data) => ({ dtype, shape: [data.length], data: data as Float32Array })),
    );
    for (const [i, name] of names.entries()) {
      const { data } = results[i] as core.HostTensor;
      const { worst, message } = worstOf(name, columns[i] as Float32Array, data);
      expect(worst, message).toBeLessThanOrEqual(cases[name].ulps[single ? 0 : 1]);
    }
    await executable.dispose();
    await device.close();
  });
});
