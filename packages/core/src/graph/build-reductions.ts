/** Builders of reductions, contractions, windows and prefix operations. */
import { type DType, isFloat } from '../base/dtype.js';
import { failure } from '../base/errors.js';
import { product as productOfSizes, type Size } from '../base/expression.js';
import type { Precision } from '../base/precision.js';
import { cast, divide } from './build-elementwise.js';
import { scalar, size } from './build-sources.js';
import { broadcastShapes, broadcastTo, normalizeAxis, range, reshape } from './build-views.js';
import { make } from './make.js';
import type { Attributes, Node, ReductionKind, ReductionOrder, WindowKind } from './node.js';
import { accumulateType } from './ops.js';
import { printShape, shapeError } from './rule.js';

export interface ReduceOptions {
  /** Keeps reduced axes as size 1. */
  readonly keep?: boolean;
  /** f32 for the narrower floats unless said. */
  readonly accumulate?: DType;
  readonly order?: ReductionOrder;
}

/** Reduces over axes (all when undefined; negative count from the end). */
export function reduce(
  kind: ReductionKind,
  x: Node,
  axes?: readonly number[],
  options: ReduceOptions = {},
): Node {
  const rank = x.shape.length;
  const places = (axes ?? range(rank)).map((axis) => normalizeAxis('reduce', axis, rank));
  const sorted = [...places].sort((a, b) => a - b);
  const exact = kind === 'minimum' || kind === 'maximum';
  const reduced =
    sorted.length === 0
      ? x
      : make('reduce', [x], {
          kind,
          axes: sorted,
          accumulate: options.accumulate ?? (exact ? x.dtype : accumulateType(x.dtype)),
          order: options.order ?? 'tree',
        });
  if (options.keep !== true) return reduced;
  return reshape(
    reduced,
    x.shape.map((extent, axis) => (sorted.includes(axis) ? 1 : extent)),
  );
}

type Over = (x: Node, axes?: readonly number[], options?: ReduceOptions) => Node;
const over =
  (kind: ReductionKind): Over =>
  (x, axes, options) =>
    reduce(kind, x, axes, options);

export const sum = over('sum');
export const productOver = over('product');
export const minimumOver = over('minimum');
export const maximumOver = over('maximum');

/** Number of elements that meet in one when `axes` are reduced. */
export function countOver(x: Node, axes?: readonly number[]): Size {
  const rank = x.shape.length;
  const places = axes?.map((axis) => normalizeAxis('mean', axis, rank)) ?? range(rank);
  return productOfSizes(places.map((axis) => x.shape[axis] as Size));
}

/** Sum over count; of narrow floats computed in f32, of integers truncated. */
export const mean: Over = (x, axes, options) => {
  const wide = isFloat(x.dtype) ? cast(x, accumulateType(x.dtype)) : x;
  const total = sum(wide, axes, options);
  const count = countOver(x, axes);
  const by = typeof count === 'number' ? scalar(wide.dtype, count) : cast(size(count), wide.dtype);
  return cast(divide(total, by), x.dtype);
};

export interface ContractArguments {
  readonly batch?: Attributes['contract']['batch'];
  readonly contracted: Attributes['contract']['contracted'];
  readonly accumulate?: DType;
  /** Of the result; that of the operands unless said. */
  readonly dtype?: DType;
  /** Accuracy of f32 products; the program's where absent. */
  readonly precision?: Precision;
}

/** General dot product: result axes are batch, free axes of a, free axes of b. */
export function contract(a: Node, b: Node, options: ContractArguments): Node {
  const dtype = options.dtype ?? a.dtype;
  const wide = isFloat(dtype) ? accumulateType(a.dtype) : dtype;
  return make('contract', [a, b], {
    batch: options.batch ?? [],
    contracted: options.contracted,
    accumulate: options.accumulate ?? wide,
    dtype,
    ...(options.precision === undefined ? {} : { precision: options.precision }),
  });
}

/** NumPy's matmul: vectors are taken as one row or column, leading axes broadcast. */
export function matmul(
  a: Node,
  b: Node,
  options: Pick<ContractArguments, 'accumulate' | 'dtype' | 'precision'> = {},
): Node {
  if (a.shape.length === 0 || b.shape.length === 0) {
    throw failure('OC-SHAPE-02', {
      op: 'matmul',
      left: printShape(a.shape),
      right: printShape(b.shape),
    });
  }
  if (a.shape.length === 1) {
    const row = matmul(reshape(a, [1, ...a.shape]), b, options);
    const at = row.shape.length - (b.shape.length === 1 ? 1 : 2);
    return reshape(row, row.shape.toSpliced(at, 1));
  }
  if (b.shape.length === 1) {
    const column = matmul(a, reshape(b, [...b.shape, 1]), options);
    return reshape(column, column.shape.slice(0, -1));
  }
  if (b.shape.length === 2) {
    // Leading axes of the left are free axes: no broadcast of the right is needed.
    return contract(a, b, { contracted: [[a.shape.length - 1, 0]], ...options });
  }
  const batch = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const left = broadcastTo(a, [...batch, ...a.shape.slice(-2)]);
  const right = broadcastTo(b, [...batch, ...b.shape.slice(-2)]);
  const n = batch.length;
  const pairs = range(n).map((axis): readonly [number, number] => [axis, axis]);
  return contract(left, right, { batch: pairs, contracted: [[n + 1, n]], ...options });
}

export interface WindowArguments {
  /** Pooling only; convolution takes it from the weights. */
  readonly kernel?: readonly Size[];
  readonly strides?: readonly number[];
  readonly padding?: readonly (readonly [Size, Size])[];
  readonly kernelDilation?: readonly number[];
  readonly inputDilation?: readonly number[];
  readonly groups?: number;
  readonly accumulate?: DType;
}

/** Convolution of x[N, C, …] with w[O, C/groups, …kernel], or pooling of x alone. */
export function window(
  kind: WindowKind,
  x: Node,
  w: Node | undefined,
  options: WindowArguments = {},
): Node {
  const kernel = w === undefined ? options.kernel : w.shape.slice(2);
  if (kernel === undefined) throw shapeError('window', 'pooling needs a kernel size');
  const ones = kernel.map(() => 1);
  const exact = kind === 'minimum' || kind === 'maximum';
  return make('window', w === undefined ? [x] : [x, w], {
    kind,
    kernel,
    strides: options.strides ?? ones,
    padding: options.padding ?? kernel.map(() => [0, 0] as const),
    kernelDilation: options.kernelDilation ?? ones,
    inputDilation: options.inputDilation ?? ones,
    groups: options.groups ?? 1,
    accumulate: options.accumulate ?? (exact ? x.dtype : accumulateType(x.dtype)),
  });
}

export interface CumulateOptions {
  /** Element i holds what came before it. */
  readonly exclusive?: boolean;
  /** From the end. */
  readonly reverse?: boolean;
}

/** Prefix sum, product, minimum or maximum along an axis. */
export function cumulate(
  kind: ReductionKind,
  x: Node,
  axis: number,
  options: CumulateOptions = {},
): Node {
  return make('cumulate', [x], {
    kind,
    axis: normalizeAxis('cumulate', axis, x.shape.length),
    exclusive: options.exclusive ?? false,
    reverse: options.reverse ?? false,
  });
}
