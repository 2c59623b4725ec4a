/** Pooling over windows and over whole images, and MaxUnpool. */
import type { OperatorCall } from './context.js';
import { build, type DType, integerRange, isFloat, type Node, type Size, size } from './core.js';
import { positionAlong } from './lookups.js';
import { explicitPads, kernelOf, paddingOf, stepsOf, type Window, windowOf } from './nn-windows.js';
import type { OperatorTable } from './registry.js';

type Kind = 'sum' | 'maximum';

function pool(kind: Kind, x: Node, window: Window): Node {
  return build.window(kind, x, undefined, {
    kernel: window.kernel,
    strides: window.strides,
    padding: paddingOf(window),
    kernelDilation: window.dilations,
  });
}

/** Kernel places of each window that lie in [0, extent), along one axis of the result. */
function countsAlong(window: Window, axis: number, start: Size, extent: Size): Node {
  const [kernel, dilation] = [window.kernel[axis] as number, window.dilations[axis] as number];
  const line = window.output.map((count, i): Size => (i === axis ? count : 1));
  const stride = BigInt(window.strides[axis] as number);
  const first = build.add(build.multiply(positionAlong(line, axis), stride), build.size(start));
  const by = BigInt(dilation);
  const low = build.divide(build.maximum(build.subtract(by - 1n, first), 0n), by);
  const left = build.subtract(build.size(size.add(extent, dilation - 1)), first);
  const high = build.minimum(build.divide(build.maximum(left, 0n), by), BigInt(kernel));
  return build.maximum(build.subtract(high, low), 0n);
}

/** How many elements each mean is over: a number where it is the same for all. */
function countsOf(window: Window, space: readonly Size[], padded: boolean): Node | number {
  const whole = window.extra.every((each) => each === 0);
  const none = window.pads.every((each) => each.every((amount) => amount === 0));
  if (whole && (padded || none)) return window.kernel.reduce((all, n) => all * n, 1);
  const parts = window.kernel.map((_, axis) => {
    const [before, after] = window.pads[axis] as [Size, Size];
    const extent = space[axis] as Size;
    return padded
      ? countsAlong(window, axis, 0, size.add(extent, before, after))
      : countsAlong(window, axis, size.negate(before), extent);
  });
  return parts.reduce((all, next) => build.multiply(all, next));
}

function averagePool(call: OperatorCall): Node {
  const x = call.tensor(0);
  const window = windowOf(call, x);
  const wide = build.accumulateType(x.dtype);
  const sums = pool('sum', build.cast(x, wide), window);
  const counts = countsOf(window, x.shape.slice(2), call.int('count_include_pad', 0) !== 0);
  const by = typeof counts === 'number' ? counts : build.cast(counts, wide);
  return build.cast(build.divide(sums, by), x.dtype);
}

function powerPool(call: OperatorCall): Node {
  const x = call.tensor(0);
  const p = call.version === 1 ? call.float('p', 2) : call.int('p', 2);
  return powerMean(x, p, (v) => pool('sum', v, windowOf(call, x)));
}

/** (Σ |x|ᵖ)^(1/p) for a given way to sum. */
function powerMean(x: Node, p: number, sum: (v: Node) => Node): Node {
  const v = build.cast(x, build.accumulateType(x.dtype));
  const raised = p === 2 ? build.square(v) : build.power(build.absolute(v), p);
  const total = sum(raised);
  return build.cast(p === 2 ? build.squareRoot(total) : build.power(total, 1 / p), x.dtype);
}

function lowest(dtype: DType): number | bigint {
  if (isFloat(dtype)) return Number.NEGATIVE_INFINITY;
  return integerRange(dtype as Parameters<typeof integerRange>[0])[0];
}

const placeLimit = 256;

/** [maxima, their row-major (or column-major) places in the whole input]. */
function maxPool(call: OperatorCall): readonly Node[] {
  const x = call.tensor(0);
  const window = windowOf(call, x);
  const best = pool('maximum', x, window);
  if (!call.wants(1)) return [best];
  return [best, placesOf(call, x, window, best)];
}

