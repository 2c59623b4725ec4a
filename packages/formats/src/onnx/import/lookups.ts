/** Operators that read or write at computed positions: Gather…, Scatter…, ReverseSequence, … */
import type { OperatorCall } from './context.js';
import { build, type Node, type Size, size } from './core.js';
import type { OperatorTable } from './registry.js';

/** i64 indices with negative ones counted from the end of an axis. */
export function wrapIndices(indices: Node, extent: Size): Node {
  const wide = build.cast(indices, 'i64');
  return build.select(build.less(wide, 0n), build.add(wide, build.size(extent)), wide);
}

/** The position along `axis` at every place of a shape, ready to broadcast. */
export function positionAlong(shape: readonly Size[], axis: number): Node {
  const line = shape.map((extent, i): Size => (i === axis ? extent : 1));
  return build.iota({ dtype: 'i64', shape: line }, axis);
}

/**
 * Row-major place in a tensor of shape `extents` of coordinates given per axis. A coordinate out
 * of its axis gives a place out of the tensor, so that the program fails instead of reading the
 * neighbouring row; `checked` names the axes whose coordinates come from data.
 */
export function flatPlace(
  extents: readonly Size[],
  coordinates: readonly Node[],
  checked: readonly number[],
): Node {
  const zero = build.scalar('i64', 0n);
  const place = coordinates.reduce<Node>(
    (all, at, axis) => build.add(build.multiply(all, build.size(extents[axis] as Size)), at),
    zero,
  );
  if (extents.length < 2) return place;
  const inside = checked.map((axis) => {
    const at = coordinates[axis] as Node;
    return build.and(build.lessEqual(0n, at), build.less(at, build.size(extents[axis] as Size)));
  });
  const valid = inside.reduce((all, next) => build.and(all, next));
  return build.select(valid, place, build.size(size.product(extents)));
}

const flat = (x: Node): Node => build.reshape(x, [size.product(x.shape)]);

function gather(call: OperatorCall): Node {
  const [data, indices] = [call.tensor(0), call.tensor(1)];
  const axis = call.axis(call.int('axis', 0), data.shape.length);
  return build.gather(data, wrapIndices(indices, data.shape[axis] as Size), axis);
}

/** Places in `data` of coordinates that are the own ones but along `axis`. */
function elementPlaces(data: Node, indices: Node, axis: number): Node {
  const coordinates = data.shape.map((extent, i) =>
    i === axis ? wrapIndices(indices, extent) : positionAlong(indices.shape, i),
  );
  return build.broadcastTo(flatPlace(data.shape, coordinates, [axis]), indices.shape);
}

function gatherElements(call: OperatorCall): Node {
  const [data, indices] = [call.tensor(0), call.tensor(1)];
  const axis = call.axis(call.int('axis', 0), data.shape.length);
  if (indices.shape.length !== data.shape.length) throw call.refuse('the ranks differ');
  return build.gather(flat(data), elementPlaces(data, indices, axis), 0);
}

/** Places of rows that the last axis of `indices` addresses over `extents`. */
function rowPlaces(
  call: OperatorCall,
  extents: readonly Size[],
  indices: Node,
  batch: readonly Node[],
): Node {
  const last = indices.shape.length - 1;
  const width = extents.length - batch.length;
  const coordinates = Array.from({ length: width }, (_, i) => {
    const column = build.sliceAxis(indices, last, i, 1);
    const at = build.reshape(column, indices.shape.slice(0, -1));
    return wrapIndices(at, extents[batch.length + i] as Size);
  });
  if (width === 0 && batch.length === 0) throw call.refuse('indices address nothing');
  const checked = coordinates.map((_, i) => batch.length + i);
  const place = flatPlace(extents, [...batch, ...coordinates], checked);
  return build.broadcastTo(place, indices.shape.slice(0, -1));
}

function gatherRows(call: OperatorCall): Node {
  const [data, indices] = [call.tensor(0), call.tensor(1)];
  const batch = call.int('batch_dims', 0);
  const width = call.staticSize(indices.shape.at(-1) as Size, 'the length of an index');
  const extents = data.shape.slice(0, batch + width);
  const outer = Array.from({ length: batch }, (_, i) =>
    positionAlong(indices.shape.slice(0, -1), i),
  );
  const rows = build.reshape(data, [size.product(extents), ...data.shape.slice(batch + width)]);
  return build.gather(rows, rowPlaces(call, extents, indices, outer), 0);
}

type ScatterKind = Parameters<typeof build.scatter>[0];

const scatterKinds: Readonly<Record<string, ScatterKind>> = {
  none: 'replace',
  add: 'sum',
  mul: 'product',
  max: 'maximum',
  min: 'minimum',
};

function scatterKind(call: OperatorCall): ScatterKind {
  const kind = scatterKinds[call.text('reduction', 'none')];
  if (kind === undefined) throw call.refuse('unknown reduction');
  return kind;
}

/** bool has no arithmetic: it goes as bytes. */
export function throughBytes(x: Node, compute: (bytes: Node) => Node): Node {
  if (x.dtype !== 'bool') return compute(x);
  return build.notEqual(compute(build.cast(x, 'u8')), 0);
}

function scatterElements(call: OperatorCall): Node {
  const [data, indices, updates] = [call.tensor(0), call.tensor(1), call.tensor(2)];
  const axis = call.axis(call.int('axis', 0), data.shape.length);
  if (indices.shape.length !== data.shape.length) throw call.refuse('the ranks differ');
  const places = flat(elementPlaces(data, indices, axis));
  return build.reshape(
    build.scatter(scatterKind(call), flat(data), places, flat(updates)),
    data.shape,
  );
}

