/**
 * The WebGPU device, where the package `webgpu` finds an adapter: the exam, and how it ends when
 * something goes wrong.
 */
import { deviceExam } from '@open-claw/conformance';
import type {
  Command,
  Device,
  Expression,
  FloatFormat,
  MemoryArgument,
  Module,
  Operation,
  Statement,
  TileProgram,
} from '@open-claw/core/device';
import { dtypeFacts, expressions, isFailure } from '@open-claw/core/device';
import { encodeFloat } from '@open-claw/core/internal';
import { describe, expect, it } from 'vitest';
import { featuresOf, halvesAgree, trialOf } from './src/features.js';
import { findAdapter, findGpu } from './src/gpu.js';
import { softwareTarget, threadsTarget, WebGpuDevice, webgpuDevice } from './src/index.js';
import { requiredLimits, targetOf } from './src/target.js';

const [found] = await webgpuDevice().probe();
const missing = found === undefined || 'reason' in found ? (found?.reason ?? 'nothing') : undefined;
const note = missing === undefined ? '' : ` (skipped: ${missing.slice(0, 100)})`;

describe.skipIf(missing !== undefined)(`the exam${note}`, () => {
  for (const test of deviceExam(webgpuDevice(), { device: 'webgpu:0' })) {
    it(test.name, async () => {
      await test.run();
    }, 120_000);
  }
});

const n = expressions.variable('n');
const g = expressions.variable('g');
const f32 = (id: number, operation: Operation): Statement => ({
  kind: 'let',
  id,
  type: { dtype: 'f32', shape: [] },
  operation,
});
const at = (buffer: string, address: Expression) => ({ buffer, address, strides: [] });

const program = (name: string, sizes: readonly string[], body: Statement[]): TileProgram => ({
  contract: 1,
  name,
  target: softwareTarget.id,
  lanes: 1,
  group: 1,
  buffers: [
    { name: 'a', memory: 'f32', access: 'read' },
    { name: 'c', memory: 'f32', access: 'write' },
  ],
  sizes,
  indexType: 'i32',
  scratch: [],
  grid: [{ name: 'g', extent: n }],
  mayFail: false,
  body,
});

/** c[g] = a[g] + a[g]. */
const double = program(
  'double0',
  ['n'],
  [
    f32(0, { kind: 'load', access: at('a', g) }),
    f32(1, { kind: 'binary', name: 'add', a: 0, b: 0 }),
    { kind: 'store', access: at('c', g), value: 1 },
  ],
);

async function openRaw(memoryBytes = 2 ** 20): Promise<{ device: WebGpuDevice; gpu: GPUDevice }> {
  const surroundings = await findGpu();
  if ('reason' in surroundings) throw new Error(surroundings.reason);
  const adapter = (await findAdapter(surroundings.gpu)) as GPUAdapter;
  const gpu = await adapter.requestDevice();
  return { device: new WebGpuDevice(gpu, memoryBytes), gpu };
}

async function loadKernels(device: Device): Promise<Module> {
  const { language, compile: make } = webgpuDevice();
  return device.load(await make(language.emit([double], softwareTarget), softwareTarget));
}

async function argument(device: Device, values: readonly number[]): Promise<MemoryArgument> {
  const array = Float32Array.from(values);
  const memory = await device.allocate(array.byteLength);
  await device.write(memory, 0, new Uint8Array(array.buffer));
  return { memory, offset: 0, bytes: array.byteLength, access: 'readWrite' };
}

async function values(device: Device, { memory, bytes }: MemoryArgument): Promise<number[]> {
  const into = new Float32Array(bytes / 4);
  await device.read(memory, 0, new Uint8Array(into.buffer));
  return [...into];
}

const launch = (module: Module, a: MemoryArgument, c: MemoryArgument, count = 2): Command => ({
  kind: 'launch',
  module,
  entry: 'double0',
  grid: [count],
  buffers: [
    { ...a, access: 'read' },
    { ...c, access: 'write' },
  ],
  sizes: [count],
  microseconds: 1,
});

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
  } catch (error) {
    return isFailure(error) ? error.code : String(error);
  }
  return 'no failure';
};

