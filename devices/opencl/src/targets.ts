/** Targets: what generators may use of a device, from what its driver says. */
import { type DType, type Target, targetsOfGpus } from '@open-claw/core/device';
import { floatConfig } from './constants.js';
import type { DeviceFacts } from './facts.js';

/** What every full-profile device gives; known without a driver. */
export const genericTarget = targetsOfGpus.find(({ id }) => id === 'opencl/generic') as Target;

const has = (config: bigint, bit: bigint): boolean => (config & bit) !== 0n;

const hasDoubles = (facts: DeviceFacts): boolean =>
  facts.doubleConfig !== 0n || facts.extensions.includes('cl_khr_fp64');

/** Group memory beyond this is a promise of software devices, whose caches do not hold it. */
const mostShared = 64 * 1024;

/** Outputs from here on are written past the caches (measured with 2 MiB of private cache). */
const streamBytes = 24 * 2 ** 20;

/** Floats of the widest vector that the language has. */
const widestVector = 16;

/**
 * A CPU has vectors and no groups: barriers cost it loops over all threads of a group. Kernels
 * are one thread per task with whole vectors. Every instruction set with vectors of 512 bits has
 * 32 registers of them.
 */
function vectorsOf({ kind, floatVector }: DeviceFacts): Partial<Target> {
  if (kind !== 'cpu') return {};
  const lanes = Math.min(widestVector, Math.max(4, floatVector));
  const vectorRegisters = lanes === widestVector ? 32 : 16;
  return { execution: 'vector', vectorBytes: 4 * lanes, vectorRegisters, streamBytes };
}

export function targetOf(facts: DeviceFacts): Target {
  const doubles = hasDoubles(facts);
  const fused =
    has(facts.singleConfig, floatConfig.fusedMultiplyAdd) &&
    !has(facts.singleConfig, floatConfig.software);
  const f64: readonly DType[] = doubles ? ['f64'] : [];
  const groups = 2 ** 31 - 1;
  return {
    ...genericTarget,
    id: `opencl/${facts.kind}`,
    cores: facts.computeUnits,
    cacheBytes: facts.cacheBytes > 0 ? [facts.cacheBytes] : [],
    maxGroup: Math.min(facts.maxGroup, 1024),
    preferredGroup: Math.min(facts.maxGroup, genericTarget.preferredGroup),
    sharedBytes: Math.min(facts.localBytes, mostShared),
    compute: [...genericTarget.compute, ...(doubles ? (['f64'] as const) : [])],
    storage: [...genericTarget.storage, ...f64],
    fusedMultiplyAdd: fused,
    // Half of the parameters' room for sizes.
    maxBindings: Math.min(64, Math.floor(facts.maxParameterBytes / 16)),
    maxBufferBytes: facts.maxAllocation,
    offsetAlignment: facts.baseAlignment,
    indexBits: facts.addressBits === 64 ? 64 : 32,
    // All threads of an axis must fit a word of the device.
    maxGrid: facts.addressBits === 64 ? [groups, 65535, 65535] : [2 ** 20, 65535, 65535],
    memoryBytes: facts.globalBytes,
    ...vectorsOf(facts),
  };
}

/** Options of the compiler: numbers as the graph defines them. */
export function optionsOf(facts: DeviceFacts, dialect: readonly string[]): string {
  const exact = has(facts.singleConfig, floatConfig.correctDivision);
  const division = '-cl-fp32-correctly-rounded-divide-sqrt';
  const wanted = dialect.filter((option) => option !== division || exact);
  return ['-cl-std=CL1.2', '-w', ...wanted].join(' ');
}
