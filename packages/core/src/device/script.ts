/** Part of the door for chip makers: JavaScript. */
export { scriptLanguage } from '../codegen/script.js';
