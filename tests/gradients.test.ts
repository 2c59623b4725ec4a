/**
 * Every differentiable primitive against finite differences, driven from the op table: one that
 * has no sample here fails the test.
 */
import {
  type Attributes,
  add,
  attention,
  cast,
  compact,
  composite,
  concat,
  constantOf,
  contract,
  crossEntropy,
  cumulate,
  expand,
  flip,
  floor,
  gather,
  gelu,
  gradient,
  graphOf,
  type HostTensor,
  hostTensor,
  ifThen,
  input,
  interpret,
  layerNormalization,
  logSoftmax,
  loop,
  lstm,
  make,
  maximum,
  minimum,
  mish,
  multiply,
  type Node,
  negate,
  type OpName,
  opNames,
  pad,
  permute,
  power,
  randomBits,
  reduce,
  reshape,
  rmsNormalization,
  ruleOf,
  scalar,
  scatter,
  select,
  sigmoid,
  silu,
  sin,
  size,
  sizeSymbol,
  slice,
  softmax,
  softplus,
  sort,
  sum,
  topK,
  transpose,
  update,
  valuesOf,
  whileLoop,
  window,
} from '@open-claw/core/internal';
import { describe, expect, test } from 'vitest';

interface Sample {
  readonly name?: string;
  readonly shapes: readonly (readonly number[])[];
  /** Range of the input values; −2 … 2 unless given. */
  readonly range?: readonly [number, number];
  /** Values instead of random ones. */
  readonly values?: readonly (readonly number[])[];
  readonly build: (inputs: readonly Node[]) => Node;
  /** Whether second derivatives are checked too; true unless said. */
  readonly second?: boolean;
  readonly symbolic?: boolean;
}

/** A reproducible number in [0, 1). */
function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const i64 = (values: number[], shape = [values.length]): Node =>
  constantOf('i64', shape, values.map(BigInt));
const bools = (values: number[], shape = [values.length]): Node =>
  constantOf('bool', shape, values);

const elementwise = (op: OpName, range?: readonly [number, number]): Sample => ({
  shapes: [[5]],
  ...(range && { range }),
  build: (xs) => make(op, xs, {} as Attributes[OpName]),
});
const binary = (op: OpName, range?: readonly [number, number]): Sample => ({
  ...elementwise(op, range),
  shapes: [[5], [5]],
});

type WindowOptions = NonNullable<Parameters<typeof window>[3]>;
const convolution = (
  name: string,
  x: readonly number[],
  w: readonly number[],
  options: WindowOptions,
): Sample => ({
  name,
  shapes: [x, w],
  build: ([a, b]) => window('convolve', a!, b!, options),
});
const pooling = (kind: Attributes['window']['kind'], options: WindowOptions): Sample => ({
  name: `${kind} pooling`,
  shapes: [[1, 2, 5, 4]],
  build: ([x]) => window(kind, x!, undefined, options),
});
const poolOptions: WindowOptions = {
  kernel: [2, 3],
  strides: [2, 1],
  padding: [
    [1, 0],
    [1, 1],
  ],
  kernelDilation: [2, 1],
};

const cumulates = (kind: Attributes['cumulate']['kind']): Sample[] =>
  [false, true].flatMap((exclusive) =>
    [false, true].map((reverse) => ({
      name: `${kind} ${exclusive ? 'exclusive ' : ''}${reverse ? 'reverse' : ''}`,
      shapes: [[2, 4]],
      // Bounded, because the first element of an exclusive extreme is infinite.
      build: ([x]: readonly Node[]) =>
        minimum(maximum(cumulate(kind, x!, 1, { exclusive, reverse }), -99), 99),
    })),
  );

const scatters = (kind: Attributes['scatter']['kind']): Sample => ({
  name: kind,
  shapes: [
    [4, 2],
    [3, 2],
  ],
  build: ([data, updates]) => scatter(kind, data!, i64([2, 0, 2]), updates!),
});

