/** Operations with random operands and attributes; those that turn out not to fit are dropped. */
import { type DType, isInteger } from '../base/dtype.js';
import {
  binary,
  broadcastTo,
  cast,
  concat,
  flip,
  pad,
  permute,
  range,
  reduce,
  reshape,
  select,
  slice,
  unary,
} from './build.js';
import type { BinaryName, UnaryName } from './node.js';

import {
  atLeast,
  axisOf,
  both,
  float,
  kinds,
  type Maker,
  numeric,
  partner,
  sizesOf,
} from './random-graph-operands.js';
import {
  chosenRows,
  composites,
  contractions,
  domains,
  gathers,
  prefixes,
  randoms,
  regions,
  scatters,
  sorts,
  updates,
  whileLoops,
  windows,
} from './random-graph-regions.js';

const floatUnaries: readonly UnaryName[] = [
  'negate',
  'absolute',
  'squareRoot',
  'exp',
  'log',
  'sin',
  'cos',
  'tanh',
  'atan',
  'sinh',
  'cosh',
  'asinh',
  'erf',
  'isNaN',
];
const integerUnaries: readonly UnaryName[] = ['negate', 'absolute', 'sign', 'not'];
const boundary: readonly UnaryName[] = ['floor', 'ceil', 'round', 'truncate', 'sign'];
const arithmetic: readonly BinaryName[] = [
  'add',
  'subtract',
  'multiply',
  'divide',
  'minimum',
  'maximum',
];
const integerBinaries: readonly BinaryName[] = [
  'and',
  'or',
  'xor',
  'shiftLeft',
  'shiftRight',
  'add',
  'multiply',
];
const comparisons: readonly BinaryName[] = ['equal', 'less', 'lessEqual'];

const elementwise: Maker = (shop) => {
  const { chance } = shop;
  const x = shop.value(numeric);
  if (!float(x)) return unary(chance.pick(integerUnaries), x);
  // Steps are for inputs only: rounding turns them elsewhere.
  const names = x.op === 'input' ? [...floatUnaries, ...boundary] : floatUnaries;
  return unary(chance.pick(names), x);
};

const pairwise: Maker = (shop) => {
  const { chance } = shop;
  const x = shop.value((node) => node.dtype !== 'string');
  if (x.dtype === 'bool') {
    return binary(chance.pick(['and', 'or', 'xor', 'equal']), x, partner(shop, x));
  }
  if (!float(x) && chance.below(2) === 0) {
    return binary(chance.pick(integerBinaries), x, partner(shop, x));
  }
  const op = chance.pick(arithmetic);
  return binary(op, x, op === 'divide' ? partner(shop, x, [1, 4]) : partner(shop, x));
};

const power: Maker = (shop) => {
  const x = shop.fresh(shop.chance.pick(['f32', 'f64', 'i32']), shop.shape(), [1, 3]);
  const exponent = shop.fresh(x.dtype, sizesOf(x), [0, 3]);
  return binary('power', x, exponent);
};

const remainderOf: Maker = (shop) => {
  const x = shop.value((node) => isInteger(node.dtype));
  return isInteger(x.dtype) ? binary('remainder', x, partner(shop, x, [1, 7])) : undefined;
};

const compare: Maker = (shop) => {
  const x = shop.value(numeric);
  const condition = binary(shop.chance.pick(comparisons), x, partner(shop, x));
  if (shop.chance.below(2) === 0) return condition;
  const y = shop.value(numeric);
  return select(condition, y, partner(shop, y));
};

const casts: Maker = (shop) => {
  const x = shop.value();
  const allowed = shop.dtypes.filter((dtype) => dtype !== x.dtype);
  const dtype: DType = shop.chance.pick(allowed);
  return cast(x, dtype, { saturate: shop.chance.below(2) === 0 });
};

