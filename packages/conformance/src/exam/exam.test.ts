/** The exam finds devices that break the contract; the pretend chip breaks nothing. */
import type { Device, DevicePlugin } from '@open-claw/core';
import { templateDevice } from '@open-claw/device-template';
import { describe, expect, it } from 'vitest';
import { deviceExam, runExam } from './exam.js';

/** The pretend chip with some methods of the opened device replaced. */
function broken(change: (device: Device) => Partial<Device>): DevicePlugin {
  const good = templateDevice();
  return {
    ...good,
    async open(id) {
      const device = await good.open(id);
      const replaced = change(device);
      return new Proxy(device, {
        get(target, name) {
          const own = (replaced as Record<PropertyKey, unknown>)[name];
          const value = own ?? (target as unknown as Record<PropertyKey, unknown>)[name];
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    },
  };
}

async function failures(plugin: DevicePlugin, filter: RegExp): Promise<readonly string[]> {
  const { cases } = await runExam(plugin, { filter });
  return cases.filter(({ outcome }) => outcome !== 'passed').map(({ name }) => name);
}

describe('the exam', () => {
  it('has a test of every primitive', () => {
    const names = deviceExam(templateDevice()).map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['graph/add', 'graph/window', 'graph/while']));
    expect(new Set(names).size).toBe(names.length);
  });

  it('finds memory that is not zeroed', async () => {
    const plugin = broken((device) => ({
      async allocate(bytes) {
        const memory = await device.allocate(bytes);
        await device.write(memory, 0, new Uint8Array(bytes).fill(1));
        return memory;
      },
    }));
    expect(await failures(plugin, /^contract\//)).toContain(
      'contract/memory is zeroed, also where it was used before',
    );
  });

  it('finds failures that nobody is told', async () => {
    const plugin = broken((device) => ({
      submit: (commands, stop) => {
        const known = commands.filter(({ kind }) => kind !== 'operator');
        device.submit(known, stop);
      },
    }));
    expect(await failures(plugin, /^contract\/a command/)).toHaveLength(1);
  });

  it('finds wrong numbers, and says which dtypes', async () => {
    const plugin = broken((device) => ({
      async read(from, offset, into) {
        await device.read(from, offset, into);
        if (into.length > 100) into[50] = (into[50] as number) ^ 0x40;
      },
    }));
    const { cases } = await runExam(plugin, { filter: /^graph\/negate$/ });
    expect(cases[0]).toMatchObject({
      outcome: 'failed',
      reason: expect.stringMatching(/f32: .*not/),
    });
  });

  it('leaves out what is written down as a gap, which must exist', async () => {
    const skip = [{ reason: 'the chip cannot sort', tests: ['graph/sort'] }];
    const tests = deviceExam(templateDevice(), { skip });
    expect(tests.find(({ name }) => name === 'graph/sort')?.skip).toBe('the chip cannot sort');
    const wrong = [{ reason: 'none', tests: ['graph/none'] }];
    expect(() => deviceExam(templateDevice(), { skip: wrong })).toThrow('graph/none');
    const { total } = await runExam(templateDevice(), { skip, filter: /^graph\/s(ort|in)$/ });
    expect(total).toBe(1);
  });
});