const samples: Readonly<Partial<Record<OpName, readonly Sample[]>>> = {
  negate: [elementwise('negate')],
  absolute: [elementwise('absolute')],
  squareRoot: [elementwise('squareRoot', [0.5, 3])],
  exp: [elementwise('exp')],
  log: [elementwise('log', [0.5, 3])],
  sin: [elementwise('sin')],
  cos: [elementwise('cos')],
  tan: [elementwise('tan', [-1, 1])],
  asin: [elementwise('asin', [-0.8, 0.8])],
  acos: [elementwise('acos', [-0.8, 0.8])],
  atan: [elementwise('atan')],
  sinh: [elementwise('sinh')],
  cosh: [elementwise('cosh')],
  tanh: [elementwise('tanh')],
  asinh: [elementwise('asinh')],
  acosh: [elementwise('acosh', [1.5, 3])],
  atanh: [elementwise('atanh', [-0.8, 0.8])],
  erf: [elementwise('erf')],
  add: [binary('add')],
  subtract: [binary('subtract')],
  multiply: [binary('multiply')],
  divide: [binary('divide', [0.5, 2])],
  remainder: [
    {
      ...binary('remainder'),
      values: [
        [5.3, -7.1, 2.6],
        [2, 1.5, -1.7],
      ],
      shapes: [[3], [3]],
    },
  ],
  power: [
    binary('power', [0.5, 2]),
    {
      name: 'negative base, whole exponent',
      shapes: [[3]],
      build: ([x]) => power(x!, constantOf('f64', [3], [2, 3, 0])),
    },
  ],
  minimum: [binary('minimum')],
  maximum: [binary('maximum')],
  select: [
    {
      shapes: [[3], [3]],
      build: ([a, b]) => select(bools([1, 0, 1]), multiply(a!, a!), multiply(b!, b!)),
    },
  ],
  cast: [{ shapes: [[3]], build: ([x]) => cast(cast(x!, 'f64'), 'f64') }],
  reshape: [{ shapes: [[2, 3]], build: ([x]) => reshape(x!, [3, 2]) }],
  permute: [{ shapes: [[2, 3, 2]], build: ([x]) => permute(x!, [2, 0, 1]) }],
  expand: [
    { shapes: [[2, 1, 2]], build: ([x]) => expand(x!, [2, 3, 2]) },
    {
      name: 'of unknown sizes',
      symbolic: true,
      shapes: [
        [1, 3],
        [2, 3],
      ],
      build: ([a, b]) => multiply(a!, b!),
    },
  ],
  slice: [
    { shapes: [[5, 4]], build: ([x]) => slice(x!, { starts: [1, 0], sizes: [3, 2] }) },
    {
      name: 'with steps',
      shapes: [[7, 5]],
      build: ([x]) => slice(x!, { starts: [1, 0], sizes: [3, 2], steps: [2, 3] }),
    },
    {
      name: 'with steps that end at the last element',
      shapes: [[5]],
      build: ([x]) => slice(x!, { starts: [0], sizes: [3], steps: [2] }),
    },
  ],
  pad: [{ shapes: [[2, 2]], build: ([x]) => pad(x!, { before: [1, 0], after: [0, 2] }) }],
  flip: [{ shapes: [[2, 3]], build: ([x]) => flip(x!, [1]) }],
  concat: [
    {
      shapes: [
        [2, 1],
        [2, 3],
      ],
      build: (xs) => concat(xs, 1),
    },
  ],
  update: [
    {
      shapes: [
        [4, 3],
        [2, 2],
      ],
      build: ([data, piece]) => update(data!, piece!, i64([7, 1])),
    },
  ],
  reduce: [
    { name: 'sum', shapes: [[2, 3, 2]], build: ([x]) => sum(x!, [0, 2]) },
    { name: 'product', shapes: [[2, 3, 2]], build: ([x]) => reduce('product', x!, [0, 2]) },
    {
      name: 'product of zeros',
      shapes: [[2, 3]],
      values: [[0, 2, 3, 0, 0, 5]],
      build: ([x]) => reduce('product', x!, [1]),
    },
    { name: 'minimum', shapes: [[2, 4]], build: ([x]) => reduce('minimum', x!, [1]) },
    { name: 'maximum', shapes: [[2, 4]], build: ([x]) => reduce('maximum', x!, [0]) },
  ],
  contract: [
    {
      shapes: [
        [2, 3, 4],
        [4, 2, 5],
      ],
      build: ([a, b]) => contract(a!, b!, { batch: [[0, 1]], contracted: [[2, 0]] }),
    },
    {
      name: 'two pairs in crossed order',
      shapes: [
        [2, 3, 4],
        [4, 2, 2],
      ],
      build: ([a, b]) =>
        contract(a!, b!, {
          contracted: [
            [0, 2],
            [2, 0],
          ],
        }),
    },
  ],
  window: [
    convolution('convolution', [2, 3, 5, 4], [2, 3, 3, 2], {
      padding: [
        [1, 1],
        [0, 1],
      ],
      strides: [2, 1],
    }),
    convolution('grouped, dilated convolution', [1, 4, 7], [6, 2, 2], {
      groups: 2,
      kernelDilation: [2],
      strides: [2],
      padding: [[1, 2]],
    }),
    convolution('transposed convolution', [1, 2, 3], [2, 2, 3], {
      inputDilation: [2],
      padding: [[2, 2]],
    }),
    convolution('cropping convolution', [1, 1, 6], [1, 1, 2], { padding: [[-1, -1]] }),
    pooling('sum', poolOptions),
    pooling('product', poolOptions),
    pooling('maximum', poolOptions),
    pooling('minimum', { ...poolOptions, inputDilation: [1, 2] }),
    { ...convolution('unknown sizes', [1, 1, 5], [1, 1, 2], { strides: [2] }), symbolic: true },
  ],
  gather: [
    { shapes: [[4, 3]], build: ([x]) => gather(x!, i64([3, 0, 3]), 0) },
    {
      name: 'middle axis, matrix of indices',
      shapes: [[2, 3, 2]],
      build: ([x]) => gather(x!, i64([2, 0, 1, 2], [2, 2]), 1),
    },
  ],
  scatter: [
    scatters('replace'),
    scatters('sum'),
    scatters('product'),
    scatters('minimum'),
    scatters('maximum'),
    {
      ...scatters('product'),
      name: 'product of zeros',
      values: [
        [0, 1, 2, 3, 2, 5, 6, 7],
        [0, 2, 3, 0, 5, 3],
      ],
      second: false,
    },
  ],
  cumulate: [
    ...cumulates('sum'),
    ...cumulates('product'),
    ...cumulates('minimum'),
    ...cumulates('maximum'),
    {
      name: 'product of zeros',
      shapes: [[4]],
      values: [[2, 0, 3, 0]],
      build: ([x]) => cumulate('product', x!, 0),
    },
  ],
  sort: [
    {
      shapes: [
        [2, 4],
        [2, 4],
      ],
      build: ([keys, payload]) => {
        const [sorted, taken] = sort(keys!, [payload!], { axis: 1, descending: true });
        return multiply(sorted!, taken!);
      },
    },
  ],
  compact: [
    { shapes: [[4, 2]], build: ([x]) => compact(bools([0, 1, 0, 1]), multiply(x!, x!))[0] },
  ],
  part: [{ shapes: [[3]], build: ([x]) => sort(x!, [])[0]! }],
  if: [0, 1].map((chosen) => ({
    name: chosen === 1 ? 'first branch' : 'second branch',
    shapes: [[3], [3]],
    build: ([a, b]: readonly Node[]) =>
      ifThen(
        bools([chosen], []),
        [a!, b!],
        ([x, y]) => [multiply(x!, y!)],
        ([x]) => [sin(x!)],
      )[0]!,
  })),
  loop: [
    {
      name: 'carried, invariant, stacked and the iteration number',
      shapes: [[2], [2]],
      build: ([x, w]) => {
        const [last, all] = loop({
          trip: 3,
          carried: [x!],
          invariants: [w!],
          body: ([state], [weight], i) => {
            const step = cast(add(size(i), 1), 'f64');
            const next = add(sin(multiply(state!, weight!)), multiply(step, weight!));
            return { carried: [next], stacked: [multiply(next, state!)] };
          },
        });
        return add(sum(all!, [0]), last!);
      },
    },
    {
      name: 'nested',
      shapes: [[2]],
      second: false,
      build: ([x]) =>
        loop({
          trip: 2,
          carried: [x!],
          body: ([outer], _, i) => ({
            carried: loop({
              trip: 2,
              carried: [outer!],
              body: ([inner], _none, j) => {
                const shift = cast(add(size(i), size(j)), 'f64');
                return { carried: [sin(add(inner!, shift))] };
              },
            }),
          }),
        })[0]!,
    },
  ],
  while: [
    {
      shapes: [[2]],
      range: [0.5, 1],
      build: ([x]) => {
        const [last] = whileLoop({
          condition: bools([1], []),
          limit: 10,
          carried: [x!, scalar('i64', 0)],
          body: ([state, count]) => ({
            condition: make('less', [count!, scalar('i64', 2)], {}),
            carried: [multiply(state!, sin(state!)), add(count!, 1)],
          }),
        });
        return last!;
      },
    },
  ],
  composite: [
    {
      shapes: [[3], [3]],
      build: ([a, b]) => composite('sample', {}, [a!, b!], ([x, y]) => [multiply(sin(x!), y!)])[0]!,
    },
  ],
};

