/** Composites as one door: named operations whose bodies in primitives are their definitions. */
export * from './composites-activation.js';
export * from './composites-attention.js';
export * from './composites-normalization.js';
export * from './composites-quantized.js';
export * from './composites-random.js';
export * from './composites-recurrent.js';
export * from './composites-selection.js';
export * from './composites-softmax.js';
