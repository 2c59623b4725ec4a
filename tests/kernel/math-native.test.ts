/** The bounds of the mathematical functions on the instructions of this CPU. */
import { compile, load } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { nativeDevice } from '@open-claw/device-native';
import { describe, expect, it } from 'vitest';
import { allowed, cases, sweep, worstOf } from './math-cases.js';

type Name = keyof typeof cases;
const names = Object.keys(cases) as Name[];
const plugin = nativeDevice();

/** Every exponent and sign, evenly: numbers of f32 by their bits. */
function everywhere(): Float32Array<ArrayBuffer> {
  const words = Uint32Array.from({ length: 2 ** 18 }, (_, i) => Math.imul(i, 16_381));
  return new Float32Array(words.buffer);
}

describe.each(['native/avx512', 'native/avx2', 'native/generic'])('%s', (row) => {
  it('functions of f32 are within their bounds all over the type', async ({ skip }) => {
    const target = plugin.targets.find(({ id }) => id === row);
    const device = await plugin.open(row).catch(() => undefined);
    const found = (await plugin.probe()).find((one) => 'target' in one);
    if (device === undefined || target === undefined || found === undefined) return skip();
    if (!('target' in found)) return skip();
    const opened = { id: row, device, plugin, found, target, evidence: 'hardware' as const };
    const data = everywhere();
    const x = core.input('x', { dtype: 'f32', shape: [data.length] });
    const graph = core.graphOf(
      [x],
      names.map((name) => core.unary(name, x)),
    );
    const executable = await load(compile(graph, target, plugin.language), opened);
    const results = await executable.run([{ dtype: 'f32', shape: [data.length], data }]);
    for (const [i, name] of names.entries()) {
      const { worst, message } = worstOf(name, data, (results[i] as core.HostTensor).data);
      expect(worst, message).toBeLessThanOrEqual(allowed(cases[name], true));
    }
    await executable.dispose();
    await device.close();
  });

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
      expect(worst, message).toBeLessThanOrEqual(allowed(cases[name], single));
    }
    await executable.dispose();
    await device.close();
  });
});
