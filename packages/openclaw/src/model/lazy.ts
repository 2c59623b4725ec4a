/** Loading of models without loading the readers of their formats before the first call. */
import type { DeviceOptions } from '../devices/plugins.js';
import type { ModelSource, TuningOptions } from './load.js';
import type { Model } from './model.js';
import type { LoadModelOptions } from './options.js';

/**
 * Loads an ONNX model or a bundle of `claw compile`: bytes, a path, or a file:, http: or https:
 * address (the only way in which OpenCLAW uses the network). Runs on the first device of `device`
 * that is there; without it on CLAW_DEVICE, else on the fastest found. A bundle runs on its own,
 * from bytes or a file. External data beside a file is read with it.
 */
export async function loadModel(
  source: ModelSource,
  options: LoadModelOptions & DeviceOptions & TuningOptions = {},
): Promise<Model> {
  const module = await import('./load.js');
  return module.loadModel(source, options);
}
