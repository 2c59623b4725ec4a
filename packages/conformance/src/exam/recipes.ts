/** A small graph for every primitive and dtype, with inputs inside the operation's domain. */
import {
  add,
  type BinaryName,
  binary,
  bitcast,
  cast,
  compact,
  composite,
  concat,
  constant,
  contract,
  cumulate,
  type DType,
  dtypeFacts,
  elementCount,
  expand,
  flip,
  gather,
  type HostTensor,
  hostTensor,
  ifThen,
  input,
  integerRange,
  iota,
  isFloat,
  isInteger,
  isUnsigned,
  less,
  loop,
  type Node,
  type OpName,
  pad,
  permute,
  randomBits,
  reduce,
  reshape,
  scatter,
  select,
  size,
  slice,
  sort,
  type UnaryName,
  unary,
  unpack,
  update,
  whileLoop,
  window,
} from '@open-claw/core/internal';

/** Makes inputs for a recipe and remembers their values. */
export interface Bench {
  readonly dtype: DType;
  /** Values in [low, high], within the range of the dtype. */
  give(shape: readonly number[], low?: number, high?: number, dtype?: DType): Node;
  /** Exactly these values. */
  exact(dtype: DType, shape: readonly number[], values: readonly number[]): Node;
}

export type Recipe = (bench: Bench) => readonly Node[];

export interface MadeInputs {
  readonly bench: Bench;
  readonly nodes: Node[];
  readonly tensors: HostTensor[];
}

/** Reproducible values: a linear congruential generator (Numerical Recipes' constants). */
export function benchFor(dtype: DType, seed: number): MadeInputs {
  let state = (seed * 2654435761 + 12345) >>> 0;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const nodes: Node[] = [];
  const tensors: HostTensor[] = [];
  const take = (tensor: HostTensor): Node => {
    const node = input(`x${nodes.length}`, { dtype: tensor.dtype, shape: tensor.shape });
    nodes.push(node);
    tensors.push(tensor);
    return node;
  };
  const bench: Bench = {
    dtype,
    give: (shape, low = -2, high = 2, own = dtype) =>
      take(hostTensor(own, shape, randomValues(own, elementCount(shape), low, high, next))),
    exact: (own, shape, values) =>
      take(hostTensor(own, shape, own === 'i64' || own === 'u64' ? values.map(BigInt) : values)),
  };
  return { bench, nodes, tensors };
}

function randomValues(
  dtype: DType,
  count: number,
  low: number,
  high: number,
  next: () => number,
): readonly (number | bigint)[] {
  if (isFloat(dtype)) return Array.from({ length: count }, () => low + next() * (high - low));
  if (!isInteger(dtype)) return Array.from({ length: count }, () => Math.floor(next() * 2));
  const [least, most] = integerRange(dtype).map(Number) as [number, number];
  const from = Math.max(isUnsigned(dtype) ? Math.max(low, 0) : low, least);
  const to = Math.max(Math.min(high, most), from);
  return Array.from({ length: count }, () => {
    const value = Math.floor(from + next() * (to - from + 1));
    return dtype === 'i64' || dtype === 'u64' ? BigInt(value) : value;
  });
}

/** Not a multiple of any vector width, and more than one vector of most. */
const shape = [3, 21] as const;

const one =
  (name: UnaryName, low = -2, high = 2): Recipe =>
  (bench) => [unary(name, bench.give(shape, low, high))];

const two =
  (name: BinaryName, a: readonly [number, number] = [-9, 9], b = a): Recipe =>
  (bench) => [
    binary(name, bench.give(shape, ...a), bench.give(shape, ...b)),
    binary(name, bench.give([3, 1], ...a), bench.give([1, 21], ...b)),
  ];

const shifts =
  (name: BinaryName): Recipe =>
  (bench) => {
    const most = Math.min(dtypeFacts[bench.dtype].bits - 1, 6);
    return [binary(name, bench.give(shape, -9, 9), bench.give(shape, 0, most))];
  };

/** Sums of integers stay small; products of floats stay near 1. */
const kinds = ['sum', 'product', 'minimum', 'maximum'] as const;

const counted = (bench: Bench, shapes: readonly number[]): Node => bench.give(shapes, -1, 2);

const cumulated: Recipe = (bench) =>
  kinds.map((kind, i) =>
    cumulate(kind, counted(bench, [4, 9]), i % 2, { exclusive: i === 0, reverse: i === 3 }),
  );

const otherTypes: readonly DType[] = ['f32', 'i32', 'u8', 'bool', 'f16', 'i64'];