/** Input tensors of a sample; the same in every run. */
function tensorsOf({ shapes, range = [-2, 2], values }: Sample): HostTensor[] {
  const next = numbers(shapes.flat().length * 7919 + shapes.length);
  return shapes.map((shape, k) => {
    const count = shape.reduce((product, extent) => product * extent, 1);
    const random = () => range[0] + next() * (range[1] - range[0]);
    return hostTensor('f64', shape, values?.[k] ?? Array.from({ length: count }, random));
  });
}

const inputsOf = ({ shapes, symbolic }: Sample): Node[] =>
  shapes.map((shape, i) =>
    input(`x${i}`, { dtype: 'f64', shape: symbolic ? shape.map(() => sizeSymbol()) : shape }),
  );

/** Weights in the place of a seed, a function of the position only. */
function weightsFor(output: Node): Node {
  let place: Node = scalar('f64', 1);
  output.shape.forEach((_, axis) => {
    const index = make('iota', [], { axis, type: { dtype: 'f64', shape: output.shape } });
    place = add(multiply(place, 1.7), index);
  });
  return expand(place.shape.length === output.shape.length ? sin(place) : place, output.shape);
}

/** Compares derivatives of Σ weight·output with central differences. */
function check(inputs: readonly Node[], output: Node, tensors: readonly HostTensor[]): void {
  const weights = weightsFor(output);
  const loss = graphOf(inputs, [sum(multiply(output, weights))]);
  const derivatives = gradient([output], inputs, [weights]);
  derivatives.forEach((derivative, k) => {
    expect(derivative.dtype).toBe('f64');
    expect(derivative.shape.length).toBe(inputs[k]!.shape.length);
  });
  const found = interpret(graphOf(inputs, derivatives), tensors);
  const valueAt = (changed: readonly HostTensor[]): number =>
    valuesOf(interpret(loss, changed)[0]!)[0] as number;
  tensors.forEach((tensor, k) => {
    expect(found[k]!.shape).toEqual(tensor.shape);
    const values = valuesOf(tensor) as number[];
    const numeric = values.map((value, i) => {
      const step = 1e-5 * Math.max(Math.abs(value), 1);
      const moved = (by: number): HostTensor[] =>
        tensors.with(k, hostTensor('f64', tensor.shape, values.with(i, value + by)));
      return (valueAt(moved(step)) - valueAt(moved(-step))) / (2 * step);
    });
    (valuesOf(found[k]!) as number[]).forEach((value, i) => {
      const bound = 1e-6 * Math.max(Math.abs(numeric[i]!), 1);
      expect(Math.abs(value - numeric[i]!), `input ${k}, element ${i}`).toBeLessThan(bound);
    });
  });
}

