/** Plug-in of the WebGPU device: GPUs in browsers, and in Node.js by the package `webgpu`. */
import type {
  Absent,
  Binary,
  Device,
  DevicePlugin,
  Found,
  Source,
  Target,
} from '@open-claw/core/device';
import { failure, refused, shaderLanguage } from '@open-claw/core/device';
import { WebGpuDevice } from './device.js';
import { featuresOf, gpuFeatures } from './features.js';
import { adapterName, findAdapter, findGpu, isSoftware } from './gpu.js';
import { requiredLimits, softwareTarget, targetOf, targets, threadsTarget } from './target.js';

export { WebGpuDevice } from './device.js';
export { softwareTarget, threadsTarget } from './target.js';

export interface WebGpuOptions {
  /** Limit of the device's memory in bytes; WebGPU does not tell how much there is. */
  readonly memoryBytes?: number;
  /** Row to use, as `webgpu/default`; the one for programs on software adapters by default. */
  readonly target?: string;
}

const family = 'webgpu';
const id = `${family}:0`;
const defaultMemoryBytes = 2 ** 33;

interface Adapter {
  readonly adapter: GPUAdapter;
  readonly implementation: string;
  readonly target: Target;
}

/** Makes the plug-in; `use(webgpuDevice())` makes the device known. */
export function webgpuDevice(options: WebGpuOptions = {}): DevicePlugin {
  const memoryBytes = options.memoryBytes ?? defaultMemoryBytes;

  const find = async (): Promise<Adapter | Absent> => {
    const found = await findGpu();
    if ('reason' in found) return { id, ...found };
    const adapter = await findAdapter(found.gpu);
    if (adapter === undefined) {
      const reason = `${found.implementation} finds no adapter`;
      const fix =
        'install a driver of Vulkan, Metal or Direct3D 12; VK_ICD_FILENAMES names one of Vulkan';
      return { id, reason, fix };
    }
    const wanted = targets.find((target) => target.id === options.target);
    const base = wanted ?? (isSoftware(adapter) ? softwareTarget : threadsTarget);
    const name = adapterName(adapter);
    const features = await featuresOf(found.gpu, adapter, name, () => findAdapter(found.gpu));
    const target = targetOf(base, adapter.limits, memoryBytes, features);
    return { adapter, implementation: found.implementation, target };
  };

  return {
    contract: 1,
    name: family,
    targets,
    language: shaderLanguage,

    async probe(): Promise<readonly (Found | Absent)[]> {
      const found = await find();
      if (!('adapter' in found)) return [found];
      const { adapter, implementation, target } = found;
      const model = adapterName(adapter);
      const marks = isSoftware(adapter) ? (['software'] as const) : [];
      const driver = implementation;
      return [{ id, model, driver, target, freeBytes: memoryBytes, peers: [], marks }];
    },

    async compile(source: Source, target: Target): Promise<Binary> {
      if (source.language !== 'wgsl' || source.text === undefined) {
        throw refused(`source in ${source.language}`, 'the WebGPU device takes wgsl');
      }
      return {
        format: 'wgsl',
        target: target.id,
        // Compiling belongs to the implementation: it happens as the device loads the text.
        toolchain: 'wgsl-1',
        bytes: new TextEncoder().encode(source.text),
        entries: source.entries,
      };
    },

    async open(wanted: string): Promise<Device> {
      const isOurs = wanted === family || wanted === id || targets.some((t) => t.id === wanted);
      const found = isOurs ? await find() : undefined;
      if (found === undefined || !('adapter' in found)) {
        const where = found === undefined ? {} : { where: `${found.reason}; ${found.fix}` };
        throw failure('OC-DEVICE-06', { id: wanted }, { kind: 'unavailable', ...where });
      }
      const { adapter, target } = found;
      const requested = adapter.requestDevice({
        requiredLimits: requiredLimits(adapter.limits),
        requiredFeatures: (target.features ?? []).map((feature) => gpuFeatures[feature]),
      });
      const gpu = await requested.catch((error) => {
        const where = String(error);
        throw failure('OC-DEVICE-06', { id: wanted }, { kind: 'unavailable', where });
      });
      return new WebGpuDevice(gpu, memoryBytes);
    },
  };
}

/** The plug-in with its defaults. */
export const plugin: DevicePlugin = webgpuDevice();
