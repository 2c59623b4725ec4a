/** Arrays that the caller gives away while a run writes them. */
import { compile, type HostTensor, load } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { nativeDevice } from '@open-claw/device-native';
import { expect, it } from 'vitest';

const plugin = nativeDevice();
const [found] = await plugin.probe();
if (found !== undefined && 'reason' in found) console.warn(`skipped: ${found.reason}`);

it.skipIf(found === undefined || 'reason' in found)(
  'a run that is ended names its own reason, not the array that was transferred',
  async () => {
    if (found === undefined || 'reason' in found) return;
    const { id, target } = found;
    const device = await plugin.open(id);
    const x = core.input('x', { dtype: 'f32', shape: [2 ** 21] });
    let y = core.cos(x);
    for (let i = 0; i < 40; i++) y = core.cumulate('sum', core.cos(y), 0);
    const program = compile(core.graphOf([x], [y]), target, plugin.language);
    const executable = await load(program, {
      id,
      plugin,
      found,
      target,
      evidence: 'hardware',
      device,
    });
    const array = (): HostTensor => ({
      dtype: 'f32',
      shape: [2 ** 21],
      data: new Float32Array(2 ** 21),
    });
    const into = array();
    const taken: ArrayBuffer[] = [];
    const ending = new AbortController();
    const run = executable.run([array()], { into: [into], signal: ending.signal });
    setTimeout(() => {
      const buffer = (into.data as Float32Array).buffer as ArrayBuffer;
      // Held: kernels write the memory until they see the signal.
      taken.push(structuredClone(buffer, { transfer: [buffer] }));
      ending.abort();
    }, 5);
    await expect(run).rejects.toThrow('OC-DEVICE-05');
    expect(taken).toHaveLength(1);
    await executable.dispose();
    await device.close();
  },
);
