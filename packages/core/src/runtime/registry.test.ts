import { afterEach, describe, expect, it } from 'vitest';
import type { Device, DevicePlugin, Found } from './contract.js';
import {
  closeDevices,
  evidenceOf,
  listDevices,
  openDevice,
  pluginNames,
  plugins,
  preferredDevices,
  use,
  useLater,
} from './registry.js';

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

  it('loads a plug-in that waits only when a device before it does not do', async () => {
    let loads = 0;
    useLater('late', async () => {
      loads += 1;
      return plugin('late', async () => [found('late:0')]);
    });
    expect(pluginNames()).toContain('late');
    expect(plugins().some(({ name }) => name === 'late')).toBe(false);
    use(plugin('one', async () => [found('one:0', ['software']), found('one:1')]));
    const ids = preferredDevices();
    expect((await ids.next()).value).toBe('one:1');
    expect(loads).toBe(0);
    expect([(await ids.next()).value, (await ids.next()).value]).toEqual(['late:0', 'one:0']);
    expect((await openDevice('late')).id).toBe('late:0');
    expect(loads).toBe(1);
  });

  it('opens a device of the plug-in that replaced another, and closes both', async () => {
    let closed = 0;
    const closing = (): DevicePlugin => {
      const made = plugin('one', async () => [found('one:0')]);
      const device = { lost: new Promise(() => {}), close: async () => void closed++ };
      return { ...made, open: async () => device as unknown as Device };
    };
    const [first, second] = [closing(), closing()];
    use(first);
    const before = await openDevice('one:0');
    use(first);
    expect((await openDevice('one')).device).toBe(before.device);
    use(second);
    const after = await openDevice('one:0');
    expect(after.plugin).toBe(second);
    expect(after.device).not.toBe(before.device);
    use(first);
    expect((await openDevice('one:0')).device).toBe(before.device);
    await closeDevices();
    expect(closed).toBe(2);
  });

  it('opens what was found, also where the plug-in is replaced meanwhile', async () => {
    const first = plugin('late', async () => {
      useLater('late', async () => plugin('late', async () => [found('late:0')]));
      return [found('late:0')];
    });
    use(first);
    expect((await openDevice('late:0')).plugin).toBe(first);
    expect((await openDevice('late:0')).plugin).not.toBe(first);
  });

  it('lists a plug-in that cannot be loaded with the reason', async () => {
    useLater('gone', async () => {
      throw new Error('no such package');
    });
    const entry = (await listDevices()).find(({ plugin }) => plugin === 'gone');
    expect(entry).toMatchObject({ absent: { id: 'gone', reason: 'Error: no such package' } });
    useLater('gone', async () => plugin('gone', async () => []));
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

  it('opens a row by its id, for as many cores as were found', async () => {
    const there = { ...found('rows:0'), target: { id: 'rows/a', cores: 6 } as Found['target'] };
    const targets = [there.target, { id: 'rows/b', cores: 1 } as Found['target']];
    use({ ...plugin('rows', async () => [there]), targets });
    const { id, target } = await openDevice('rows/b');
    expect({ id, target }).toEqual({ id: 'rows/b', target: { id: 'rows/b', cores: 6 } });
  });
});
