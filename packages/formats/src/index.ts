/** Door of the format readers: bytes in, plain data out; no files, no network. */
export { type ArchiveLimits, defaultArchiveLimits } from './archive/limits.js';
export { gunzip, isGzip, readTar } from './archive/tar.js';
export { readZip, type ZipEntry } from './archive/zip.js';
export { decodeUtf8, encodeUtf8 } from './base/text.js';
export { jsonTensor, readJsonTensor } from './json-tensor.js';
export { readNpy, writeNpy } from './npy.js';
export { readNpz } from './npz.js';
export * from './onnx/build.js';
export {
  type ExternalReference,
  externalLocations,
  externalReference,
  loadExternalData,
  locationProblem,
} from './onnx/external.js';
export {
  analyzeModel,
  type ImportedModel,
  type ImportOptions,
  type InputFacts,
  importModel,
  type ModelValue,
  type Slot,
} from './onnx/import/import.js';
export { operators as onnxOperators } from './onnx/import/operators.js';
export { factsOf, specializeModel } from './onnx/import/specialize.js';
export type { Refusal } from './onnx/import/state.js';
export {
  type CaseResult,
  casesOf,
  type Execute,
  type Outcome,
  runCase,
  runSuite,
  type SuiteCase,
  type SuiteOptions,
} from './onnx/import/suite.js';
export { type Comparison, compareValues } from './onnx/import/suite-compare.js';
export { disputedCases } from './onnx/import/suite-disputed.js';
export { buildOutput, flattenInputs } from './onnx/import/suite-values.js';
export { defaultReadLimits, type ReadLimits, readLimits } from './onnx/limits.js';
export { mapTensors } from './onnx/map-tensors.js';
export * from './onnx/model.js';
export { readModel } from './onnx/read.js';
export {
  hostValue,
  type OnnxValue,
  parseTensorProto,
  readTensorFile,
  readValue,
} from './onnx/read-data.js';
export {
  checkTensor,
  dtypeOfNumber,
  numberOfDtype,
  rawByteLength,
  readSparseTensor,
  readTensor,
  unpackBits,
} from './onnx/read-tensor.js';
export {
  newestIrVersion,
  supportedOpsets,
  type ValidateOptions,
  validateModel,
} from './onnx/validate.js';
export { tensorProto, writeModel, writeTensor, writeValue } from './onnx/write.js';
export { defaultWireLimits, type WireLimits, WireReader } from './protobuf/reader.js';
export { WireWriter } from './protobuf/writer.js';
export { readSafetensors, type Safetensors, type SafetensorsLimits } from './safetensors.js';
