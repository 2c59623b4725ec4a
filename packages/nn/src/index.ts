/** Layers, losses and optimizers over the public tensor interface. */
export * from './initializers.js';
export * from './layer.js';
export * from './linear.js';
export * from './losses.js';
export * from './normalization.js';
export * from './optimizers.js';
export * from './save.js';
export * from './sequential.js';
export * from './transformer.js';
