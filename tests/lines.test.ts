/** Long lines on every device: reductions in parts, prefix sums in blocks, sorts by radix. */
import { closeDevices, compile, type HostTensor, load, openDevice } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { afterAll, describe, expect, it } from 'vitest';
import { useDevices } from './devices.js';
import { difference } from './fuzz.js';

const found = await useDevices();
afterAll(closeDevices);

type Shape = readonly number[];
type Values = (i: number) => number;
const mixed: Values = (i) => (((i * 7919 + 13) % 2003) - 1001) / 256;
const whole: Values = (i) => ((i * 7919 + 13) % 201) - 100;
/** Many equal keys, zeros of both signs, infinities and NaN. */
const keys: Values = (i) => {
  if (i % 97 === 3) return Number.NaN;
  if (i % 89 === 5) return i % 2 === 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  return i % 7 === 1 ? (i % 2 === 0 ? 0 : -0) : mixed(i % 501);
};

interface Program {
  readonly name: string;
  readonly shape: Shape;
  readonly dtype?: core.DType;
  readonly values?: Values;
  readonly make: (x: core.Node) => readonly core.Node[];
}

const programs: readonly Program[] = [
  { name: 'sum of a line', shape: [150_001], make: (x) => [core.sum(x, [0])] },
  {
    name: 'mean and maximum of three rows, with what follows',
    shape: [3, 40_003],
    make: (x) => [core.exp(core.multiply(core.mean(x, [1]), 2)), core.reduce('maximum', x, [1])],
  },
  {
    name: 'sum of the columns of a tall matrix',
    shape: [5003, 24],
    make: (x) => [core.sum(x, [0])],
  },
  {
    name: 'strips of columns: sum, maximum and a mean of squares',
    shape: [2, 37, 1003],
    make: (x) => [
      core.sum(x, [1]),
      core.reduce('maximum', x, [1]),
      core.squareRoot(core.mean(core.square(x), [1])),
    ],
  },
  {
    name: 'strips of columns: products, integers',
    shape: [13, 75],
    dtype: 'i32',
    values: whole,
    make: (x) => [core.reduce('product', x, [0]), core.reduce('minimum', x, [0])],
  },
  {
    name: 'strips of columns over two axes, f64',
    shape: [9, 3, 11, 70],
    dtype: 'f64',
    make: (x) => [core.sum(x, [0, 2])],
  },
  { name: 'softmax down columns', shape: [29, 1203], make: (x) => [core.softmax(x, 0)] },
  {
    name: 'softmax down columns of f16',
    shape: [21, 83],
    dtype: 'f16',
    make: (x) => [core.softmax(x, 0)],
  },
  { name: 'sum over two axes', shape: [61, 2, 1001], make: (x) => [core.sum(x, [0, 2])] },
  { name: 'softmax of rows', shape: [5, 1003], make: (x) => [core.softmax(x, -1)] },
  { name: 'prefix sums of a line', shape: [140_003], make: (x) => [core.cumulate('sum', x, 0)] },
  {
    name: 'prefix sums of a line without the element',
    shape: [140_003],
    make: (x) => [core.cumulate('sum', x, 0, { exclusive: true })],
  },
  {
    name: 'prefix maxima and minima of rows',
    shape: [3, 1003],
    make: (x) => [core.cumulate('maximum', x, 1), core.cumulate('minimum', x, 1)],
  },
  {
    name: 'prefix sums backwards, along both axes',
    shape: [37, 53],
    make: (x) => [0, 1].map((axis) => core.cumulate('sum', x, axis, { reverse: true })),
  },
  {
    name: 'prefix sums down columns, exclusive and backwards',
    shape: [2, 37, 53],
    make: (x) => [core.cumulate('sum', x, 1, { exclusive: true, reverse: true })],
  },
  {
    name: 'prefix sums down long rows',
    shape: [2, 29, 1203],
    make: (x) => [
      core.cumulate('sum', x, 1),
      core.cumulate('maximum', x, 1, { exclusive: true }),
      core.cumulate('sum', x, 1, { exclusive: true, reverse: true }),
    ],
  },
  {
    name: 'prefix sums down long rows of f16',
    shape: [1030, 333],
    dtype: 'f16',
    make: (x) => [core.cumulate('sum', x, 0)],
  },
  {
    name: 'prefix products down long rows of integers',
    shape: [19, 301],
    dtype: 'i64',
    values: whole,
    make: (x) => [core.cumulate('product', x, 0, { reverse: true })],
  },
  {
    name: 'prefix sums of integers, wrapping',
    shape: [70_001],
    dtype: 'i64',
    values: (i) => whole(i) * 2 ** 50,
    make: (x) => [core.cumulate('sum', x, 0), core.cumulate('minimum', x, 0, { exclusive: true })],
  },
  ...(['f32', 'f16', 'i32', 'u32', 'i8', 'u16'] as const).map(
    (dtype): Program => ({
      name: `sort of ${dtype}`,
      shape: [20_011],
      dtype,
      values: dtype.startsWith('f') ? keys : dtype === 'u16' ? (i) => (i * 7919) % 65_521 : whole,
      make: (x) => sorted(x, 0),
    }),
  ),
  { name: 'sort down columns', shape: [2, 2053, 3], values: keys, make: (x) => sorted(x, 1) },
];

