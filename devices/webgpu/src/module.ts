/** Loaded kernels: a pipeline per entry, with layouts of our own and bind groups that are kept. */
import type { Binary, Entry, Module } from '@open-claw/core/device';
import { failure, splitShader } from '@open-claw/core/device';

export interface Kernel {
  readonly entry: Entry;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** Tasks that one group of threads runs. */
  readonly tasksPerGroup: number;
  readonly bindGroups: Map<string, GPUBindGroup>;
}

export class GpuModule implements Module {
  readonly entries: readonly Entry[];
  /** Undefined once it is freed. */
  kernels: ReadonlyMap<string, Kernel> | undefined;

  constructor(entries: readonly Entry[], kernels: readonly Kernel[]) {
    this.entries = entries;
    this.kernels = new Map(kernels.map((kernel) => [kernel.entry.name, kernel]));
  }
}

/** GPUShaderStage.COMPUTE. */
const computeStage = 0x4;

export function layoutOf(gpu: GPUDevice, { buffers, sizes }: Entry): GPUBindGroupLayout {
  const entries = buffers.map(({ write }, binding): GPUBindGroupLayoutEntry => {
    const buffer = { type: write ? 'storage' : 'read-only-storage' } as const;
    return { binding, visibility: computeStage, buffer };
  });
  if (sizes.length > 0) {
    const buffer = { type: 'uniform', hasDynamicOffset: true } as const;
    entries.push({ binding: buffers.length, visibility: computeStage, buffer });
  }
  return gpu.createBindGroupLayout({ entries });
}

/** Compiles every entry. Rejects with the compiler's text, its line and the kernel's name. */
export async function loadModule(
  gpu: GPUDevice,
  { bytes, entries }: Binary,
  isScalar: boolean,
): Promise<GpuModule> {
  // One shader module per kernel: compiling an entry costs as much as its whole module.
  const { common, kernels: parts } = splitShader(new TextDecoder().decode(bytes));
  const loading = entries.map(async (entry): Promise<Kernel> => {
    const code = common + (parts.get(entry.name) ?? '');
    const layout = layoutOf(gpu, entry);
    const pipeline = await pipelineOf(gpu, entry.name, code, layout);
    const tasksPerGroup = isScalar ? entry.group[0] : 1;
    return { entry, pipeline, layout, tasksPerGroup, bindGroups: new Map() };
  });
  const results = await Promise.allSettled(loading);
  const kernels = results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
  return new GpuModule(entries, kernels);
}

export async function pipelineOf(
  gpu: GPUDevice,
  name: string,
  code: string,
  layout: GPUBindGroupLayout,
): Promise<GPUComputePipeline> {
  // Scopes close at once, so that loads at the same time do not take each other's errors.
  gpu.pushErrorScope('validation');
  const module = gpu.createShaderModule({ code, label: name });
  const invalid = gpu.popErrorScope();
  const pipelineLayout = gpu.createPipelineLayout({ bindGroupLayouts: [layout] });
  const { messages } = await module.getCompilationInfo();
  const wrong = messages.find(({ type }) => type === 'error');
  const problem = await invalid;
  if (wrong !== undefined || problem !== null) {
    const line = code.split('\n')[(wrong?.lineNum ?? 0) - 1]?.trim() ?? '';
    const text = wrong === undefined ? (problem?.message ?? '') : `${wrong.message}: ${line}`;
    throw failure('OC-DEVICE-07', { reason: `${name}: ${text}` });
  }
  try {
    const compute = { module, entryPoint: name };
    return await gpu.createComputePipelineAsync({ layout: pipelineLayout, compute, label: name });
  } catch (error) {
    throw failure('OC-DEVICE-07', { reason: `${name}: ${String(error)}` }, { cause: error });
  }
}
