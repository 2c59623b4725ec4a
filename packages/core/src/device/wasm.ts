/** Part of the door for chip makers: WebAssembly. */
export { wasmLanguage } from '../codegen/wasm.js';
export { unsigned as encodeUnsigned } from '../codegen/wasm-encode.js';
