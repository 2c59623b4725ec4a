/** OpenCLAW on one device, through its public interface. */
import { loadModel, openDevice } from '@open-claw/openclaw';
import { measurePeaks } from '@open-claw/openclaw/bench';

/**
 * @param {import('./engine.mjs').Setting} setting
 * @returns {Promise<import('./engine.mjs').Ready>}
 */
export async function prepare({ item, modelPath, threads, device }) {
  const model = await loadModel(modelPath, { device, threads });
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
    async limits(bytes) {
      return measurePeaks(await openDevice(model.backend.device), bytes);
    },
  };
}
