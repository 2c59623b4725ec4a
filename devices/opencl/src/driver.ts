/**
 * libOpenCL as TypeScript functions, one per call of the interface. The library is opened when a
 * probe asks for it, never before; handles are numbers.
 */
import { createRequire } from 'node:module';
import { callAside, callCompiler, hasDeepStacks } from './aside.js';
import {
  buildInfo,
  createRegion,
  eventInfo as eventFacts,
  everyDevice,
  programInfo as facts,
  overwriteMapped,
  profilingQueue,
  readWriteMemory,
  profilingInfo as times,
} from './constants.js';
import { pageAdvice } from './pages.js';

/** Address of an object of the driver; 0 is none. */
export type Handle = number | bigint;

/** Memory that calls read or write; it must stay referenced while they may. */
export type Bytes = Uint8Array | BigUint64Array | Int32Array;

/** Every call gives its error code, or an object and its error code. */
export interface Driver {
  /** Where the library was found. */
  readonly path: string;
  /** Whether the library says of itself that it is a stub. */
  readonly isStub: boolean;
  platforms(): readonly Handle[];
  devices(platform: Handle): readonly Handle[];
  platformText(platform: Handle, what: number): string;
  /** Raw value of a fact; empty where the driver does not know it. */
  deviceBytes(device: Handle, what: number): Uint8Array;
  createContext(device: Handle): Made;
  createQueue(context: Handle, device: Handle): Made;
  createBuffer(context: Handle, bytes: number): Made;
  createSubBuffer(buffer: Handle, offset: number, bytes: number): Made;
  /** Asks the host for large pages under a buffer that nobody has touched yet. */
  useLargePages(queue: Handle, buffer: Handle, bytes: number): void;
  createProgram(context: Handle, text: string): Made;
  createProgramFromBinary(context: Handle, device: Handle, bytes: Uint8Array): Made;
  buildProgram(program: Handle, options: string): Promise<number>;
  buildLog(program: Handle, device: Handle): string;
  /** Compiled form of a program for its one device; empty where the driver gives none. */
  programBinary(program: Handle): Promise<Uint8Array>;
  createKernel(program: Handle, name: string): Made;
  setArgument(kernel: Handle, index: number, value: Bytes): number;
  launch(queue: Handle, kernel: Handle, size: Size, event: BigUint64Array): number;
  /** As launch, on another thread: drivers may compile at the first launch of a kernel. */
  launchAside(queue: Handle, kernel: Handle, size: Size, event: BigUint64Array): Promise<number>;
  fill(queue: Handle, to: Range, pattern: Uint8Array, event: BigUint64Array): number;
  copy(queue: Handle, from: Range, to: Range, event: BigUint64Array): number;
  read(queue: Handle, from: Range, into: Uint8Array, event: BigUint64Array): number;
  write(queue: Handle, to: Range, bytes: Uint8Array, event: BigUint64Array): number;
  flush(queue: Handle): number;
  /** Waits on another thread. */
  wait(events: readonly Handle[]): Promise<number>;
  finish(queue: Handle): Promise<number>;
  /** 0 done, above 0 not yet, below 0 an error code. */
  eventStatus(event: Handle): number;
  /** Nanoseconds that a command ran. */
  eventTime(event: Handle): number;
  release(kind: ObjectKind, object: Handle): void;
}

export interface Made {
  readonly object: Handle;
  readonly code: number;
}

export interface Range {
  readonly buffer: Handle;
  readonly offset: number;
  readonly bytes: number;
}

/** Threads along three axes, and of one group along the first. */
export interface Size {
  readonly threads: readonly [number, number, number];
  readonly group: number;
}

export type ObjectKind = 'memory' | 'kernel' | 'program' | 'queue' | 'context' | 'event';

const libraryNames: Readonly<Record<string, readonly string[]>> = {
  linux: ['libOpenCL.so.1', 'libOpenCL.so'],
  android: ['libOpenCL.so'],
  darwin: ['/System/Library/Frameworks/OpenCL.framework/OpenCL'],
  win32: ['OpenCL.dll'],
};

/** The driver, or why there is none. */
export function openDriver(wanted?: string): Driver | string {
  let koffi: typeof import('koffi');
  try {
    koffi = createRequire(import.meta.url)('koffi');
  } catch (error) {
    return `the package koffi cannot be loaded: ${String(error)}`;
  }
  const paths = wanted === undefined ? (libraryNames[process.platform] ?? []) : [wanted];
  const reasons: string[] = [];
  for (const path of paths) {
    try {
      return bind(koffi, path);
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error));
    }
  }
  return reasons[0] ?? `no name of the OpenCL library is known on ${process.platform}`;
}

const decoder = new TextDecoder();
const textOf = (bytes: Uint8Array): string => decoder.decode(bytes).replace(/\0.*$/s, '').trim();

