/** Door for OpenCLAW's own packages: what they share with core beyond the public interface. */
export * from './base/dtype.js';
export * from './base/errors.js';
export * from './base/float-format.js';
export * from './base/host-tensor.js';
