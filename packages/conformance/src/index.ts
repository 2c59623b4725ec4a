/** The exam a device takes: the ONNX backend suite, and the checks of the device contract. */
export { type ConformOptions, conform } from './conform.js';
export { conformCase, hostNodeCount } from './execute.js';
export { type CaseReport, isClean, type SuiteReport } from './report.js';