describe.each(opNames.filter((op) => ruleOf(op).differentiable))('derivative of %s', (op) => {
  const list = samples[op] ?? [];
  test('has a sample', () => {
    expect(list.length, `add a sample for ${op} to tests/gradients.test.ts`).toBeGreaterThan(0);
  });
  for (const sample of list) {
    test(sample.name ?? 'first', () => {
      const inputs = inputsOf(sample);
      check(inputs, sample.build(inputs), tensorsOf(sample));
    });
    if (sample.second === false) continue;
    test(`${sample.name ?? ''} second`, () => {
      const inputs = inputsOf(sample);
      const output = sample.build(inputs);
      const [first] = gradient([output], inputs, [weightsFor(output)]);
      check(inputs, first!, tensorsOf(sample));
    });
  }
});

const composites: Readonly<Record<string, Sample>> = {
  sigmoid: { shapes: [[4]], build: ([x]) => sigmoid(x!) },
  softplus: { shapes: [[4]], build: ([x]) => softplus(x!) },
  gelu: { shapes: [[4]], build: ([x]) => gelu(x!) },
  'gelu by tanh': { shapes: [[4]], build: ([x]) => gelu(x!, 'tanh') },
  silu: { shapes: [[4]], build: ([x]) => silu(x!) },
  mish: { shapes: [[4]], build: ([x]) => mish(x!) },
  softmax: { shapes: [[2, 3]], build: ([x]) => softmax(x!, 1) },
  logSoftmax: { shapes: [[2, 3]], build: ([x]) => logSoftmax(x!, 0) },
  layerNormalization: {
    shapes: [[2, 3], [3], [3]],
    build: ([x, scale, bias]) => layerNormalization(x!, { scale: scale!, bias: bias! }),
  },
  rmsNormalization: {
    shapes: [[2, 3], [3]],
    build: ([x, scale]) => rmsNormalization(x!, { scale: scale! }),
  },
  'cross entropy': {
    shapes: [[2, 3]],
    build: ([x]) => crossEntropy(x!, i64([2, 0]))[0],
  },
  attention: {
    shapes: [
      [1, 1, 2, 3],
      [1, 1, 3, 3],
      [1, 1, 3, 2],
    ],
    second: false,
    build: ([q, k, v]) => attention(q!, k!, v!, { causal: true }),
  },
  lstm: {
    shapes: [
      [3, 1, 2],
      [8, 2],
      [8, 2],
    ],
    second: false,
    build: ([x, weights, recurrence]) =>
      lstm({ x: x!, weights: weights!, recurrence: recurrence! })[0],
  },
  topK: { shapes: [[2, 4]], build: ([x]) => topK(x!, 2)[0] },
};

