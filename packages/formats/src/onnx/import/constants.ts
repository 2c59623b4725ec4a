/** Tensors made from nothing or from positions: Constant, Range, EyeLike, OneHot, Trilu, … */

import { readSparseTensor } from '../read-tensor.js';
import type { OperatorCall } from './context.js';
import { build, isFloat, isInteger, type Node, type Size, size } from './core.js';
import { foldConstant } from './fold.js';
import type { OperatorTable } from './registry.js';
import { elementSizes, namedIfData } from './sizes.js';
import { anyInteger } from './slices.js';
import { hostValue, type Result } from './value.js';

function constant(call: OperatorCall): Result {
  const tensor = call.tensorAttribute('value');
  if (tensor !== undefined) return hostValue(tensor);
  const sparse = call.attribute('sparse_value');
  if (sparse?.kind === 'sparseTensor') return hostValue(readSparseTensor(sparse.value));
  const whole = call.attribute('value_int');
  if (whole?.kind === 'int') return build.scalar('i64', whole.value);
  if (call.hasAttribute('value_float')) return build.scalar('f32', call.float('value_float'));
  const list = call.attribute('value_ints');
  if (list?.kind === 'ints') return build.constantOf('i64', [list.value.length], list.value);
  if (call.hasAttribute('value_floats')) {
    const values = call.floats('value_floats');
    return build.constantOf('f32', [values.length], values);
  }
  const texts = call.hasAttribute('value_string')
    ? [call.text('value_string')]
    : call.texts('value_strings');
  const shape = call.hasAttribute('value_string') ? [] : [texts.length];
  return hostValue({ dtype: 'string', shape, data: texts });
}

function constantOfShape(call: OperatorCall): Node {
  const tensor = call.tensorAttribute('value');
  const value =
    tensor === undefined ? build.scalar('f32', 0) : build.reshape(build.constant(tensor), []);
  return build.broadcastTo(value, call.sizes(0));
}

/** ceil((limit − start) / delta) for integers of either sign of delta. */
function countInSizes(start: Size, limit: Size, delta: Size): Size {
  const up = size.ceilDivide(size.subtract(limit, start), size.maximum(delta, 1));
  const down = size.ceilDivide(size.subtract(start, limit), size.maximum(size.negate(delta), 1));
  return size.maximum(size.choose(size.lessThan(0, delta), up, down), 0);
}

function range(call: OperatorCall): Node {
  const [start, limit, delta] = [0, 1, 2].map((i) => build.reshape(call.tensor(i), [])) as [
    Node,
    Node,
    Node,
  ];
  const { dtype } = start;
  const wide = isFloat(dtype) && dtype !== 'f64' ? 'f32' : dtype;
  const [from, step] = [build.cast(start, wide), build.cast(delta, wide)];
  let count: Size;
  if (isInteger(dtype)) {
    const sizes = [start, limit, delta].map((each) => elementSizes(each, anyInteger)?.[0]);
    const [a, b, c] = sizes as [Size, Size, Size];
    count = namedIfData(countInSizes(a, b, c), 0);
  } else {
    const span = build.subtract(build.cast(limit, 'f64'), build.cast(start, 'f64'));
    const steps = build.ceil(build.divide(span, build.cast(delta, 'f64')));
    const whole = build.cast(build.maximum(steps, 0), 'i64');
    count = build.elementSize(foldConstant(whole), 0);
  }
  const index = build.iota({ dtype: wide, shape: [count] }, 0);
  return build.cast(build.add(from, build.multiply(index, step)), dtype);
}

/** Row and column numbers of the last two axes, as [rows, 1] and [1, columns]. */
function positions(x: Node): readonly [Node, Node] {
  const [rows, columns] = x.shape.slice(-2) as [Size, Size];
  return [
    build.iota({ dtype: 'i64', shape: [rows, 1] }, 0),
    build.iota({ dtype: 'i64', shape: [1, columns] }, 1),
  ];
}

function trilu(call: OperatorCall): Node {
  const x = call.tensor(0);
  if (x.shape.length < 2) throw call.refuse('the input has no two axes');
  const [row, column] = positions(x);
  const k = call.has(1) ? build.reshape(build.cast(call.tensor(1), 'i64'), []) : 0;
  const diagonal = build.add(row, k);
  const upper = call.int('upper', 1) !== 0;
  const keep = upper ? build.lessEqual(diagonal, column) : build.lessEqual(column, diagonal);
  return build.select(keep, x, 0);
}

function eyeLike(call: OperatorCall): Node {
  const x = call.tensor(0);
  if (x.shape.length !== 2) throw call.refuse('the input is not a matrix');
  const [row, column] = positions(x);
  const diagonal = build.add(row, BigInt(call.int('k', 0)));
  return build.cast(build.equal(column, diagonal), call.dtypeAttribute('dtype', x.dtype));
}

function oneHot(call: OperatorCall): Node {
  const indices = build.cast(call.tensor(0), 'i64');
  const values = call.tensor(2);
  const depthNode = foldConstant(build.reshape(build.cast(call.tensor(1), 'i64'), []));
  const depth = (elementSizes(depthNode, 0) as readonly Size[])[0] as Size;
  const rank = indices.shape.length + 1;
  const axis = call.axis(call.int('axis', -1), rank);
  const count = build.size(depth);
  const wrapped = build.select(build.less(indices, 0n), build.add(indices, count), indices);
  const lane = build.iota(
    {
      dtype: 'i64',
      shape: Array.from({ length: rank }, (_, i): Size => (i === axis ? depth : 1)),
    },
    axis,
  );
  const hit = build.equal(build.unsqueeze(wrapped, [axis]), lane);
  const pick = (at: number): Node => build.reshape(build.sliceAxis(values, 0, at, 1), []);
  return build.select(hit, pick(1), pick(0));
}

export const constantOperators: OperatorTable = {
  Constant: { versions: [1, 9, 11, 12, 13, 19, 21, 23, 24, 25], import: constant },
  ConstantOfShape: { versions: [9, 20, 21, 23, 24, 25], import: constantOfShape },
  Range: { versions: [11, 27], import: range },
  Trilu: { versions: [14], import: trilu },
  EyeLike: { versions: [9, 22], import: eyeLike },
  OneHot: { versions: [9, 11], import: oneHot },
  Where: {
    versions: [9, 16],
    import: (call) => build.select(call.tensor(0), call.tensor(1), call.tensor(2)),
  },
};
