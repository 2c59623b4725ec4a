/** Door for users of the core: build or import a graph, compile it, run it on a device. */

// With it compiling at once can print C (see codegen/c-later.ts).
export { cLanguage } from './codegen/c.js';
export { compile } from './compile.js';
export * from './face.js';
export { compileFor, compileOnce } from './runtime/cache.js';
export { check } from './runtime/check.js';
export { interpreterExecutable } from './runtime/interpreter.js';
export { tune } from './runtime/tune.js';
