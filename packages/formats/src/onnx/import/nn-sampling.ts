/** Reads of images at places that are not on their grid: GridSample, AffineGrid, and helpers. */
import type { OperatorCall } from './context.js';
import { build, type Node, type Size, size } from './core.js';
import type { OperatorTable } from './registry.js';

/** A read along one axis: i64 indices inside the image, weights, and whether it counts. */
export interface Tap {
  readonly index: Node;
  readonly weight: Node | undefined;
  readonly valid: Node | undefined;
}

const both = <T>(a: T | undefined, b: T | undefined, join: (a: T, b: T) => T): T | undefined =>
  a === undefined ? b : b === undefined ? a : join(a, b);

/** Images x[N, C, …space] as rows of channels [N · space, C]. */
export function pixelRows(x: Node): Node {
  const rank = x.shape.length;
  const axes = [0, ...x.shape.map((_, axis) => axis).slice(2), 1];
  const turned = build.permute(x, axes);
  const [channels] = turned.shape.slice(-1) as [Size];
  return build.reshape(turned, [size.product(turned.shape.slice(0, rank - 1)), channels]);
}

/** The pixel at one tap per axis: [R, P, C] from rows, for images numbered by `image` [R, 1]. */
export function readPixels(rows: Node, image: Node, space: readonly Size[], taps: readonly Tap[]) {
  const place = taps.reduce<Node>(
    (all, { index }, i) => build.add(build.multiply(all, build.size(space[i] as Size)), index),
    image,
  );
  const weight = taps.map((tap) => tap.weight).reduce((a, b) => both(a, b, build.multiply));
  const valid = taps.map((tap) => tap.valid).reduce((a, b) => both(a, b, build.and));
  const read = build.gather(rows, place, 0);
  const seen = valid === undefined ? read : build.select(build.unsqueeze(valid, [2]), read, 0);
  return weight === undefined ? seen : build.multiply(seen, build.unsqueeze(weight, [2]));
}

/** Every choice of one element per list. */
export function combinations<T>(lists: readonly (readonly T[])[]): readonly (readonly T[])[] {
  return lists.reduce<readonly (readonly T[])[]>(
    (all, list) => all.flatMap((head) => list.map((each) => [...head, each])),
    [[]],
  );
}

const asFloat = (extent: Size, dtype: Node['dtype']): Node => build.cast(build.size(extent), dtype);

interface Border {
  readonly low: Node;
  readonly high: Node;
  readonly last: Node;
}

/** There and back between both ends as often as needed. */
function reflect(x: Node, { low, high }: Border): Node {
  const range = build.subtract(high, low);
  const whole = build.multiply(range, 2);
  const period = build.select(build.equal(whole, 0), 1, whole);
  const rest = build.remainder(build.absolute(build.subtract(x, low)), period);
  const back = build.select(build.less(range, rest), build.subtract(whole, rest), rest);
  return build.add(low, back);
}

type Padding = 'zeros' | 'border' | 'reflection';

/** A float coordinate that is a whole number, as an index; outside is clamped or marked. */
export function tapAt(at: Node, border: Border, padding: Padding, weight?: Node): Tap {
  const moved = padding === 'reflection' ? build.truncate(reflect(at, border)) : at;
  const inside = build.maximum(build.minimum(moved, border.last), 0);
  const valid = padding === 'zeros' ? build.equal(inside, at) : undefined;
  return { index: build.cast(inside, 'i64'), weight, valid };
}

export const borderOf = (extent: Size, dtype: Node['dtype'], corners: boolean): Border => {
  const last = build.subtract(asFloat(extent, dtype), 1);
  const half = corners ? 0 : 0.5;
  return { low: build.scalar(dtype, -half), high: build.add(last, half), last };
};

/** Floor and the next, with weights 1 − f and f. */
export function linearTaps(at: Node, border: Border, padding: Padding): readonly Tap[] {
  const base = build.floor(at);
  const f = build.subtract(at, base);
  return [
    tapAt(base, border, padding, build.subtract(1, f)),
    tapAt(build.add(base, 1), border, padding, f),
  ];
}

/** Keys 1981 with a = −0.75. */
function cubicTaps(at: Node, border: Border, padding: Padding): readonly Tap[] {
  const a = -0.75;
  const base = build.floor(at);
  const f = build.subtract(at, base);
  const poly = (x: Node, factors: readonly number[]): Node =>
    factors.reduce<Node>(
      (all, factor) => build.add(build.multiply(all, x), factor),
      build.scalar(x.dtype, 0),
    );
  const near = [a + 2, -(a + 3), 0, 1];
  const far = [a, -5 * a, 8 * a, -4 * a];
  const left = build.subtract(1, f);
  const weights = [
    poly(build.add(f, 1), far),
    poly(f, near),
    poly(left, near),
    poly(build.add(left, 1), far),
  ];
  return weights.map((weight, i) => tapAt(build.add(base, i - 1), border, padding, weight));
}

