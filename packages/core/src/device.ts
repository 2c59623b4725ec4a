/** Door for chip makers: all that a device may import. */
export * from './base/dtype.js';
export type {
  Details,
  ErrorCode,
  FailureKind,
  FailureOptions,
  Message,
  Retry,
} from './base/errors.js';
export {
  failure,
  internal,
  isFailure,
  OpenClawError,
  quoteText,
  refused,
  tooLarge,
} from './base/errors.js';
export type { Expression, Size } from './base/expression.js';
export * as expressions from './base/expression.js';
export * from './base/target.js';
export { cLanguage, splitSource } from './codegen/c.js';
export { gpuLanguage } from './codegen/gpu.js';
export { type GpuDialect, type GpuDialectName, gpuDialects } from './codegen/gpu-dialects.table.js';
export * from './codegen/language.js';
export { bundleUnits, warpMatrixUnits } from './codegen/matrix-units.table.js';
export type { Override, OverrideParameters } from './codegen/override.js';
export { scriptLanguage } from './codegen/script.js';
export { shaderLanguage, splitShader } from './codegen/shader.js';
export { narrowHalfText, widenHalfText } from './codegen/shader-scalar.js';
export { targetsOfGpus } from './codegen/targets-gpu.table.js';
export { wasmLanguage } from './codegen/wasm.js';
export type * from './kernel/tile.js';
export * from './runtime/contract.js';
export type { TracedPlugin, TraceReport } from './runtime/traced.js';
export { readBy, Validity, writtenBy } from './runtime/validity.js';
