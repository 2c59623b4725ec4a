/** Door of the CUDA family of GPUs: one driver, a row per vendor. */
import type { TracedPlugin } from '@open-claw/core/device';
import { cudaDevice } from './traced.js';

/** The plug-in with its defaults. */
export const plugin: TracedPlugin = cudaDevice();

export type { Calls } from './calls.js';
export { GpuDevice } from './device.js';
export type { CudaOptions } from './plugin.js';
export type { Architecture, Attributes, GpuRow, OfflineCompiler, RuntimeCompiler } from './row.js';
export { gpuRows } from './rows.table.js';
export { replayTrace, traceRow } from './trace.js';
export { cudaDevice } from './traced.js';
export type { WalkStep } from './walk.js';
