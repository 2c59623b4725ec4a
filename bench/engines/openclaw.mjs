/** OpenCLAW on one device, through its public interface: on arrays of the host, or on tensors. */
import { fromHost, loadModel, openDevice } from '@open-claw/openclaw';

/**
 * @param {import('./engine.mjs').Setting} setting
 * @returns {Promise<import('./engine.mjs').Ready>}
 */
export async function prepare({ item, modelPath, threads, device, values }) {
  const model = await loadModel(modelPath, { device, threads });
  const runs = values === 'resident' ? onTensors(model, item) : onArrays(model, item);
  return {
    ...runs,
    async limits(bytes) {
      const { measurePeaks } = await import('@open-claw/openclaw/bench');
      return measurePeaks(await openDevice(model.backend.device), bytes);
    },
  };
}

/** @typedef {import('@open-claw/openclaw').Model} Model */
/** @typedef {import('../cases.mjs').Case} Case */

/** @param {Model} model @param {Case} item */
function onArrays(model, item) {
  const inputs = item.inputs();
  /** @type {import('@open-claw/openclaw').ModelOutputs | undefined} */
  let outputs;
  return {
    async run() {
      outputs = await model.run(inputs, outputs === undefined ? {} : { into: outputs });
    },
    async output() {
      return /** @type {ArrayLike<number>} */ (outputs?.['y']?.data);
    },
  };
}

/**
 * Inputs lie on the device from the first call on; results are released at the next one and not
 * read back.
 * @param {Model} model
 * @param {Case} item
 */
function onTensors(model, item) {
  const inputs = Object.fromEntries(
    Object.entries(item.inputs()).map(([name, value]) => [name, fromHost(value)]),
  );
  /** @type {import('@open-claw/openclaw').ModelTensors} */
  let outputs = {};
  return {
    async run() {
      for (const tensor of Object.values(outputs)) tensor.dispose();
      outputs = await model.apply(inputs);
    },
    async output() {
      const y = /** @type {import('@open-claw/openclaw').Tensor} */ (outputs['y']);
      return /** @type {ArrayLike<number>} */ ((await y.host()).data);
    },
  };
}
