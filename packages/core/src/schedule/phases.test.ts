/** Convolutions by phases are the convolutions that they stand for. */
import { describe, expect, it } from 'vitest';
import { hostTensor } from '../base/host-tensor.js';
import { graphOf, input, window } from '../graph/build.js';
import { interpret } from '../graph/interpret.js';
import type { Graph, Node } from '../graph/node.js';
import { nodesOf } from '../graph/traverse.js';
import { splitPhases } from './phases.js';

interface Case {
  readonly space: readonly number[];
  readonly kernel: readonly number[];
  readonly inputDilation: readonly number[];
  readonly padding: readonly (readonly [number, number])[];
  readonly groups?: number;
}

const numbers = (count: number, step: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: count }, (_, i) => ((i * step) % 11) - 5);

function build({ space, kernel, inputDilation, padding, groups = 1 }: Case) {
  const [xShape, wShape] = [
    [2, 2 * groups, ...space],
    [3 * groups, 2, ...kernel],
  ];
  const x = input('x', { dtype: 'f32', shape: xShape });
  const w = input('w', { dtype: 'f32', shape: wShape });
  const y = window('convolve', x, w, { inputDilation, padding, groups });
  const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);
  const values = [
    hostTensor('f32', xShape, numbers(count(xShape), 7)),
    hostTensor('f32', wShape, numbers(count(wShape), 5)),
  ];
  return { graph: graphOf([x, w], [y]), values };
}

const windowsOf = (graph: Graph) =>
  nodesOf(graph).flatMap((node: Node) => (node.op === 'window' ? [node.attributes] : []));

const cases: readonly Case[] = [
  ...[2, 3].flatMap((gap) =>
    [2, 3, 4, 5].flatMap((taps) =>
      [0, 1, 2, 3].flatMap((low) =>
        [0, 1, 2].map((high) => ({
          space: [5],
          kernel: [taps],
          inputDilation: [gap],
          padding: [[low, high + 2] as const],
        })),
      ),
    ),
  ),
  {
    space: [4, 5],
    kernel: [4, 4],
    inputDilation: [2, 2],
    padding: [
      [2, 2],
      [2, 2],
    ],
  },
  {
    space: [4, 5],
    kernel: [2, 2],
    inputDilation: [2, 2],
    padding: [
      [1, 1],
      [1, 1],
    ],
  },
  {
    space: [4, 5],
    kernel: [3, 3],
    inputDilation: [2, 2],
    padding: [
      [1, 2],
      [2, 1],
    ],
    groups: 3,
  },
  {
    space: [4, 5],
    kernel: [3, 4],
    inputDilation: [1, 3],
    padding: [
      [1, 1],
      [3, 0],
    ],
  },
  {
    space: [3, 2, 4],
    kernel: [2, 3, 3],
    inputDilation: [2, 1, 2],
    padding: [
      [1, 1],
      [1, 1],
      [2, 2],
    ],
  },
];

describe('convolutions by phases', () => {
  it.each(cases)('%j', (item) => {
    const { graph, values } = build(item);
    // Whole numbers: sums are exact in any order.
    expect(interpret(splitPhases(graph), values)).toEqual(interpret(graph, values));
  });

  it('have no gaps, and a kernel of the least length', () => {
    const item = { space: [4, 4], kernel: [4, 4], inputDilation: [2, 2] };
    const { graph } = build({
      ...item,
      padding: [
        [2, 2],
        [2, 2],
      ],
    });
    expect(windowsOf(splitPhases(graph))).toMatchObject([
      {
        inputDilation: [1, 1],
        kernel: [2, 2],
        padding: [
          [1, 1],
          [1, 1],
        ],
      },
    ]);
  });

  it('stay as they are where the kernel would not be shorter', () => {
    const item = { space: [4], kernel: [1], inputDilation: [2], padding: [[0, 1]] as const };
    const { graph } = build(item);
    expect(splitPhases(graph)).toBe(graph);
  });
});
