/** Part of the door for chip makers: C for CPUs. */
export { cLanguage, splitSource } from '../codegen/c.js';
