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
/** What it calls of Node-API is in the program that loads it. */
const fromLoader = process.platform === 'darwin' ? ['-Wl,-undefined,dynamic_lookup'] : [];
const hidden = '-fvisibility=hidden';
const runtimeFlags = [...commonFlags, '-pthread', hidden, ...stayLoaded, ...fromLoader, '-ldl'];
/** Compiled as one text, in this order. */
const sourceFiles = ['machine.c', 'runtime.c', 'addon.c'].map(
  (name) => new URL(`../runtime/${name}`, import.meta.url),
);

/** The shared library of the runtime, by the first compiler that can make it. */
export async function buildRuntime(
  cache: Cache,
  wanted?: string,
): Promise<{ readonly compiler: Compiler; readonly made: Uint8Array }> {
  const text = sourceFiles.map((file) => readFileSync(file, 'utf8')).join('\n');
  return findCompiler(
    async (compiler) => {
      const [library] = await buildAll(compiler, [text], runtimeFlags, cache);
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
    return bind(compiler, cache.fileOf(made));
  } catch (error) {
    const isMissing = isFailure(error) && error.code === 'OC-NATIVE-03';
    if (prebuilt === undefined || !isMissing) throw error;
    return bind(undefined, cache.fileOf(prebuilt));
  }
}

/** The functions of addon.c. */
type Addon = Pick<
  Runtime,
  'allocate' | 'free' | 'addressOf' | 'copy' | 'copyAside' | 'open' | 'symbol' | 'close' | 'threads'
> & {
  features(): number;
  largePages(bytes: Uint8Array, length: number): void;
  collapseAside(bytes: Uint8Array, length: number): Promise<void>;
  run(...values: RunValues): number;
  runAside(...values: RunValues): Promise<number>;
};

type RunValues = [Run['words'], number, Run['stop'], number, number, Run['times']];

function bind(compiler: Compiler | undefined, path: string): Runtime {
  const addon = addonAt(path);
  const values = (r: Run): RunValues => [r.words, r.count, r.stop, r.limit, r.threads, r.times];
  return {
    ...addon,
    compiler,
    features: addon.features(),
    largePages: (bytes) => addon.largePages(bytes, bytes.byteLength),
    collapseAside: (bytes) => addon.collapseAside(bytes, bytes.byteLength),
    open(path) {
      try {
        return addon.open(path);
      } catch (error) {
        throw failure('OC-DEVICE-03', { reason: String(error) });
      }
    },
    run: (r) => addon.run(r.words, r.count, r.stop, r.limit, r.threads, r.times),
    runAside: (r) => addon.runAside(...values(r)),
  };
}

function addonAt(path: string): Addon {
  const module = { exports: {} as Addon };
  try {
    process.dlopen(module, path);
  } catch (cause) {
    const reason = `the runtime cannot be loaded (${String(cause)})`;
    throw failure('OC-NATIVE-03', { reason }, { kind: 'unavailable', cause });
  }
  return module.exports;
}
