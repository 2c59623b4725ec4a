/** Memory of a procedure on devices where every value has an allocation of its own. */
import { expect, it } from 'vitest';
import { variable } from '../base/expression.js';
import type { Buffer } from '../codegen/program.js';
import { Arena } from './arena.js';
import type { Memory, MemoryArgument } from './contract.js';
import type { Session } from './session.js';

it('frees all that a plan for larger values does not use', async () => {
  const live = new Set<Memory>();
  const session = {
    opened: { target: { offsetAlignment: 4, maxBufferBytes: 2 ** 20, sharedBuffers: false } },
    limit: 2 ** 20,
    usedBytes: 0,
    allocate: async (bytes: number) => {
      const memory = { bytes };
      live.add(memory);
      return memory;
    },
    free: (memory: Memory) => void live.delete(memory),
  };
  const bytes = [64, 128, variable('n')];
  const buffers = bytes.map((size, id) => ({ id, bytes: size, first: 0, last: 9 }));
  const arena = new Arena(session as unknown as Session, buffers as unknown as readonly Buffer[]);
  for (const size of [256, 512, 1024]) {
    const places = new Map<number, MemoryArgument>();
    await arena.place(new Map([['n', size]]), places);
    expect(new Set([...places.values()].map(({ memory }) => memory))).toEqual(live);
  }
  arena.release();
  expect(live.size).toBe(0);
});
