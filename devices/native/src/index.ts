/** Plug-in of the CPU: C kernels, compiled by the C compiler of the machine. */
import { cLater, splitSource } from '@open-claw/core/device/c-later';
import {
  type Absent,
  type Binary,
  type Device,
  type DevicePlugin,
  type Found,
  failure,
  isFailure,
  refused,
  type Source,
  type Target,
} from '@open-claw/core/device/contract';
import { binaryFormat, joinLibraries } from './binary.js';
import { type Cache, openCache } from './cache.js';
import { buildAll, kernelFlags } from './compiler.js';
import { NativeDevice } from './device.js';
import { freeBytes, modelName, thisMachine } from './machine.js';
import { buildRuntime, openRuntime, type Runtime } from './runtime.js';
import { makeTarget, type NativeRow, rows } from './targets.js';

export interface NativeOptions {
  /** The instruction set that `native` means; the best that the CPU has where absent. */
  readonly row?: NativeRow['name'];
  /** Threads that one launch may use; one per core where absent. */
  readonly threads?: number;
  /** Path of the C compiler; the first on PATH that works where absent. */
  readonly compiler?: string;
  /** Folder for compiled kernels; CLAW_CACHE or ~/.cache/openclaw where absent. */
  readonly cache?: string;
  /** A runtime that was built elsewhere (see runtimeLibrary), for where there is no compiler. */
  readonly runtime?: Uint8Array;
}

/** Kernels that one compiler call takes before a second call beside it pays. */
const kernelsPerCall = 12;

interface Ready {
  readonly cache: Cache;
  readonly runtime: Runtime;
}

const flagsOf = (row: NativeRow): readonly string[] => {
  const tune = process.arch === 'x64' ? ['-mtune=native'] : [];
  return [...kernelFlags, ...row.flags, ...tune];
};

const supported = (row: NativeRow, runtime: Runtime): boolean =>
  row.feature === 0 || (runtime.features & row.feature) !== 0;

const rowOf = (target: string): NativeRow | undefined =>
  rows.find((row) => `native/${row.name}` === target);

/** Makes the plug-in. Ids: `native`, or `native/ROW` for one instruction set. */
export function nativeDevice(options: NativeOptions = {}): DevicePlugin {
  const machine = { ...thisMachine(), ...(options.threads ? { cores: options.threads } : {}) };
  const targetOf = (row: NativeRow): Target => makeTarget(row, machine);
  let started: Promise<Ready> | undefined;
  const start = (): Promise<Ready> => {
    started ??= (async () => {
      const cache = openCache(options.cache);
      return { cache, runtime: await openRuntime(cache, options.compiler, options.runtime) };
    })();
    // A compiler may be installed later: only success is remembered.
    started.catch(() => {
      started = undefined;
    });
    return started;
  };
  const choose = (runtime: Runtime, id: string): NativeRow => {
    const wanted = id === 'native' ? options.row : rowOf(id)?.name;
    if (id !== 'native' && wanted === undefined) {
      throw failure('OC-DEVICE-06', { id }, { kind: 'unavailable' });
    }
    const able = rows.filter((row) => supported(row, runtime));
    const row = wanted === undefined ? able[0] : able.find(({ name }) => name === wanted);
    if (row === undefined) throw refused(`device ${id}`, 'this CPU lacks its instructions');
    return row;
  };
  return {
    contract: 1,
    name: 'native',
    targets: rows.map(targetOf),
    language: cLater,

    async probe(): Promise<readonly (Found | Absent)[]> {
      try {
        const { runtime } = await start();
        const row = choose(runtime, 'native');
        return [
          {
            id: 'native',
            // Read by people only, and a look at every core.
            get model() {
              return modelName();
            },
            driver: runtime.compiler?.name ?? 'prebuilt',
            target: targetOf(row),
            freeBytes: freeBytes(),
            peers: [],
            marks: [],
          },
        ];
      } catch (error) {
        if (!isFailure(error)) throw error;
        return [{ id: 'native', reason: error.what, fix: error.fix }];
      }
    },

    async compile(source: Source, target: Target): Promise<Binary> {
      const row = rowOf(target.id);
      if (source.language !== 'c' || row === undefined) {
        throw refused(`${source.language} for ${target.id}`, 'this device compiles C for CPUs');
      }
      const { runtime, cache } = await start();
      const { compiler } = runtime;
      if (compiler === undefined) throw failure('OC-NATIVE-03', { reason: 'none was found' });
      const calls = Math.ceil(source.entries.length / kernelsPerCall);
      const texts = splitSource(source.text ?? '', Math.min(calls, thisMachine().cores));
      const parts = await buildAll(compiler, texts, flagsOf(row), cache);
      return {
        format: binaryFormat,
        target: target.id,
        toolchain: compiler.name,
        bytes: joinLibraries(parts),
        entries: source.entries,
      };
    },

    async open(id: string): Promise<Device> {
      const { runtime, cache } = await start();
      const target = targetOf(choose(runtime, id));
      const threads = runtime.threads(machine.cores);
      return new NativeDevice({
        runtime,
        cache,
        target,
        threads: Math.min(threads, machine.cores),
      });
    },
  };
}

/** The compiled runtime for other machines of this system and architecture. */
export const runtimeLibrary = async (options: NativeOptions = {}): Promise<Uint8Array> =>
  (await buildRuntime(openCache(options.cache), options.compiler)).made;

/** The plug-in with its defaults. */
export const plugin: DevicePlugin = nativeDevice();

export { NativeDevice } from './device.js';
export { rows as nativeRows } from './targets.js';
