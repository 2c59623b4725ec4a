import {
  closeDevices,
  jit,
  setDevice,
  type Tensor,
  tensor,
  use,
  valueAndGrad,
} from '@open-claw/core';
import { wasmDevice } from '@open-claw/device-wasm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  adam,
  adamW,
  initialize,
  Linear,
  loadParameters,
  mse,
  Sequential,
  saveParameters,
  sgd,
} from './index.js';

beforeAll(() => {
  use(wasmDevice());
  setDevice('wasm');
});
afterAll(closeDevices);

const network = new Sequential(new Linear(2, 16), (x: Tensor) => x.tanh(), new Linear(16, 1));
const x = tensor([0, 0, 0, 1, 1, 0, 1, 1], { shape: [4, 2] });
const y = tensor([0, 1, 1, 0], { shape: [4, 1] });

describe.each([
  ['sgd', sgd({ learningRate: 0.1, momentum: 0.9 })],
  ['adam', adam({ learningRate: 0.05 })],
  ['adamW', adamW({ learningRate: 0.05, weightDecay: 0.001 })],
])('%s', (_name, optimizer) => {
  it('learns exclusive or', async () => {
    const step = jit(
      (parameters: ReturnType<typeof network.init>, state: ReturnType<typeof optimizer.init>) => {
        const loss = (p: typeof parameters): Tensor => mse(network.apply(p, x), y);
        const [value, gradients] = valueAndGrad(loss)(parameters);
        return [value, ...optimizer.update(parameters, gradients, state as never)] as const;
      },
      { donate: [0, 1] },
    );
    let parameters = initialize(network, 3);
    let state = optimizer.init(parameters) as never;
    let loss: Tensor | undefined;
    for (let i = 0; i < 200; i++) {
      const next = await step(parameters, state);
      [loss, parameters] = next;
      state = next[2] as never;
    }
    expect(await loss?.item()).toBeLessThan(0.01);
    const record = await saveParameters(parameters);
    expect(Object.keys(record)).toEqual(['0.weight', '0.bias', '2.weight', '2.bias']);
    const loaded = loadParameters(initialize(network, 9), record);
    const [a, b] = [network.apply(parameters, x), network.apply(loaded, x)];
    expect(await a.eq(b).all().array()).toBe(true);
    expect(() => loadParameters({ other: x }, record)).toThrow(/OC-NN-01/);
    expect(() => loadParameters([{ weight: x }], record)).toThrow(/OC-NN-02/);
  });
});

describe('first steps', () => {
  it('adam moves by the learning rate, adamW pulls weights only', async () => {
    const given = { weight: tensor([[2, -4]]), bias: tensor([1]) };
    const gradients = { weight: tensor([[0.5, 3]]), bias: tensor([0]) };
    const plain = adam({ learningRate: 0.1 });
    const [next, state] = plain.update(given, gradients, plain.init(given));
    expect(await next.weight.flatten().array()).toEqual([
      expect.closeTo(1.9, 5),
      expect.closeTo(-4.1, 5),
    ]);
    expect(await state.step.item()).toBe(1);
    const pulling = adamW({ learningRate: 0.1, weightDecay: 0.5 });
    const still = { weight: tensor([[0, 0]]), bias: tensor([0]) };
    const [pulled] = pulling.update(given, still, pulling.init(given), tensor(0.2));
    expect(await pulled.weight.flatten().array()).toEqual([
      expect.closeTo(1.8, 5),
      expect.closeTo(-3.6, 5),
    ]);
    expect(await pulled.bias.item()).toBe(1);
  });
});
