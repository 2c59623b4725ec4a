/**
 * Shape arithmetic: the elements of small integer tensors as size expressions, found by following
 * the primitives that made them, so that `Shape → Gather → Concat → Reshape` stays symbolic.
 */
import { clampInteger } from './attributes.js';
import { build, isInteger, isWide, type Node, type Size, size } from './core.js';

/** Tensors with more elements are data, not shapes. */
export const sizeListLimit = 64;

type Sizes = readonly Size[];

const known = new WeakMap<Node, { readonly sizes: Sizes | undefined }>();

/** Elements, row-major, of an integer or bool tensor; undefined where they are not known. */
export function knownSizes(node: Node): Sizes | undefined {
  const seen = known.get(node);
  if (seen !== undefined) return seen.sizes;
  const sizes = compute(node);
  known.set(node, { sizes });
  return sizes;
}

/** The same, with symbols for elements that are known at run time only. */
export function elementSizes(node: Node, minimum: number): Sizes | undefined {
  const count = smallCount(node);
  if (count === undefined || !isInteger(node.dtype)) return undefined;
  // Marks such as INT64_MAX are no sizes; what they stand for is the same when clamped.
  const open = minimum < -1 && isWide(node.dtype) ? build.between(node, -most, most) : node;
  return partlyKnown(node, count).map(
    (known, i) => known ?? build.elementSize(open, i, { minimum }),
  );
}

const most = Number.MAX_SAFE_INTEGER;

/** Elements that are known; joined lists may hold some beside others that are not. */
function partlyKnown(node: Node, count: number): readonly (Size | undefined)[] {
  const exact = knownSizes(node);
  if (exact !== undefined) return exact;
  if (node.op === 'constant') {
    const { data } = node.attributes.tensor;
    return Array.from(data as ArrayLike<number | bigint>, (each) => clampInteger(BigInt(each)));
  }
  const input = node.inputs[0];
  if (node.op === 'reshape' && input !== undefined) return partlyKnown(input, count);
  if (node.op === 'concat' && node.shape.length === 1) {
    return node.inputs.flatMap((part) => partlyKnown(part, smallCount(part) ?? 0));
  }
  return Array<undefined>(count).fill(undefined);
}

/**
 * One symbol for an expression over elements read from data, so that shapes stay short; the
 * expression is calculated on the host. Equal expressions have equal symbols.
 */
export function named(value: Size, minimum: number): Size {
  if (typeof value === 'number' || build.loneVariable(value) !== undefined) return value;
  return build.elementSymbol(build.size(value), 0, minimum);
}

/** Whether a size depends on an element of a tensor. */
export function readsData(value: Size): boolean {
  return [...size.variablesOf(value).values()].some(
    (symbol) => build.elementSourceOf(symbol) !== undefined,
  );
}

/** `named` where the expression depends on data; others stay exact. */
export const namedIfData = (value: Size, minimum: number): Size =>
  readsData(value) ? named(value, minimum) : value;

export function staticShape(node: Node): readonly number[] | undefined {
  return node.shape.every((extent) => typeof extent === 'number')
    ? (node.shape as readonly number[])
    : undefined;
}

function smallCount(node: Node): number | undefined {
  const count = size.product(node.shape);
  return typeof count === 'number' && count <= sizeListLimit ? count : undefined;
}

function compute(node: Node): Sizes | undefined {
  if (!isInteger(node.dtype) && node.dtype !== 'bool') return undefined;
  if (smallCount(node) === undefined) return undefined;
  try {
    return track(node);
  } catch {
    // A number beyond 2^53: no size, so the tensor is data.
    return undefined;
  }
}

/** Row-major strides. */
function stridesOf(shape: readonly number[]): number[] {
  return shape.map((_, axis) => shape.slice(axis + 1).reduce((all, n) => all * n, 1));
}

/** Calls `at` with every index of a shape, in order. */
function mapIndices<T>(shape: readonly number[], at: (index: readonly number[]) => T): T[] {
  const strides = stridesOf(shape);
  const count = shape.reduce((all, n) => all * n, 1);
  return Array.from({ length: count }, (_, flat) =>
    at(shape.map((n, axis) => Math.floor(flat / (strides[axis] as number)) % n)),
  );
}

