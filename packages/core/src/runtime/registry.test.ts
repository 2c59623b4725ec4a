import { afterEach, describe, expect, it } from 'vitest';
import type { Device, DevicePlugin, Found } from './contract.js';
import { closeDevices, evidenceOf, listDevices, openDevice, plugins, use } from './registry.js';

const found = (id: string, marks: Found['marks'] = []): Found => ({
  id,
  model: 'Test',
  driver: 'none',
  target: {} as Found['target'],
  freeBytes: 1,
  peers: [],
  marks,
});

function plugin(name: string, probe: DevicePlugin['probe']): DevicePlugin {
  const open = async (): Promise<Device> =>
    ({ lost: new Promise(() => {}), close: async () => {} }) as unknown as Device;
  return { contract: 1, name, targets: [], probe, open } as unknown as DevicePlugin;
}

afterEach(closeDevices);

describe('registry', () => {
  it('refuses a plug-in of another contract and says what to update', () => {
    const old = { ...plugin('old', async () => []), contract: 0 } as unknown as DevicePlugin;
    expect(() => use(old)).toThrow(/OC-DEVICE-08.*"old".*0.*1/);
    expect(plugins().some(({ name }) => name === 'old')).toBe(false);
  });

  it('derives the evidence from what the probe saw', () => {
    expect(evidenceOf(found('a'))).toBe('hardware');
    expect(evidenceOf(found('a', ['software']))).toBe('emulator');
    expect(evidenceOf(found('a', ['emulator', 'pretend']))).toBe('stub');
    expect(evidenceOf(found('a', ['stub']))).toBe('stub');
  });

  it('lists what is there, what is not, and a probe that throws', async () => {
    use(plugin('one', async () => [found('one:0'), found('one:1')]));
    use(plugin('two', async () => [{ id: 'two', reason: 'no card', fix: 'buy one' }]));
    use(
      plugin('three', async () => {
        throw new Error('broken');
      }),
    );
    const listings = await listDevices();
    const names = listings.map((entry) => ('found' in entry ? entry.found.id : entry.absent.id));
    expect(names).toEqual(['one:0', 'one:1', 'two', 'three']);
    expect(listings[3]).toMatchObject({ evidence: 'none', absent: { reason: 'Error: broken' } });
  });

  it('opens by id or by family, once, and names what is missing', async () => {
    use(plugin('one', async () => [found('one:0'), found('one:1')]));
    const first = await openDevice('one');
    expect(first.id).toBe('one:0');
    expect(await openDevice('one:0')).toBe(first);
    expect((await openDevice('one:1')).id).toBe('one:1');
    use(plugin('two', async () => [{ id: 'two', reason: 'no card', fix: 'buy one' }]));
    await expect(openDevice('two')).rejects.toThrow(/OC-DEVICE-06[\s\S]*no card/);
    await expect(openDevice('nothing')).rejects.toThrow('OC-DEVICE-06');
  });
});
