/** Facts about WebGPU as a target: a row for GPUs, and one for adapters that are programs. */
import { type Feature, type Target, targetsOfGpus } from '@open-claw/core/device';

const row = (id: string): Target => targetsOfGpus.find((target) => target.id === id) as Target;

/** What every GPU gives unasked: a group of threads runs a task. */
export const threadsTarget: Target = row('webgpu/default');
/** For adapters that are programs: each thread runs a task. */
export const softwareTarget: Target = row('webgpu/software');
export const targets: readonly Target[] = [threadsTarget, softwareTarget];

/**
 * Limits that are worth more than the default; a device is opened with all that there is. The
 * facts of a target are the adapter's, so every limit that they name is asked for.
 */
export const wantedLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'minStorageBufferOffsetAlignment',
] as const satisfies readonly (keyof GPUSupportedLimits)[];

export function requiredLimits(limits: GPUSupportedLimits): Record<string, number> {
  return Object.fromEntries(wantedLimits.map((name) => [name, limits[name]]));
}

/** Bindings of one kernel that fusion may plan with. */
const mostBindings = 64;

/** The row's facts, with the limits of an adapter. `memoryBytes`: what may be used in all. */
export function targetOf(
  base: Target,
  limits: GPUSupportedLimits,
  memoryBytes: number,
  offered: readonly Feature[] = [],
): Target {
  // Where each thread runs a task of its own, nobody is there to combine values with.
  const features = offered.filter((each) => each !== 'bundles' || base.execution === 'threads');
  const largest = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
  const most = limits.maxComputeWorkgroupsPerDimension;
  const isScalar = base.execution === 'vector';
  const threads = Math.min(
    limits.maxComputeInvocationsPerWorkgroup,
    limits.maxComputeWorkgroupSizeX,
  );
  return {
    ...base,
    ...(features.length === 0 ? {} : { features }),
    math: features.includes('half') ? [...base.math, 'half'] : base.math,
    maxGroup: isScalar ? base.maxGroup : threads,
    preferredGroup: Math.min(base.preferredGroup, threads),
    sharedBytes: isScalar ? base.sharedBytes : limits.maxComputeWorkgroupStorageSize,
    maxBindings: Math.min(limits.maxStorageBuffersPerShaderStage, mostBindings),
    maxBufferBytes: Math.min(largest - (largest % 16), memoryBytes),
    offsetAlignment: limits.minStorageBufferOffsetAlignment,
    maxGrid: [most, most, most],
    memoryBytes,
  };
}
