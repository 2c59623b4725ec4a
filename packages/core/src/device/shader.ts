/** Part of the door for chip makers: WGSL. */
export { shaderLanguage, splitShader } from '../codegen/shader.js';
export { narrowHalfText, widenHalfText } from '../codegen/shader-scalar.js';
