/** Trains a small network to tell two spirals apart. Run: node examples/train-mlp.mjs */

import { accuracy, adam, crossEntropy, initialize, Linear, Sequential } from '@open-claw/nn';
import { closeDevices, jit, tensor, valueAndGrad } from '@open-claw/openclaw';

// Two spirals, point by point: even ones belong to the first.
const points = Array.from({ length: 400 }, (_, i) => {
  const radius = 0.1 + 0.9 * (i / 400);
  const angle = 9 * radius + (i % 2) * Math.PI;
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
});
const x = tensor(points);
const labels = tensor(
  points.map((_, i) => i % 2),
  { dtype: 'i32' },
);

/** @param {import('@open-claw/openclaw').Tensor} value */
const tanh = (value) => value.tanh();
const network = new Sequential(
  new Linear(2, 32),
  tanh,
  new Linear(32, 32),
  tanh,
  new Linear(32, 2),
);
const optimizer = adam({ learningRate: 0.02 });

let weights = initialize(network, 1);
let state = optimizer.init(weights);

// Recorded at the first call; from then on one compiled program per step.
const step = jit(
  (/** @type {typeof weights} */ given, /** @type {typeof state} */ before) => {
    const loss = valueAndGrad((/** @type {typeof weights} */ w) =>
      crossEntropy(network.apply(w, x), labels),
    );
    const [value, gradients] = loss(given);
    const [next, after] = optimizer.update(given, gradients, before);
    return { value, next, after };
  },
  { donate: [0, 1] },
);

for (let i = 1; i <= 400; i++) {
  const { value, next, after } = await step(weights, state);
  [weights, state] = [next, after];
  if (i % 100 === 0) console.log(`step ${i}: loss ${(await value.item()).toFixed(4)}`);
}
const share = await accuracy(network.apply(weights, x), labels).item();
console.log(`${(100 * share).toFixed(1)} % of the points are on the right side`);
await closeDevices();
