/**
 * What each call of a driver and of a run-time compiler takes, by the part that it plays. A row
 * says which symbol plays it. Two parts that do the same in different shapes stand side by side;
 * a row names the one that its library has.
 */

/**
 * i32, u32, size: numbers. address: device memory as a bigint. handle: an opaque pointer as a
 * bigint. text: a C string. bytes: memory of the host that is read. Names with `out`: arrays that
 * the call writes. strings: an array of C strings. dims: three u32 by value. parameters: an array
 * of pointers. handleIn: a pointer to a handle. Results are codes, 0 for success, or a text.
 */
export type ParameterKind =
  | 'i32'
  | 'u32'
  | 'u64'
  | 'size'
  | 'address'
  | 'handle'
  | 'handleIn'
  | 'text'
  | 'strings'
  | 'bytes'
  | 'dims'
  | 'parameters'
  | 'outHandle'
  | 'outI32'
  | 'outSize'
  | 'outFloat'
  | 'outBytes'
  | 'outText';

export interface Signature {
  readonly parameters: readonly ParameterKind[];
  /** Absent: a code. */
  readonly result?: 'text';
}

const codes = (...parameters: readonly ParameterKind[]): Signature => ({ parameters });
const text = (...parameters: readonly ParameterKind[]): Signature => ({
  parameters,
  result: 'text',
});

export const driverSignatures = {
  /** Flags. */
  initialize: codes('u32'),
  version: codes('outI32'),
  deviceCount: codes('outI32'),
  /** Device of an ordinal. Where a row has none, the ordinal is the device. */
  deviceOf: codes('outI32', 'i32'),
  deviceName: codes('outBytes', 'i32', 'i32'),
  deviceMemory: codes('outSize', 'i32'),
  /** Value, attribute's number, device. */
  deviceAttribute: codes('outI32', 'i32', 'i32'),
  /** A context that all of the process share, or one of its own, or the device of this thread. */
  contextRetain: codes('outHandle', 'i32'),
  contextRelease: codes('i32'),
  contextCreate: codes('outHandle', 'u32', 'i32'),
  contextDestroy: codes('handle'),
  contextSet: codes('handle'),
  deviceSet: codes('i32'),
  deviceReset: codes(),
  /** Free, total. */
  memoryInfo: codes('outSize', 'outSize'),
  allocate: codes('outHandle', 'size'),
  release: codes('address'),
  copyToDevice: codes('address', 'bytes', 'size', 'handle'),
  copyToHost: codes('outBytes', 'address', 'size', 'handle'),
  copyOnDevice: codes('address', 'address', 'size', 'handle'),
  /** To, from, bytes, 1 to the device, 2 to the host, 3 on the device, stream. */
  copy: codes('handle', 'handle', 'size', 'i32', 'handle'),
  /** Address, byte, bytes, stream. */
  fill: codes('address', 'i32', 'size', 'handle'),
  streamCreate: codes('outHandle', 'u32'),
  streamCreatePlain: codes('outHandle'),
  streamQuery: codes('handle'),
  streamWait: codes('handle'),
  streamDestroy: codes('handle'),
  eventCreate: codes('outHandle', 'u32'),
  eventCreatePlain: codes('outHandle'),
  /** Event, stream. */
  eventRecord: codes('handle', 'handle'),
  /** Milliseconds, from, to. */
  eventElapsed: codes('outFloat', 'handle', 'handle'),
  eventDestroy: codes('handle'),
  moduleLoad: codes('outHandle', 'bytes'),
  moduleFunction: codes('outHandle', 'handle', 'text'),
  moduleUnload: codes('handle'),
  /** Function, groups, threads, dynamic shared bytes, stream, parameters, extra. */
  launch: codes(
    'handle',
    'u32',
    'u32',
    'u32',
    'u32',
    'u32',
    'u32',
    'u32',
    'handle',
    'parameters',
    'handle',
  ),
  launchDims: codes('handle', 'dims', 'dims', 'size', 'handle', 'parameters'),
  /** Code, text. */
  errorTextOut: codes('i32', 'outText'),
  errorText: text('i32'),
  /** Stream, mode. */
  captureBegin: codes('handle', 'i32'),
  captureEnd: codes('handle', 'outHandle'),
  /** Executable graph, graph, flags. */
  graphInstantiate: codes('outHandle', 'handle', 'u64'),
  graphLaunch: codes('handle', 'handle'),
  graphDestroy: codes('handle'),
  graphExecutableDestroy: codes('handle'),
} as const satisfies Readonly<Record<string, Signature>>;

export const compilerSignatures = {
  /** Major, minor. */
  compilerVersion: codes('outI32', 'outI32'),
  /** Program, source, name, number of headers, headers, their names. */
  programCreate: codes('outHandle', 'text', 'text', 'i32', 'handle', 'handle'),
  programCompile: codes('handle', 'i32', 'strings'),
  programLogSize: codes('handle', 'outSize'),
  programLog: codes('handle', 'outBytes'),
  programCodeSize: codes('handle', 'outSize'),
  programCode: codes('handle', 'outBytes'),
  programDestroy: codes('handleIn'),
  programErrorText: text('i32'),
} as const satisfies Readonly<Record<string, Signature>>;

export type DriverPart = keyof typeof driverSignatures;
export type CompilerPart = keyof typeof compilerSignatures;
export type Part = DriverPart | CompilerPart;

export const signatures: Readonly<Record<Part, Signature>> = {
  ...driverSignatures,
  ...compilerSignatures,
};

/** Parts of which a row's library must have at least one each; the others are optional. */
export const neededParts: readonly (readonly DriverPart[])[] = [
  ['deviceCount'],
  ['contextRetain', 'contextCreate', 'deviceSet'],
  ['allocate'],
  ['release'],
  ['copyToDevice', 'copy'],
  ['copyToHost', 'copy'],
  ['copyOnDevice', 'copy'],
  ['streamCreate', 'streamCreatePlain'],
  ['streamQuery', 'streamWait'],
  ['moduleLoad'],
  ['moduleFunction'],
  ['launch', 'launchDims'],
];

export const neededCompilerParts: readonly CompilerPart[] = [
  'programCreate',
  'programCompile',
  'programCodeSize',
  'programCode',
];