const reshapes: Maker = (shop) => {
  const x = shop.value();
  const sizes = sizesOf(x);
  const at = shop.chance.below(sizes.length + 1);
  const extent = sizes[at] ?? 1;
  const half = [5, 4, 3, 2].find((d) => extent > d && extent % d === 0);
  if (half !== undefined) return reshape(x, sizes.toSpliced(at, 1, half, extent / half));
  if (at + 1 < sizes.length) return reshape(x, sizes.toSpliced(at, 2, extent * sizes[at + 1]!));
  return reshape(x, sizes.toSpliced(at, 0, 1));
};

const permutes: Maker = (shop) => {
  const x = shop.value(atLeast(2));
  const left = [...range(x.shape.length)];
  const axes = x.shape.map(() => left.splice(shop.chance.below(left.length), 1)[0]!);
  return permute(x, axes);
};

const expands: Maker = (shop) => {
  const x = shop.value((node) => node.shape.length < 4);
  const shape = sizesOf(x).map((extent) => (extent === 1 ? shop.chance.pick([1, 3, 16]) : extent));
  return broadcastTo(x, shop.chance.below(2) === 0 ? shape : [shop.chance.pick([2, 5]), ...shape]);
};

const slices: Maker = (shop) => {
  const x = shop.value(atLeast(1));
  const steps = x.shape.map(() => shop.chance.pick([1, 1, 2, 3]));
  const starts = sizesOf(x).map((extent) => shop.chance.below(Math.min(extent, 3) + 1));
  const sizes = sizesOf(x).map((extent, axis) => {
    const most = Math.max(Math.ceil((extent - starts[axis]!) / steps[axis]!), 0);
    return Math.max(most - shop.chance.below(2), 0);
  });
  return slice(x, { starts, sizes, steps });
};

const pads: Maker = (shop) => {
  const x = shop.value(numeric);
  const amounts = () => x.shape.map(() => shop.chance.below(3));
  return pad(x, { before: amounts(), after: amounts(), value: shop.chance.below(3) });
};

const flips: Maker = (shop) => {
  const x = shop.value(atLeast(1));
  return flip(x, [axisOf(shop, x)]);
};

const concats: Maker = (shop) => {
  const x = shop.value(atLeast(1));
  const axis = axisOf(shop, x);
  const other = shop.fresh(x.dtype, sizesOf(x).with(axis, shop.extent()));
  return concat(shop.chance.below(2) === 0 ? [x, other] : [other, x, other], axis);
};

const reductions: Maker = (shop) => {
  const x = shop.value(both(numeric, atLeast(1)));
  const axes = range(x.shape.length).filter(() => shop.chance.below(2) === 0);
  const chosen = axes.length > 0 ? axes : [x.shape.length - 1];
  // An empty minimum is infinite: exact, but nothing to go on with.
  const empty = chosen.some((axis) => x.shape[axis] === 0);
  const kind = empty ? shop.chance.pick(['sum', 'product'] as const) : shop.chance.pick(kinds);
  return reduce(kind, x, chosen, { keep: shop.chance.below(2) === 0 });
};

/** A reduction whose result meets what was reduced, as in a normalisation. */
const normalisations: Maker = (shop) => {
  const x = shop.value(both(float, atLeast(1)));
  const extreme = reduce('maximum', x, [-1], { keep: true });
  return x.shape.at(-1) === 0 ? undefined : binary('subtract', x, extreme);
};

/** Chosen with equal chance; an entry may stand more than once. */
export const makers: readonly Maker[] = [
  elementwise,
  elementwise,
  elementwise,
  pairwise,
  pairwise,
  pairwise,
  pairwise,
  power,
  remainderOf,
  compare,
  casts,
  casts,
  reshapes,
  permutes,
  permutes,
  expands,
  slices,
  pads,
  flips,
  concats,
  reductions,
  reductions,
  reductions,
  normalisations,
  contractions,
  contractions,
  windows,
  gathers,
  scatters,
  prefixes,
  sorts,
  updates,
  randoms,
  composites,
  composites,
  regions,
  domains,
  chosenRows,
  whileLoops,
];
