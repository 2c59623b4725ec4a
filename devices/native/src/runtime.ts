/** The fixed C runtime as TypeScript functions: compiled once, loaded once per process. */
import { readFileSync } from 'node:fs';
import { failure, internal, isFailure } from '@open-claw/core/device/contract';
import type { Cache } from './cache.js';
import { buildAll, type Compiler, commonFlags, findCompiler } from './compiler.js';

/** Addresses are numbers: user space ends far below 2^53. */
export type Address = number;

/** Arguments of one run of packed commands. */
export interface Run {
  readonly words: Uint32Array;
  readonly count: number;
  readonly stop: Int32Array;
  /** Nanoseconds, 0 for none. */
  readonly limit: number;
  readonly threads: number;
  /** Takes nanoseconds per command. */
  readonly times: BigInt64Array;
}

export interface Runtime {
  /** Absent where the runtime was built elsewhere. */
  readonly compiler: Compiler | undefined;
  /** Bits of instruction sets, see targets.ts. */
  readonly features: number;
  allocate(bytes: number): Address;
  free(address: Address, bytes: number): void;
  /** Where an array's bytes lie; they stay there while the array is referenced. */
  addressOf(bytes: Uint8Array): Address;
  /** Asks for large pages below an array that is about to be written for the first time. */
  largePages(bytes: Uint8Array): void;
  /** Moves an array that is in use already to large pages, as far as the system can. */
  collapseAside(bytes: Uint8Array): Promise<void>;
  /** Copies between two addresses or arrays. */
  copy(to: Address | Uint8Array, from: Address | Uint8Array, bytes: number): void;
  copyAside(to: Address | Uint8Array, from: Address | Uint8Array, bytes: number): Promise<void>;
  open(path: string): Address;
  symbol(module: Address, name: string): Address;
  close(module: Address): void;
  /** Starts threads; gives how many there are. */
  threads(count: number): number;
  /** 0, or reason + 8 · index of the command that did not end. */
  run(run: Run): number;
  runAside(run: Run): Promise<number>;
}

/** As the process ends the library may be unloaded: not from under threads that sleep in it. */
const stayLoaded = process.platform === 'linux' ? ['-Wl,-z,nodelete'] : [];
const runtimeFlags = [...commonFlags, '-pthread', '-fvisibility=hidden', ...stayLoaded];
/** Compiled as one text, in this order. */
const sourceFiles = ['machine.c', 'runtime.c'].map(
  (name) => new URL(`../runtime/${name}`, import.meta.url),
);

/** The shared library of the runtime, by the first compiler that can make it. */
export async function buildRuntime(
  cache: Cache,
  wanted?: string,
): Promise<{ readonly compiler: Compiler; readonly made: Uint8Array }> {
  const text = sourceFiles.map((file) => `${readFileSync(file, 'utf8')}\n`).join('');
  return findCompiler(
    async (compiler) => {
      const flags = [...runtimeFlags, '-ldl'];
      const [library] = await buildAll(compiler, [text], flags, cache);
      if (library === undefined) throw internal('no library was built');
      return library;
    },
    cache,
    wanted,
  );
}

/**
 * The runtime of the first compiler that can make it; where none can, the library that was built
 * elsewhere. Throws OC-NATIVE-03 where there is neither.
 */
export async function openRuntime(
  cache: Cache,
  wanted?: string,
  prebuilt?: Uint8Array,
): Promise<Runtime> {
  try {
    const { compiler, made } = await buildRuntime(cache, wanted);
    return await bind(compiler, cache.fileOf(made));
  } catch (error) {
    const isMissing = isFailure(error) && error.code === 'OC-NATIVE-03';
    if (prebuilt === undefined || !isMissing) throw error;
    return bind(undefined, cache.fileOf(prebuilt));
  }
}

const pointer = (at: Address | Uint8Array): bigint | Uint8Array =>
  typeof at === 'number' ? BigInt(at) : at;

async function bind(compiler: Compiler | undefined, path: string): Promise<Runtime> {
  const koffi = await import('koffi').catch((error: unknown) => {
    const reason = `the package koffi cannot be loaded (${String(error)})`;
    throw failure('OC-NATIVE-03', { reason }, { kind: 'unavailable', cause: error });
  });
  const library = koffi.load(path);
  const run = library.func(
    'int64_t claw_run(void *words, int64_t count, void *stop, int64_t limit, int threads, ' +
      'void *times)',
  );
  const copy = library.func('void claw_copy(void *to, void *from, int64_t bytes)');
  const allocate = library.func('uint64_t claw_allocate(int64_t bytes)');
  const largePages = library.func('void claw_large_pages(void *p, int64_t bytes)');
  const collapse = library.func('void claw_collapse(void *p, int64_t bytes)');
  const free = library.func('void claw_free(void *p, int64_t bytes)');
  const open = library.func('uint64_t claw_open(const char *path)');
  const openError = library.func('const char *claw_open_error()');
  const symbol = library.func('uint64_t claw_symbol(void *module, const char *name)');
  const close = library.func('void claw_close(void *module)');
  const threads = library.func('int claw_threads(int threads)');
  const features = library.func('int claw_features()');
  const values = (r: Run): readonly unknown[] => [
    r.words,
    r.count,
    r.stop,
    r.limit,
    r.threads,
    r.times,
  ];
  return {
    compiler,
    features: features(),
    allocate: (bytes) => Number(allocate(bytes)),
    free: (address, bytes) => free(BigInt(address), bytes),
    addressOf: (bytes) => Number(koffi.address(bytes)),
    largePages: (bytes) => largePages(bytes, bytes.byteLength),
    collapseAside: (bytes) =>
      aside((done) => collapse.async(bytes, bytes.byteLength, done), [bytes]),
    copy: (to, from, bytes) => copy(pointer(to), pointer(from), bytes),
    copyAside: (to, from, bytes) =>
      aside((done) => copy.async(pointer(to), pointer(from), bytes, done), [to, from]),
    open: (path) => {
      const module = Number(open(path));
      if (module === 0) throw failure('OC-DEVICE-03', { reason: String(openError()) });
      return module;
    },
    symbol: (module, name) => Number(symbol(BigInt(module), name)),
    close: (module) => close(BigInt(module)),
    threads: (count) => threads(count),
    run: (r) => Number(run(...values(r))),
    runAside: async (r) => Number(await aside((done) => run.async(...values(r), done), r)),
  };
}

type Done = (error: unknown, result: unknown) => void;

/** A call on another thread as a promise that keeps its arguments alive until it ends. */
function aside(start: (done: Done) => void, held: unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error, result) => {
      void held;
      if (error === null || error === undefined) resolve(result as never);
      else reject(error as Error);
    });
  });
}
