/** Door for users of tensors and models: all that a program needs before it is compiled. */

export * from './base/debug.js';
export * from './base/dtype.js';
export {
  type ErrorCode,
  type FailureKind,
  isFailure,
  OpenClawError,
  type Retry,
  setLanguage,
} from './base/errors.js';
export * from './base/host-tensor.js';
export { type Precision, precisions } from './base/precision.js';
export type { Evidence, Target } from './base/target.js';
export type { Refusal } from './codegen/kernel-table.js';
export type { Fallback, Program } from './codegen/program.js';
export type { CompileOptions } from './compile.js';
export type { Graph, Node } from './graph/node.js';
export type { Tuning } from './kernel/lowered.js';
export type { CheckOptions, CheckReport } from './runtime/check.js';
export type { Absent, Device, DevicePlugin, Found } from './runtime/contract.js';
export { keepPlans, type PlanStore, programFor } from './runtime/plans.js';
export {
  closeDevices,
  evidenceOf,
  type Listing,
  listDevices,
  loadedPlugins,
  type OpenDevice,
  openDevice,
  pluginNames,
  plugins,
  preferredDevices,
  use,
  useLater,
} from './runtime/registry.js';
export {
  type Executable,
  type LoadedExecutable,
  type LoadOptions,
  load,
  type Profile,
  type RunOptions,
} from './runtime/run.js';
export type { StepTime } from './runtime/session.js';
export { isTraced, type TracedPlugin, type TraceReport } from './runtime/traced.js';
export type { Tuned, TunedStep, TuneOptions } from './runtime/tune.js';
export * from './tensor/autograd.js';
export * from './tensor/create.js';
export { setDevice } from './tensor/devices.js';
export type { Nested, Scalar, Values } from './tensor/handle.js';
export { type JitOptions, jit } from './tensor/jit.js';
export {
  manualSeed,
  permutation,
  type RandomOptions,
  rand,
  randn,
  randomBits,
  randomKey,
  uniform,
} from './tensor/random.js';
export type { NormOptions, ReduceAxes, VarianceOptions } from './tensor/reductions.js';
export { realize, scope } from './tensor/scope.js';
export { type Leak, leaks } from './tensor/storage.js';
export {
  type AttentionOptions,
  type ConvolveOptions,
  concat,
  isTensor,
  type PerAxis,
  stack,
  Tensor,
  type WindowOptions,
  where,
} from './tensor/tensor.js';
export { mapTree, type Tree, tensorsOf, zipTrees } from './tensor/tree.js';
export type { Axes, SliceItem } from './tensor/views.js';
