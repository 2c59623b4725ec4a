/** window: convolution and pooling, by a table of which input element each kernel place reads. */
import { type DType, isWide } from '../base/dtype.js';
import { elementCount } from '../base/host-tensor.js';
import { finishSums, multiplierFor } from './interpret-contract.js';
import {
  allocate,
  allocateData,
  combineNumbers,
  combineWides,
  type Data,
  identityOf,
  rounding,
  type Value,
} from './interpret-value.js';
import type { ReductionKind, WindowKind } from './node.js';

/** The window's attributes with every size a number. */
export interface WindowSizes {
  readonly kind: WindowKind;
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly padding: readonly (readonly [number, number])[];
  readonly kernelDilation: readonly number[];
  readonly inputDilation: readonly number[];
  readonly groups: number;
  readonly accumulate: DType;
}

const outside = -1;

/** Output size along an axis: floor((extent − kernelExtent) / stride) + 1, never below 0. */
function outputSize(size: number, w: WindowSizes, axis: number): number {
  const dilated = size === 0 ? 0 : (size - 1) * w.inputDilation[axis]! + 1;
  const extent = dilated + w.padding[axis]![0] + w.padding[axis]![1];
  const kernelExtent = Math.max((w.kernel[axis]! - 1) * w.kernelDilation[axis]! + 1, 0);
  return Math.max(Math.floor((extent - kernelExtent) / w.strides[axis]!) + 1, 0);
}

/** The input index that output o reads at kernel place k, or `outside`. */
function inputIndex(o: number, k: number, size: number, w: WindowSizes, axis: number): number {
  const at = o * w.strides[axis]! + k * w.kernelDilation[axis]! - w.padding[axis]![0];
  const dilation = w.inputDilation[axis]!;
  const index = at / dilation;
  return at < 0 || at % dilation !== 0 || index >= size ? outside : index;
}

interface Places {
  /** Output sizes of the spatial axes. */
  readonly space: readonly number[];
  /** Flat input position at [output position, kernel position], or `outside`. */
  readonly table: Int32Array;
}

/** Grows the table axis by axis: flat positions of n axes give those of n + 1. */
function placesOf(inputSpace: readonly number[], w: WindowSizes): Places {
  const space = inputSpace.map((size, axis) => outputSize(size, w, axis));
  let table = Int32Array.of(0);
  let [outputs, kernels] = [1, 1];
  inputSpace.forEach((size, axis) => {
    const [o1, k1] = [space[axis]!, w.kernel[axis]!];
    const next = new Int32Array(outputs * o1 * kernels * k1);
    let at = 0;
    for (let o = 0; o < outputs * o1; o++) {
      for (let k = 0; k < kernels * k1; k++) {
        const above = table[Math.floor(o / o1) * kernels + Math.floor(k / k1)]!;
        const index = inputIndex(o % o1, k % k1, size, w, axis);
        next[at++] = above === outside || index === outside ? outside : above * size + index;
      }
    }
    table = next;
    outputs *= o1;
    kernels *= k1;
  });
  return { space, table };
}

/** Output positions whose patches are laid out at a time. */
const chunk = 64;

