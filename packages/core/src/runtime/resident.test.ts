import { describe, expect, it } from 'vitest';
import { hostTensor } from '../base/host-tensor.js';
import type { Device, Memory } from './contract.js';
import type { Resident } from './pool.js';
import type { OpenDevice } from './registry.js';
import { releaseResident, uploadResident } from './resident.js';

const opened = {
  device: {
    allocate: async (bytes: number): Promise<Memory> => ({ bytes }),
    write: async () => {},
    free: () => {},
  } as unknown as Device,
} as OpenDevice;

const upload = (count: number): Promise<Resident[]> => {
  const tensor = hostTensor('f32', [64], new Float32Array(64));
  return Promise.all(Array.from({ length: count }, () => uploadResident(opened, tensor)));
};

describe('memory of released values', () => {
  it('is given again in the order in which it was made, however released', async () => {
    const first = await upload(5);
    const memories = first.map(({ memory }) => memory);
    for (const at of [3, 0, 4, 1, 2]) releaseResident(first[at] as Resident);
    const second = await upload(5);
    for (const [i, { memory }] of second.entries()) expect(memory).toBe(memories[i]);
    releaseResident(second[4] as Resident);
    releaseResident(second[1] as Resident);
    const [again, last, fresh] = await upload(3);
    expect(again?.memory).toBe(memories[1]);
    expect(last?.memory).toBe(memories[4]);
    expect(memories.includes(fresh?.memory as Memory)).toBe(false);
  });
});
