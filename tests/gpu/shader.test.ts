/**
 * Printed WGSL against a real implementation: the npm package `webgpu` (found through NODE_PATH)
 * with any Vulkan driver, a software one included. Without it the tests are skipped.
 */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { compile } from '@open-claw/core';
import {
  type Entry,
  type Feature,
  scriptLanguage,
  shaderLanguage,
  type Target,
  targetsOfGpus,
} from '@open-claw/core/device';
import { add, graphOf, input, reduce } from '@open-claw/core/internal';
import { describe, expect, it } from 'vitest';
import {
  arithmeticKernel,
  buffersOf,
  indexKernel,
  matrixProduct,
  rowKernel,
  type Sample,
  threadsTarget,
  valuesOf,
} from './programs.js';

const samples: Readonly<Record<string, Sample>> = {
  'a tiled matrix product': matrixProduct('i32', { m: 16, n: 32, k: 8 }, 64),
  'reductions, a transpose and a scan': rowKernel('i32', 64),
  'a group that no tile divides': rowKernel('i32', 48),
  'indices, atomics, loops and narrow memory': indexKernel('i32', 64),
  'arithmetic of every type': arithmeticKernel(['f32', 'i32', 'u32'], 16),
};

/** Numbers of GPUBufferUsage, which is there only once the package is loaded. */
const usages = { mapRead: 1, copySource: 4, copyTarget: 8, uniform: 64, storage: 128 };

type Gpu =
  | { readonly device: GPUDevice; readonly features: readonly Feature[] }
  | { readonly missing: string };

async function openGpu(): Promise<Gpu> {
  try {
    const path = createRequire(import.meta.url).resolve('webgpu');
    const { create, globals } = await import(pathToFileURL(path).href);
    Object.assign(globalThis, globals);
    // The instance must stay reachable, else it is collected under a live device.
    const holder = globalThis as unknown as { gpuOfTests: GPU };
    holder.gpuOfTests = create([]);
    const adapter = await holder.gpuOfTests.requestAdapter();
    if (adapter === null) return { missing: 'webgpu finds no adapter' };
    const offered = { half: 'shader-f16', bundles: 'subgroups' } as const;
    const features = (Object.keys(offered) as Feature[]).filter((each) =>
      adapter.features.has(offered[each]),
    );
    const requiredFeatures = features.map((each) => offered[each]);
    return { device: await adapter.requestDevice({ requiredFeatures }), features };
  } catch (error) {
    return { missing: `no package webgpu: ${String(error)}` };
  }
}

const gpu = await openGpu();

async function run(
  device: GPUDevice,
  text: string,
  entry: Entry,
  groups: number,
  arrays: readonly Uint8Array[],
  sizes: readonly number[],
): Promise<void> {
  const module = device.createShaderModule({ code: text });
  const { messages } = await module.getCompilationInfo();
  expect(messages.map((m) => `${m.lineNum}: ${m.message}`)).toEqual([]);
  const pipeline = await device.createComputePipelineAsync({
    layout: 'auto',
    compute: { module, entryPoint: entry.name },
  });
  const padded = (bytes: number): number => Math.ceil(bytes / 4) * 4;
  const storage = arrays.map((a) => {
    const usage = usages.storage | usages.copySource;
    const size = padded(a.byteLength);
    const buffer = device.createBuffer({ size, usage, mappedAtCreation: true });
    new Uint8Array(buffer.getMappedRange()).set(a);
    buffer.unmap();
    return buffer;
  });
  const bindings = [...storage];
  if (sizes.length > 0) {
    const usage = usages.uniform | usages.copyTarget;
    const buffer = device.createBuffer({ size: Math.max(16, 4 * sizes.length), usage });
    device.queue.writeBuffer(buffer, 0, Int32Array.from(sizes));
    bindings.push(buffer);
  }
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: bindings.map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(Math.min(groups, 3), Math.ceil(groups / 3));
  pass.end();
  const back = storage.map((buffer) => {
    const usage = usages.mapRead | usages.copyTarget;
    const copy = device.createBuffer({ size: buffer.size, usage });
    encoder.copyBufferToBuffer(buffer, 0, copy, 0, buffer.size);
    return copy;
  });
  device.queue.submit([encoder.finish()]);
  for (const [i, copy] of back.entries()) {
    await copy.mapAsync(1);
    const array = arrays[i] as Uint8Array;
    array.set(new Uint8Array(copy.getMappedRange()).subarray(0, array.byteLength));
  }
}

describe('WGSL gives the numbers of the script language', () => {
  for (const [name, sample] of Object.entries(samples)) {
    it.skipIf('missing' in gpu)(`${name} (needs package webgpu and a driver)`, async () => {
      if ('missing' in gpu) return;
      const { program, sizes, grid } = sample;
      const tasks = grid.reduce((product, extent) => product * extent, 1);
      const script = scriptLanguage.emit([program], threadsTarget);
      const expected = buffersOf(sample);
      new Function(script.text as string)()[program.name](expected, sizes, 0, tasks);
      for (const features of [[], gpu.features]) {
        const maxGrid = [65535, 65535, 65535] as const;
        const narrow: Target = { ...threadsTarget, maxGrid, features };
        const source = shaderLanguage.emit([program], narrow);
        // What uses no feature is the same program twice.
        if (features.length > 0 && !/subgroup[A-Z]|f16>/.test(source.text as string)) continue;
        const entry = source.entries[0] as Entry;
        const actual = buffersOf(sample);
        await run(gpu.device, source.text as string, entry, tasks, actual, sizes);
        expect(valuesOf(sample, actual)).toEqual(valuesOf(sample, expected));
      }
    });
  }
});

describe('what only some adapters offer', () => {
  const base = targetsOfGpus.find(({ id }) => id === 'webgpu/default') as Target;
  const x = input('x', { dtype: 'f16', shape: [64, 512] });
  const graph = graphOf([x], [add(reduce('sum', x, [1]), 1), reduce('maximum', x, [1])]);
  const textFor = (target: Target): string =>
    compile(graph, target, shaderLanguage).source?.text as string;
  const asked = /enable|f16|subgroup/;

  it('is not asked for without the facts', () => {
    expect(textFor(base)).not.toMatch(asked);
  });

  it('is used where the facts say so', () => {
    const text = textFor({ ...base, features: ['half', 'bundles'], math: ['half'] });
    expect(text.startsWith('enable f16;\nenable subgroups;\n')).toBe(true);
    expect(text).toContain('array<f16>');
    expect(text).toContain('subgroupAdd(');
    // A minimum or maximum keeps a NaN, which the built-in functions may drop.
    expect(text).toMatch(/select\(subgroupMax\(.*subgroupAny\(/);
    expect(text).not.toMatch(/atomic|extractBits/);
  });
});
