/** Which of the caller's arrays stay wrapped between runs. */
import { describe, expect, it } from 'vitest';
import type { Device, Memory } from './contract.js';
import { KeptArrays } from './kept-arrays.js';

function fakeDevice() {
  const live = new Set<Memory>();
  const wrap = ({ byteLength }: Uint8Array): Memory => {
    const memory = { bytes: byteLength };
    live.add(memory);
    return memory;
  };
  const free = (memory: Memory): void => void live.delete(memory);
  return { device: { wrap, free } as unknown as Device, live };
}

describe('kept arrays', () => {
  it('holds an array that comes again, and lets it go once it does not', () => {
    const { device, live } = fakeDevice();
    const arrays = new KeptArrays(device);
    const [a, b] = [new Uint8Array(8), new Uint8Array(8)];
    const run = (...given: Uint8Array[]): (Memory | undefined)[] => {
      const memories = given.map((bytes) => arrays.wrap(bytes));
      arrays.end(true);
      return memories;
    };
    run(a, b);
    expect(live.size).toBe(0);
    const [second] = run(a);
    expect(live.size).toBe(1);
    expect(run(a)[0]).toBe(second);
    expect(run(a.subarray(4))[0]).not.toBe(second);
    expect(live.size).toBe(1);
    run(b);
    run(new Uint8Array(8));
    expect(live.size).toBe(0);
  });

  it('gives one array one memory within a run', () => {
    const { device } = fakeDevice();
    const arrays = new KeptArrays(device);
    const a = new Uint8Array(8);
    arrays.wrap(a);
    arrays.end(true);
    expect(arrays.wrap(a)).toBe(arrays.wrap(a));
  });

  it('holds nothing after a failed run or at the end', () => {
    const { device, live } = fakeDevice();
    const arrays = new KeptArrays(device);
    const a = new Uint8Array(8);
    for (const isWhole of [true, true, false]) {
      arrays.wrap(a);
      arrays.end(isWhole);
    }
    expect(live.size).toBe(0);
    arrays.wrap(a);
    arrays.end(true);
    expect(live.size).toBe(1);
    arrays.release();
    expect(live.size).toBe(0);
  });

  it('does not take a detached buffer for the array that it held', () => {
    const { device } = fakeDevice();
    const arrays = new KeptArrays(device);
    const a = new Uint8Array(8);
    for (let i = 0; i < 2; i++) {
      arrays.wrap(a);
      arrays.end(true);
    }
    const before = arrays.wrap(a);
    arrays.end(true);
    structuredClone(a.buffer, { transfer: [a.buffer] });
    expect(a.byteLength).toBe(0);
    expect(arrays.wrap(a)).not.toBe(before);
  });
});