const modes: Readonly<Record<string, 'linear' | 'nearest' | 'cubic'>> = {
  linear: 'linear',
  bilinear: 'linear',
  nearest: 'nearest',
  cubic: 'cubic',
  bicubic: 'cubic',
};

function gridSample(call: OperatorCall): Node {
  const [x, grid] = [call.tensor(0), call.tensor(1)];
  const mode = modes[call.text('mode', 'linear')];
  if (mode === undefined) throw call.refuse('unknown mode');
  const padding = call.text('padding_mode', 'zeros');
  if (padding !== 'zeros' && padding !== 'border' && padding !== 'reflection') {
    throw call.refuse('unknown padding mode');
  }
  const corners = call.int('align_corners', 0) !== 0;
  const [batch, channels, ...space] = x.shape as [Size, Size, ...Size[]];
  const rank = space.length;
  const wide = build.accumulateType(grid.dtype);
  const result = grid.shape.slice(1, -1);
  const points = size.product(result);
  const flat = build.reshape(build.cast(grid, wide), [batch, points, rank]);
  const taps = space.map((extent, axis): readonly Tap[] => {
    const given = build.reshape(build.sliceAxis(flat, 2, rank - 1 - axis, 1), [batch, points]);
    const border = borderOf(extent, wide, corners);
    const at = placeIn(given, extent, corners);
    const rounded = mode === 'nearest' ? build.round(at) : at;
    const outside = build.or(build.less(rounded, border.low), build.less(border.high, rounded));
    const inside =
      padding === 'zeros'
        ? rounded
        : padding === 'border'
          ? build.maximum(build.minimum(rounded, border.last), 0)
          : reflect(rounded, border);
    const moved = padding === 'zeros' ? rounded : build.select(outside, inside, rounded);
    if (mode === 'nearest') return [tapAt(build.truncate(moved), border, padding)];
    return mode === 'linear'
      ? linearTaps(moved, border, padding)
      : cubicTaps(moved, border, padding);
  });
  const rows = build.cast(pixelRows(x), wide);
  const image = build.iota({ dtype: 'i64', shape: [batch, 1] }, 0);
  const sum = combinations(taps)
    .map((each) => readPixels(rows, image, space, each))
    .reduce((all, next) => build.add(all, next));
  const turned = build.permute(sum, [0, 2, 1]);
  return build.cast(build.reshape(turned, [batch, channels, ...result]), x.dtype);
}

/** From −1 … 1 to pixels: the ends are centers of the outer pixels, or their outer edges. */
function placeIn(given: Node, extent: Size, corners: boolean): Node {
  const count = asFloat(extent, given.dtype);
  const up = build.add(given, 1);
  if (corners) return build.multiply(build.multiply(up, 0.5), build.subtract(count, 1));
  return build.multiply(build.subtract(build.multiply(up, count), 1), 0.5);
}

/** theta[N, D, D + 1] applied to the normalized places of a grid: [N, …space, D]. */
function affineGrid(call: OperatorCall): Node {
  const theta = call.tensor(0);
  const [batch, , ...space] = call.sizes(1) as [Size, Size, ...Size[]];
  const corners = call.int('align_corners', 0) !== 0;
  const wide = build.accumulateType(theta.dtype);
  const rank = space.length;
  const places = space.map((extent, axis): Node => {
    const line = space.map((_, i): Size => (i === axis ? extent : 1));
    const at = build.cast(build.iota({ dtype: 'i64', shape: line }, axis), wide);
    const count = asFloat(extent, wide);
    const steps = build.maximum(build.subtract(count, 1), 1);
    const place = corners
      ? build.subtract(build.divide(build.multiply(at, 2), steps), 1)
      : build.subtract(build.divide(build.add(build.multiply(at, 2), 1), count), 1);
    return build.unsqueeze(build.broadcastTo(place, space), [rank]);
  });
  const one = build.broadcastTo(build.scalar(wide, 1), [...space, 1]);
  const points = build.concat([...places.reverse(), one], rank);
  const flat = build.reshape(points, [size.product(space), rank + 1]);
  const moved = build.contract(build.cast(theta, wide), flat, { contracted: [[2, 1]] });
  const turned = build.permute(moved, [0, 2, 1]);
  return build.cast(build.reshape(turned, [batch, ...space, rank]), theta.dtype);
}

export const samplingOperators: OperatorTable = {
  GridSample: { versions: [16, 20, 22], import: gridSample },
  AffineGrid: { versions: [20], import: affineGrid },
};
