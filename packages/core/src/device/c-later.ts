/** Part of the door for chip makers: C for CPUs, without its printer until it is needed. */
export { cLater } from '../codegen/c-later.js';
export { splitSource } from '../codegen/c-source.js';
