/** Functions that are called again and again on values of the device: what is held stays. */
import { closeDevices, fromHost, grad, jit, setDevice, type Tensor, tensor } from '@open-claw/core';
import { afterAll, describe, expect, it } from 'vitest';
import { codeOf } from '../packages/openclaw/src/testing/codes.js';
import { useDevices } from './devices.js';

const ids = await useDevices();
afterAll(async () => {
  setDevice(undefined);
  await closeDevices();
});

const size = 40;
const wave = (seed: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: size * size }, (_, i) => Math.sin(i * (seed + 1)) / 4);
const matrix = (seed: number): Tensor =>
  fromHost({ dtype: 'f32', shape: [size, size], data: wave(seed) });

const expectClose = async (value: Tensor, wanted: Float32Array): Promise<void> => {
  const found = (await value.data()) as Float32Array;
  wanted.forEach((each, i) => {
    expect(Math.abs(each - (found[i] as number))).toBeLessThan(1e-4);
  });
};

function product(a: Float32Array, b: Float32Array): Float32Array {
  return Float32Array.from({ length: size * size }, (_, at) => {
    const [row, column] = [Math.floor(at / size), at % size];
    let sum = 0;
    for (let k = 0; k < size; k++) {
      sum += (a[row * size + k] as number) * (b[k * size + column] as number);
    }
    return sum;
  });
}

describe.each(ids)('on %s', (id) => {
  it('gives the products of what it is given, held or released', async () => {
    setDevice(id);
    const [a, b] = [matrix(1), matrix(2)];
    const multiply = jit((x: Tensor, y: Tensor) => x.matmul(y));
    const wanted = product(wave(1), wave(2));
    let held: Tensor[] = [];
    for (let step = 0; step < 60; step++) {
      held.push(await multiply(a, b));
      if (step % 7 === 0) await expectClose(held[0] as Tensor, wanted);
      // Held for a while, then released all but one, or all.
      const stays = step % 10 < 5 ? held.length : step % 2;
      for (const each of held.slice(stays)) each.dispose();
      held = held.slice(0, stays);
    }
    for (const each of held) await expectClose(each, wanted);
    const [c, d] = [matrix(3), await multiply(a, b)];
    const again = await multiply(c, d);
    await expectClose(again, product(wave(3), wanted));
    await expectClose(d, wanted);
    for (const each of [...held, c, d, again, a]) each.dispose();
    expect(await codeOf(multiply(a, b))).toBe('OC-TENSOR-01');
  });

  it('learns as without a recording, its state given up at each step', async () => {
    setDevice(id);
    const x = matrix(5);
    const loss = (w: Tensor): Tensor => x.matmul(w).tanh().mul(x).sum();
    const step = (w: Tensor): Tensor => w.sub(grad(loss)(w).mul(0.01));
    const fast = jit(step, { donate: [0] });
    let [slow, quick] = [matrix(6), matrix(6)];
    for (let i = 0; i < 12; i++) {
      const next = await step(slow).realize();
      slow = next;
      const before = quick;
      quick = await fast(quick);
      expect(await codeOf(before.data())).toBe('OC-TENSOR-01');
      if (i % 4 === 3) await expectClose(quick, (await slow.data()) as Float32Array);
    }
  });

  it('takes other values, kinds and devices as they come', async () => {
    setDevice(id);
    const scale = jit((value: Tensor, by: number) => value.mul(by));
    for (const by of [2, 3, 2, 2, 3]) {
      for (const count of [3, 4, 3]) {
        const given = tensor(Float32Array.from({ length: count }, (_, i) => i));
        const results = await Promise.all([scale(given, by), scale(given, by)]);
        for (const each of results) {
          expect(await each.array()).toEqual(Array.from({ length: count }, (_, i) => i * by));
          each.dispose();
        }
      }
    }
    const here = tensor([1, 2], { device: id });
    expect((await scale(here, 2)).device).toBe(id);
    expect((await scale(tensor([1, 2]), 2)).device).toBe(undefined);
  });
});
