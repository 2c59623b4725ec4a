/** Integer expressions: sizes over symbols, addresses over loop indices. The door of both files. */
export * from './expression-algebra.js';
export * from './expression-queries.js';
