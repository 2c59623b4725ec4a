/** Resize and Upsample: one axis after the other, a few weighted reads per element. */
import type { OperatorCall } from './context.js';
import { build, type DType, isFloat, isInteger, type Node, type Size, size } from './core.js';
import { foldConstant } from './fold.js';
import type { OperatorTable } from './registry.js';

interface Settings {
  readonly mode: 'nearest' | 'linear' | 'cubic';
  readonly coordinates: string;
  readonly rounding: string;
  readonly cubic: number;
  readonly excludeOutside: boolean;
  readonly antialias: boolean;
  readonly extrapolation: number;
}

/** One axis that changes. */
interface Line {
  readonly axis: number;
  readonly extent: Size;
  readonly result: Size;
  /** Known where the model or static sizes say it. */
  readonly scale: number | undefined;
  readonly roi: readonly [number, number];
}

/** Where elements of the result lie in the input, in f64 (f32 where sizes are symbolic). */
function placesOf(call: OperatorCall, line: Line, { coordinates }: Settings): Node {
  const known = typeof line.extent === 'number' && typeof line.result === 'number';
  const dtype: DType = known ? 'f64' : 'f32';
  const number = (value: Size): Node => build.cast(build.size(value), dtype);
  const at = build.cast(build.iota({ dtype: 'i64', shape: [line.result] }, 0), dtype);
  const extent = number(line.extent);
  const scale =
    line.scale === undefined
      ? build.divide(number(line.result), extent)
      : build.scalar(dtype, line.scale);
  const full = build.multiply(scale, extent);
  const last = build.subtract(extent, 1);
  const single = build.equal(full, 1);
  const steps = build.select(single, 1, build.subtract(full, 1));
  const halfPixel = (): Node => build.subtract(build.divide(build.add(at, 0.5), scale), 0.5);
  switch (coordinates) {
    case 'half_pixel':
      return halfPixel();
    case 'pytorch_half_pixel':
      return build.select(single, -0.5, halfPixel());
    case 'half_pixel_symmetric': {
      const adjustment = build.divide(number(line.result), full);
      const center = build.multiply(extent, 0.5);
      return build.add(halfPixel(), build.multiply(center, build.subtract(1, adjustment)));
    }
    case 'align_corners':
      return build.select(single, 0, build.divide(build.multiply(at, last), steps));
    case 'asymmetric':
      return build.divide(at, scale);
    case 'tf_half_pixel_for_nn':
      return build.divide(build.add(at, 0.5), scale);
    case 'tf_crop_and_resize': {
      const [start, end] = line.roi;
      const width = build.multiply(last, end - start);
      const inside = build.divide(build.multiply(at, width), steps);
      const middle = build.multiply(width, 0.5);
      return build.add(build.select(single, middle, inside), build.multiply(last, start));
    }
    default:
      throw call.refuse('unknown coordinate transformation');
  }
}

function nearestPlace(call: OperatorCall, at: Node, rounding: string): Node {
  switch (rounding) {
    case 'round_prefer_floor':
      return build.ceil(build.subtract(at, 0.5));
    case 'round_prefer_ceil':
      return build.floor(build.add(at, 0.5));
    case 'floor':
      return build.floor(at);
    case 'ceil':
      return build.ceil(at);
    default:
      throw call.refuse('unknown nearest_mode');
  }
}

/** The cubic kernel of Keys 1981 at distance |d| < 2. */
function cubicKernel(distance: Node, a: number): Node {
  const d = build.absolute(distance);
  const poly = (...factors: readonly number[]): Node =>
    factors.reduce<Node>(
      (all, factor) => build.add(build.multiply(all, d), factor),
      build.scalar(d.dtype, 0),
    );
  const near = poly(a + 2, -(a + 3), 0, 1);
  const far = poly(a, -5 * a, 8 * a, -4 * a);
  const outer = build.select(build.less(d, 2), far, 0);
  return build.select(build.lessEqual(d, 1), near, outer);
}

const linearKernel = (distance: Node): Node =>
  build.maximum(build.subtract(1, build.absolute(distance)), 0);

interface Tap {
  readonly index: Node;
  readonly weight: Node;
}

const tapLimit = 256;

