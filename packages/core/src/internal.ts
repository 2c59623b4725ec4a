/** Door for OpenCLAW's own packages: what they share with core beyond the public interface. */
export * from './base/dtype.js';
export * from './base/errors.js';
export type { Expression, Size, Variable } from './base/expression.js';
export * as expressions from './base/expression.js';
export * from './base/float-format.js';
export * from './base/host-tensor.js';
export * from './base/target.js';
export * from './graph/bounds.js';
export * from './graph/build.js';
export * from './graph/interpret.js';
export * from './graph/node.js';
export * from './graph/ops.js';
export * from './graph/symbols.js';
