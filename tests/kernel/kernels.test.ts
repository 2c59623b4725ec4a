/** Every kind of kernel with every kind of element, on every kind of machine. */
import { closeDevices } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { type HostTensor, interpretWithBounds, type Node } from '@open-claw/core/internal';
import { afterAll, describe, expect, it } from 'vitest';
import { difference } from '../fuzz.js';
import { randomTensor } from '../programs.js';
import { runOn, targets } from './targets.js';

afterAll(closeDevices);

interface Case {
  readonly name: string;
  readonly inputs: readonly HostTensor[];
  readonly build: (inputs: readonly Node[]) => readonly Node[];
}

const first = (nodes: readonly Node[]): Node => nodes[0] as Node;
const kinds = ['sum', 'product', 'minimum', 'maximum'] as const;
const dtypes = ['f32', 'f64', 'f16', 'bf16', 'i64', 'i32', 'i8', 'u8', 'u32'] as const;

/** Small numbers with repetitions, so that ties and orders show. */
function tensor(seed: number, shape: readonly number[], dtype: core.DType): HostTensor {
  const random = randomTensor(seed, shape, dtype);
  if (!core.isFloat(dtype)) return random;
  const values = core.valuesOf(random).map((x, i) => {
    if (i % 11 === 5) return Number.NaN;
    return i % 7 === 3 ? 0.5 : Math.round(Number(x) * 8) / 8;
  });
  return core.hostTensor(dtype, shape, values);
}

function sorts(): Case[] {
  return dtypes.flatMap((dtype) =>
    [true, false].map((descending) => ({
      name: `sort ${dtype} ${descending ? 'down' : 'up'}`,
      inputs: [tensor(1, [3, 17, 2], dtype), randomTensor(2, [3, 17, 2], 'i32')],
      build: ([keys, payload]: readonly Node[]) =>
        core.sort(keys as Node, [payload as Node], { axis: 1, descending }),
    })),
  );
}

function cumulations(): Case[] {
  return kinds.flatMap((kind) =>
    (['f32', 'f16', 'i8', 'i64'] as const).flatMap((dtype) =>
      [0, 1, 2, 3].map((bits) => ({
        name: `cumulate ${kind} ${dtype} ${bits}`,
        inputs: [randomTensor(bits, [3, 9, 2], dtype)],
        build: (x: readonly Node[]) => [
          core.cumulate(kind, first(x), 1, { exclusive: bits % 2 === 1, reverse: bits > 1 }),
        ],
      })),
    ),
  );
}

function reductions(): Case[] {
  const axes = [[0], [1], [2], [0, 2], [1, 2], [0, 1, 2]];
  const shapes = [
    [5, 4, 3],
    [2, 3, 37],
    [33, 1, 18],
  ];
  return kinds.flatMap((kind) =>
    dtypes.flatMap((dtype) =>
      shapes.map((shape) => ({
        name: `reduce ${kind} ${dtype} [${shape}]`,
        inputs: [randomTensor(shape.length, shape, dtype)],
        build: (x: readonly Node[]) => axes.map((over) => core.reduce(kind, first(x), over)),
      })),
    ),
  );
}

function indexed(): Case[] {
  const indices = core.hostTensor('i64', [5], [2n, 0n, 2n, 6n, 0n]);
  const offsets = (...at: readonly number[]): HostTensor =>
    core.hostTensor('i64', [at.length], at.map(BigInt));
  return dtypes.flatMap((dtype) => [
    // Rows of less than a vector, and of several blocks with a tail.
    ...[3, 150].flatMap((row) =>
      (['replace', ...kinds] as const).map((kind) => ({
        name: `scatter ${kind} ${dtype} rows of ${row}`,
        inputs: [randomTensor(1, [7, row], dtype), indices, randomTensor(2, [5, row], dtype)],
        build: ([x, i, u]: readonly Node[]) => [
          core.scatter(kind, x as Node, i as Node, u as Node),
        ],
      })),
    ),
    {
      name: `gather ${dtype}`,
      inputs: [randomTensor(1, [4, 7, 3], dtype), indices],
      build: ([x, i]: readonly Node[]) => [core.gather(x as Node, i as Node, 1)],
    },
    {
      name: `compact ${dtype}`,
      inputs: [randomTensor(3, [19], 'i32'), randomTensor(4, [19, 3], dtype)],
      build: ([mask, x]: readonly Node[]) => core.compact(core.less(mask as Node, 0), x as Node),
    },
    ...[
      [1, 2],
      [-3, 99],
    ].map((at) => ({
      name: `update ${dtype} at ${at}`,
      inputs: [randomTensor(5, [6, 5], dtype), randomTensor(6, [2, 3], dtype), offsets(...at)],
      build: ([x, piece, where]: readonly Node[]) => [
        core.update(x as Node, piece as Node, where as Node),
      ],
    })),
  ]);
}