/** Reads of each element along an axis; indices are clamped to the input. */
function tapsOf(call: OperatorCall, line: Line, settings: Settings, at: Node): readonly Tap[] {
  const { mode, cubic, antialias, excludeOutside } = settings;
  const last = build.cast(build.size(size.subtract(line.extent, 1)), at.dtype);
  const clamped = (index: Node): Node => build.maximum(build.minimum(index, last), 0);
  const place = (index: Node): Node => foldConstant(build.cast(clamped(index), 'i64'));
  if (mode === 'nearest') {
    // Version 10 rounds up where it makes smaller, as later runtimes keep doing for it.
    const up = call.version === 10 && (line.scale ?? 1) < 1;
    const index = nearestPlace(call, at, up ? 'ceil' : settings.rounding);
    return [{ index: place(index), weight: build.scalar(at.dtype, 1) }];
  }
  if (antialias && line.scale === undefined) {
    throw call.refuse('antialiasing by a factor that is not known before the run');
  }
  const shrink = antialias ? Math.min(line.scale ?? 1, 1) : 1;
  const reach = mode === 'cubic' ? 2 : 1;
  const start = Math.floor(-reach / shrink) + 1;
  const count = 2 - 2 * start;
  if (count > tapLimit) throw call.refuse(`antialiasing over ${count} elements`);
  const base = build.subtract(build.ceil(at), 1);
  const raw = Array.from({ length: count }, (_, i) => {
    const index = build.add(base, start + i);
    const distance = build.multiply(build.subtract(index, at), shrink);
    const weight = mode === 'cubic' ? cubicKernel(distance, cubic) : linearKernel(distance);
    const inside = build.equal(clamped(index), index);
    return { index, weight: excludeOutside ? build.select(inside, weight, 0) : weight };
  });
  const normal = antialias || excludeOutside;
  const total = raw.map(({ weight }) => weight).reduce((all, next) => build.add(all, next));
  return raw.map(({ index, weight }) => ({
    index: place(index),
    weight: foldConstant(normal ? build.divide(weight, total) : weight),
  }));
}

function resizeLine(call: OperatorCall, x: Node, line: Line, settings: Settings): Node {
  const at = foldConstant(placesOf(call, line, settings));
  const shaped = (values: Node): Node =>
    build.reshape(
      values,
      x.shape.map((_, axis): Size => (axis === line.axis ? line.result : 1)),
    );
  const parts = tapsOf(call, line, settings, at).map(({ index, weight }) => {
    const read = build.gather(x, index, line.axis);
    if (settings.mode === 'nearest') return read;
    return build.multiply(read, shaped(build.cast(weight, x.dtype)));
  });
  const result = parts.reduce((all, next) => build.add(all, next));
  if (settings.coordinates !== 'tf_crop_and_resize') return result;
  const last = build.cast(build.size(size.subtract(line.extent, 1)), at.dtype);
  const outside = build.or(build.less(at, 0), build.less(last, at));
  return build.select(shaped(outside), settings.extrapolation, result);
}

/** floor(extent · scale) for a scale that is a binary fraction, as every f32 is. */
function scaledSize(call: OperatorCall, extent: Size, scale: number): Size {
  if (typeof extent === 'number') return Math.floor(extent * scale);
  const unit = 2 ** 24;
  const [over, under] = [scale * unit, Number.isInteger(scale) ? 1 : unit];
  if (!Number.isInteger(over)) throw call.refuse(`a symbolic size times ${scale}`);
  return size.floorDivide(size.multiply(extent, under === 1 ? scale : over), under);
}

interface Plan {
  readonly results: readonly Size[];
  readonly scales: readonly (number | undefined)[];
}

/** Sizes and scales of all axes in `axes`, in their order. */
function planOf(
  call: OperatorCall,
  extents: readonly Size[],
  scalesAt: number,
  sizesAt: number,
): Plan {
  if (call.has(sizesAt) && call.constant(sizesAt)?.data.length !== 0) {
    const policy = call.text('keep_aspect_ratio_policy', 'stretch');
    // Both need numbers before the run: the first for the ratio, the second for the reads.
    const fixed = policy !== 'stretch' || call.int('antialias', 0) !== 0;
    const asked: readonly Size[] = fixed ? call.needConstantInts(sizesAt) : call.sizes(sizesAt);
    if (asked.length !== extents.length) throw call.refuse('sizes do not fit the axes');
    const ratio = (i: number): number | undefined => {
      const [to, from] = [asked[i], extents[i]];
      return typeof to === 'number' && typeof from === 'number' ? to / from : undefined;
    };
    const ratios = extents.map((_, i) => ratio(i));
    if (policy === 'stretch') return { results: asked, scales: ratios };
    const known = ratios.filter((each) => each !== undefined);
    if (known.length < ratios.length) throw call.needShape(0, 'the ratio of sizes is not known');
    const least = policy === 'not_larger';
    if (!least && policy !== 'not_smaller') throw call.refuse('unknown keep_aspect_ratio_policy');
    const scale = least ? Math.min(...known) : Math.max(...known);
    const results = extents.map((extent) => Math.floor((extent as number) * scale + 0.5));
    return { results, scales: results.map(() => scale) };
  }
  call.needConstant(scalesAt);
  return planOfScales(call, extents, call.constantFloats(scalesAt) ?? []);
}