function bind(koffi: typeof import('koffi'), path: string): Driver {
  const deep = hasDeepStacks(koffi);
  const library = koffi.load(path);
  const f = (signature: string) => library.func(signature);
  // Objects are opaque addresses: as integers they need no wrapping.
  const object = 'uintptr_t';
  const platformIds = f('int clGetPlatformIDs(uint32_t n, void *into, _Out_ uint32_t *count)');
  const deviceIds = f(
    `int clGetDeviceIDs(${object} p, uint64_t kind, uint32_t n, void *into, _Out_ uint32_t *count)`,
  );
  const info = (name: string) =>
    f(`int ${name}(${object} o, uint32_t what, size_t n, void *into, void *size)`);
  const platformInfo = info('clGetPlatformInfo');
  const deviceInfo = info('clGetDeviceInfo');
  const programInfo = info('clGetProgramInfo');
  const eventInfo = info('clGetEventInfo');
  const profilingInfo = info('clGetEventProfilingInfo');
  const logInfo = f(
    `int clGetProgramBuildInfo(${object} p, ${object} d, uint32_t what, size_t n, void *into, ` +
      'void *size)',
  );
  const context = f(
    `${object} clCreateContext(void *p, uint32_t n, void *d, void *call, void *data, _Out_ int *e)`,
  );
  const queue = f(
    `${object} clCreateCommandQueue(${object} c, ${object} d, uint64_t how, _Out_ int *e)`,
  );
  const buffer = f(
    `${object} clCreateBuffer(${object} c, uint64_t flags, size_t n, void *host, _Out_ int *e)`,
  );
  const subBuffer = f(
    `${object} clCreateSubBuffer(${object} b, uint64_t flags, uint32_t k, void *r, _Out_ int *e)`,
  );
  const program = f(
    `${object} clCreateProgramWithSource(${object} c, uint32_t n, const char **s, void *l, ` +
      '_Out_ int *e)',
  );
  const programFromBinary = f(
    `${object} clCreateProgramWithBinary(${object} c, uint32_t n, void *d, void *l, void *b, ` +
      'void *status, _Out_ int *e)',
  );
  const build = f(
    `int clBuildProgram(${object} p, uint32_t n, void *d, const char *o, void *call, void *data)`,
  );
  const kernel = f(`${object} clCreateKernel(${object} p, const char *name, _Out_ int *e)`);
  const argument = f(`int clSetKernelArg(${object} k, uint32_t i, size_t n, void *v)`);
  const after = 'uint32_t c, void *waits, void *event';
  const launch = f(
    `int clEnqueueNDRangeKernel(${object} q, ${object} k, uint32_t dims, void *from, void *size, ` +
      `void *group, ${after})`,
  );
  const fill = f(
    `int clEnqueueFillBuffer(${object} q, ${object} b, void *pattern, size_t each, size_t at, ` +
      `size_t n, ${after})`,
  );
  const copy = f(
    `int clEnqueueCopyBuffer(${object} q, ${object} a, ${object} b, size_t from, size_t to, ` +
      `size_t n, ${after})`,
  );
  const move = (name: string) =>
    f(
      `int ${name}(${object} q, ${object} b, uint32_t block, size_t at, size_t n, void *host, ` +
        `${after})`,
    );
  const read = move('clEnqueueReadBuffer');
  const write = move('clEnqueueWriteBuffer');
  const map = f(
    `${object} clEnqueueMapBuffer(${object} q, ${object} b, uint32_t block, uint64_t how, ` +
      `size_t at, size_t n, ${after}, _Out_ int *e)`,
  );
  const unmap = f(`int clEnqueueUnmapMemObject(${object} q, ${object} b, ${object} p, ${after})`);
  const advise = pageAdvice(koffi);
  const flush = f(`int clFlush(${object} q)`);
  const finish = f(`int clFinish(${object} q)`);
  const wait = f('int clWaitForEvents(uint32_t n, void *events)');
  const releases: Readonly<Record<ObjectKind, (object: Handle) => number>> = {
    memory: f(`int clReleaseMemObject(${object} o)`),
    kernel: f(`int clReleaseKernel(${object} o)`),
    program: f(`int clReleaseProgram(${object} o)`),
    queue: f(`int clReleaseCommandQueue(${object} o)`),
    context: f(`int clReleaseContext(${object} o)`),
    event: f(`int clReleaseEvent(${object} o)`),
  };
  const isStub = (() => {
    try {
      library.func('int claw_stub()');
      return true;
    } catch {
      return false;
    }
  })();

  /** Objects that a call writes into an array, after one that counts them. */
  const list = (call: (n: number, into: BigUint64Array | null, count: number[]) => number) => {
    const count = [0];
    if (call(0, null, count) !== 0) return [];
    const into = new BigUint64Array(Math.max(1, count[0] as number));
    if (call(into.length, into, count) !== 0) return [];
    return [...into.subarray(0, count[0])];
  };
  const made = (call: (code: number[]) => Handle): Made => {
    const code = [0];
    const result = call(code);
    return { object: result, code: code[0] as number };
  };
  const bytesOf = (call: (n: number, into: Bytes | null, size: Bytes | null) => number) => {
    const size = new BigUint64Array(1);
    if (call(0, null, size) !== 0) return new Uint8Array(0);
    const into = new Uint8Array(Number(size[0]));
    return into.length === 0 || call(into.length, into, null) === 0 ? into : new Uint8Array(0);
  };
  const launchArguments = (q: Handle, k: Handle, size: Size, event: BigUint64Array) => {
    const threads = BigUint64Array.from(size.threads, BigInt);
    const group = BigUint64Array.of(BigInt(size.group), 1n, 1n);
    return [q, k, 3, null, threads, group, 0, null, event] as const;
  };
  return {
    path,
    isStub,
    platforms: () => list((n, into, count) => platformIds(n, into, count)),
    devices: (platform) =>
      list((n, into, count) => deviceIds(platform, everyDevice, n, into, count)),
    platformText: (platform, what) =>
      textOf(bytesOf((n, into, size) => platformInfo(platform, what, n, into, size))),
    deviceBytes: (device, what) =>
      bytesOf((n, into, size) => deviceInfo(device, what, n, into, size)),
    createContext: (device) =>
      made((code) => context(null, 1, BigUint64Array.of(BigInt(device)), null, null, code)),
    createQueue: (c, device) => made((code) => queue(c, device, profilingQueue, code)),
    createBuffer: (c, bytes) => made((code) => buffer(c, readWriteMemory, bytes, null, code)),
    createSubBuffer: (b, offset, bytes) =>
      made((code) => {
        const region = BigUint64Array.of(BigInt(offset), BigInt(bytes));
        return subBuffer(b, 0n, createRegion, region, code);
      }),
    useLargePages: (q, b, bytes) => {
      const { object: address, code } = made((e) =>
        map(q, b, 0, overwriteMapped, 0, bytes, 0, null, null, e),
      );
      if (code !== 0) return;
      advise(BigInt(address), bytes);
      unmap(q, b, address, 0, null, null);
    },
    createProgram: (c, text) => made((code) => program(c, 1, [text], null, code)),
    createProgramFromBinary: (c, device, bytes) =>
      made((code) => {
        const ids = BigUint64Array.of(BigInt(device));
        const lengths = BigUint64Array.of(BigInt(bytes.length));
        const pointers = BigUint64Array.of(BigInt(koffi.address(bytes)));
        return programFromBinary(c, 1, ids, lengths, pointers, null, code);
      }),
    buildProgram: (p, options) => callCompiler(deep, build, [p, 0, null, options, null, null]),
    buildLog: (p, device) =>
      textOf(bytesOf((n, into, size) => logInfo(p, device, buildInfo.log, n, into, size))),
    async programBinary(p) {
      const sizes = new BigUint64Array(1);
      if (programInfo(p, facts.binarySizes, 8, sizes, null) !== 0) return new Uint8Array(0);
      const into = new Uint8Array(Number(sizes[0]));
      if (into.length === 0) return into;
      const pointers = BigUint64Array.of(BigInt(koffi.address(into)));
      // The array of pointers does not hold what it points to.
      const values = [p, facts.binaries, 8, pointers, null];
      const code = await callCompiler(deep, programInfo, values).finally(() => void into);
      return code === 0 ? into : new Uint8Array(0);
    },
    createKernel: (p, name) => made((code) => kernel(p, name, code)),
    setArgument: (k, index, value) => argument(k, index, value.byteLength, value),
    launch: (q, k, size, event) => launch(...launchArguments(q, k, size, event)),
    launchAside: (q, k, size, event) =>
      callCompiler(deep, launch, launchArguments(q, k, size, event)),
    fill: (q, to, pattern, event) =>
      fill(q, to.buffer, pattern, pattern.length, to.offset, to.bytes, 0, null, event),
    copy: (q, from, to, event) =>
      copy(q, from.buffer, to.buffer, from.offset, to.offset, to.bytes, 0, null, event),
    read: (q, from, into, event) =>
      read(q, from.buffer, 0, from.offset, from.bytes, into, 0, null, event),
    write: (q, to, bytes, event) =>
      write(q, to.buffer, 0, to.offset, to.bytes, bytes, 0, null, event),
    flush: (q) => flush(q),
    wait: (events) => {
      const list = BigUint64Array.from(events, BigInt);
      return callAside(wait, [list.length, list]);
    },
    finish: (q) => callAside(finish, [q]),
    eventStatus: (event) => {
      const status = new Int32Array(1);
      const code = eventInfo(event, eventFacts.status, 4, status, null);
      return code === 0 ? (status[0] as number) : code;
    },
    eventTime: (event) => {
      const [start, end] = [new BigUint64Array(1), new BigUint64Array(1)];
      const code =
        profilingInfo(event, times.start, 8, start, null) ||
        profilingInfo(event, times.end, 8, end, null);
      return code === 0 ? Number((end[0] as bigint) - (start[0] as bigint)) : 0;
    },
    release: (kind, o) => void releases[kind](o),
  };
}
