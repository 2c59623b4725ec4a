/** Numbers of the OpenCL interface that this device uses, by their meaning (OpenCL 3.0, cl.h). */

export const deviceKinds = { cpu: 1n << 1n, gpu: 1n << 2n, accelerator: 1n << 3n } as const;
export const everyDevice = 0xffffffffn;

export const platformInfo = { version: 0x0901, name: 0x0902 } as const;

export const deviceInfo = {
  type: 0x1000,
  vendorId: 0x1001,
  computeUnits: 0x1002,
  maxWorkGroup: 0x1004,
  maxWorkItemSizes: 0x1005,
  addressBits: 0x100d,
  maxParameterBytes: 0x1017,
  baseAlignmentBits: 0x1019,
  singleConfig: 0x101b,
  cacheBytes: 0x101e,
  globalBytes: 0x101f,
  maxAllocation: 0x1010,
  localBytes: 0x1023,
  available: 0x1027,
  compilerAvailable: 0x1028,
  name: 0x102b,
  vendor: 0x102c,
  driver: 0x102d,
  version: 0x102f,
  extensions: 0x1030,
  doubleConfig: 0x1032,
  nativeFloatVector: 0x103a,
  languageVersion: 0x103d,
} as const;

/** Bits of the descriptions of float arithmetic. */
export const floatConfig = {
  denormals: 1n << 0n,
  fusedMultiplyAdd: 1n << 5n,
  software: 1n << 6n,
  correctDivision: 1n << 7n,
} as const;

export const programInfo = { binarySizes: 0x1165, binaries: 0x1166 } as const;
export const buildInfo = { log: 0x1183 } as const;
export const eventInfo = { status: 0x11d3 } as const;
export const profilingInfo = { start: 0x1282, end: 0x1283 } as const;

export const readWriteMemory = 1n;
export const createRegion = 0x1220;
export const profilingQueue = 2n;
/** What a mapped part held may be lost. */
export const overwriteMapped = 4n;

/** Names of the results that calls give, without their prefix. */
const names: Readonly<Record<number, string>> = {
  [-1]: 'DEVICE_NOT_FOUND',
  [-2]: 'DEVICE_NOT_AVAILABLE',
  [-3]: 'COMPILER_NOT_AVAILABLE',
  [-4]: 'MEM_OBJECT_ALLOCATION_FAILURE',
  [-5]: 'OUT_OF_RESOURCES',
  [-6]: 'OUT_OF_HOST_MEMORY',
  [-8]: 'MEM_COPY_OVERLAP',
  [-11]: 'BUILD_PROGRAM_FAILURE',
  [-13]: 'MISALIGNED_SUB_BUFFER_OFFSET',
  [-14]: 'EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST',
  [-15]: 'COMPILE_PROGRAM_FAILURE',
  [-17]: 'LINK_PROGRAM_FAILURE',
  [-30]: 'INVALID_VALUE',
  [-32]: 'INVALID_PLATFORM',
  [-33]: 'INVALID_DEVICE',
  [-34]: 'INVALID_CONTEXT',
  [-36]: 'INVALID_COMMAND_QUEUE',
  [-38]: 'INVALID_MEM_OBJECT',
  [-42]: 'INVALID_BINARY',
  [-43]: 'INVALID_BUILD_OPTIONS',
  [-44]: 'INVALID_PROGRAM',
  [-45]: 'INVALID_PROGRAM_EXECUTABLE',
  [-46]: 'INVALID_KERNEL_NAME',
  [-48]: 'INVALID_KERNEL',
  [-49]: 'INVALID_ARG_INDEX',
  [-50]: 'INVALID_ARG_VALUE',
  [-51]: 'INVALID_ARG_SIZE',
  [-52]: 'INVALID_KERNEL_ARGS',
  [-54]: 'INVALID_WORK_GROUP_SIZE',
  [-55]: 'INVALID_WORK_ITEM_SIZE',
  [-58]: 'INVALID_EVENT',
  [-59]: 'INVALID_OPERATION',
  [-61]: 'INVALID_BUFFER_SIZE',
  [-63]: 'INVALID_GLOBAL_WORK_SIZE',
  [-1001]: 'PLATFORM_NOT_FOUND_KHR',
};

export const nameOf = (code: number): string => {
  const name = names[code];
  return name === undefined ? `OpenCL error ${code}` : `CL_${name} (${code})`;
};

const codesOf = (...wanted: readonly string[]): ReadonlySet<number> =>
  new Set(
    Object.keys(names).flatMap((code) =>
      wanted.includes(names[Number(code)] ?? '') ? [Number(code)] : [],
    ),
  );

/** The device or the driver's state is gone; only a new context helps, if anything does. */
export const lostCodes = codesOf(
  'DEVICE_NOT_AVAILABLE',
  'INVALID_DEVICE',
  'INVALID_CONTEXT',
  'INVALID_COMMAND_QUEUE',
);

/** There is no room for a buffer or for what a command needs. */
export const memoryCodes = codesOf(
  'MEM_OBJECT_ALLOCATION_FAILURE',
  'OUT_OF_RESOURCES',
  'OUT_OF_HOST_MEMORY',
  'INVALID_BUFFER_SIZE',
);
