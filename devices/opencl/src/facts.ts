/** What the machine's OpenCL platforms say about their devices, as plain data. */
import { deviceInfo, deviceKinds, platformInfo } from './constants.js';
import type { Driver, Handle } from './driver.js';

export type DeviceKind = 'cpu' | 'gpu' | 'accelerator' | 'other';

export interface DeviceFacts {
  readonly kind: DeviceKind;
  readonly name: string;
  readonly vendor: string;
  readonly driver: string;
  readonly version: string;
  /** Name and version of the platform. */
  readonly platform: string;
  readonly extensions: readonly string[];
  readonly computeUnits: number;
  readonly maxGroup: number;
  readonly localBytes: number;
  readonly cacheBytes: number;
  readonly globalBytes: number;
  readonly maxAllocation: number;
  readonly addressBits: number;
  /** Bytes that the start of a part of a buffer must be a multiple of. */
  readonly baseAlignment: number;
  readonly maxParameterBytes: number;
  /** Floats of a hardware vector. */
  readonly floatVector: number;
  /** Bits of CL_DEVICE_SINGLE_FP_CONFIG and CL_DEVICE_DOUBLE_FP_CONFIG; 0 where it has none. */
  readonly singleConfig: bigint;
  readonly doubleConfig: bigint;
  readonly available: boolean;
  readonly compiles: boolean;
}

/** A device of a platform; handles are valid while the process lives. */
export interface ClDevice {
  readonly handle: Handle;
  readonly facts: DeviceFacts;
}

/** All devices of all platforms, in the platforms' order. */
export function listClDevices(driver: Driver): readonly ClDevice[] {
  return driver.platforms().flatMap((platform) => {
    const name = driver.platformText(platform, platformInfo.name);
    const version = driver.platformText(platform, platformInfo.version);
    return driver
      .devices(platform)
      .map((handle) => ({ handle, facts: factsOf(driver, handle, `${name} ${version}`) }));
  });
}

const decoder = new TextDecoder();

function factsOf(driver: Driver, device: Handle, platform: string): DeviceFacts {
  const bytesOf = (what: number): Uint8Array => driver.deviceBytes(device, what);
  const text = (what: number): string => decoder.decode(bytesOf(what)).replace(/\0.*$/s, '').trim();
  // Values are 1, 4 or 8 bytes wide, as the machine's words are.
  const wide = (what: number): bigint => {
    const bytes = bytesOf(what).subarray(0, 8);
    return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  };
  const number = (what: number): number => Number(wide(what));
  const kindBits = wide(deviceInfo.type);
  const kinds = Object.keys(deviceKinds) as (keyof typeof deviceKinds)[];
  return {
    kind: kinds.find((kind) => (kindBits & deviceKinds[kind]) !== 0n) ?? 'other',
    name: text(deviceInfo.name),
    vendor: text(deviceInfo.vendor),
    driver: text(deviceInfo.driver),
    version: text(deviceInfo.version),
    platform,
    extensions: text(deviceInfo.extensions).split(/\s+/).filter(Boolean),
    computeUnits: number(deviceInfo.computeUnits),
    maxGroup: Math.min(number(deviceInfo.maxWorkGroup), number(deviceInfo.maxWorkItemSizes)),
    localBytes: number(deviceInfo.localBytes),
    cacheBytes: number(deviceInfo.cacheBytes),
    globalBytes: number(deviceInfo.globalBytes),
    maxAllocation: number(deviceInfo.maxAllocation),
    addressBits: number(deviceInfo.addressBits),
    baseAlignment: Math.max(1, number(deviceInfo.baseAlignmentBits) / 8),
    maxParameterBytes: number(deviceInfo.maxParameterBytes),
    floatVector: number(deviceInfo.nativeFloatVector),
    singleConfig: wide(deviceInfo.singleConfig),
    doubleConfig: wide(deviceInfo.doubleConfig),
    available: number(deviceInfo.available) !== 0,
    compiles: number(deviceInfo.compilerAvailable) !== 0,
  };
}

/**
 * Whether the driver keeps what it compiles on disk by itself. PoCL does; asked for the compiled
 * form it compiles every kernel once more, for groups of any size: half of the whole time.
 */
export const keepsPrograms = ({ platform }: DeviceFacts): boolean =>
  platform.startsWith('Portable Computing Language');

/** All that compiled kernels depend on, as text: part of every cache key. */
export const identityOf = (facts: DeviceFacts): string =>
  [facts.platform, facts.vendor, facts.name, facts.driver, facts.version].join('\n');