function at(sizes: Sizes, shape: readonly number[], index: readonly number[]): Size {
  const strides = stridesOf(shape);
  return sizes[index.reduce((all, i, axis) => all + i * (strides[axis] as number), 0)] as Size;
}

function track(node: Node): Sizes | undefined {
  const shape = staticShape(node);
  if (shape === undefined) return undefined;
  switch (node.op) {
    case 'constant': {
      const values = Array.from(node.attributes.tensor.data as ArrayLike<number | bigint>, Number);
      return values.every(Number.isSafeInteger) ? values : undefined;
    }
    case 'size':
      return [node.attributes.value];
    case 'iota':
      return mapIndices(shape, (index) => index[node.attributes.axis] as number);
    default:
      return trackInputs(node, shape);
  }
}

function trackInputs(node: Node, shape: readonly number[]): Sizes | undefined {
  const inputs = node.inputs.map(knownSizes);
  if (inputs.length === 0 || inputs.some((each) => each === undefined)) return undefined;
  const lists = inputs as Sizes[];
  const first = lists[0] as Sizes;
  const from = staticShape(node.inputs[0] as Node) as readonly number[];
  const move = (change: (index: readonly number[]) => readonly number[]): Sizes =>
    mapIndices(shape, (index) => at(first, from, change(index)));
  switch (node.op) {
    case 'reshape':
      return first;
    case 'permute': {
      const { axes } = node.attributes;
      return move((index) => from.map((_, axis) => index[axes.indexOf(axis)] as number));
    }
    case 'expand':
      return move((index) => index.map((i, axis) => (from[axis] === 1 ? 0 : i)));
    case 'flip': {
      const { axes } = node.attributes;
      const flip = (i: number, axis: number): number =>
        axes.includes(axis) ? (from[axis] as number) - 1 - i : i;
      return move((index) => index.map(flip));
    }
    case 'slice': {
      const { starts, steps } = node.attributes;
      if (starts.some((start) => typeof start !== 'number')) return undefined;
      return move((index) =>
        index.map((i, axis) => (starts[axis] as number) + i * (steps[axis] as number)),
      );
    }
    case 'concat':
      return trackConcat(node.inputs, lists, node.attributes.axis, shape);
    case 'gather':
      return trackGather(node.inputs, lists, node.attributes.axis, shape);
    case 'reduce':
      return trackReduce(first, from, node.attributes.axes, node.attributes.kind, shape);
    case 'cast':
      return trackCast(node.dtype, first);
    default:
      return trackElements(node, lists);
  }
}

function trackConcat(
  inputs: readonly Node[],
  lists: readonly Sizes[],
  axis: number,
  shape: readonly number[],
): Sizes | undefined {
  return mapIndices(shape, (index) => {
    let offset = index[axis] as number;
    for (const [which, input] of inputs.entries()) {
      const own = staticShape(input) as readonly number[];
      const extent = own[axis] as number;
      if (offset < extent) return at(lists[which] as Sizes, own, index.with(axis, offset));
      offset -= extent;
    }
    return 0;
  });
}

function trackGather(
  inputs: readonly Node[],
  lists: readonly Sizes[],
  axis: number,
  shape: readonly number[],
): Sizes | undefined {
  const [data, indices] = lists as [Sizes, Sizes];
  if (indices.some((index) => typeof index !== 'number')) return undefined;
  const from = staticShape(inputs[0] as Node) as readonly number[];
  const inner = staticShape(inputs[1] as Node) as readonly number[];
  const extent = from[axis] as number;
  if (indices.some((index) => (index as number) < 0 || (index as number) >= extent)) {
    return undefined;
  }
  return mapIndices(shape, (index) => {
    const picked = at(indices, inner, index.slice(axis, axis + inner.length));
    const rest = index.slice(axis + inner.length);
    return at(data, from, [...index.slice(0, axis), picked as number, ...rest]);
  });
}