function placesOf(call: OperatorCall, x: Node, window: Window, best: Node): Node {
  const columnMajor = call.int('storage_order', 0) !== 0;
  const total = window.kernel.reduce((all, n) => all * n, 1);
  if (total > placeLimit) throw call.refuse(`places of a kernel of ${total} elements`);
  const padding = [[0, 0], [0, 0], ...paddingOf(window)] as (readonly [Size, Size])[];
  if (padding.some((pair) => pair.some((amount) => typeof amount === 'number' && amount < 0))) {
    throw call.refuse('places with negative padding');
  }
  const padded = build.pad(x, {
    before: padding.map(([before]) => before),
    after: padding.map(([, after]) => after),
    value: lowest(x.dtype),
  });
  const strides = placeStrides(x.shape, columnMajor);
  const base = best.shape.reduce<Node>(
    (all, _, axis) => {
      const step = axis < 2 ? 1 : (window.strides[axis - 2] as number);
      const first = axis < 2 ? 0 : (window.pads[axis - 2] as readonly [Size, Size])[0];
      const steps = build.multiply(positionAlong(best.shape, axis), BigInt(step));
      const at = build.subtract(steps, build.size(first));
      return build.add(all, build.multiply(at, build.size(strides[axis] as Size)));
    },
    build.scalar('i64', 0n),
  );
  let places = build.broadcastTo(build.scalar('i64', 0n), best.shape);
  for (let flat = total - 1; flat >= 0; flat--) {
    const offsets = offsetsOf(flat, window);
    const value = build.slice(padded, {
      starts: [0, 0, ...offsets],
      sizes: best.shape,
      steps: [1, 1, ...window.strides],
    });
    const move = offsets.reduce<Size>(
      (all, offset, i) => size.add(all, size.multiply(offset, strides[i + 2] as Size)),
      0,
    );
    const same = build.equal(value, best);
    const hit = isFloat(x.dtype) ? build.or(same, build.isNaN(value)) : same;
    places = build.select(hit, build.add(base, build.size(move)), places);
  }
  return places;
}

/** Offsets in the padded input of kernel place `flat`, row-major. */
function offsetsOf(flat: number, window: Window): readonly number[] {
  let rest = flat;
  const offsets = window.kernel.map(() => 0);
  for (let axis = window.kernel.length - 1; axis >= 0; axis--) {
    const extent = window.kernel[axis] as number;
    offsets[axis] = (rest % extent) * (window.dilations[axis] as number);
    rest = Math.floor(rest / extent);
  }
  return offsets;
}

/** Step of each axis in the numbering of places; column-major turns the spatial axes around. */
function placeStrides(shape: readonly Size[], columnMajor: boolean): readonly Size[] {
  return shape.map((_, axis) => {
    if (axis < 2 || !columnMajor) return size.product(shape.slice(axis + 1));
    return size.product(shape.slice(2, axis));
  });
}

const spatial = (x: Node): readonly number[] => x.shape.map((_, axis) => axis).slice(2);

/** Values at their places in zeros; a larger result has them in its first corner. */
function maxUnpool(call: OperatorCall): Node {
  const [x, places] = [call.tensor(0), call.tensor(1)];
  const space = x.shape.slice(2);
  const kernel = kernelOf(call, undefined, space.length);
  const { strides } = stepsOf(call, space.length);
  const pads = explicitPads(call, space.length);
  const natural = space.map((extent, i) => {
    const [before, after] = pads[i] as [number, number];
    const reach = size.multiply(size.subtract(extent, 1), strides[i] as number);
    return size.add(reach, (kernel[i] as number) - before - after);
  });
  const shape = [...x.shape.slice(0, 2), ...natural];
  const flat = (v: Node): Node => build.reshape(v, [size.product(v.shape)]);
  const zeros = build.broadcastTo(build.scalar(x.dtype, 0), [size.product(shape)]);
  const written = build.scatter('replace', zeros, flat(build.cast(places, 'i64')), flat(x));
  const result = build.reshape(written, shape);
  if (!call.has(2)) return result;
  const asked = call.sizes(2);
  const after = asked.map((extent, axis) => size.subtract(extent, shape[axis] as Size));
  return build.pad(result, { before: after.map(() => 0), after });
}

export const poolingOperators: OperatorTable = {
  MaxPool: { versions: [1, 8, 10, 11, 12, 22], import: maxPool },
  AveragePool: { versions: [1, 7, 10, 11, 19, 22], import: averagePool },
  LpPool: { versions: [1, 2, 11, 18, 22], import: powerPool },
  GlobalMaxPool: {
    versions: [1, 22],
    import: (call) => {
      const x = call.tensor(0);
      return build.maximumOver(x, spatial(x), { keep: true });
    },
  },
  GlobalAveragePool: {
    versions: [1, 22],
    import: (call) => {
      const x = call.tensor(0);
      return build.mean(x, spatial(x), { keep: true });
    },
  },
  GlobalLpPool: {
    versions: [1, 2, 22],
    import: (call) => {
      const x = call.tensor(0);
      const p = call.version === 1 ? call.float('p', 2) : call.int('p', 2);
      return powerMean(x, p, (v) => build.sum(v, spatial(x), { keep: true }));
    },
  },
  MaxUnpool: { versions: [9, 11, 22], import: maxUnpool },
};
