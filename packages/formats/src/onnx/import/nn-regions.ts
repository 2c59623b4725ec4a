/** RoiAlign and DeformConv: bilinear reads at places that the data gives. */
import type { OperatorCall } from './context.js';
import { build, type Node, type Size, size } from './core.js';
import { positionAlong } from './lookups.js';
import {
  borderOf,
  combinations,
  linearTaps,
  pixelRows,
  readPixels,
  type Tap,
} from './nn-sampling.js';
import { windowOf } from './nn-windows.js';
import type { OperatorTable } from './registry.js';

interface Side {
  /** Samples of every bin: [R, bins · samples]. */
  readonly taps: readonly Tap[];
  readonly samples: number;
  /** Samples per bin that count: [R], where regions differ. */
  readonly count: Node | undefined;
}

/** Bounds of regions along one axis: start and length in pixels, [R]. */
function boundsOf(call: OperatorCall, axis: 0 | 1): { start: Node; length: Node } {
  const rois = call.tensor(1);
  const wide = build.accumulateType(rois.dtype);
  const scale = call.float('spatial_scale', 1);
  const half =
    call.version >= 16 &&
    call.text('coordinate_transformation_mode', 'half_pixel') === 'half_pixel';
  const corner = (index: number): Node => {
    const column = build.reshape(build.sliceAxis(rois, 1, index, 1), [rois.shape[0] as Size]);
    const scaled = build.multiply(build.cast(column, wide), scale);
    return half ? build.subtract(scaled, 0.5) : scaled;
  };
  // Regions are x1, y1, x2, y2; axis 0 is y.
  const [start, end] = [corner(1 - axis), corner(3 - axis)];
  const length = build.subtract(end, start);
  return { start, length: half ? length : build.maximum(length, 1) };
}

/** Samples per bin where the size of the region decides: the most of all regions. */
function mostSamples(call: OperatorCall, axis: 0 | 1, bins: number): number {
  call.needConstant(1);
  const values = call.constantFloats(1) ?? [];
  const scale = call.float('spatial_scale', 1);
  const lengths = values.flatMap((_, i) =>
    i % 4 === 1 - axis ? [((values[i + 2] as number) - (values[i] as number)) * scale] : [],
  );
  return Math.max(1, ...lengths.map((length) => Math.ceil(length / bins) + 1));
}

function sideOf(call: OperatorCall, axis: 0 | 1, extent: Size): Side {
  const bins = call.int(axis === 0 ? 'output_height' : 'output_width', 1);
  const { start, length } = boundsOf(call, axis);
  const regions = start.shape[0] as Size;
  const fixed = call.int('sampling_ratio', 0);
  const bin = build.divide(length, bins);
  const samples = fixed > 0 ? fixed : mostSamples(call, axis, bins);
  const count = fixed > 0 ? undefined : build.maximum(build.ceil(bin), 1);
  const shape: readonly Size[] = [regions, bins, samples];
  const perRegion = (value: Node): Node => build.reshape(value, [regions, 1, 1]);
  const place = (index: number): Node => build.cast(positionAlong(shape, index), start.dtype);
  const inBin = build.divide(
    build.add(place(2), 0.5),
    count === undefined ? samples : perRegion(count),
  );
  const at = build.add(
    perRegion(start),
    build.multiply(perRegion(bin), build.add(place(1), inBin)),
  );
  const flat = (value: Node): Node =>
    build.reshape(build.broadcastTo(value, shape), [regions, bins * samples]);
  const counted = count && flat(build.less(place(2), perRegion(count)));
  return { taps: edgeTaps(flat(at), extent, counted), samples, count };
}

/** Both neighbours; more than one pixel outside counts nothing, less is moved to the edge. */
function edgeTaps(at: Node, extent: Size, counted: Node | undefined): readonly Tap[] {
  const border = borderOf(extent, at.dtype, true);
  const count = build.add(border.last, 1);
  const near = build.and(build.lessEqual(-1, at), build.lessEqual(at, count));
  const valid = counted === undefined ? near : build.and(near, counted);
  const inside = build.maximum(build.minimum(at, border.last), 0);
  return linearTaps(inside, border, 'border').map((tap) => ({ ...tap, valid }));
}

const alongRows = (tap: Tap, columns: Size): Tap => spread(tap, 2, columns);
const alongColumns = (tap: Tap, rows: Size): Tap => spread(tap, 1, rows);

/** Repeats [R, n] along a new axis and flattens: [R, n · count] or [R, count · n]. */
function spread(tap: Tap, axis: number, count: Size): Tap {
  const wide = (x: Node): Node => {
    const lifted = build.unsqueeze(x, [axis]);
    const full = build.expand(lifted, lifted.shape.with(axis, count));
    const [regions, a, b] = full.shape as [Size, Size, Size];
    return build.reshape(full, [regions, size.multiply(a, b)]);
  };
  return {
    index: wide(tap.index),
    weight: tap.weight && wide(tap.weight),
    valid: tap.valid && wide(tap.valid),
  };
}

