/** Door for pages: the exam, and single cases of the ONNX suite; no interface of Node. */
export { runExam } from './exam/exam.js';
export { conformCase } from './execute.js';
export { type CaseReport, isClean, type SuiteReport, suiteReport } from './report.js';
