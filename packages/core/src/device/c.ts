/** Part of the door for chip makers: C for CPUs. */
export { cLanguage } from '../codegen/c.js';
export { splitSource } from '../codegen/c-source.js';
