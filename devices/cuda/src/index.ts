/** Door of the CUDA family of GPUs: one driver, a row per vendor. */
import type { DevicePlugin } from '@open-claw/core/device';
import { cudaDevice } from './plugin.js';

/** The plug-in with its defaults. */
export const plugin: DevicePlugin = cudaDevice();

export type { Calls } from './calls.js';
export { GpuDevice } from './device.js';
export { type CudaOptions, cudaDevice } from './plugin.js';
export type { Architecture, Attributes, GpuRow, OfflineCompiler, RuntimeCompiler } from './row.js';
export { gpuRows } from './rows.table.js';
export { replayTrace, type TraceReport, traceRow } from './trace.js';
export type { WalkStep } from './walk.js';
