/** Parts and borders of tensors: Slice, Pad, CenterCropPad, DepthToSpace, SpaceToDepth. */
import type { OperatorCall } from './context.js';
import { build, type Node, type Size, size } from './core.js';
import type { OperatorTable } from './registry.js';
import { namedIfData } from './sizes.js';

/** What an element of starts, ends or pads may be at least; INT64_MIN is a mark. */
export const anyInteger = -(2 ** 53) + 1;
/** Constants beyond this mean "the end". */
const far = 2 ** 31;

/** A position counted from the end when negative, clamped to [low, high]. */
function position(at: Size, extent: Size, low: Size, high: Size): Size {
  if (typeof at === 'number') {
    if (at >= far) return high;
    if (at <= -far) return low;
  }
  const counted = size.choose(size.lessThan(at, 0), size.add(at, extent), at);
  return size.minimum(size.maximum(counted, low), high);
}

interface Range {
  readonly start: Size;
  readonly count: Size;
  readonly step: number;
  readonly flipped: boolean;
}

/** One axis of a slice; a negative step walks the flipped axis. */
function rangeOf(start: Size, end: Size, step: number, extent: Size): Range {
  if (step > 0) {
    const from = position(start, extent, 0, extent);
    const to = position(end, extent, 0, extent);
    const count = size.maximum(size.ceilDivide(size.subtract(to, from), step), 0);
    return { start: size.minimum(from, extent), count, step, flipped: false };
  }
  const last = size.subtract(extent, 1);
  const from = position(start, extent, -1, last);
  const to = position(end, extent, -1, last);
  const count = size.maximum(size.ceilDivide(size.subtract(from, to), -step), 0);
  return { start: size.subtract(last, from), count, step: -step, flipped: true };
}

function slice(call: OperatorCall): Node {
  const x = call.tensor(0);
  const old = call.version < 10;
  const starts = old ? call.ints('starts') : call.sizes(1, anyInteger);
  const ends = old ? call.ints('ends') : call.sizes(2, anyInteger);
  const listed = starts.map((_, i) => i);
  const given = old ? call.ints('axes', listed) : call.has(3) ? call.needConstantInts(3) : listed;
  const steps = !old && call.has(4) ? call.needConstantInts(4) : starts.map(() => 1);
  const axes = given.map((axis) => call.axis(axis, x.shape.length));
  if (ends.length !== starts.length || axes.length !== starts.length) {
    throw call.refuse('starts, ends and axes have different lengths');
  }
  const ranges = x.shape.map((extent, axis): Range => {
    const i = axes.indexOf(axis);
    if (i < 0) return { start: 0, count: extent, step: 1, flipped: false };
    const step = steps[i] ?? 1;
    if (step === 0) throw call.refuse('a step is zero');
    return rangeOf(starts[i] as Size, ends[i] as Size, step, extent);
  });
  const flipped = ranges.flatMap((range, axis) => (range.flipped ? [axis] : []));
  return build.slice(build.flip(x, flipped), {
    starts: ranges.map((range) => (range.count === 0 ? 0 : namedIfData(range.start, 0))),
    sizes: ranges.map((range) => namedIfData(range.count, 0)),
    steps: ranges.map((range) => Math.min(range.step, far)),
  });
}

interface Border {
  readonly before: readonly Size[];
  readonly after: readonly Size[];
}

function bordersOf(call: OperatorCall, rank: number): Border {
  const attribute = call.version < 2 ? 'paddings' : 'pads';
  const pads = call.version < 11 ? call.ints(attribute) : call.sizes(1, anyInteger);
  const all = Array.from({ length: rank }, (_, axis) => axis);
  const axes = call.has(3) ? call.needConstantInts(3).map((axis) => call.axis(axis, rank)) : all;
  const count = axes.length;
  if (pads.length !== 2 * count) throw call.refuse('the number of pads does not fit the rank');
  const amount = (axis: number, offset: number): Size => {
    const i = axes.indexOf(axis);
    return i < 0 ? 0 : (pads[i + offset] as Size);
  };
  return {
    before: all.map((axis) => amount(axis, 0)),
    after: all.map((axis) => amount(axis, count)),
  };
}

/** Takes away what negative amounts ask for. */
function crop(x: Node, { before, after }: Border): Node {
  const cut = (amount: Size): Size => namedIfData(size.maximum(size.negate(amount), 0), 0);
  return build.slice(x, {
    starts: before.map(cut),
    sizes: x.shape.map((extent, axis) =>
      size.subtract(size.subtract(extent, cut(before[axis] as Size)), cut(after[axis] as Size)),
    ),
  });
}

/** Pads with a value that may be computed at run time. */
export function padWith(x: Node, border: Border, value: Node | undefined): Node {
  const inner = crop(x, border);
  const grow = (amount: Size): Size => namedIfData(size.maximum(amount, 0), 0);
  const amounts = { before: border.before.map(grow), after: border.after.map(grow) };
  if (value === undefined) return build.pad(inner, amounts);
  if (value.op === 'constant') {
    const { tensor } = value.attributes;
    const fill = build.readElement(tensor, 0);
    if (typeof fill !== 'string') return build.pad(inner, { ...amounts, value: fill });
  }
  const inside = build.expand(
    build.reshape(
      build.scalar('bool', true),
      inner.shape.map(() => 1),
    ),
    inner.shape,
  );
  const fill = build.reshape(value, []);
  return build.select(build.pad(inside, amounts), build.pad(inner, amounts), fill);
}

