/** Plug-in of the WebAssembly device: runs wherever a JavaScript engine does. */
import type {
  Absent,
  Binary,
  Device,
  DevicePlugin,
  Found,
  Source,
  Target,
} from '@open-claw/core/device/contract';
import { failure, refused } from '@open-claw/core/device/contract';
import { wasmLanguage } from '@open-claw/core/device/wasm';
import { moduleOf } from './compile.js';
import { WasmDevice } from './device.js';
import { availableTargets, engineName } from './engine.js';
import { addressableBytes, targets } from './target.js';
import { findThreads, type Threads } from './threads.js';

export { WasmDevice } from './device.js';
export { relaxedTarget, scalarTarget, simdTarget } from './target.js';

export interface WasmOptions {
  /** Limit of the device's memory in bytes; 4 GiB, all that 32-bit addresses reach, by default. */
  readonly memoryBytes?: number;
  /**
   * Threads that kernels run on, with the calling one: as many as the machine runs at once where
   * absent. 1 in surroundings without workers or shared memory.
   */
  readonly threads?: number;
  /** Row to use, as `wasm/simd128`; the fastest that the engine has by default. */
  readonly target?: string;
}

const id = 'wasm';
const reservedBytes = 65536;

/** Makes the plug-in; `use(wasmDevice())` makes the device known. */
export function wasmDevice(options: WasmOptions = {}): DevicePlugin {
  const memoryBytes = Math.min(options.memoryBytes ?? addressableBytes, addressableBytes);
  const usable = Math.max(0, memoryBytes - reservedBytes);
  const threadsOf = (host: Threads | undefined): number =>
    host === undefined ? 1 : Math.max(1, Math.floor(options.threads ?? host.cores));
  const limited = (target: Target): Target => ({
    ...target,
    maxBufferBytes: usable,
    memoryBytes: usable,
  });
  const available = async (): Promise<readonly Target[]> => {
    const found = await availableTargets();
    const cores = threadsOf(findThreads());
    return found
      .filter((target) => options.target === undefined || target.id === options.target)
      .map((target) => ({ ...limited(target), cores }));
  };
  return {
    contract: 1,
    name: 'wasm',
    targets: targets.map(limited),
    language: wasmLanguage,

    async probe(): Promise<readonly (Found | Absent)[]> {
      const target = (await available()).at(-1);
      if (target === undefined) {
        const reason = `this engine does not run ${options.target ?? 'WebAssembly'}`;
        return [{ id, reason, fix: 'use a current browser or Node.js 20.19 or newer' }];
      }
      const model = `WebAssembly (${target.id.slice(id.length + 1)})`;
      const driver = engineName();
      return [{ id, model, driver, target, freeBytes: usable, peers: [], marks: [] }];
    },

    async compile(source: Source, target: Target): Promise<Binary> {
      const { bytes } = source;
      if (source.language !== 'wasm' || bytes === undefined) {
        throw refused(`source in ${source.language}`, 'the WebAssembly device takes wasm');
      }
      await moduleOf(bytes, threadsOf(findThreads()) > 1);
      return {
        format: 'wasm',
        target: target.id,
        toolchain: 'wasm-1',
        bytes,
        entries: source.entries,
      };
    },

    async open(wanted: string): Promise<Device> {
      const rows = (await available()).map((target) => target.id);
      if ((wanted !== id && !rows.includes(wanted)) || rows.length === 0) {
        throw failure('OC-DEVICE-06', { id: wanted }, { kind: 'unavailable' });
      }
      const host = findThreads();
      return new WasmDevice(memoryBytes, rows, threadsOf(host), host);
    },
  };
}

/** The plug-in with its defaults. */
export const plugin: DevicePlugin = wasmDevice();
