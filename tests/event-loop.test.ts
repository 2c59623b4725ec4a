/** The caller's timers have their turns while programs run; memory stays flat over many runs. */
import { compile, type Executable, type HostTensor, load, openDevice } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { describe, expect, it, vi } from 'vitest';
import { useDevices } from './devices.js';
import { randomTensor, smallPrograms } from './programs.js';

const ids = await useDevices();

async function loadOn(graph: core.Graph, id: string): Promise<Executable> {
  const opened = await openDevice(id);
  return load(compile(graph, opened.target, opened.plugin.language), opened);
}

/** A loop on the host whose iterations are too short to leave the caller's thread. */
function longLoop(trip: number): core.Graph {
  const x = core.input('x', { dtype: 'f32', shape: [4] });
  const [y] = core.loop({
    trip,
    carried: [x],
    body: ([value]) => ({ carried: [core.multiply(core.add(value as core.Node, 1), 0.5)] }),
  });
  return core.graphOf([x], [y as core.Node]);
}

/** Turns of the event loop that a piece of work leaves to timers. */
async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await work();
  clearInterval(timer);
  return turns;
}

describe.each(ids)('timers on %s', (id) => {
  it('fire during a long loop', async () => {
    const executable = await loadOn(longLoop(30_000), id);
    const turns = await turnsDuring(() => executable.run([randomTensor(1, [4])]));
    expect(turns).toBeGreaterThan(2);
    await executable.dispose();
  });

  it('fire between many short runs', async () => {
    const x = core.input('x', { dtype: 'f32', shape: [4] });
    const executable = await loadOn(core.graphOf([x], [core.exp(x)]), id);
    const values = randomTensor(1, [4]);
    const turns = await turnsDuring(async () => {
      const end = performance.now() + 100;
      while (performance.now() < end) await executable.run([values]);
    });
    expect(turns).toBeGreaterThan(2);
    await executable.dispose();
  });

  it('fire between short runs after the clock was set back', async () => {
    const x = core.input('x', { dtype: 'f32', shape: [4] });
    const executable = await loadOn(core.graphOf([x], [core.exp(x)]), id);
    const values = randomTensor(1, [4]);
    await executable.run([values]);
    const { now } = Date;
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() - 3_600_000);
    try {
      const turns = await turnsDuring(async () => {
        const end = performance.now() + 100;
        while (performance.now() < end) await executable.run([values]);
      });
      expect(turns).toBeGreaterThan(2);
    } finally {
      clock.mockRestore();
    }
    await executable.dispose();
  });
});

/** Keeps positive values and sums what is left: sizes come from data. */
function sizesFromData(): core.Graph {
  const x = core.input('x', { dtype: 'f32', shape: [core.sizeSymbol()] });
  const [values, count] = core.compact(core.greater(x, 0), x) as [core.Node, core.Node];
  const size = core.elementSize(count, 0);
  const kept = core.slice(values, { starts: [0], sizes: [size], steps: [1] });
  return core.graphOf([x], [core.exp(kept), core.reduce('sum', kept, [0])]);
}

describe.each(ids)('a thousand runs on %s', (id) => {
  const attention = smallPrograms().find(({ name }) => name.includes('attention'));
  const cases: readonly { name: string; graph: core.Graph; inputs: readonly HostTensor[] }[] = [
    ...(attention === undefined ? [] : [attention]),
    { name: 'sizes from data', graph: sizesFromData(), inputs: [randomTensor(3, [500])] },
  ];

  it.each(cases)('of $name keep memory flat', async ({ graph, inputs }) => {
    const opened = await openDevice(id);
    let allocated = 0;
    const device = new Proxy(opened.device, {
      get(target, name) {
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== 'function') return member;
        return (...args: unknown[]) => {
          if (name === 'allocate') allocated += args[0] as number;
          return member.apply(target, args);
        };
      },
    });
    const program = compile(graph, opened.target, opened.plugin.language);
    const executable = await load(program, { ...opened, device });
    const first = await executable.run(inputs);
    const [peak, before] = [executable.peakBytes, allocated];
    for (let i = 0; i < 1000; i++) {
      const next = await executable.run(inputs);
      if (i % 250 === 249) expect(next).toEqual(first);
    }
    expect(executable.peakBytes).toBe(peak);
    expect(allocated).toBe(before);
    await executable.dispose();
  });
});