/** Products of a large matrix and a vector, by every side and order of the contracted axes. */
function vectors(): Case[] {
  return (['f32', 'f64'] as const).flatMap((dtype) => {
    const matrix = randomTensor(1, [260, 4, 66], dtype);
    const row = randomTensor(2, [1, 66, 260], dtype);
    const contracted = [
      [1, 2],
      [2, 0],
    ] as const;
    const turned = contracted.map(([a, b]) => [b, a] as const);
    return [
      {
        name: `vector by matrix ${dtype}`,
        inputs: [row, matrix],
        build: ([x, m]: readonly Node[]) => [core.contract(x as Node, m as Node, { contracted })],
      },
      {
        name: `matrix by vector ${dtype}`,
        inputs: [row, matrix],
        build: ([x, m]: readonly Node[]) => [
          core.relu(core.contract(m as Node, x as Node, { contracted: turned })),
        ],
      },
    ];
  });
}

/** Views and elementwise work of lengths around the sizes of tiles. */
function maps(): Case[] {
  return [1, 2, 5, 16, 17, 33, 100].flatMap((length) =>
    (['f32', 'f16', 'f64', 'i8', 'bool'] as const).map((dtype) => ({
      name: `map ${dtype} of ${length}`,
      inputs: [
        dtype === 'bool'
          ? core.hostTensor('bool', [3, length], Array(3 * length).fill(1))
          : randomTensor(length, [3, length], dtype),
      ],
      build: ([x]: readonly Node[]) => {
        const node = x as Node;
        const flipped = core.flip(core.permute(node, [1, 0]), [0]);
        const padded = core.pad(node, { before: [1, 2], after: [0, 3], value: 1 });
        const joined = core.concat([node, core.flip(node, [1]), node], 1);
        return [flipped, padded, joined, core.equal(joined, joined)];
      },
    })),
  );
}

/** Every second, third and fifth element, and the last ones first. */
function strided(): Case[] {
  const shape = [3, 131];
  return (['f32', 'i32', 'f64', 'u8'] as const).map((dtype) => ({
    name: `strided ${dtype}`,
    inputs: [randomTensor(7, shape, dtype)],
    build: ([x]: readonly Node[]) => {
      const node = x as Node;
      const slices = [2, 3, 5].map((step) => {
        const sizes = [3, Math.floor(129 / step)];
        return core.slice(node, { starts: [0, 1], sizes, steps: [1, step] });
      });
      return [...slices, core.flip(slices[0] as Node, [1]), core.flip(node, [1])];
    },
  }));
}

const random: Case = {
  name: 'random bits',
  inputs: [core.hostTensor('u32', [2], [123456789, 4294967295])],
  build: (key) => [1, 4, 7, 4099].map((size) => core.randomBits(first(key), [size])),
};

const cases = [
  ...sorts(),
  ...cumulations(),
  ...reductions(),
  ...indexed(),
  ...vectors(),
  ...maps(),
  ...strided(),
  random,
];

describe.each(targets)('$id', (target) => {
  it.each(cases)('$name', async ({ inputs, build }) => {
    const nodes = inputs.map(({ dtype, shape }, i) => core.input(`x${i}`, { dtype, shape }));
    const graph = core.graphOf(nodes, build(nodes));
    const outputs = await runOn(target, graph, inputs);
    interpretWithBounds(graph, inputs).forEach(({ tensor: expected, error }, i) => {
      expect(difference(outputs[i], expected, error), `output ${i}`).toBeUndefined();
    });
  });
});
