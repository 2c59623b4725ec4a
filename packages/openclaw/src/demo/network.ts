/** The network that reads digits, and one step of its training. */
import { jit, type Tensor, valueAndGrad } from '@open-claw/core/face';
import { accuracy, adam, Conv2d, crossEntropy, Linear, Sequential } from '@open-claw/nn';
import { side } from './drawing.js';

const relu = (x: Tensor): Tensor => x.relu();
const halve = (x: Tensor): Tensor => x.maxPool(2);

/** images [N, side, side] → logits [N, 10] */
export const network = new Sequential(
  (x: Tensor) => x.unsqueeze(1),
  new Conv2d(1, 8, 3, { padding: 1 }),
  relu,
  halve,
  new Conv2d(8, 16, 3, { padding: 1 }),
  relu,
  halve,
  (x: Tensor) => x.flatten(1),
  new Linear((side / 4) ** 2 * 16, 64),
  relu,
  new Linear(64, 10),
);

export type Weights = ReturnType<typeof network.init>;

const optimizer = adam({ learningRate: 0.003 });
export const firstState = (weights: Weights): ReturnType<typeof optimizer.init<Weights>> =>
  optimizer.init(weights);
export type State = ReturnType<typeof firstState>;

/** One batch: forward, backward and update as one program; the old weights are given away. */
export const trainStep = jit(
  (weights: Weights, state: State, images: Tensor, labels: Tensor, rate: Tensor) => {
    const loss = (given: Weights): Tensor => crossEntropy(network.apply(given, images), labels);
    const [value, gradients] = valueAndGrad(loss)(weights);
    const [next, nextState] = optimizer.update(weights, gradients, state, rate);
    return { loss: value, weights: next, state: nextState };
  },
  { donate: [0, 1, 2, 3, 4] },
);

export const measure = jit((weights: Weights, images: Tensor, labels: Tensor) =>
  accuracy(network.apply(weights, images), labels),
);
