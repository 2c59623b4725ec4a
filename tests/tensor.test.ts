/** Tensors on every device that is there. */
import {
  arange,
  closeDevices,
  concat,
  eye,
  fromHost,
  full,
  grad,
  jit,
  linspace,
  OpenClawError,
  ones,
  openDevice,
  permutation,
  rand,
  randn,
  randomKey,
  realize,
  scope,
  setDevice,
  stack,
  type Tensor,
  tensor,
  uniform,
  valueAndGrad,
  where,
  zeros,
} from '@open-claw/core';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { useDevices } from './devices.js';

const found = await useDevices();

afterAll(async () => {
  setDevice(undefined);
  await closeDevices();
});

const codeOf = (error: unknown): string =>
  error instanceof OpenClawError ? error.code : String(error);

describe.each([...found, 'interpreter'])('tensors on %s', (device) => {
  beforeAll(() => setDevice(device));

  it('computes with broadcasting and plain numbers', async () => {
    const x = tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    const y = x
      .mul(2)
      .add(tensor([10, 20, 30]))
      .sub(x.sum(1, { keepDims: true }));
    expect(await y.array()).toEqual([
      [6, 18, 30],
      [3, 15, 27],
    ]);
    expect(await x.at(-1).array()).toEqual([4, 5, 6]);
    expect(await x.mean().item()).toBeCloseTo(3.5, 6);
    expect(await x.argmax(1).array()).toEqual([2n, 2n]);
    expect(await x.div(2).to('i32').remainder(2).array()).toEqual([
      [0, 1, 1],
      [0, 0, 1],
    ]);
  });

  it('slices and rearranges as Python does', async () => {
    const x = arange(24).reshape(2, 3, 4);
    expect(await x.slice(1, null, [null, null, -2]).array()).toEqual([
      [15, 13],
      [19, 17],
      [23, 21],
    ]);
    expect(await x.slice(null, [-1, null], 0).array()).toEqual([[8], [20]]);
    expect(x.slice([5, 9]).shape).toEqual([0, 3, 4]);
    expect(await x.permute(2, 0, 1).flatten(1).at(1).array()).toEqual([1, 5, 9, 13, 17, 21]);
    expect(await concat([ones([1, 2]), zeros([1, 2])]).array()).toEqual([
      [1, 1],
      [0, 0],
    ]);
    expect(stack([ones([2]), zeros([2])], 1).shape).toEqual([2, 2]);
    const [a, b] = x.split(2) as [Tensor, Tensor];
    expect(await b.sub(a).max().item()).toBe(12);
    expect(
      await x
        .take(tensor([-1, 0], { dtype: 'i64' }), 2)
        .at(0, 0)
        .array(),
    ).toEqual([3, 0]);
    const picked = x.at(0).gather(1, tensor([[3], [0], [-1]], { dtype: 'i64' }));
    expect(await picked.array()).toEqual([[3], [4], [11]]);
    expect(await x.at(0).tril().array()).toEqual([
      [0, 0, 0, 0],
      [4, 5, 0, 0],
      [8, 9, 10, 0],
    ]);
  });

  it('keeps dtypes', async () => {
    expect(tensor([1n, 2n]).dtype).toBe('i64');
    expect(tensor([true]).dtype).toBe('bool');
    expect(await tensor([1.5, 2.5]).to('f16').mul(3).data()).toEqual(Float32Array.of(4.5, 7.5));
    expect(await tensor([-7, 7], { dtype: 'i32' }).floorDiv(2).array()).toEqual([-4, 3]);
    expect(await tensor([-7, 7], { dtype: 'i32' }).div(2).array()).toEqual([-3.5, 3.5]);
    expect(await tensor([0, 3]).to('bool').array()).toEqual([false, true]);
    expect(await tensor([true, false]).not().array()).toEqual([false, true]);
    expect(await where(tensor([true, false]), 1, tensor([5, 6])).array()).toEqual([1, 6]);
    expect(await full([2], 7n).sum().array()).toBe(14n);
    expect(await eye(2).array()).toEqual([
      [1, 0],
      [0, 1],
    ]);
    expect(await linspace(0, 1, 5).array()).toEqual([0, 0.25, 0.5, 0.75, 1]);
  });

  it('sorts, accumulates, reduces', async () => {
    const x = tensor([3, 1, 2]);
    const [values, places] = x.sort();
    await realize([values, places]);
    expect(await values.array()).toEqual([1, 2, 3]);
    expect(await places.array()).toEqual([1n, 2n, 0n]);
    expect(await x.topk(2)[1].array()).toEqual([0n, 2n]);
    expect(await x.cumsum().array()).toEqual([3, 4, 6]);
    expect(await x.var().item()).toBeCloseTo(2 / 3, 6);
    expect(await x.std(0, { correction: 1 }).item()).toBeCloseTo(1, 6);
    expect(await x.gt(1).all().array()).toBe(false);
    expect(await x.gt(1).any().array()).toBe(true);
    expect(await permutation(5, { seed: 1 }).sum().array()).toBe(10n);
    const rows = zeros([3, 2]).scatter(tensor([2, 2, 0], { dtype: 'i64' }), ones([3, 2]), 'sum');
    expect(await rows.sum(1).array()).toEqual([2, 0, 4]);
  });

  it('multiplies, convolves, pools', async () => {
    const a = arange(6).reshape(2, 3);
    expect(await a.matmul(a.transpose()).array()).toEqual([
      [5, 14],
      [14, 50],
    ]);
    const image = arange(16).reshape(1, 1, 4, 4);
    const kernel = ones([1, 1, 3, 3]);
    const bias = tensor([100]);
    const convolved = image.conv2d(kernel, { padding: 1, bias });
    expect(await convolved.slice(0, 0, 0).array()).toEqual([110, 118, 124, 118]);
    expect(await image.maxPool(2).flatten().array()).toEqual([5, 7, 13, 15]);
    expect(await image.avgPool(2).flatten().array()).toEqual([2.5, 4.5, 10.5, 12.5]);
    const soft = tensor([1, 2, 3]).softmax();
    expect(await soft.sum().item()).toBeCloseTo(1, 6);
    const q = randn([1, 2, 4, 8], { seed: 3 });
    expect((await q.attention(q, q, { causal: true }).data()).length).toBe(64);
  });

  it('gives the same random numbers for the same seed', async () => {
    const [a, b, c] = [1, 1, 2].map((seed) => randn([100], { seed })) as [Tensor, Tensor, Tensor];
    expect(await a.eq(b).all().array()).toBe(true);
    expect(await a.eq(c).any().array()).toBe(false);
    expect(Math.abs(await randn([4000], { seed: 5 }).mean().item())).toBeLessThan(0.05);
    const u = uniform([1000], -2, 3, { key: randomKey(9, 1) });
    expect(await u.ge(-2).and(u.lt(3)).all().array()).toBe(true);
    expect(
      await rand([4])
        .ne(rand([4]))
        .any()
        .array(),
    ).toBe(true);
  });

  it('differentiates, also twice and through trees', async () => {
    const cube = (x: Tensor) => x.pow(3).sum();
    const first = grad(cube);
    const x = tensor([1, 2]);
    expect(await first(x).array()).toEqual([3, 12]);
    const second = grad((v: Tensor) => first(v).sum());
    expect(await second(x).array()).toEqual([6, 12]);
    expect(await grad((v: Tensor) => second(v).sum())(x).array()).toEqual([6, 6]);
    const measure = valueAndGrad(({ w, b }: { w: Tensor; b: readonly Tensor[] }, input: Tensor) =>
      input
        .mul(w)
        .add(b[0] as Tensor)
        .square()
        .sum(),
    );
    const [value, gradients] = measure({ w: tensor(2), b: [tensor(1)] }, x);
    expect(await value.item()).toBe(34);
    expect(await gradients.w.item()).toBe(26);
    expect(await gradients.b[0]?.item()).toBe(16);
    // The same tensor from outside is a constant.
    expect(await grad((v: Tensor) => v.mul(x).sum())(x).array()).toEqual([1, 2]);
    expect(await grad((v: Tensor) => v.mul(v.detach()).sum())(x).array()).toEqual([1, 2]);
  });

  it('records once and replays with other values', async () => {
    let calls = 0;
    const outside = tensor([10, 20]);
    const step = jit((state: { n: Tensor }, x: Tensor, factor: number) => {
      calls++;
      const n = state.n.add(x.mul(factor)).add(outside);
      return { state: { n }, total: n.sum(), given: x };
    });
    let state = { n: zeros([2]) };
    for (let i = 0; i < 4; i++) ({ state } = await step(state, tensor([i, 1]), 2));
    expect(calls).toBe(1);
    expect(await state.n.array()).toEqual([52, 88]);
    const { total, given } = await step(state, tensor([1, 1]), 3);
    expect(calls).toBe(2);
    expect(await total.item()).toBe(176);
    expect(await given.array()).toEqual([1, 1]);
  });

  it('compiles a repeated computation once', async () => {
    if (device === 'interpreter') return;
    const { plugin } = await openDevice(device);
    const compile = vi.spyOn(plugin, 'compile');
    let x = await tensor([1, 2, 3]).realize();
    for (let i = 0; i < 3; i++) {
      x = x.mul(tensor(0.5)).add(tensor([i, i, 1.25]));
      await x.realize();
    }
    expect(await x.array()).toEqual([2.625, 2.75, 2.5625]);
    expect(compile.mock.calls.length).toBeLessThanOrEqual(1);
    compile.mockRestore();
  });

  it('releases at a known point', async () => {
    const kept = tensor([1, 2]);
    let inner: Tensor | undefined;
    const result = await scope(async () => {
      inner = kept.add(1);
      await inner.realize();
      return { sum: inner.sum() };
    });
    expect(await result.sum.item()).toBe(5);
    await expect(inner?.data()).rejects.toSatisfy((e) => codeOf(e) === 'OC-TENSOR-01');
    expect(await kept.array()).toEqual([1, 2]);
    const twin = kept.add(5);
    const same = kept.add(5);
    await twin.realize();
    twin.dispose();
    expect(await same.array()).toEqual([6, 7]);
    const replace = jit((x: Tensor) => x.add(1), { donate: [0] });
    const next = await replace(kept);
    expect(() => kept.add(1)).toThrow(/OC-TENSOR-01/);
    expect(await next.array()).toEqual([2, 3]);
  });

  it('moves between devices', async () => {
    const x = await tensor([1, 2, 3]).on('interpreter');
    const y = x.mul(2);
    expect((await y.realize()).device).toBe('interpreter');
    const z = tensor([1, 1, 1], { device: found[0] as string });
    await expect(y.add(z).data()).rejects.toThrow(/OC-TENSOR-02/);
    expect(await (await y.on(found[0] as string)).add(z).array()).toEqual([3, 5, 7]);
  });

  it('names the line of a mistake', async () => {
    const x = zeros([2, 3]);
    const failing = (build: () => unknown): OpenClawError => {
      try {
        build();
      } catch (error) {
        return error as OpenClawError;
      }
      throw new Error('nothing was thrown');
    };
    const error = failing(() => x.matmul(x));
    expect(error.code).toBe('OC-SHAPE-02');
    expect(error.what).toMatch(/^matmul/);
    expect(error.where).toMatch(/tensor\.test\.ts:\d+/);
    expect(failing(() => tensor([1, 2], { dtype: 'i32' }).mul(0.5)).code).toBe('OC-TENSOR-03');
    expect(failing(() => tensor([[1], [2, 3]])).code).toBe('OC-TENSOR-04');
    expect(failing(() => grad((v: Tensor) => v)(x)).code).toBe('OC-TENSOR-08');
    await expect(x.item()).rejects.toThrow(/OC-TENSOR-06/);
    let leaked: Tensor | undefined;
    grad((v: Tensor) => {
      leaked = v.exp();
      return leaked.sum();
    })(x);
    await expect(leaked?.data()).rejects.toThrow(/OC-TENSOR-05/);
    const bad = x.take(tensor([7], { dtype: 'i64' }));
    await expect(bad.data()).rejects.toThrow(/OC-RUN-0[23]/);
  });

  it('reads and keeps arrays of its own', async () => {
    const given = Float32Array.of(1, 2);
    const x = tensor(given);
    given[0] = 9;
    const read = await x.data();
    read[1] = 9;
    expect(await x.array()).toEqual([1, 2]);
    const stored = await x.to('bf16').host();
    expect(await fromHost(stored).array()).toEqual([1, 2]);
  });
});
