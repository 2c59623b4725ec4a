/** Door for importers and models: what builds graphs and runs programs, and no compiler. */
export * from './base/dtype.js';
export * from './base/errors.js';
export type { Expression, Size, Variable } from './base/expression.js';
export * as expressions from './base/expression.js';
export * from './base/host-tensor.js';
export * from './graph/bounds.js';
export * from './graph/build.js';
export * from './graph/composites.js';
export * from './graph/gradient.js';
export * from './graph/interpret.js';
export * from './graph/node.js';
export * from './graph/ops.js';
export * from './graph/print.js';
export * from './graph/shape-values.js';
export * from './graph/symbols.js';
export { type Loaded, runOnTensors, type TensorRunOptions } from './tensor/loaded.js';