/** Source positions along an axis of `extent` for modes that repeat elements. */
function sourceIndex(call: OperatorCall, mode: string, at: Node, extent: Size): Node {
  const last = build.size(size.subtract(extent, 1));
  switch (mode) {
    case 'edge':
      return build.between(at, build.scalar('i64', 0), last);
    case 'wrap': {
      const n = build.size(extent);
      return build.remainder(build.add(build.remainder(at, n), n), n);
    }
    case 'reflect': {
      const period = build.size(size.maximum(size.multiply(size.subtract(extent, 1), 2), 1));
      const phase = build.remainder(build.add(build.remainder(at, period), period), period);
      return build.minimum(phase, build.subtract(period, phase));
    }
    default:
      throw call.refuse('unknown padding mode');
  }
}

function padByIndex(call: OperatorCall, x: Node, border: Border, mode: string): Node {
  return x.shape.reduce<Node>((all, extent, axis) => {
    const [before, after] = [border.before[axis] as Size, border.after[axis] as Size];
    if (before === 0 && after === 0) return all;
    const made = size.add(extent, before, after);
    const at = build.subtract(build.iota({ dtype: 'i64', shape: [made] }, 0), build.size(before));
    // A single element reflects onto itself: its period would be zero.
    const source = mode === 'reflect' && extent === 1 ? 'edge' : mode;
    return build.gather(all, sourceIndex(call, source, at, extent), axis);
  }, x);
}

function pad(call: OperatorCall): Node {
  const x = call.tensor(0);
  const mode = call.text('mode', 'constant');
  const border = bordersOf(call, x.shape.length);
  if (mode !== 'constant') return padByIndex(call, x, border, mode);
  if (call.version >= 11) return padWith(x, border, call.optionalTensor(2));
  return padWith(x, border, build.scalar(x.dtype, call.float('value', 0)));
}

function centerCropPad(call: OperatorCall): Node {
  const x = call.tensor(0);
  const rank = x.shape.length;
  const all = x.shape.map((_, axis) => axis);
  const axes = call.ints('axes', all).map((axis) => call.axis(axis, rank));
  const wanted = call.sizes(1);
  const amounts = x.shape.map((extent, axis): readonly [Size, Size] => {
    const i = axes.indexOf(axis);
    if (i < 0) return [0, 0];
    const target = wanted[i] as Size;
    const missing = size.subtract(target, extent);
    // Cropping starts at the floor of half the surplus, padding puts the floor of half before.
    const grown = size.floorDivide(size.maximum(missing, 0), 2);
    const cut = size.floorDivide(size.maximum(size.negate(missing), 0), 2);
    const before = size.subtract(grown, cut);
    return [before, size.subtract(missing, before)];
  });
  const border = { before: amounts.map(([a]) => a), after: amounts.map(([, b]) => b) };
  return padWith(x, border, undefined);
}

function depthToSpace(call: OperatorCall): Node {
  const x = call.tensor(0);
  const b = call.int('blocksize');
  const [n, c, h, w] = x.shape as [Size, Size, Size, Size];
  if (x.shape.length !== 4) throw call.refuse('the input is not [N, C, H, W]');
  const depth = size.floorDivide(c, b * b);
  const mode = call.text('mode', 'DCR');
  const made = [n, depth, size.multiply(h, b), size.multiply(w, b)];
  if (mode === 'CRD') {
    const parts = build.reshape(x, [n, depth, b, b, h, w]);
    return build.reshape(build.permute(parts, [0, 1, 4, 2, 5, 3]), made);
  }
  if (mode !== 'DCR') throw call.refuse('unknown mode');
  const parts = build.reshape(x, [n, b, b, depth, h, w]);
  return build.reshape(build.permute(parts, [0, 3, 4, 1, 5, 2]), made);
}

function spaceToDepth(call: OperatorCall): Node {
  const x = call.tensor(0);
  const b = call.int('blocksize');
  const [n, c, h, w] = x.shape as [Size, Size, Size, Size];
  if (x.shape.length !== 4) throw call.refuse('the input is not [N, C, H, W]');
  const [rows, columns] = [size.floorDivide(h, b), size.floorDivide(w, b)];
  const parts = build.reshape(x, [n, c, rows, b, columns, b]);
  const moved = build.permute(parts, [0, 3, 5, 1, 2, 4]);
  return build.reshape(moved, [n, size.multiply(c, b * b), rows, columns]);
}

export const sliceOperators: OperatorTable = {
  Slice: { versions: [1, 10, 11, 13], import: slice },
  Pad: { versions: [1, 2, 11, 13, 18, 19, 21, 23, 24, 25], import: pad },
  CenterCropPad: { versions: [18], import: centerCropPad },
  DepthToSpace: { versions: [1, 11, 13], import: depthToSpace },
  SpaceToDepth: { versions: [1, 13], import: spaceToDepth },
};
