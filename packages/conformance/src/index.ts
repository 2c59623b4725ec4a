/** The exam a device takes: the ONNX backend suite, and the checks of the device contract. */
export { compareBounded, type Difference } from './compare.js';
export { type ConformOptions, conform } from './conform.js';
export {
  deviceExam,
  type ExamOptions,
  type ExamOutcome,
  type ExamTest,
  type RunExamOptions,
  runExam,
  type Skip,
} from './exam/exam.js';
export { conformCase, hostNodeCount } from './execute.js';
export { type CaseReport, isClean, type SuiteReport } from './report.js';
