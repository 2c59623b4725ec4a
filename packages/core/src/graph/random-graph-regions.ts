/** Random operations that combine or address elements, and random regions. */
import { isFloat } from '../base/dtype.js';
import {
  add,
  binary,
  bitcast,
  broadcastTo,
  compact,
  contract,
  cumulate,
  gather,
  ifThen,
  iota,
  loop,
  make,
  multiply,
  randomBits,
  scalar,
  scatter,
  sort,
  unary,
  unpack,
  update,
  whileLoop,
  window,
} from './build.js';
import { gelu, layerNormalization, silu, softmax } from './composites.js';
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

export const contractions: Maker = (shop) => {
  const { chance } = shop;
  const a = shop.value(both(numeric, atLeast(1)));
  const axis = axisOf(shop, a);
  const batched = a.shape.length > 1 && chance.below(3) === 0;
  const batchAxis = (axis + 1) % a.shape.length;
  const shape = [a.shape[axis] as number, chance.pick([1, 3, 8, 17, 33])];
  const places = chance.below(2) === 0 ? [0, 1] : [1, 0];
  const inner = places.map((i) => shape[i]!);
  if (!batched) {
    return contract(a, shop.fresh(a.dtype, inner), { contracted: [[axis, places.indexOf(0)]] });
  }
  const b = shop.fresh(a.dtype, [a.shape[batchAxis] as number, ...inner]);
  return contract(a, b, {
    batch: [[batchAxis, 0]],
    contracted: [[axis, 1 + places.indexOf(0)]],
  });
};

export const windows: Maker = (shop) => {
  const { chance } = shop;
  const rank = chance.pick([1, 2, 2]);
  const dtype = chance.pick(shop.dtypes.filter((d) => d !== 'bool'));
  const groups = chance.pick([1, 1, 2]);
  const channels = groups * chance.pick([1, 2, 3]);
  const list = <T>(make: () => T): T[] => Array.from({ length: rank }, make);
  const x = shop.fresh(dtype, [
    chance.pick([1, 2]),
    channels,
    ...list(() => chance.pick([5, 7, 8, 9, 16])),
  ]);
  const kernel = list(() => chance.pick([1, 2, 3]));
  const options = {
    strides: list(() => chance.pick([1, 1, 2])),
    padding: list(() => [chance.below(2), chance.below(2)] as const),
    kernelDilation: list(() => chance.pick([1, 1, 2])),
    inputDilation: list(() => chance.pick([1, 1, 1, 2])),
  };
  if (chance.below(3) === 0) {
    const kind = chance.pick(['sum', 'maximum', 'minimum'] as const);
    const whole = { ...options, padding: undefined, inputDilation: undefined };
    const { padding: _, inputDilation: __, ...plain } = whole;
    return window(kind, x, undefined, { kernel, ...(kind === 'sum' ? options : plain) });
  }
  const w = shop.fresh(dtype, [groups * chance.pick([1, 3, 8]), channels / groups, ...kernel]);
  return window('convolve', x, w, { groups, ...options });
};

export const gathers: Maker = (shop) => {
  const x = shop.value(atLeast(1));
  const axis = axisOf(shop, x);
  const size = x.shape[axis] as number;
  if (size === 0) return undefined;
  const dtype = shop.chance.pick(['i32', 'i64'] as const);
  return gather(x, shop.fresh(dtype, shop.shape(shop.chance.below(3)), [0, size - 1]), axis);
};

export const scatters: Maker = (shop) => {
  const x = shop.value(both(numeric, atLeast(1)));
  const [rows, ...rest] = sizesOf(x);
  if (rows === 0) return undefined;
  const count = shop.chance.pick([1, 3, 8]);
  const indices = shop.fresh('i64', [count], [0, rows! - 1]);
  const kind = shop.chance.pick(['sum', 'minimum', 'maximum', 'replace'] as const);
  return scatter(kind, x, indices, shop.fresh(x.dtype, [count, ...rest]));
};

