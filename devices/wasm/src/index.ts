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
import { addressableBytes, isWide, targets } from './target.js';
import { findThreads, type Threads } from './threads.js';
import { wideBytes } from './wide.js';

export { WasmDevice } from './device.js';
export {
  relaxedDotTarget,
  relaxedTarget,
  scalarTarget,
  simdTarget,
  wideRelaxedTarget,
  wideTarget,
} from './target.js';

export interface WasmOptions {
  /**
   * Limit of the device's memory in bytes. By default all that addresses reach: 4 GiB, or 16 GiB
   * (at most what the machine has) with the rows `wasm/memory64`.
   */
  readonly memoryBytes?: number;
  /**
   * Threads that kernels run on, with the calling one: as many as the machine runs at once where
   * absent. 1 in surroundings without workers or shared memory.
   */
  readonly threads?: number;
  /**
   * Row to use, as `wasm/simd128`; by default the fastest that the engine has of those with
   * addresses of 32 bits.
   */
  readonly target?: string;
}

const id = 'wasm';
const lackOfWidth =
  'this engine has no memories with 64-bit addresses; Node.js 20: --experimental-wasm-memory64';
const reservedBytes = 65536;

/** Makes the plug-in; `use(wasmDevice())` makes the device known. */
export function wasmDevice(options: WasmOptions = {}): DevicePlugin {
  const memoryBytesOf = (wide: boolean): number => {
    const most = wide ? wideBytes() : addressableBytes;
    return Math.min(options.memoryBytes ?? most, most);
  };
  const threadsOf = (host: Threads | undefined): number =>
    host === undefined ? 1 : Math.max(1, Math.floor(options.threads ?? host.cores));
  const limited = (target: Target): Target => {
    const usable = Math.max(0, memoryBytesOf(isWide(target)) - reservedBytes);
    const spaces = target.spaces.map((space) => ({ ...space, bytes: usable }));
    return { ...target, spaces, maxBufferBytes: usable, memoryBytes: usable };
  };
  const isWideRow = (row: string | undefined): boolean =>
    targets.some((target) => target.id === row && isWide(target));
  const available = async (wide: boolean): Promise<readonly Target[]> => {
    const found = await availableTargets(wide);
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
      const target = (await available(isWideRow(options.target))).at(-1);
      if (target === undefined) {
        const reason = `this engine does not run ${options.target ?? 'WebAssembly'}`;
        return [{ id, reason, fix: 'use a current browser or Node.js 20.19 or newer' }];
      }
      const model = `WebAssembly (${target.id.slice(id.length + 1)})`;
      const driver = engineName();
      const freeBytes = target.memoryBytes;
      return [{ id, model, driver, target, freeBytes, peers: [], marks: [] }];
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
      const wide = isWideRow(wanted === id ? options.target : wanted);
      const rows = (await available(wide)).map((target) => target.id);
      if ((wanted !== id && !rows.includes(wanted)) || rows.length === 0) {
        const where = wide && rows.length === 0 ? { where: lackOfWidth } : {};
        throw failure('OC-DEVICE-06', { id: wanted }, { kind: 'unavailable', ...where });
      }
      const host = findThreads();
      return new WasmDevice(memoryBytesOf(wide), rows, threadsOf(host), host, wide);
    },
  };
}

/** The plug-in with its defaults. */
export const plugin: DevicePlugin = wasmDevice();