function roiAlign(call: OperatorCall): Node {
  const x = call.tensor(0);
  const [, channels, height, width] = x.shape as [Size, Size, Size, Size];
  const [rows, columns] = [sideOf(call, 0, height), sideOf(call, 1, width)];
  const regions = call.tensor(1).shape[0] as Size;
  const [high, wide] = [call.int('output_height', 1), call.int('output_width', 1)];
  const image = build.reshape(build.cast(call.tensor(2), 'i64'), [regions, 1]);
  const [m, n] = [high * rows.samples, wide * columns.samples];
  const pixels = build.cast(pixelRows(x), build.accumulateType(x.dtype));
  const reads = combinations([
    rows.taps.map((tap) => alongRows(tap, n)),
    columns.taps.map((tap) => alongColumns(tap, m)),
  ]).map((taps) => readPixels(pixels, image, [height, width], taps));
  const mode = call.text('mode', 'avg');
  if (mode !== 'avg' && mode !== 'max') throw call.refuse('unknown mode');
  if (mode === 'max' && rows.count !== undefined) {
    throw call.refuse('maxima with as many samples as each region asks for');
  }
  const shape = [regions, high, rows.samples, wide, columns.samples, channels];
  const merged = reads.reduce(mode === 'avg' ? build.add : build.maximum);
  const bins = build.reshape(merged, shape);
  const result =
    mode === 'avg'
      ? build.divide(build.sum(bins, [2, 4]), samplesOf(rows, columns, regions))
      : build.maximumOver(bins, [2, 4]);
  return build.cast(build.permute(result, [0, 3, 1, 2]), x.dtype);
}

function samplesOf(rows: Side, columns: Side, regions: Size): Node | number {
  const { count: a } = rows;
  const { count: b } = columns;
  if (a === undefined || b === undefined) return rows.samples * columns.samples;
  return build.reshape(build.multiply(a, b), [regions, 1, 1, 1]);
}

/** x[N, C, H, W] read at offsets from the usual places, times a mask, then convolved. */
function deformableConvolution(call: OperatorCall): Node {
  const [x, weights, offsets] = [call.tensor(0), call.tensor(1), call.tensor(2)];
  if (x.shape.length !== 4) throw call.refuse('images of other than two dimensions');
  const [batch, channels, height, width] = x.shape as [Size, Size, Size, Size];
  const window = windowOf(call, x, weights);
  const [kh, kw] = window.kernel as [number, number];
  const [high, wide] = window.output as [Size, Size];
  const [parts, groups] = [call.int('offset_group', 1), call.int('group', 1)];
  const images = size.multiply(batch, parts);
  const dtype = build.accumulateType(x.dtype);
  const shape: readonly Size[] = [images, kh, kw, high, wide];
  const points = size.product([kh, kw, high, wide]);
  const flat = (v: Node): Node => build.reshape(build.broadcastTo(v, shape), [images, points]);
  const moves = build.reshape(build.cast(offsets, dtype), [images, kh * kw, 2, high, wide]);
  const coordinate = (axis: 0 | 1): Node => {
    const stride = BigInt(window.strides[axis] as number);
    const dilation = BigInt(window.dilations[axis] as number);
    const start = build.multiply(positionAlong(shape, 3 + axis), stride);
    const within = build.multiply(positionAlong(shape, 1 + axis), dilation);
    const [before] = window.pads[axis] as readonly [Size, Size];
    const usual = build.subtract(build.add(start, within), build.size(before));
    const move = build.reshape(build.sliceAxis(moves, 2, axis, 1), shape);
    return flat(build.add(build.cast(usual, dtype), move));
  };
  const taps = ([height, width] as const).map((extent, axis) =>
    linearTaps(coordinate(axis as 0 | 1), borderOf(extent, dtype, true), 'zeros'),
  );
  const inner = size.floorDivide(channels, parts);
  const split = build.reshape(build.cast(x, dtype), [images, inner, height, width]);
  const rows = pixelRows(split);
  const image = build.iota({ dtype: 'i64', shape: [images, 1] }, 0);
  const read = combinations(taps)
    .map((each) => readPixels(rows, image, [height, width], each))
    .reduce((all, next) => build.add(all, next));
  const mask = call.optionalTensor(4);
  const masked =
    mask === undefined
      ? read
      : build.multiply(read, build.reshape(build.cast(mask, dtype), [images, points, 1]));
  const places = size.multiply(high, wide);
  const columns = build.reshape(build.permute(masked, [0, 2, 1]), [
    batch,
    groups,
    size.multiply(size.floorDivide(channels, groups), kh * kw),
    places,
  ]);
  const outputs = weights.shape[0] as Size;
  const depth = columns.shape[2] as Size;
  const each = size.floorDivide(outputs, groups);
  const matrix = build.reshape(build.cast(weights, dtype), [groups, each, depth]);
  const product = build.contract(matrix, columns, { batch: [[0, 1]], contracted: [[2, 2]] });
  const result = build.reshape(build.permute(product, [2, 0, 1, 3]), [batch, outputs, high, wide]);
  const bias = call.optionalTensor(3);
  const shifted =
    bias === undefined
      ? result
      : build.add(result, build.reshape(build.cast(bias, dtype), [outputs, 1, 1]));
  return build.cast(shifted, x.dtype);
}

export const regionOperators: OperatorTable = {
  RoiAlign: { versions: [10, 16, 22], import: roiAlign },
  DeformConv: { versions: [19, 22], import: deformableConvolution },
};
