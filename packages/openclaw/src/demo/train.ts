/** Trains the network on drawings, in order, with a rate that falls to a tenth. */
import { realize, tensor } from '@open-claw/core/face';
import { initialize, parameterCount } from '@open-claw/nn';
import { type Drawings, pixels, side } from './drawing.js';
import { firstState, measure, network, trainStep, type Weights } from './network.js';

export const batch = 50;
const epochs = 3;
const firstRate = 0.003;
/** Reading the loss waits for the device, so it is not read at every step. */
const stepsPerReport = 10;

export const stepsFor = ({ count }: Drawings): number => epochs * Math.floor(count / batch);

export const weightCount = (): number => parameterCount(initialize(network));

/** Images and labels of some drawings as tensors. */
export function tensorsOfDrawings({ images, labels }: Drawings, from: number, count: number) {
  return {
    images: tensor(images.subarray(from * pixels, (from + count) * pixels), {
      shape: [count, side, side],
    }),
    labels: tensor(labels.subarray(from, from + count)),
  };
}

/** The weights after all steps; `report` is told how far it is. */
export async function train(
  drawings: Drawings,
  report: (step: number, loss: number) => void,
): Promise<Weights> {
  let weights = initialize(network, 1);
  let state = firstState(weights);
  await realize([weights, state]);
  const steps = stepsFor(drawings);
  for (let step = 0; step < steps; step++) {
    const { images, labels } = tensorsOfDrawings(drawings, (step * batch) % drawings.count, batch);
    const rate = tensor(firstRate * (1 - (0.9 * step) / steps));
    const made = await trainStep(weights, state, images, labels, rate);
    ({ weights, state } = made);
    if ((step + 1) % stepsPerReport === 0) report(step + 1, await made.loss.item());
    made.loss.dispose();
  }
  return weights;
}

/** Share of drawings that are read correctly. */
export async function accuracyOn(weights: Weights, drawings: Drawings): Promise<number> {
  const { images, labels } = tensorsOfDrawings(drawings, 0, drawings.count);
  return (await measure(weights, images, labels)).item();
}