/** x[N, C, …] with w[O, C/groups, …]: for each position a patch, for each patch a dot product. */
export function convolveValue(x: Value, weights: Value, w: WindowSizes, dtype: DType): Value {
  const [batch, channels] = x.shape as [number, number];
  const [outChannels, groupChannels] = weights.shape as [number, number];
  const inputSpace = x.shape.slice(2);
  const inputCount = elementCount(inputSpace);
  const { space, table } = placesOf(inputSpace, w);
  const positions = elementCount(space);
  const kernels = elementCount(w.kernel);
  const length = groupChannels * kernels;
  const groupOutputs = outChannels / w.groups;
  const multiply = multiplierFor(x.dtype, weights.dtype, w.accumulate, length);
  const wide = isWide(w.accumulate) ? 'i64' : 'f64';
  const patches = allocateData(
    isWide(x.dtype) ? 'i64' : 'f64',
    Math.min(chunk, positions) * length,
  );
  const sums = allocateData(wide, batch * outChannels * positions);
  for (let n = 0; n < batch; n++) {
    for (let group = 0; group < w.groups; group++) {
      const plane = (n * channels + group * groupChannels) * inputCount;
      for (let first = 0; first < positions; first += chunk) {
        const count = Math.min(chunk, positions - first);
        const rows = table.subarray(first * kernels, (first + count) * kernels);
        fillPatches(x.data, plane, inputCount, groupChannels, rows, kernels, patches);
        multiply(
          { data: weights.data, offset: group * groupOutputs * length, count: groupOutputs },
          { data: patches, offset: 0, count },
          length,
          {
            data: sums,
            offset: (n * outChannels + group * groupOutputs) * positions + first,
            rowStep: positions,
          },
        );
      }
    }
  }
  return finishSums(sums, w.accumulate, allocate(dtype, [batch, outChannels, ...space]));
}

/** patches[position, channel, kernel place] = the input element there, 0 outside. */
function fillPatches(
  source: Data,
  plane: number,
  inputCount: number,
  channels: number,
  rows: Int32Array,
  kernels: number,
  patches: Data,
): void {
  if (source instanceof Float64Array && patches instanceof Float64Array) {
    for (let row = 0, at = 0; row < rows.length; row += kernels) {
      for (let c = 0; c < channels; c++) {
        const from = plane + c * inputCount;
        for (let k = row; k < row + kernels; k++) {
          const place = rows[k]!;
          patches[at++] = place === outside ? 0 : source[from + place]!;
        }
      }
    }
    return;
  }
  const to = patches as { [i: number]: bigint };
  for (let row = 0, at = 0; row < rows.length; row += kernels) {
    for (let c = 0; c < channels; c++) {
      for (let k = row; k < row + kernels; k++) {
        const place = rows[k]!;
        to[at++] = place === outside ? 0n : BigInt(source[plane + c * inputCount + place]!);
      }
    }
  }
}

function poolPlanes<T>(
  source: { [i: number]: T },
  out: { [i: number]: T },
  planes: number,
  inputCount: number,
  places: Places,
  kernels: number,
  start: T,
  combine: (a: T, b: T) => T,
): void {
  const { table } = places;
  const positions = elementCount(places.space);
  for (let plane = 0; plane < planes; plane++) {
    for (let p = 0; p < positions; p++) {
      let total = start;
      for (let k = p * kernels; k < (p + 1) * kernels; k++) {
        const place = table[k]!;
        if (place !== outside) total = combine(total, source[plane * inputCount + place]!);
      }
      out[plane * positions + p] = total;
    }
  }
}

/** Reduces every window of every channel; places outside count for nothing. */
export function poolValue(x: Value, w: WindowSizes): Value {
  const kind = w.kind as ReductionKind;
  const inputSpace = x.shape.slice(2);
  const places = placesOf(inputSpace, w);
  const [batch, channels] = x.shape as [number, number];
  const out = allocate(x.dtype, [batch, channels, ...places.space]);
  const planes = batch * channels;
  const inputCount = elementCount(inputSpace);
  const kernels = elementCount(w.kernel);
  const start = identityOf(kind, x.dtype);
  if (isWide(x.dtype)) {
    const [from, to] = [x.data, out.data] as unknown as { [i: number]: bigint }[];
    const combine = combineWides(kind, x.dtype);
    poolPlanes(from!, to!, planes, inputCount, places, kernels, start as bigint, combine);
    return out;
  }
  const [from, to] = [x.data, out.data] as [Float64Array, Float64Array];
  const combine = combineNumbers(kind, x.dtype);
  poolPlanes(from, to, planes, inputCount, places, kernels, start as number, combine);
  const round = rounding(x.dtype);
  for (let i = 0; i < to.length; i++) to[i] = round(to[i]!);
  return out;
}
