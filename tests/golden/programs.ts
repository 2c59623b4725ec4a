/** The programs whose whole journey is kept as text: small, and together touching every pattern. */
import {
  add,
  attention,
  cast,
  exp,
  type Graph,
  gather,
  graphOf,
  input,
  layerNormalization,
  loop,
  matmul,
  maximum,
  multiply,
  type Node,
  reduce,
  relu,
  type Size,
  size,
  sizeSymbol,
  softmax,
  sort,
  subtract,
  window,
} from '@open-claw/core/internal';

/** Makes the graph; `nameOf` turns the plain name of an input into the one to use. */
export type GoldenProgram = (nameOf: (plain: string) => string) => Graph;

const f32 = (name: string, ...shape: readonly Size[]): Node => input(name, { dtype: 'f32', shape });

/** By the name of the golden file. */
export const goldenPrograms: Readonly<Record<string, GoldenProgram>> = {
  'matmul-bias-relu': (nameOf) => {
    const x = f32(nameOf('x'), sizeSymbol(), 48);
    const weight = f32(nameOf('weight'), 48, 32);
    const bias = f32(nameOf('bias'), 32);
    return graphOf([x, weight, bias], [relu(add(matmul(x, weight), bias))]);
  },
  'elementwise-broadcast': (nameOf) => {
    const x = f32(nameOf('x'), sizeSymbol(), 20);
    const row = f32(nameOf('row'), 20);
    const column = f32(nameOf('column'), 1, 1);
    return graphOf([x, row, column], [maximum(subtract(multiply(x, row), column), 0.5)]);
  },
  softmax: (nameOf) => {
    const x = f32(nameOf('x'), sizeSymbol(), 40);
    return graphOf([x], [softmax(x, -1)]);
  },
  'layer-normalization': (nameOf) => {
    const x = f32(nameOf('x'), 8, 40);
    const scale = f32(nameOf('scale'), 40);
    const bias = f32(nameOf('bias'), 40);
    return graphOf([x, scale, bias], [layerNormalization(x, { scale, bias })]);
  },
  'convolution-relu': (nameOf) => {
    const x = f32(nameOf('x'), 1, 3, 16, 16);
    const weight = f32(nameOf('weight'), 8, 3, 3, 3);
    const padding = [
      [1, 1],
      [1, 1],
    ] as const;
    return graphOf([x, weight], [relu(window('convolve', x, weight, { padding }))]);
  },
  'max-pooling': (nameOf) => {
    const x = f32(nameOf('x'), 1, 4, 16, 16);
    return graphOf([x], [window('maximum', x, undefined, { kernel: [2, 2], strides: [2, 2] })]);
  },
  embedding: (nameOf) => {
    const table = f32(nameOf('table'), 100, 24);
    const tokens = input(nameOf('tokens'), { dtype: 'i32', shape: [sizeSymbol()] });
    return graphOf([table, tokens], [gather(table, tokens, 0)]);
  },
  attention: (nameOf) => {
    const [q, k, v] = ['q', 'k', 'v'].map((name) => f32(nameOf(name), 1, 2, 16, 8)) as [
      Node,
      Node,
      Node,
    ];
    return graphOf([q, k, v], [attention(q, k, v)]);
  },
  'column-sum': (nameOf) => {
    const x = f32(nameOf('x'), sizeSymbol(), 64);
    return graphOf([x], [reduce('sum', x, [0])]);
  },
  loop: (nameOf) => {
    const x = f32(nameOf('x'), 16);
    const [last, all] = loop({
      trip: 10,
      carried: [x],
      body: ([value], _, i) => {
        const next = add(multiply(value as Node, 0.5), cast(size(i), 'f32'));
        return { carried: [next], stacked: [exp(next)] };
      },
    }) as [Node, Node];
    return graphOf([x], [last, all]);
  },
  sort: (nameOf) => {
    const keys = f32(nameOf('keys'), 4, 12);
    const payload = input(nameOf('payload'), { dtype: 'i32', shape: [4, 12] });
    return graphOf([keys, payload], sort(keys, [payload], { descending: true }));
  },
  'half-arithmetic': (nameOf) => {
    const x = input(nameOf('x'), { dtype: 'f16', shape: [64] });
    const y = input(nameOf('y'), { dtype: 'f16', shape: [64] });
    return graphOf([x, y], [add(x, y)]);
  },
};