/** Keys both ways, each with the positions that they come from. */
function sorted(x: core.Node, axis: number): readonly core.Node[] {
  const positions = core.iota({ dtype: 'i32', shape: x.shape }, axis);
  return [false, true].flatMap((descending) => core.sort(x, [positions], { axis, descending }));
}

function tensor(program: Program): HostTensor {
  const { dtype = 'f32', shape, values = mixed } = program;
  const count = shape.reduce((a, b) => a * b, 1);
  return core.hostTensor(
    dtype,
    [...shape],
    Array.from({ length: count }, (_, i) => values(i)),
  );
}

describe.each(found)('%s', (id) => {
  it.each(programs)('$name', async (program) => {
    const opened = await openDevice(id);
    // As if there were more cores: lines are cut into blocks.
    const target = { ...opened.target, cores: Math.max(opened.target.cores, 4) };
    const given = tensor(program);
    const symbols = program.shape.map((size) => (size > 1000 ? core.sizeSymbol(1) : size));
    for (const shape of [program.shape, symbols]) {
      const x = core.input('x', { dtype: given.dtype, shape });
      const graph = core.graphOf([x], program.make(x));
      const executable = await load(compile(graph, target, opened.plugin.language), opened);
      const actual = await executable.run([given]);
      const expected = core.interpretWithBounds(graph, [given]);
      for (const [i, { tensor, error }] of expected.entries()) {
        expect(difference(actual[i], tensor, error)).toBeUndefined();
      }
      await executable.dispose();
    }
  });

  it('moves keys and payloads bit by bit', async () => {
    const opened = await openDevice(id);
    const length = 5003;
    const bits = Uint32Array.from({ length }, (_, i) => {
      if (i % 5 === 0) return (i % 2) * 2 ** 31;
      // NaN with contents of their own, denormal numbers, anything.
      const any = Math.imul(i, 0x9e3779b1) >>> 0;
      // A signalling NaN does not come through JavaScript as it was.
      const quiet = (any & 0x7f800000) === 0x7f800000 ? (any | 0x400000) >>> 0 : any;
      return i % 7 === 0 ? 0x7fc00000 + i : i % 3 === 0 ? i : quiet;
    });
    const data = new Float32Array(bits.buffer);
    const places = Int32Array.from({ length }, (_, i) => 3 * i - length);
    const [x, payload] = [
      core.input('x', { dtype: 'f32', shape: [length] }),
      core.input('payload', { dtype: 'i32', shape: [length] }),
    ];
    const inputs = [
      { dtype: 'f32', shape: [length], data },
      { dtype: 'i32', shape: [length], data: places },
    ] as const;
    for (const descending of [false, true]) {
      const sortedNodes = core.sort(x, [payload], { axis: 0, descending });
      const graph = core.graphOf([x, payload], sortedNodes);
      const executable = await load(compile(graph, opened.target, opened.plugin.language), opened);
      const actual = await executable.run(inputs);
      const expected = core.interpret(graph, inputs);
      const words = ({ data: array }: HostTensor): number[] => {
        const view = array as Float32Array | Int32Array;
        return [...new Uint32Array(view.buffer, view.byteOffset, view.length)];
      };
      expect(actual.map(words)).toEqual(expected.map(words));
      await executable.dispose();
    }
  });
});