function scatterRows(call: OperatorCall): Node {
  const [data, indices, updates] = [call.tensor(0), call.tensor(1), call.tensor(2)];
  const width = call.staticSize(indices.shape.at(-1) as Size, 'the length of an index');
  const extents = data.shape.slice(0, width);
  const row = data.shape.slice(width);
  const places = flat(rowPlaces(call, extents, indices, []));
  const rows = build.reshape(data, [size.product(extents), ...row]);
  const news = build.reshape(updates, [places.shape[0] as Size, ...row]);
  return build.reshape(build.scatter(scatterKind(call), rows, places, news), data.shape);
}

/** Writes a run of new entries per batch element at its write index, as key-value caches do. */
function tensorScatter(call: OperatorCall): Node {
  const [past, update] = [call.tensor(0), call.tensor(1)];
  const rank = past.shape.length;
  const axis = call.axis(call.int('axis', -2), rank);
  if (axis === 0) throw call.refuse('the axis is that of the batch');
  const start = call.has(2) ? build.cast(call.tensor(2), 'i64') : undefined;
  const mode = call.text('mode', 'linear');
  if (mode !== 'linear' && mode !== 'circular') throw call.refuse('unknown mode');
  const along = positionAlong(update.shape, axis);
  const offset =
    start === undefined
      ? along
      : build.add(
          along,
          build.reshape(start, [start.shape[0] as Size, ...Array<number>(rank - 1).fill(1)]),
        );
  const at =
    mode === 'circular' ? build.remainder(offset, build.size(past.shape[axis] as Size)) : offset;
  const coordinates = past.shape.map((_, i) => (i === axis ? at : positionAlong(update.shape, i)));
  const places = build.broadcastTo(flatPlace(past.shape, coordinates, [axis]), update.shape);
  return build.reshape(
    build.scatter('replace', flat(past), flat(places), flat(update)),
    past.shape,
  );
}

function reverseSequence(call: OperatorCall): Node {
  const [x, lengths] = [call.tensor(0), build.cast(call.tensor(1), 'i64')];
  const [time, batch] = [call.int('time_axis', 0), call.int('batch_axis', 1)];
  const rank = x.shape.length;
  if (time + batch !== 1 || rank < 2) throw call.refuse('time and batch are not the first axes');
  const at = positionAlong(x.shape, time);
  const length = build.reshape(
    lengths,
    x.shape.map((extent, axis) => (axis === batch ? extent : 1)),
  );
  const reversed = build.subtract(build.subtract(length, 1n), at);
  const from = build.select(build.less(at, length), reversed, at);
  const coordinates = x.shape.map((_, i) => (i === time ? from : positionAlong(x.shape, i)));
  const places = build.broadcastTo(flatPlace(x.shape, coordinates, [time]), x.shape);
  return build.gather(flat(x), places, 0);
}

/** Rows of the first axis where the mask holds; their number is known at run time. */
export function chosenRows(mask: Node, rows: Node): Node {
  const [values, count] = build.compact(mask, rows);
  return build.sliceAxis(values, 0, 0, build.elementSize(count, 0));
}

function compress(call: OperatorCall): Node {
  const [x, mask] = [call.tensor(0), call.tensor(1)];
  const axis = call.hasAttribute('axis') ? call.axis(call.int('axis'), x.shape.length) : 0;
  const flattened = call.hasAttribute('axis') ? x : flat(x);
  const order = flattened.shape.map((_, i) => i);
  const front = [axis, ...order.filter((i) => i !== axis)];
  const rows = build.permute(flattened, front);
  // A mask may be shorter than the axis; what it does not mention is left out.
  const count = size.minimum(mask.shape[0] as Size, rows.shape[0] as Size);
  const chosen = chosenRows(build.sliceAxis(mask, 0, 0, count), build.sliceAxis(rows, 0, 0, count));
  return build.permute(
    chosen,
    order.map((i) => front.indexOf(i)),
  );
}

function nonZero(call: OperatorCall): Node {
  const x = call.tensor(0);
  const mask = x.dtype === 'bool' ? x : build.notEqual(x, 0);
  const shape = x.shape.length === 0 ? [1] : x.shape;
  const total = size.product(shape);
  const all = build.iota({ dtype: 'i64', shape: [total] }, 0);
  const places = chosenRows(flat(build.reshape(mask, shape)), all);
  if (x.shape.length === 0) return build.reshape(places, [0, places.shape[0] as Size]);
  const rows = shape.map((extent, axis) => {
    const stride = build.size(size.maximum(size.product(shape.slice(axis + 1)), 1));
    return build.remainder(build.divide(places, stride), build.size(size.maximum(extent, 1)));
  });
  return build.stack(rows, 0);
}

export const lookupOperators: OperatorTable = {
  Gather: { versions: [1, 11, 13], import: gather },
  GatherElements: { versions: [11, 13], import: gatherElements },
  GatherND: { versions: [11, 12, 13], import: gatherRows },
  Scatter: { versions: [9, 11], import: scatterElements },
  ScatterElements: { versions: [11, 13, 16, 18], import: scatterElements },
  ScatterND: { versions: [11, 13, 16, 18], import: scatterRows },
  TensorScatter: { versions: [24], import: tensorScatter },
  ReverseSequence: { versions: [10], import: reverseSequence },
  Compress: { versions: [9, 11], import: compress },
  NonZero: { versions: [9, 13], import: nonZero },
};