describe.each(Object.entries(composites))('derivative of %s', (_, sample) => {
  test('first', () => {
    const inputs = inputsOf(sample);
    check(inputs, sample.build(inputs), tensorsOf(sample));
  });
  test.skipIf(sample.second === false)('second', () => {
    const inputs = inputsOf(sample);
    const output = sample.build(inputs);
    const [first] = gradient([output], inputs, [weightsFor(output)]);
    check(inputs, first!, tensorsOf(sample));
  });
});

test('what is constant between steps has the derivative zero', () => {
  const x = input('x', { dtype: 'f64', shape: [2] });
  const [zero] = gradient([sum(multiply(floor(x), 3))], [x]);
  const found = interpret(graphOf([x], [zero!]), [hostTensor('f64', [2], [1.5, 2.5])]);
  expect(valuesOf(found[0]!)).toEqual([0, 0]);
});

test('integers, missing seeds and unbounded while are refused by name', () => {
  const x = input('x', { dtype: 'f64', shape: [2] });
  const n = input('n', { dtype: 'i64', shape: [] });
  expect(() => gradient([x], [x])).toThrow('OC-SHAPE-03');
  expect(() => gradient([sum(x)], [n])).toThrow('OC-DTYPE-01');
  const endless = whileLoop({
    condition: bools([1], []),
    limit: 2 ** 40,
    carried: [x],
    body: ([state]) => ({ condition: bools([1], []), carried: [negate(state!)] }),
  });
  expect(() => gradient([sum(endless[0]!)], [x])).toThrow('OC-REFUSED-01');
  const bits = randomBits(constantOf('u32', [2], [1, 2]), [2]);
  const noise = multiply(cast(bits, 'f64'), x);
  expect(gradient([sum(noise)], [x])[0]!.shape).toEqual([2]);
});

test('a chain of 20,000 nodes has a derivative without using the stack', () => {
  const x = input('x', { dtype: 'f64', shape: [] });
  let y: Node = x;
  for (let i = 0; i < 20_000; i++) y = sin(y);
  expect(gradient([y], [x])).toHaveLength(1);
  expect(transpose(reshape(x, [1, 1])).shape).toEqual([1, 1]);
});
