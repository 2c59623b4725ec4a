/**
 * The builders of graph nodes, as one door: they take friendly arguments (scalars, broadcasting,
 * negative axes where said), simplify what is plainly nothing, and make nodes.
 */
export * from './build-elementwise.js';
export * from './build-indexed.js';
export * from './build-reductions.js';
export * from './build-regions.js';
export * from './build-sources.js';
export * from './build-views.js';
export { type GraphOptions, graphOf } from './graph-of.js';
export { make, requirementsOf, withInputs } from './make.js';
export { sizeSymbol } from './symbols.js';
