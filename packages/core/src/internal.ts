/** Door for OpenCLAW's own packages: what they share with core beyond the public interface. */

export * from './base/float-format.js';
export * from './base/looked-at.js';
export * from './base/target.js';
export * from './codegen/plan.js';
export type * from './codegen/program.js';
export * from './graph/canonical.js';
export * from './graph/interpret-bounds.js';
export * from './graph/random-graph.js';
export * from './graph/recognise.js';
export * from './graph/rewrite.js';
export { dtypeError, printShape, printType, shapeError } from './graph/rule.js';
export * from './graph/simplify.js';
export * from './graph/traverse.js';
export * from './graph/verify.js';
export * from './graph.js';
export { printProgram } from './kernel/print.js';
export type { Resident } from './runtime/pool.js';
export {
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