describe('without WebGPU', () => {
  it('says what is absent, why, and how to get it', () => {
    if (found !== undefined && 'reason' in found) expect(found.fix).not.toBe('');
    else expect(found?.id).toBe('webgpu:0');
  });
  it('keeps the facts of an adapter that has less', () => {
    const limits = {
      maxStorageBufferBindingSize: 1000,
      maxBufferSize: 5000,
      maxStorageBuffersPerShaderStage: 4,
      maxComputeWorkgroupsPerDimension: 10,
      maxComputeInvocationsPerWorkgroup: 32,
      maxComputeWorkgroupSizeX: 16,
      maxComputeWorkgroupStorageSize: 512,
      minStorageBufferOffsetAlignment: 32,
    } as GPUSupportedLimits;
    const facts = targetOf(threadsTarget, limits, 2000);
    expect(facts).toMatchObject({ maxGroup: 16, preferredGroup: 16 });
    expect(facts).toMatchObject({ maxBufferBytes: 992, maxBindings: 4 });
    expect(facts).toMatchObject({ sharedBytes: 512, maxGrid: [10, 10, 10], memoryBytes: 2000 });
    expect(facts.features).toBeUndefined();
    const both = ['half', 'bundles'] as const;
    const more = targetOf(threadsTarget, limits, 2000, both);
    expect([more.features, more.math]).toEqual([both, ['half']]);
    // Threads that run tasks of their own have nothing to combine.
    expect(targetOf(softwareTarget, limits, 2000, both).features).toEqual(['half']);
  });
  it('asks for every limit that the facts of a target come from', () => {
    const read = new Set<string>();
    const limits = new Proxy({} as GPUSupportedLimits, {
      get: (_, name) => {
        read.add(String(name));
        return 64;
      },
    });
    targetOf(threadsTarget, limits, 2000);
    const facts = [...read].sort();
    expect(facts).toContain('minStorageBufferOffsetAlignment');
    expect(Object.keys(requiredLimits(limits))).toEqual(expect.arrayContaining(facts));
  });
  it('tries f16 with what the interpreter would give', () => {
    const format = dtypeFacts.f16.float as FloatFormat;
    for (let i = 0; i < 2 ** 17; i += 7) {
      const [value, bits] = trialOf(i);
      if (encodeFloat(format, value, false) !== bits) expect([i, value]).toEqual([i, bits]);
    }
  });
  it('does not believe an adapter whose device does not open', async () => {
    const features = new Set(['shader-f16', 'subgroups']) as unknown as GPUSupportedFeatures;
    const adapter = {
      features,
      requestDevice: () => Promise.reject(new Error('no')),
    } as unknown as GPUAdapter;
    const numbered = { wgslLanguageFeatures: new Set(['subgroup_id']) } as unknown as GPU;
    const plain = { wgslLanguageFeatures: new Set() } as unknown as GPU;
    const another = async (): Promise<GPUAdapter> => adapter;
    expect(await featuresOf(numbered, adapter, 'a', another)).toEqual(['bundles']);
    expect(await featuresOf(plain, adapter, 'b', async () => undefined)).toEqual([]);
  });
});

