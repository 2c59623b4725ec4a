/** Operators that give a tensor another shape: Reshape, Squeeze, Expand, Concat, Split, … */
import type { OperatorCall } from './context.js';
import { build, type Node, type Size, size } from './core.js';
import type { OperatorTable } from './registry.js';
import { named, namedIfData } from './sizes.js';
import { constantStrings, isStrings } from './text-shapes.js';
import type { Result } from './value.js';

const anyVersion = [1, 13, 19, 21, 23, 24, 25];

/** Sizes as a one-dimensional i64 tensor. */
export function sizeList(sizes: readonly Size[]): Node {
  const numbers = sizes.filter((each) => typeof each === 'number');
  if (numbers.length === sizes.length) {
    return build.constantOf('i64', [sizes.length], numbers.map(BigInt));
  }
  const parts = sizes.map((each) => build.reshape(build.size(each), [1]));
  return build.concat(parts, 0);
}

/** The shape of any tensor value, also of one of strings. */
function shapeOf(call: OperatorCall): readonly Size[] {
  const value = call.value(0);
  return value.kind === 'strings' ? value.tensor.shape : call.tensor(0).shape;
}

function shape(call: OperatorCall): Node {
  const all = shapeOf(call);
  const place = (at: number): number =>
    Math.min(Math.max(at < 0 ? at + all.length : at, 0), all.length);
  return sizeList(all.slice(place(call.int('start', 0)), place(call.int('end', all.length))));
}

/** What Reshape makes of the sizes asked for: 0 keeps, −1 is what is left. */
export function resolveShape(
  from: readonly Size[],
  asked: readonly Size[],
  allowZero: boolean,
): readonly Size[] {
  const total = size.product(from);
  const kept = asked.map((each, axis): Size => {
    const own = from[axis];
    if (allowZero || own === undefined || each === -1) return each;
    if (typeof each === 'number') return each === 0 ? own : each;
    // A size of another tensor means itself; only an element read from data may be a mark.
    if (size.lowerBound(each) >= 0) return each;
    return named(size.choose(size.equalTo(each, 0), own, each), -1);
  });
  const open = kept.filter((each) => each === -1).length;
  const rest = size.product(kept.filter((each) => each !== -1));
  if (open === 1 && kept.every((each) => each === -1 || size.lowerBound(each) >= 0)) {
    const left = rest === 0 ? 0 : size.floorDivide(total, rest);
    return kept.map((each) => (each === -1 ? left : each));
  }
  if (kept.every((each) => size.lowerBound(each) >= 0)) return kept;
  // One of several may turn out to be −1: the product's magnitude is that of the others.
  const product = size.product(kept);
  const magnitude = size.maximum(size.maximum(product, size.negate(product)), 1);
  const left = named(size.floorDivide(total, magnitude), 0);
  return kept.map((each) => {
    if (typeof each === 'number' && each >= 0) return each;
    return named(size.choose(size.equalTo(each, -1), left, each), 0);
  });
}

function reshape(call: OperatorCall): Result {
  const asked = call.version < 5 ? call.ints('shape') : call.sizes(1, -1);
  const value = call.value(0);
  const allowZero = call.int('allowzero', 0) !== 0;
  const made = resolveShape(shapeOf(call), asked, allowZero);
  if (value.kind === 'strings') return constantStrings(call, value.tensor, made);
  return build.reshape(call.tensor(0), made);
}

/** Axes as an attribute, or as an input from `since` on; undefined when not given. */
export function axesOf(call: OperatorCall, since: number): readonly number[] | undefined {
  if (call.version < since) return call.hasAttribute('axes') ? call.ints('axes') : undefined;
  return call.has(1) ? call.needConstantInts(1) : undefined;
}

function squeezedShape(call: OperatorCall, all: readonly Size[]): readonly Size[] {
  const axes = axesOf(call, 13)?.map((axis) => call.axis(axis, all.length));
  if (axes === undefined) {
    if (all.some((extent) => typeof extent !== 'number')) {
      throw call.needShape(0, 'which sizes are 1 is not known before the run');
    }
    return all.filter((extent) => extent !== 1);
  }
  for (const axis of axes) call.require('equal', all[axis] as Size, 1, 'squeezed size');
  return all.filter((_, axis) => !axes.includes(axis));
}

function squeeze(call: OperatorCall): Result {
  const value = call.value(0);
  const made = squeezedShape(call, shapeOf(call));
  if (value.kind === 'strings') return constantStrings(call, value.tensor, made);
  return build.reshape(call.tensor(0), made);
}

function unsqueeze(call: OperatorCall): Result {
  const axes = call.version < 13 ? call.ints('axes') : call.needConstantInts(1);
  const rest = [...shapeOf(call)];
  const rank = rest.length + axes.length;
  const places = axes.map((axis) => call.axis(axis, rank));
  if (new Set(places).size !== places.length) throw call.refuse('an axis stands twice');
  const made = Array.from({ length: rank }, (_, axis) =>
    places.includes(axis) ? 1 : (rest.shift() as Size),
  );
  const value = call.value(0);
  if (value.kind === 'strings') return constantStrings(call, value.tensor, made);
  return build.reshape(call.tensor(0), made);
}