export const prefixes: Maker = (shop) => {
  const x = shop.value(both(numeric, atLeast(1)));
  const exclusive = shop.chance.below(2) === 0;
  const kind = shop.chance.pick(exclusive ? (['sum', 'product'] as const) : kinds);
  return cumulate(kind, x, axisOf(shop, x), { exclusive, reverse: shop.chance.below(2) === 0 });
};

export const sorts: Maker = (shop) => {
  const dtype = shop.chance.pick(shop.dtypes.filter((d) => d !== 'bool'));
  const keys = shop.fresh(dtype, shop.shape(1 + shop.chance.below(2)));
  const axis = axisOf(shop, keys);
  const place = iota({ dtype: 'i64', shape: keys.shape }, axis);
  return sort(keys, [place], { axis, descending: shop.chance.below(2) === 0 });
};

export const updates: Maker = (shop) => {
  const x = shop.value(atLeast(1));
  const shape = sizesOf(x).map((extent) => shop.chance.below(extent + 1));
  const offsets = shop.fresh('i64', [shape.length], [-1, 9]);
  return update(x, shop.fresh(x.dtype, shape), offsets);
};

export const randoms: Maker = (shop) =>
  randomBits(shop.fresh('u32', [2], [0, 2 ** 31]), shop.shape(1 + shop.chance.below(2)));

/** Functions that are defined on a part of the numbers only, and bits of packed bytes. */
export const domains: Maker = (shop) => {
  const { chance } = shop;
  const dtype = chance.pick(shop.dtypes.filter(isFloat));
  switch (chance.below(4)) {
    case 0: {
      const x = shop.fresh(dtype, shop.shape(), [-0.9, 0.9]);
      return unary(chance.pick(['asin', 'acos', 'atanh', 'tan']), x);
    }
    case 1:
      return unary('acosh', shop.fresh(dtype, shop.shape(), [1.2, 9]));
    case 2:
      return bitcast(shop.fresh('f32', shop.shape()), 'i32');
    default: {
      const packed = shop.fresh('u8', shop.shape(1 + chance.below(2)), [0, 255]);
      return unpack(packed, chance.pick(['i4', 'u4', 'i2', 'u2']));
    }
  }
};

export const chosenRows: Maker = (shop) => {
  const x = shop.value(atLeast(1));
  return compact(shop.fresh('bool', [x.shape[0] as number]), x);
};

export const whileLoops: Maker = (shop) => {
  const x = shop.value(numeric);
  const count = shop.fresh('i32', [], [0, 4]);
  return whileLoop({
    condition: binary('less', count, scalar('i32', 3)),
    limit: 5,
    carried: [count, x],
    body: ([i, state]) => {
      const next = add(i!, 1);
      return { condition: binary('less', next, 3), carried: [next, add(state!, 1)] };
    },
  });
};

export const composites: Maker = (shop) => {
  const x = shop.value(both(float, atLeast(1)));
  if (x.shape.includes(0)) return undefined;
  switch (shop.chance.below(4)) {
    case 0:
      return softmax(x, axisOf(shop, x));
    case 1:
      return gelu(x);
    case 2:
      return silu(x);
    default:
      return layerNormalization(x, {});
  }
};

export const regions: Maker = (shop) => {
  const x = shop.value(numeric);
  const y = partner(shop, x, [1, 2]);
  if (shop.chance.below(2) === 0) {
    const condition = shop.fresh('bool', []);
    const captures = [x, broadcastTo(y, x.shape)];
    return ifThen(
      condition,
      captures,
      ([a, b]) => [add(a!, b!)],
      ([a, b]) => [make('minimum', [a!, b!], {})],
    );
  }
  return loop({
    trip: shop.chance.below(4),
    carried: [x],
    invariants: [broadcastTo(y, x.shape)],
    body: ([state], [step]) => {
      const next = add(state!, step!);
      return { carried: [next], stacked: [multiply(next, step!)] };
    },
  });
};
