/**
 * What an adapter offers beyond the core of WGSL. The language leaves open how conversions to f16
 * round, what becomes of denormals and overflow, and whether bits that stand for no number pass
 * unchanged; so `half` counts as offered only where a trial on the adapter gave what the
 * interpreter gives.
 */
import type { Feature } from '@open-claw/core/device';
import { narrowHalfText, widenHalfText } from '@open-claw/core/device';
import { mapForRead, usage } from './memory.js';

/** Features by WebGPU's names. */
export const gpuFeatures: Readonly<Record<Feature, GPUFeatureName>> = {
  half: 'shader-f16',
  bundles: 'subgroups',
};

const patterns = 2 ** 16;
/** Numbers at, between, just below and just above neighbouring f16. */
const trials = 4 * 2 ** 15;
const threads = 64;
const infinityBits = 0x7c00;

const code = `enable f16;
@group(0) @binding(0) var<storage, read> halves: array<f16>;
@group(0) @binding(1) var<storage, read> singles: array<f32>;
@group(0) @binding(2) var<storage, read_write> copies: array<f16>;
@group(0) @binding(3) var<storage, read_write> widened: array<f32>;
@group(0) @binding(4) var<storage, read_write> narrowed: array<u32>;
@compute @workgroup_size(${threads})
fn trial(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x;
  let single = singles[i];
  narrowed[i] = ${narrowHalfText('single')};
  if (i >= ${patterns}u) { return; }
  let bits = bitcast<u32>(vec2<f16>(halves[i], 0.0h));
  copies[i] = bitcast<vec2<f16>>(bits).x;
  widened[i] = ${widenHalfText('bits')};
}
`;

/** The number that 16 bits stand for. */
function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const [exponent, mantissa] = [(bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  return sign * (1024 + mantissa) * 2 ** (exponent - 25);
}

/** Numbers that no f16 neighbours, and the bits that they become. */
const extremes: readonly (readonly [number, number])[] = [
  [Number.POSITIVE_INFINITY, infinityBits],
  [3e38, infinityBits],
  [65536.5, infinityBits],
  [2 ** -126, 0],
  [2 ** -149, 0],
];

/** The next f32 towards infinity (1) or zero (−1) of a positive one. */
function beside(value: number, step: number): number {
  const single = Float32Array.of(value);
  const bits = new Uint32Array(single.buffer);
  bits[0] = (bits[0] as number) + step;
  return single[0] as number;
}

/** Trial i: a number and the bits of the f16 nearest to it, ties to even. */
export function trialOf(i: number): readonly [number, number] {
  const lower = i & 0x7fff;
  const sign = i & 2 ? -1 : 1;
  const signBit = sign < 0 ? 0x8000 : 0;
  if (lower >= infinityBits) {
    const [value, bits] = extremes[lower % extremes.length] as readonly [number, number];
    return [sign * value, signBit | bits];
  }
  const upper = lower + 1;
  const top = upper === infinityBits ? 65536 : halfValue(upper);
  const middle = (halfValue(lower) + top) / 2;
  const even = lower % 2 === 0 ? lower : upper;
  const cases = [
    [halfValue(lower), lower],
    [middle, even],
    [beside(middle, -1), lower],
    [beside(middle, 1), upper],
  ] as const;
  const [value, bits] = cases[i >> 15] as readonly [number, number];
  return [sign * value, signBit | bits];
}

/** Whether f16 on an open device is what the interpreter computes with. */
export async function halvesAgree(gpu: GPUDevice): Promise<boolean> {
  const bits = Uint16Array.from({ length: patterns }, (_, i) => i);
  const expected = Array.from({ length: trials }, (_, i) => trialOf(i));
  const singles = Float32Array.from(expected, ([value]) => value);
  const made: GPUBuffer[] = [];
  const buffer = (size: number, use: number): GPUBuffer => {
    const one = gpu.createBuffer({ size, usage: use });
    made.push(one);
    return one;
  };
  const given = (array: Uint16Array<ArrayBuffer> | Float32Array<ArrayBuffer>): GPUBuffer => {
    const one = buffer(array.byteLength, usage.storage | usage.copyTarget);
    gpu.queue.writeBuffer(one, 0, array);
    return one;
  };
  const sizes = [patterns * 2, patterns * 4, trials * 4] as const;
  const results = sizes.map((size) => buffer(size, usage.storage | usage.copySource));
  const buffers = [given(bits), given(singles), ...results];
  const module = gpu.createShaderModule({ code });
  const compute = { module, entryPoint: 'trial' };
  const pipeline = await gpu.createComputePipelineAsync({ layout: 'auto', compute });
  const entries = buffers.map((each, binding) => ({ binding, resource: { buffer: each } }));
  const group = gpu.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  const encoder = gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(trials / threads);
  pass.end();
  const staging = sizes.map((size) => buffer(size, usage.mapRead | usage.copyTarget));
  for (const [i, each] of staging.entries()) {
    encoder.copyBufferToBuffer(results[i] as GPUBuffer, 0, each, 0, sizes[i] as number);
  }
  gpu.queue.submit([encoder.finish()]);
  const [copies, widened, narrowed] = (await Promise.all(
    staging.map(async (each) => {
      await each.mapAsync(mapForRead);
      return each.getMappedRange().slice(0);
    }),
  )) as [ArrayBuffer, ArrayBuffer, ArrayBuffer];
  for (const each of made) each.destroy();
  const [halves, wide] = [new Uint16Array(copies), new Float32Array(widened)];
  return (
    bits.every((each, i) => each === halves[i] && Object.is(wide[i], halfValue(each))) &&
    new Uint32Array(narrowed).every((each, i) => each === expected[i]?.[1])
  );
}

/** Verdicts of this process by adapter: a trial takes some milliseconds. */
const verdicts = new Map<string, Promise<boolean>>();

async function tryHalves(adapter: GPUAdapter): Promise<boolean> {
  const gpu = await adapter.requestDevice({ requiredFeatures: [gpuFeatures.half] });
  try {
    return await halvesAgree(gpu);
  } finally {
    gpu.destroy();
  }
}

/**
 * Features that kernels may use. `another` gives the adapter once more, because WebGPU opens an
 * adapter's device but once.
 */
export async function featuresOf(
  { wgslLanguageFeatures }: Pick<GPU, 'wgslLanguageFeatures'>,
  adapter: GPUAdapter,
  name: string,
  another: () => Promise<GPUAdapter | undefined>,
): Promise<readonly Feature[]> {
  const found: Feature[] = [];
  if (adapter.features.has(gpuFeatures.half)) {
    const trial =
      verdicts.get(name) ??
      another().then((other) => (other === undefined ? false : tryHalves(other)));
    verdicts.set(name, trial);
    if (await trial.catch(() => false)) found.push('half');
  }
  // Without its number a bundle cannot find a place for its result.
  const numbered = wgslLanguageFeatures.has('subgroup_id');
  if (adapter.features.has(gpuFeatures.bundles) && numbered) found.push('bundles');
  return found;
}