export const recipes = {
  input: (bench) => [bench.give(shape)],
  constant: (bench) => {
    const { dtype } = bench;
    const wide = dtype === 'i64' || dtype === 'u64';
    const values = Array.from({ length: 21 }, (_, i) => (wide ? BigInt(i % 2) : i % 2));
    const table = constant(hostTensor(dtype, [21], values));
    return [select(bench.give(shape, 0, 1, 'bool'), bench.give(shape), table)];
  },
  iota: ({ dtype }) => [iota({ dtype, shape: [3, 3] }, 1)],
  size: (bench) => (bench.dtype === 'i64' ? [add(bench.give(shape), size(7))] : []),
  randomBits: (bench) =>
    bench.dtype === 'u32' ? [randomBits(bench.give([2], 0, 1000), [5, 7])] : [],
  reshape: (bench) => [permute(reshape(bench.give(shape), [7, 9]), [1, 0])],
  permute: (bench) => [permute(bench.give([2, 3, 19]), [2, 0, 1])],
  expand: (bench) => [expand(bench.give([3, 1]), [3, 21])],
  slice: (bench) => [slice(bench.give([5, 40]), { starts: [1, 2], sizes: [2, 12], steps: [2, 3] })],
  pad: (bench) => [pad(bench.give(shape), { before: [1, 2], after: [0, 3], value: 1 })],
  flip: (bench) => [flip(bench.give(shape), [0, 1])],
  concat: (bench) => [concat([bench.give(shape), bench.give([3, 4]), bench.give([3, 1])], 1)],
  select: (bench) => [
    select(bench.give(shape, 0, 1, 'bool'), bench.give(shape), bench.give([1, 21])),
  ],
  cast: (bench) => otherTypes.map((to) => cast(bench.give(shape, 0, 3), to)),
  bitcast: (bench) => {
    const same: Partial<Record<DType, DType>> = { f32: 'i32', i32: 'f32', f64: 'u64', i8: 'u8' };
    const to = same[bench.dtype];
    return to === undefined ? [] : [bitcast(bench.give(shape, 1, 2), to)];
  },
  unpack: (bench) => {
    const narrow: readonly DType[] = ['i4', 'u4', 'i2', 'u2', 'f4e2m1'];
    if (!narrow.includes(bench.dtype)) return [];
    return [unpack(bench.give([3, 5], 0, 255, 'u8'), bench.dtype)];
  },
  reduce: (bench) =>
    kinds.map((kind, i) => reduce(kind, counted(bench, [5, 33]), [(i + 1) % 2], { keep: i > 1 })),
  contract: (bench) => [
    contract(bench.give([2, 5, 19], -1, 1), bench.give([2, 19, 21], -1, 1), {
      batch: [[0, 0]],
      contracted: [[2, 1]],
    }),
  ],
  window: (bench) => {
    const x = bench.give([1, 4, 7, 9], -1, 1);
    const rest = { strides: [1, 2], padding: [[1, 1] as const, [0, 1] as const] };
    return [
      window('convolve', x, bench.give([6, 2, 3, 3], -1, 1), { ...rest, groups: 2 }),
      window('maximum', x, undefined, { kernel: [2, 3], strides: [2, 1] }),
    ];
  },
  gather: (bench) => [
    gather(bench.give([7, 5]), bench.exact('i64', [2, 3], [0, 6, 3, 1, 1, 5]), 0),
    gather(bench.give([5, 7]), bench.exact('i64', [4], [6, 0, 2, 2]), 1),
  ],
  scatter: (bench) => {
    const indices = bench.exact('i64', [4], [6, 0, 2, 2]);
    return (['replace', ...kinds] as const).map((kind) =>
      scatter(kind, counted(bench, [7, 5]), indices, counted(bench, [4, 5])),
    );
  },
  cumulate: cumulated,
  sort: (bench) => {
    const parts = sort(bench.give([4, 13]), [bench.give([4, 13], -9, 9, 'i32')], {
      axis: 1,
      descending: true,
    });
    return [...parts];
  },
  compact: (bench) => [...compact(bench.give([21], 0, 1, 'bool'), bench.give([21, 3]))],
  update: (bench) => [
    update(bench.give([6, 9]), bench.give([2, 4]), bench.exact('i64', [2], [3, 4])),
  ],
  part: (bench) => sort(bench.give([4, 13]), [], { axis: 0, descending: false }),
  if: (bench) => {
    const x = bench.give(shape);
    return [0, 1].flatMap((value) =>
      ifThen(
        bench.exact('bool', [], [value]),
        [x],
        ([y]) => [flip(y as Node, [1])],
        ([y]) => [y as Node],
      ),
    );
  },
  loop: (bench) =>
    loop({
      trip: 3,
      carried: [bench.give(shape)],
      body: ([x]) => ({ carried: [flip(x as Node, [1])], stacked: [x as Node] }),
    }),
  while: (bench) =>
    whileLoop({
      condition: bench.exact('bool', [], [1]),
      carried: [bench.exact('i32', [], [0]), bench.give(shape)],
      limit: 9,
      body: ([count, x]) => ({
        condition: less(count as Node, 3),
        carried: [add(count as Node, 1), flip(x as Node, [0])],
      }),
    }),
  composite: (bench) => composite('exam', {}, [bench.give(shape)], ([x]) => [flip(x as Node, [1])]),
  negate: one('negate'),
  absolute: one('absolute'),
  sign: one('sign'),
  floor: one('floor'),
  ceil: one('ceil'),
  round: one('round'),
  truncate: one('truncate'),
  squareRoot: one('squareRoot', 0.25, 9),
  exp: one('exp'),
  log: one('log', 0.25, 9),
  sin: one('sin', -9, 9),
  cos: one('cos', -9, 9),
  tan: one('tan', -1, 1),
  asin: one('asin', -0.9, 0.9),
  acos: one('acos', -0.9, 0.9),
  atan: one('atan'),
  sinh: one('sinh'),
  cosh: one('cosh'),
  tanh: one('tanh'),
  asinh: one('asinh'),
  acosh: one('acosh', 1.5, 4),
  atanh: one('atanh', -0.9, 0.9),
  erf: one('erf'),
  not: one('not'),
  isNaN: one('isNaN'),
  add: two('add'),
  subtract: two('subtract'),
  multiply: two('multiply'),
  divide: two('divide', [-9, 9], [1, 4]),
  remainder: two('remainder', [-9, 9], [1, 4]),
  power: two('power', [1, 3], [0, 3]),
  minimum: two('minimum'),
  maximum: two('maximum'),
  and: two('and'),
  or: two('or'),
  xor: two('xor'),
  shiftLeft: shifts('shiftLeft'),
  shiftRight: shifts('shiftRight'),
  equal: two('equal', [0, 2]),
  less: two('less', [0, 2]),
  lessEqual: two('lessEqual', [0, 2]),
} satisfies Readonly<Record<OpName, Recipe>>;
