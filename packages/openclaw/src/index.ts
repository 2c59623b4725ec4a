/** Front door on Node: the core, model files, and the default devices. */
import './devices/defaults.js';

export * from '@open-claw/core/face';
export { readNpy, readNpz, writeNpy } from '@open-claw/formats/arrays';
export { type BackendFacts, factsOf, openBackend } from './devices/choose.js';
export { type DeviceOptions, usePlugins } from './devices/plugins.js';
export { loadModel } from './model/lazy.js';
export type { ModelSource, TuningOptions } from './model/load.js';
export type {
  Model,
  ModelApplyOptions,
  ModelInputs,
  ModelOutputs,
  ModelRunOptions,
  ModelTensors,
} from './model/model.js';
export type { Level, LoadModelOptions, LoadProgress, Precision } from './model/options.js';
export type { ModelPort, Sizes } from './model/ports.js';
export type { InputValue } from './model/values.js';
