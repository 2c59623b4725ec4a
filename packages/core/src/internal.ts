/** Door for OpenCLAW's own packages: what they share with core beyond the public interface. */
export * from './base/dtype.js';
export * from './base/errors.js';
export type { Expression, Size, Variable } from './base/expression.js';
export * as expressions from './base/expression.js';
export * from './base/float-format.js';
export * from './base/host-tensor.js';
export * from './base/target.js';
export type * from './codegen/program.js';
export * from './graph/bounds.js';
export * from './graph/build.js';
export * from './graph/composites.js';
export * from './graph/gradient.js';
export * from './graph/interpret.js';
export * from './graph/interpret-bounds.js';
export * from './graph/node.js';
export * from './graph/ops.js';
export * from './graph/print.js';
export * from './graph/random-graph.js';
export * from './graph/recognise.js';
export * from './graph/rewrite.js';
export { dtypeError, printShape, printType, shapeError } from './graph/rule.js';
export * from './graph/shape-values.js';
export * from './graph/simplify.js';
export * from './graph/symbols.js';
export * from './graph/traverse.js';
export * from './graph/verify.js';
export { printProgram } from './kernel/print.js';
export {
  type Resident,
  type ResidentOptions,
  readResident,
  releaseResident,
  uploadResident,
} from './runtime/resident.js';
export { openComposites } from './schedule/open.js';
export { primitivesOf } from './schedule/primitives.js';
export { printSteps } from './schedule/print.js';
export { schedule } from './schedule/schedule.js';
export type { KernelStep, Step } from './schedule/step.js';
export { verifySteps } from './schedule/verify.js';
export { isWhole } from './schedule/whole.js';
export { type Loaded, runOnTensors, type TensorRunOptions } from './tensor/loaded.js';