function planOfScales(
  call: OperatorCall,
  extents: readonly Size[],
  scales: readonly number[],
): Plan {
  if (scales.length !== extents.length) throw call.refuse('scales do not fit the axes');
  if (scales.some((scale) => !(scale > 0))) throw call.refuse('a scale is not positive');
  const results = extents.map((extent, i) => scaledSize(call, extent, scales[i] as number));
  return { results, scales };
}

function modeOf(call: OperatorCall): Settings['mode'] {
  const mode = call.text('mode', 'nearest');
  if (mode === 'nearest' || mode === 'linear' || mode === 'cubic') return mode;
  if (mode === 'bilinear') return 'linear';
  throw call.refuse('unknown mode');
}

/** All axes that change, the last one first. */
function apply(
  call: OperatorCall,
  axes: readonly number[],
  plan: Plan,
  settings: Settings,
  roi: readonly number[],
): Node {
  const given = call.tensor(0);
  const crop = settings.coordinates === 'tf_crop_and_resize';
  const lines = axes.map((axis, i): Line => {
    const ends = [roi[i] ?? 0, roi[axes.length + i] ?? 1] as const;
    const extent = given.shape[axis] as Size;
    return { axis, extent, result: plan.results[i] as Size, scale: plan.scales[i], roi: ends };
  });
  const changing = lines.filter(
    ({ extent, result, scale, roi: ends }) =>
      ((scale ?? 0) !== 1 && (!size.equal(extent, result) || scale !== undefined)) ||
      (crop && (ends[0] !== 0 || ends[1] !== 1)),
  );
  if (changing.length === 0) return given;
  const exact = settings.mode === 'nearest';
  const wide: DType = isFloat(given.dtype) ? build.accumulateType(given.dtype) : 'f32';
  const x = exact ? given : build.cast(given, wide);
  const result = changing
    .toSorted((a, b) => b.axis - a.axis)
    .reduce((all, line) => resizeLine(call, all, line, settings), x);
  return build.cast(result, given.dtype, { saturate: isInteger(given.dtype) });
}

function resize(call: OperatorCall): Node {
  const x = call.tensor(0);
  const rank = x.shape.length;
  const settings: Settings = {
    mode: modeOf(call),
    coordinates:
      call.version === 10
        ? 'asymmetric'
        : call.text('coordinate_transformation_mode', 'half_pixel'),
    rounding: call.version === 10 ? 'floor' : call.text('nearest_mode', 'round_prefer_floor'),
    cubic: call.float('cubic_coeff_a', -0.75),
    excludeOutside: call.int('exclude_outside', 0) !== 0,
    antialias: call.int('antialias', 0) !== 0,
    extrapolation: call.float('extrapolation_value', 0),
  };
  const all = x.shape.map((_, axis) => axis);
  const axes = call.ints('axes', all).map((axis) => call.axis(axis, rank));
  const extents = axes.map((axis) => x.shape[axis] as Size);
  const plan = call.version === 10 ? planOf(call, extents, 1, 99) : planOf(call, extents, 2, 3);
  const crop = settings.coordinates === 'tf_crop_and_resize';
  if (crop) call.needConstant(1);
  return apply(call, axes, plan, settings, crop ? (call.constantFloats(1) ?? []) : []);
}

function upsample(call: OperatorCall): Node {
  const x = call.tensor(0);
  const axes = x.shape.map((_, axis) => axis);
  if (call.version >= 9) call.needConstant(1);
  const scales = call.version >= 9 ? (call.constantFloats(1) ?? []) : call.floats('scales');
  const plan = planOfScales(call, x.shape, scales);
  const settings: Settings = {
    mode: modeOf(call),
    coordinates: 'asymmetric',
    rounding: 'floor',
    cubic: -0.75,
    excludeOutside: false,
    antialias: false,
    extrapolation: 0,
  };
  return apply(call, axes, plan, settings, []);
}

export const resizeOperators: OperatorTable = {
  Resize: { versions: [10, 11, 13, 18, 19], import: resize },
  Upsample: { versions: [7, 9], import: upsample },
};
