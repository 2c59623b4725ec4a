import {
  closeDevices,
  grad,
  mapTree,
  randn,
  setDevice,
  type Tensor,
  tensor,
  tensorsOf,
  use,
} from '@open-claw/core';
import { wasmDevice } from '@open-claw/device-wasm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type AnyLayer,
  accuracy,
  BatchNorm2d,
  Conv2d,
  castParameters,
  crossEntropy,
  Dropout,
  Embedding,
  initialize,
  LayerNorm,
  Linear,
  Mode,
  MultiHeadAttention,
  parameterCount,
  RMSNorm,
  Sequential,
  TransformerBlock,
} from './index.js';

beforeAll(() => {
  use(wasmDevice());
  setDevice('wasm');
});
afterAll(closeDevices);

const random = (seed: number, ...shape: number[]): Tensor => randn(shape, { seed, dtype: 'f64' });

const cases: readonly (readonly [string, AnyLayer, readonly number[], Mode | undefined])[] = [
  ['Linear', new Linear(4, 3), [2, 4], undefined],
  ['Conv2d', new Conv2d(2, 4, 3, { padding: 1, stride: 2, groups: 2 }), [2, 2, 5, 5], undefined],
  ['LayerNorm', new LayerNorm(6), [3, 6], undefined],
  ['RMSNorm', new RMSNorm(6), [3, 6], undefined],
  ['BatchNorm2d', new BatchNorm2d(3), [4, 3, 2, 2], new Mode()],
  [
    'MultiHeadAttention',
    new MultiHeadAttention(8, 4, { keyHeads: 2, causal: true }),
    [2, 3, 8],
    undefined,
  ],
  ['TransformerBlock', new TransformerBlock(8, 2, { hidden: 12 }), [1, 3, 8], undefined],
  [
    'Sequential',
    new Sequential(new Linear(4, 5), (x) => x.tanh(), new Linear(5, 2)),
    [3, 4],
    undefined,
  ],
];

describe('derivatives of layers agree with differences', () => {
  it.each(cases)('%s', async (_name, layer, shape, mode) => {
    // Moved away from 0 and 1, where a wrong derivative might hide.
    let seed = 50;
    const jitter = (leaf: Tensor): Tensor => leaf.add(random(seed++, ...leaf.shape).mul(0.3));
    const parameters = mapTree(castParameters(initialize(layer, 7) as unknown, 'f64'), jitter);
    const x = random(1, ...shape);
    const weights = random(2, ...layer.apply(parameters as never, x, mode).shape);
    const loss = (p: unknown, value: Tensor): Tensor =>
      layer
        .apply(p as never, value, mode)
        .mul(weights)
        .sum();
    const inputs = { parameters, x };
    const gradients = grad((given: typeof inputs) => loss(given.parameters, given.x))(inputs);
    const direction = mapTree(inputs, (leaf) => random(seed++, ...leaf.shape));
    const slope = tensorsOf(gradients)
      .map((leaf, i) => leaf.mul(tensorsOf(direction)[i] as Tensor).sum())
      .reduce((total, value) => total.add(value));
    const at = (step: number): Tensor => {
      let i = 0;
      const moved = mapTree(inputs, (leaf) =>
        leaf.add((tensorsOf(direction)[i++] as Tensor).mul(step)),
      );
      return loss(moved.parameters, moved.x);
    };
    const difference = at(1e-5).sub(at(-1e-5)).div(2e-5);
    const [expected, actual] = [await difference.item(), await slope.item()];
    expect(Math.abs(actual - expected)).toBeLessThan(1e-5 * (1 + Math.abs(expected)));
  });
});

describe('layers', () => {
  it('have the sizes of the field', () => {
    expect(parameterCount(initialize(new Linear(784, 128)))).toBe(784 * 128 + 128);
    expect(parameterCount(initialize(new TransformerBlock(768, 12)))).toBe(7_087_872);
  });

  it('start equally for equal seeds', async () => {
    const [a, b, c] = [1, 1, 2].map((seed) => initialize(new Linear(3, 3), seed).weight);
    expect(
      await a
        ?.eq(b as Tensor)
        .all()
        .array(),
    ).toBe(true);
    expect(
      await a
        ?.eq(c as Tensor)
        .any()
        .array(),
    ).toBe(false);
  });

  it('Embedding takes rows', async () => {
    const table = {
      weight: tensor([
        [1, 2],
        [3, 4],
      ]),
    };
    const rows = new Embedding(2, 2).apply(table, tensor([1, 0, 1], { dtype: 'i64' }));
    expect(await rows.array()).toEqual([
      [3, 4],
      [1, 2],
      [3, 4],
    ]);
  });

  it('Dropout acts in training only and keeps the mean', async () => {
    const x = randn([4000], { seed: 4 }).abs();
    const layer = new Dropout(0.25);
    expect(layer.apply([], x)).toBe(x);
    const y = layer.apply([], x, new Mode(tensor([1, 2], { dtype: 'u32' })));
    expect(await y.eq(0).mean().item()).toBeCloseTo(0.25, 1);
    expect(await y.mean().item()).toBeCloseTo(await x.mean().item(), 1);
  });

  it('BatchNorm2d renews its statistics in training', async () => {
    const layer = new BatchNorm2d(2, { momentum: 0.5 });
    const parameters = { norm: initialize(layer) };
    const x = tensor([[[[1, 3]], [[0, 4]]]]);
    const mode = new Mode();
    const result = layer.apply(parameters.norm, x, mode);
    expect((await result.flatten().array()) as number[]).toEqual(
      [-1, 1, -1, 1].map((value) => expect.closeTo(value, 4)),
    );
    const { norm } = mode.updated(parameters);
    expect(await norm.mean.array()).toEqual([1, 1]);
    expect(await norm.variance.array()).toEqual([1.5, 4.5]);
    expect(norm.scale).toBe(parameters.norm.scale);
  });

  it('loss and accuracy', async () => {
    const logits = tensor([
      [2, 0],
      [0, 1],
    ]);
    const labels = tensor([0, 0], { dtype: 'i32' });
    const expected = (Math.log(1 + Math.exp(-2)) + Math.log(1 + Math.exp(1))) / 2;
    expect(await crossEntropy(logits, labels).item()).toBeCloseTo(expected, 5);
    expect(await accuracy(logits, labels).item()).toBe(0.5);
  });
});