function flatten(call: OperatorCall): Node {
  const x = call.tensor(0);
  const rank = x.shape.length;
  const given = call.int('axis', 1);
  const axis =
    given === rank ? rank : rank === 0 && given === 1 ? 0 : given < 0 ? given + rank : given;
  if (axis < 0 || axis > rank) throw call.refuse(`axis ${given} is outside rank ${rank}`);
  const [head, tail] = [x.shape.slice(0, axis), x.shape.slice(axis)];
  return build.reshape(x, [size.product(head), size.product(tail)]);
}

function transpose(call: OperatorCall): Node {
  const x = call.tensor(0);
  const reversed = x.shape.map((_, axis) => x.shape.length - 1 - axis);
  return build.permute(x, call.ints('perm', reversed));
}

/** The size that a tensor's and an asked size broadcast to, in both directions. */
function broadcastExtent(call: OperatorCall, own: Size, asked: Size): Size {
  if (own === 1) return asked;
  if (asked === 1) return own;
  const result = size.provablyAtLeast(own, 2) ? own : size.choose(size.equalTo(own, 1), asked, own);
  const needed = size.choose(size.equalTo(asked, 1), result, asked);
  call.require('equal', needed, result, 'expanded size');
  return namedIfData(result, 0);
}

function expand(call: OperatorCall): Node {
  const x = call.tensor(0);
  const asked = call.sizes(1);
  const rank = Math.max(asked.length, x.shape.length);
  const made = Array.from({ length: rank }, (_, axis) => {
    const own = x.shape[axis - (rank - x.shape.length)] ?? 1;
    return broadcastExtent(call, own, asked[axis - (rank - asked.length)] ?? 1);
  });
  return build.broadcastTo(x, made);
}

/** Each axis becomes (repeats, extent), and both are joined. */
function repeat(x: Node, repeats: readonly Size[]): Node {
  const single = build.reshape(
    x,
    x.shape.flatMap((extent) => [1, extent]),
  );
  const wide = x.shape.flatMap((extent, axis) => [repeats[axis] as Size, extent]);
  const made = x.shape.map((extent, axis) => size.multiply(extent, repeats[axis] as Size));
  return build.reshape(build.expand(single, wide), made);
}

function tile(call: OperatorCall): Node {
  const x = call.tensor(0);
  if (call.version >= 6) {
    const repeats = call.sizes(1);
    if (repeats.length !== x.shape.length) throw call.refuse('repeats do not fit the rank');
    return repeat(x, repeats);
  }
  const [tiles, axis] = [call.sizes(1)[0] as Size, call.needConstantInts(2)[0] as number];
  const at = call.axis(axis, x.shape.length);
  return repeat(
    x,
    x.shape.map((_, i) => (i === at ? tiles : 1)),
  );
}

function concat(call: OperatorCall): Result {
  if (isStrings(call)) throw call.refuse('strings are not joined');
  const inputs = call.tensors();
  const first = inputs[0];
  if (first === undefined) throw call.refuse('nothing to join');
  const axis = call.version < 4 ? call.int('axis', 1) : call.int('axis');
  return build.concat(inputs, call.axis(axis, first.shape.length));
}

/** Sizes of the parts of Split: given, or as equal as possible. */
export function partSizes(
  call: OperatorCall,
  extent: Size,
  given: readonly Size[] | undefined,
): readonly Size[] {
  if (given !== undefined) {
    call.require('equal', size.add(0, ...given), extent, 'sum of the parts');
    return given;
  }
  const count = call.version >= 18 ? call.int('num_outputs', call.outputCount) : call.outputCount;
  const part = size.ceilDivide(extent, count);
  if (call.version < 18 && typeof extent === 'number' && extent % count !== 0) {
    throw call.refuse(`${extent} elements do not split into ${count} equal parts`);
  }
  return Array.from({ length: count }, (_, i) =>
    size.maximum(size.minimum(part, size.subtract(extent, size.multiply(part, i))), 0),
  );
}

function split(call: OperatorCall): readonly Node[] {
  const x = call.tensor(0);
  const axis = call.axis(call.int('axis', 0), x.shape.length);
  const attribute = call.hasAttribute('split') ? call.ints('split') : undefined;
  const input = call.version === 1 || call.version >= 13;
  const given = attribute ?? (input && call.has(1) ? call.sizes(1) : undefined);
  return build.split(x, axis, partSizes(call, x.shape[axis] as Size, given));
}

export const shapeOperators: OperatorTable = {
  Shape: { versions: [1, 13, 15, 19, 21, 23, 24, 25], import: shape },
  Size: { versions: anyVersion, import: (call) => build.size(size.product(shapeOf(call))) },
  Reshape: { versions: [1, 5, 13, 14, 19, 21, 23, 24, 25], import: reshape },
  Squeeze: { versions: [1, 11, 13, 21, 23, 24, 25], import: squeeze },
  Unsqueeze: { versions: [1, 11, 13, 21, 23, 24, 25], import: unsqueeze },
  Flatten: { versions: [1, 9, 11, 13, 21, 23, 24, 25], import: flatten },
  Transpose: { versions: [1, 13, 21, 23, 24, 25], import: transpose },
  Expand: { versions: [8, 13], import: expand },
  Tile: { versions: [1, 6, 13], import: tile },
  Identity: {
    versions: [1, 13, 14, 16, 19, 21, 23, 24, 25],
    import: (call) => call.value(0),
  },
  Concat: { versions: [1, 4, 11, 13], import: concat },
  Split: { versions: [1, 2, 11, 13, 18], import: split },
};
