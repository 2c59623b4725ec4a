/** Finds WebGPU: the browser's own, or the package `webgpu` in Node.js. */

/** Where WebGPU comes from, or why there is none and how to get it. */
export type Surroundings =
  | { readonly gpu: GPU; readonly implementation: string }
  | { readonly reason: string; readonly fix: string };

interface GpuPackage {
  create(options: readonly string[]): GPU;
}

/** The instance must stay reachable from here: collected, it takes its live devices with it. */
const holder = globalThis as { [key: symbol]: GPU | undefined };
const instance = Symbol.for('@open-claw/device-webgpu');

/** A name that bundlers for browsers do not resolve. */
const packageName = 'webgpu';

function nodeVersion(): string | undefined {
  const { process } = globalThis as { process?: { versions?: { node?: string } } };
  return process?.versions?.node;
}

/** WebGPU as it is offered here; nothing is opened yet. */
export async function findGpu(): Promise<Surroundings> {
  const { navigator } = globalThis as { navigator?: { gpu?: GPU; userAgent?: string } };
  if (navigator?.gpu !== undefined) {
    return { gpu: navigator.gpu, implementation: navigator.userAgent ?? 'navigator.gpu' };
  }
  const node = nodeVersion();
  if (node === undefined) {
    const fix = 'use a browser with WebGPU, and a page that was loaded by https or from localhost';
    return { reason: 'this browser offers no WebGPU here', fix };
  }
  const implementation = `Dawn by the package webgpu, Node.js ${node}`;
  const known = holder[instance];
  if (known !== undefined) return { gpu: known, implementation };
  try {
    const { create } = (await import(packageName)) as GpuPackage;
    const gpu = create([]);
    holder[instance] = gpu;
    return { gpu, implementation };
  } catch (error) {
    const reason = `the package webgpu does not load: ${String(error)}`;
    return { reason, fix: 'install it: npm install webgpu@0.6.2' };
  }
}

/** The adapter with the most power; a software one where there is no other. */
export async function findAdapter(gpu: GPU): Promise<GPUAdapter | undefined> {
  const fast = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (fast !== null) return fast;
  return (await gpu.requestAdapter({ forceFallbackAdapter: true })) ?? undefined;
}

/** Programs that act as an adapter, where they do not say so themselves. */
const software = /swiftshader|llvmpipe|lavapipe|softpipe|software|basic render/i;

/** What people call the adapter. */
export function adapterName({ info }: GPUAdapter): string {
  const { vendor, architecture, device, description } = info;
  const parts = [vendor, architecture, device, description].filter((part) => part !== '');
  return parts.length === 0 ? 'an adapter without a name' : [...new Set(parts)].join(' ');
}

/** Whether a CPU does the work. */
export function isSoftware(adapter: GPUAdapter): boolean {
  return adapter.info.isFallbackAdapter || software.test(adapterName(adapter));
}
