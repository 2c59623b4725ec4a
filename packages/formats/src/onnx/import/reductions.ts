/** Reductions, prefix operations, and the places of extreme values. */
import type { OperatorCall } from './context.js';
import { build, isInteger, type Node, type Size } from './core.js';
import { throughBytes } from './lookups.js';
import type { OperatorTable } from './registry.js';
import { axesOf } from './shapes.js';

type Axes = readonly number[];

interface Plan {
  readonly x: Node;
  readonly axes: Axes;
  readonly keep: boolean;
}

/** Version from which the axes are an input. */
const axesInput: Readonly<Record<string, number>> = { ReduceSum: 13 };

function planOf(call: OperatorCall): Plan {
  const x = call.tensor(0);
  const rank = x.shape.length;
  const given = axesOf(call, axesInput[call.operator] ?? 18);
  const all = x.shape.map((_, axis) => axis);
  const nothing = call.int('noop_with_empty_axes', 0) !== 0;
  const empty = given === undefined || given.length === 0;
  const axes = empty ? (nothing ? [] : all) : given.map((axis) => call.axis(axis, rank));
  return { x, axes, keep: call.int('keepdims', 1) !== 0 };
}

/** Floats below f32 and integers of logarithms and roots are computed in a wider float. */
function wide(x: Node): Node {
  if (isInteger(x.dtype)) return build.cast(x, 'f64');
  return x.dtype === 'f64' ? x : build.cast(x, 'f32');
}

const finish = (x: Node, dtype: Node['dtype']): Node => build.cast(x, dtype);

/** The value of maximum over nothing: −∞, or the least integer. */
const kinds = { ReduceMax: 'maximum', ReduceMin: 'minimum' } as const;

function extreme(call: OperatorCall): Node {
  const { x, axes, keep } = planOf(call);
  const kind = kinds[call.operator as keyof typeof kinds];
  return throughBytes(x, (bytes) => build.reduce(kind, bytes, axes, { keep }));
}

const sums: Readonly<Record<string, (x: Node, axes: Axes, keep: boolean) => Node>> = {
  ReduceSum: (x, axes, keep) => build.sum(x, axes, { keep }),
  ReduceProd: (x, axes, keep) => build.productOver(x, axes, { keep }),
  ReduceMean: (x, axes, keep) => build.mean(x, axes, { keep }),
  ReduceL1: (x, axes, keep) => build.sum(build.absolute(x), axes, { keep }),
  ReduceSumSquare: (x, axes, keep) =>
    isInteger(x.dtype)
      ? build.sum(build.square(x), axes, { keep })
      : finish(build.sum(build.square(wide(x)), axes, { keep }), x.dtype),
  ReduceL2: (x, axes, keep) =>
    finish(build.squareRoot(build.sum(build.square(wide(x)), axes, { keep })), x.dtype),
  ReduceLogSum: (x, axes, keep) => finish(build.log(build.sum(wide(x), axes, { keep })), x.dtype),
  ReduceLogSumExp: (x, axes, keep) => finish(logSumExp(wide(x), axes, keep), x.dtype),
};

/** m + log Σ exp(x − m), where m is the maximum, 0 where that is infinite. */
export function logSumExp(x: Node, axes: Axes, keep: boolean): Node {
  const most = build.maximumOver(x, axes, { keep: true });
  const finite = build.less(build.absolute(most), Number.POSITIVE_INFINITY);
  const base = build.select(finite, most, 0);
  const total = build.sum(build.exp(build.subtract(x, base)), axes, { keep: true });
  const result = build.add(build.log(total), base);
  if (keep) return result;
  return build.reshape(
    result,
    x.shape.filter((_, axis) => !axes.includes(axis)),
  );
}

const reduceVersions = [1, 11, 13, 18];

const sumOf = (call: OperatorCall): Node => {
  const { x, axes, keep } = planOf(call);
  return (sums[call.operator] as (x: Node, axes: Axes, keep: boolean) => Node)(x, axes, keep);
};

/** The first (or last) place of the largest or smallest value; NaN counts as the extreme. */
function argument(call: OperatorCall): Node {
  const x = call.tensor(0);
  const axis = call.axis(call.int('axis', 0), x.shape.length);
  const keep = call.int('keepdims', 1) !== 0;
  const selectLast = call.int('select_last_index', 0) !== 0;
  const find = call.operator === 'ArgMax' ? build.argMax : build.argMin;
  return find(x, axis, { keep, selectLast });
}

function cumulate(kind: 'sum' | 'product') {
  return (call: OperatorCall): Node => {
    const x = call.tensor(0);
    const axis = call.axis(call.needConstantInts(1)[0] ?? 0, x.shape.length);
    return build.cumulate(kind, x, axis, {
      exclusive: call.int('exclusive', 0) !== 0,
      reverse: call.int('reverse', 0) !== 0,
    });
  };
}

function topK(call: OperatorCall): readonly Node[] {
  const x = call.tensor(0);
  const axis = call.axis(call.int('axis', -1), x.shape.length);
  const k = call.version === 1 ? call.int('k') : (call.sizes(1)[0] as Size);
  const largest = call.int('largest', 1) !== 0;
  call.require('atLeast', x.shape[axis] as Size, k, 'TopK: number of values');
  return build.topK(x, k, { axis, largest });
}

export const reductionOperators: OperatorTable = {
  ...Object.fromEntries(
    Object.keys(sums).map((name) => [
      name,
      { versions: name === 'ReduceSum' ? [1, 11, 13] : reduceVersions, import: sumOf },
    ]),
  ),
  ReduceMax: { versions: [1, 11, 12, 13, 18, 20], import: extreme },
  ReduceMin: { versions: [1, 11, 12, 13, 18, 20], import: extreme },
  ArgMax: { versions: [1, 11, 12, 13], import: argument },
  ArgMin: { versions: [1, 11, 12, 13], import: argument },
  CumSum: { versions: [11, 14], import: cumulate('sum') },
  CumProd: { versions: [26], import: cumulate('product') },
  TopK: { versions: [1, 10, 11, 24], import: topK },
};
