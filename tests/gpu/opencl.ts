/** The smallest OpenCL host that runs a source: for tests, on whatever platform is installed. */
import { createRequire } from 'node:module';
import type { Source } from '@open-claw/core/device';

export interface OpenCl {
  readonly name: string;
  load(source: Pick<Source, 'text' | 'entries'>): Loaded;
}

export interface Loaded {
  /** Runs an entry with buffers that are read back in place. */
  run(
    entry: string,
    groups: number,
    buffers: readonly Uint8Array[],
    sizes: readonly number[],
  ): void;
}

/** The first OpenCL device; a text says why there is none. */
export function openCl(): OpenCl | string {
  const require = createRequire(import.meta.url);
  try {
    const koffi = require('koffi');
    return open(koffi, koffi.load('libOpenCL.so.1'));
  } catch (error) {
    return `no OpenCL here (libOpenCL.so.1, a platform and koffi): ${String(error)}`;
  }
}

// biome-ignore lint/suspicious/noExplicitAny: koffi's own types are those of its dependants
function open(koffi: any, library: any): OpenCl {
  const f = (signature: string) => library.func(signature);
  const getPlatforms = f('int clGetPlatformIDs(uint32_t n, _Out_ void **p, _Out_ uint32_t *c)');
  const getDevices = f(
    'int clGetDeviceIDs(void *p, uint64_t kind, uint32_t n, _Out_ void **d, _Out_ uint32_t *c)',
  );
  const info = f('int clGetDeviceInfo(void *d, uint32_t what, size_t n, void *into, void *size)');
  const makeContext = f(
    'void *clCreateContext(void *p, uint32_t n, void **d, void *cb, void *u, _Out_ int *e)',
  );
  const makeQueue = f('void *clCreateCommandQueue(void *c, void *d, uint64_t p, _Out_ int *e)');
  const makeProgram = f(
    'void *clCreateProgramWithSource(void *c, uint32_t n, const char **s, void *l, _Out_ int *e)',
  );
  const build = f(
    'int clBuildProgram(void *p, uint32_t n, void *d, const char *o, void *cb, void *u)',
  );
  const buildInfo = f(
    'int clGetProgramBuildInfo(void *p, void *d, uint32_t w, size_t n, void *into, void *size)',
  );
  const makeKernel = f('void *clCreateKernel(void *p, const char *name, _Out_ int *e)');
  const makeBuffer = f(
    'void *clCreateBuffer(void *c, uint64_t flags, size_t n, void *host, _Out_ int *e)',
  );
  const setArgument = f('int clSetKernelArg(void *k, uint32_t i, size_t n, void *v)');
  const launch = f(
    'int clEnqueueNDRangeKernel(void *q, void *k, uint32_t dims, void *off, size_t *g, ' +
      'size_t *l, uint32_t n, void *w, void *ev)',
  );
  const read = f(
    'int clEnqueueReadBuffer(void *q, void *b, uint32_t block, size_t off, size_t n, ' +
      'void *into, uint32_t c, void *w, void *ev)',
  );
  const release = f('int clReleaseMemObject(void *b)');
  const check = (code: number, what: string): void => {
    if (code !== 0) throw new Error(`${what}: OpenCL error ${code}`);
  };
  const platform: unknown[] = [null];
  check(getPlatforms(1, platform, [0]), 'platforms');
  const device: unknown[] = [null];
  check(getDevices(platform[0], 0xffffffffn, 1, device, [0]), 'devices');
  const name = new Uint8Array(256);
  check(info(device[0], 0x102b, 256, name, null), 'device name');
  const error = [0];
  const context = makeContext(null, 1, device, null, null, error);
  const queue = makeQueue(context, device[0], 0n, error);
  check(error[0] as number, 'queue');
  return {
    name: new TextDecoder().decode(name).replace(/\0.*$/s, ''),
    load(source) {
      const program = makeProgram(context, 1, [source.text], null, error);
      if (build(program, 0, null, '-cl-std=CL1.2', null, null) !== 0) {
        const log = new Uint8Array(20000);
        buildInfo(program, device[0], 0x1183, log.length, log, null);
        throw new Error(new TextDecoder().decode(log).replace(/\0.*$/s, ''));
      }
      return {
        run(entryName, groups, buffers, sizes) {
          const kernel = makeKernel(program, entryName, error);
          check(error[0] as number, 'kernel');
          const entry = source.entries.find((e) => e.name === entryName);
          if (entry === undefined) throw new Error(`no entry ${entryName}`);
          const memories = buffers.map((b) =>
            makeBuffer(
              context,
              0x21n,
              b.byteLength || 4,
              b.byteLength ? b : new Uint8Array(4),
              error,
            ),
          );
          for (const [i, memory] of memories.entries()) {
            check(setArgument(kernel, i, 8, BigUint64Array.of(koffi.address(memory))), 'buffer');
          }
          for (const [i, size] of sizes.entries()) {
            const wide = entry.indexType === 'i64';
            const value = wide ? BigInt64Array.of(BigInt(size)) : Int32Array.of(size);
            check(setArgument(kernel, memories.length + i, value.byteLength, value), 'size');
          }
          const group = entry.group[0];
          check(launch(queue, kernel, 1, null, [groups * group], [group], 0, null, null), 'launch');
          for (const [i, b] of buffers.entries()) {
            if (b.byteLength > 0 && entry.buffers[i]?.write === true)
              check(read(queue, memories[i], 1, 0, b.byteLength, b, 0, null, null), 'read');
            release(memories[i]);
          }
        },
      };
    },
  };
}
