import { describe, expect, it } from 'vitest';
import { type MemoryFacts, type MemoryRequest, planMemory } from './memory.js';

const shared: MemoryFacts = { offsetAlignment: 64, maxBufferBytes: 1e9, sharedBuffers: true };

/** Numbers in [0, 1), the same on every run. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function someRequests(seed: number, count: number, span: number): MemoryRequest[] {
  const random = randomOf(seed);
  return Array.from({ length: count }, (_, id) => {
    const first = Math.floor(random() * count);
    const last = first + Math.floor(random() * span);
    return { id, bytes: Math.floor(random() * 5000), first, last };
  });
}

describe('planMemory', () => {
  const variants: readonly MemoryFacts[] = [
    shared,
    { ...shared, sharedBuffers: false },
    { ...shared, maxBufferBytes: 8192 },
  ];
  it.each(variants)('never overlaps two live values: %o', (facts) => {
    for (let seed = 1; seed <= 30; seed++) {
      const requests = someRequests(seed, 60, seed % 3 === 0 ? 200 : 10);
      const { slots, placement, totalBytes } = planMemory(requests, facts, 1e12);
      expect(slots.every((bytes) => bytes <= facts.maxBufferBytes)).toBe(true);
      expect(totalBytes).toBe(slots.reduce((a, b) => a + b, 0));
      for (const a of requests) {
        const at = placement.get(a.id)!;
        expect(at.offset % facts.offsetAlignment).toBe(0);
        expect(at.offset + a.bytes).toBeLessThanOrEqual(slots[at.slot]!);
        for (const b of requests) {
          if (a.id >= b.id || a.first > b.last || b.first > a.last) continue;
          const other = placement.get(b.id)!;
          const apart =
            at.slot !== other.slot ||
            (facts.sharedBuffers &&
              (at.offset + a.bytes <= other.offset || other.offset + b.bytes <= at.offset));
          expect(apart).toBe(true);
        }
      }
    }
  });

  it('reuses memory along a chain', () => {
    const requests = Array.from({ length: 1000 }, (_, id) => ({
      id,
      bytes: 1024,
      first: id,
      last: id + 1,
    }));
    expect(planMemory(requests, shared, 1e9).totalBytes).toBe(2048);
    const apart = { ...shared, sharedBuffers: false };
    expect(planMemory(requests, apart, 1e9).slots).toEqual([1024, 1024]);
  });

  it('takes over dead memory only', () => {
    const dead = planMemory(
      [
        { id: 0, bytes: 640, first: 0, last: 2 },
        { id: 1, bytes: 640, first: 2, last: 4, reuses: 0 },
      ],
      shared,
      1e9,
    );
    expect(dead.totalBytes).toBe(640);
    expect(dead.placement.get(1)).toEqual(dead.placement.get(0));
    const alive = planMemory(
      [
        { id: 0, bytes: 640, first: 0, last: 3 },
        { id: 1, bytes: 640, first: 2, last: 4, reuses: 0 },
      ],
      shared,
      1e9,
    );
    expect(alive.totalBytes).toBe(1280);
  });

  it('refuses above the limit, with figures', () => {
    const requests = [{ id: 0, bytes: 1000, first: 0, last: 1 }];
    expect(() => planMemory(requests, shared, 999)).toThrow(/OC-MEMORY-01.*1024 bytes.*999/);
    const small = { ...shared, maxBufferBytes: 512 };
    expect(() => planMemory(requests, small, 1e9)).toThrow('OC-MEMORY-01');
  });
});
