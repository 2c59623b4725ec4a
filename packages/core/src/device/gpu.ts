/** Part of the door for chip makers: the GPU languages that are like C. */
export { gpuLanguage } from '../codegen/gpu.js';
export {
  type GpuDialect,
  type GpuDialectName,
  gpuDialects,
} from '../codegen/gpu-dialects.table.js';
export { bundleUnits, warpMatrixUnits } from '../codegen/matrix-units.table.js';
export { targetsOfGpus } from '../codegen/targets-gpu.table.js';