const merges = {
  sum: (a: Size, b: Size) => size.add(a, b),
  product: (a: Size, b: Size) => size.multiply(a, b),
  minimum: size.minimum,
  maximum: size.maximum,
} as const;

function trackReduce(
  list: Sizes,
  from: readonly number[],
  axes: readonly number[],
  kind: keyof typeof merges,
  shape: readonly number[],
): Sizes | undefined {
  const keptAxes = from.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const results = new Map<string, Size>();
  mapIndices(from, (index) => {
    const key = keptAxes.map((axis) => index[axis]).join();
    const seen = results.get(key);
    const value = at(list, from, index);
    results.set(key, seen === undefined ? value : merges[kind](seen, value));
  });
  if (results.size === 0) return kind === 'product' ? [1] : undefined;
  return mapIndices(shape, (index) => results.get(index.join()) as Size);
}

function trackCast(dtype: Node['dtype'], list: Sizes): Sizes | undefined {
  if (dtype === 'bool') return list.map((each) => size.subtract(1, size.equalTo(each, 0)));
  const bounds: Partial<Record<Node['dtype'], number>> = {
    i64: 2 ** 53,
    u64: 2 ** 53,
    i32: 2 ** 31,
  };
  const bound = bounds[dtype] ?? 0;
  const fits = (each: Size): boolean =>
    typeof each === 'number' ? Math.abs(each) < Math.max(bound, 2) : bound > 0;
  return list.every(fits) ? list : undefined;
}

const not = (a: Size): Size => size.subtract(1, a);

/** Division and remainder of integers round toward zero, sizes round down: equal where a ≥ 0. */
function divide(a: Size, b: Size): Size | undefined {
  if (typeof a === 'number' && typeof b === 'number')
    return b === 0 ? undefined : Math.trunc(a / b);
  const fits = size.provablyAtLeast(a, 0) && size.provablyAtLeast(b, 1);
  return fits ? size.floorDivide(a, b) : undefined;
}

function remainder(a: Size, b: Size): Size | undefined {
  if (typeof a === 'number' && typeof b === 'number') return b === 0 ? undefined : a % b;
  const fits = size.provablyAtLeast(a, 0) && size.provablyAtLeast(b, 1);
  return fits ? size.modulo(a, b) : undefined;
}

const elementwise: Readonly<Record<string, (...values: Size[]) => Size | undefined>> = {
  add: (a = 0, b = 0) => size.add(a, b),
  subtract: (a = 0, b = 0) => size.subtract(a, b),
  multiply: (a = 0, b = 0) => size.multiply(a, b),
  minimum: (a = 0, b = 0) => size.minimum(a, b),
  maximum: (a = 0, b = 0) => size.maximum(a, b),
  divide: (a = 0, b = 0) => divide(a, b),
  remainder: (a = 0, b = 0) => remainder(a, b),
  negate: (a = 0) => size.negate(a),
  absolute: (a = 0) => size.maximum(a, size.negate(a)),
  equal: (a = 0, b = 0) => size.equalTo(a, b),
  less: (a = 0, b = 0) => size.lessThan(a, b),
  lessEqual: (a = 0, b = 0) => not(size.lessThan(b, a)),
  select: (c = 0, a = 0, b = 0) => size.choose(c, a, b),
};

const logical: Readonly<Record<string, (...values: Size[]) => Size>> = {
  and: (a = 0, b = 0) => size.multiply(a, b),
  or: (a = 0, b = 0) => size.maximum(a, b),
  xor: (a = 0, b = 0) => not(size.equalTo(a, b)),
  not: (a = 0) => not(a),
};

function trackElements(node: Node, lists: readonly Sizes[]): Sizes | undefined {
  const calculate = elementwise[node.op] ?? (node.dtype === 'bool' ? logical[node.op] : undefined);
  if (calculate === undefined) return undefined;
  const first = lists[0] as Sizes;
  const results = first.map((_, i) => calculate(...lists.map((list) => list[i] as Size)));
  return results.every((each) => each !== undefined) ? results : undefined;
}
