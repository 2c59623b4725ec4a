/**
 * Door for chip makers: all that a device may import. Its parts are doors too, for a device that
 * is loaded at every start and would not load the languages of others.
 */
export * from './device/c.js';
export * from './device/contract.js';
export * from './device/gpu.js';
export * from './device/script.js';
export * from './device/shader.js';
export * from './device/wasm.js';