describe.skipIf(missing !== undefined)(`an open device${note}`, () => {
  it('binds a buffer that is read and written at once, by a copy', async () => {
    const { device } = await openRaw();
    const module = await loadKernels(device);
    const both = await argument(device, [1, 2]);
    device.submit([launch(module, both, both), launch(module, both, both)]);
    expect(await values(device, both)).toEqual([4, 8]);
    await device.close();
  });

  it('moves bytes that share words with others', async () => {
    const { device } = await openRaw();
    const one = await device.allocate(11);
    const two = await device.allocate(11);
    const part = (memory: typeof one, offset: number, bytes: number): MemoryArgument => {
      return { memory, offset, bytes, access: 'readWrite' };
    };
    const expected = Uint8Array.from({ length: 11 }, (_, i) => i + 1);
    await device.write(one, 0, expected.slice());
    await device.write(one, 3, Uint8Array.of(100, 101));
    device.submit([
      { kind: 'copy', from: part(one, 1, 7), to: part(two, 2, 7) },
      { kind: 'fill', to: part(two, 9, 1), byte: 77 },
      { kind: 'copy', from: part(two, 2, 5), to: part(two, 5, 5) },
      { kind: 'fill', to: part(one, 0, 2), byte: 0 },
    ]);
    const read = async (memory: typeof one, offset: number, bytes: number): Promise<number[]> => {
      const into = new Uint8Array(bytes);
      await device.read(memory, offset, into);
      return [...into];
    };
    expect(await read(one, 0, 11)).toEqual([0, 0, 3, 100, 101, 6, 7, 8, 9, 10, 11]);
    expect(await read(two, 0, 11)).toEqual([0, 0, 2, 3, 100, 2, 3, 100, 101, 6, 0]);
    expect(await read(one, 5, 3)).toEqual([6, 7, 8]);
    await device.close();
  });

  it('says how much memory is left, zeroes what it gives again, and frees in order', async () => {
    const { device } = await openRaw();
    const big = await argument(device, new Array(200_000).fill(7));
    expect(await codeOf(device.allocate(400_000))).toBe('OC-DEVICE-01');
    device.free(big.memory);
    const again = await device.allocate(800_000);
    const into = new Uint8Array(800_000).fill(1);
    await device.read(again, 0, into);
    expect(into.every((byte) => byte === 0)).toBe(true);
    device.free(again);
    await device.sync();
    expect((await device.status()).freeBytes).toBe(2 ** 20);
    await device.close();
  });

  it('refuses handles that are void or foreign, and keeps outputs unreadable', async () => {
    const { device } = await openRaw();
    const { device: other } = await openRaw();
    const module = await loadKernels(device);
    const a = await argument(device, [1, 2]);
    const c = await argument(device, [0, 0]);
    const foreign = await argument(other, [1, 2]);
    expect(await codeOf(device.read(foreign.memory, 0, new Uint8Array(4)))).toBe('OC-DEVICE-03');
    expect(await codeOf(device.read(a.memory, 4, new Uint8Array(8)))).toBe('OC-DEVICE-03');
    device.submit([launch(module, a, c), launch(module, foreign, a), launch(module, a, a)]);
    expect(await codeOf(device.sync())).toBe('OC-DEVICE-03');
    expect(await values(device, c)).toEqual([2, 4]);
    expect(await codeOf(values(device, a))).toBe('OC-DEVICE-03');
    device.submit([{ kind: 'operator', name: 'gemm', buffers: [], sizes: [] }]);
    expect(await codeOf(device.sync())).toBe('OC-REFUSED-01');
    device.free(module);
    device.submit([launch(module, c, a)]);
    expect(await codeOf(device.sync())).toBe('OC-DEVICE-03');
    await device.close();
    expect(await codeOf(device.sync())).toBe('OC-DEVICE-03');
    expect(() => device.submit([])).toThrow('OC-DEVICE-03');
    await other.close();
  });

  it('stops at the abort signal and at the time limit', async () => {
    const { device } = await openRaw();
    const module = await loadKernels(device);
    const [a, c] = [await argument(device, [1, 2]), await argument(device, [0, 0])];
    const many = Array.from({ length: 20_000 }, () => ({
      ...launch(module, a, c),
      microseconds: 100,
    }));
    const controller = new AbortController();
    device.submit(many, { signal: controller.signal });
    setTimeout(() => controller.abort('enough'), 5);
    expect(await codeOf(device.sync())).toBe('OC-DEVICE-05');
    expect(await codeOf(values(device, c))).toBe('OC-DEVICE-05');
    device.submit(many, { timeLimit: 5 });
    expect(await codeOf(values(device, c))).toBe('OC-DEVICE-04');
    await device.write(c.memory, 0, new Uint8Array(8));
    expect(await values(device, c)).toEqual([0, 0]);
    await device.close();
  });

  it('names the line that does not compile', async () => {
    const { device } = await openRaw();
    const source = webgpuDevice().language.emit([double], softwareTarget);
    const text = (source.text as string).replace('v0_0 + v0_0', 'v0_0 + nothing');
    const binary = await webgpuDevice().compile({ ...source, text }, softwareTarget);
    const loading = device.load(binary);
    expect(await codeOf(loading)).toBe('OC-DEVICE-07');
    await expect(loading).rejects.toThrow(/double0: .*nothing/);
    expect(await codeOf(device.load({ ...binary, format: 'ptx' }))).toBe('OC-REFUSED-01');
    await device.close();
  });

  it('tells what WebGPU says of a command, and what it made is unreadable', async () => {
    const { device, gpu } = await openRaw();
    const module = await loadKernels(device);
    const [a, c] = [await argument(device, [1, 2]), await argument(device, [0, 0])];
    // The loader made its pipelines; this one belongs to nobody.
    const { device: other } = await openRaw();
    const stranger = await loadKernels(other);
    device.submit([launch(stranger, a, c)]);
    const failing = device.sync();
    expect(await codeOf(failing)).toBe('OC-DEVICE-02');
    expect(await codeOf(values(device, c))).toBe('OC-DEVICE-02');
    device.submit([launch(module, a, a)]);
    expect(await values(device, a)).toEqual([2, 4]);
    gpu.destroy();
    await other.close();
  });

  /** WebGPU says this of the next work that it is asked about in such a scope. */
  const failNext = (gpu: GPUDevice, name: string): void => {
    const [push, pop] = [gpu.pushErrorScope.bind(gpu), gpu.popErrorScope.bind(gpu)];
    const open: GPUErrorFilter[] = [];
    let isPending = true;
    gpu.pushErrorScope = (filter) => {
      open.push(filter);
      push(filter);
    };
    gpu.popErrorScope = async () => {
      const fails = open.pop() === name && isPending;
      if (fails) isPending = false;
      const found = await pop();
      return fails ? ({ message: `no ${name}` } as GPUError) : found;
    };
  };

  it.each([
    ['out-of-memory', 'OC-DEVICE-01', 'smaller'],
    ['internal', 'OC-DEVICE-02', 'other-device'],
    ['validation', 'OC-DEVICE-02', 'never'],
  ])('%s names the kernel and says what may help', async (scope, code, retry) => {
    const { device, gpu } = await openRaw();
    const module = await loadKernels(device);
    const [a, c] = [await argument(device, [1, 2]), await argument(device, [0, 0])];
    await device.sync();
    failNext(gpu, scope);
    device.submit([launch(module, a, c)]);
    const error = await device.sync().catch((each: unknown) => each);
    expect(error).toMatchObject({ code, retry });
    expect(String(error)).toContain('double0');
    expect(await codeOf(values(device, c))).toBe(code);
    device.submit([launch(module, a, c)]);
    expect(await values(device, c)).toEqual([2, 4]);
    await device.close();
  });

  it('has no memory to read through, and reads once there is', async () => {
    const { device, gpu } = await openRaw();
    const a = await argument(device, [1, 2]);
    await device.sync();
    failNext(gpu, 'out-of-memory');
    const error = await values(device, a).catch((each: unknown) => each);
    expect(error).toMatchObject({ code: 'OC-DEVICE-01', retry: 'smaller' });
    expect(await values(device, a)).toEqual([1, 2]);
    await device.close();
  });

  it('is lost once and for all, and another goes on', async () => {
    const { device, gpu } = await openRaw();
    const a = await argument(device, [1, 2]);
    gpu.destroy();
    expect(await device.lost).toMatchObject({ code: 'OC-DEVICE-09', retry: 'reopen' });
    expect(await codeOf(device.sync())).toBe('OC-DEVICE-09');
    expect(await codeOf(values(device, a))).toBe('OC-DEVICE-09');
    expect(await codeOf(device.allocate(4))).toBe('OC-DEVICE-09');
    expect(() => device.submit([])).toThrow('OC-DEVICE-09');
    const { device: next } = await openRaw();
    expect(await values(next, await argument(next, [3]))).toEqual([3]);
    await next.close();
  });

  it('converts f16 as the interpreter does where it says so', async () => {
    const surroundings = await findGpu();
    if ('reason' in surroundings) return;
    const adapter = (await findAdapter(surroundings.gpu)) as GPUAdapter;
    if (!adapter.features.has('shader-f16')) {
      console.warn('skipped: the adapter has no shader-f16');
      return;
    }
    const gpu = await adapter.requestDevice({ requiredFeatures: ['shader-f16'] });
    const agrees = await halvesAgree(gpu);
    gpu.destroy();
    const { features = [] } = found !== undefined && 'target' in found ? found.target : {};
    expect(features.includes('half')).toBe(agrees);
  });

  it('opens only what is there', async () => {
    expect(await codeOf(webgpuDevice().open('webgpu:7'))).toBe('OC-DEVICE-06');
    const device = await webgpuDevice().open('webgpu/default');
    await device.close();
  });
});
