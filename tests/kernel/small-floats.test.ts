/** Products of small floats where no unit multiplies them: as f32, wherever elements are reused. */
import { closeDevices } from '@open-claw/core';
import type { Node } from '@open-claw/core/internal';
import * as core from '@open-claw/core/internal';
import { afterAll, describe, expect, it } from 'vitest';
import { randomTensor } from '../programs.js';
import { runOn, targets } from './targets.js';

afterAll(closeDevices);

const types = ['bf16', 'f16'] as const;
type Small = (typeof types)[number];

function productOf(dtype: Small, left: readonly number[], right: readonly number[]) {
  const [a, b] = [
    core.input('a', { dtype, shape: left }),
    core.input('b', { dtype, shape: right }),
  ] as const;
  return core.graphOf([a, b], [core.matmul(a, b)]);
}

function stepsFor(graph: core.Graph, target: (typeof targets)[number]) {
  return core.schedule(
    core.primitivesOf(graph, () => false, target),
    target,
  );
}

const operands = (graph: core.Graph, target: (typeof targets)[number]): string[] =>
  stepsFor(graph, target).flatMap((step) =>
    step.kind === 'kernel' && step.pattern === 'contract'
      ? step.inputs.map((node: Node) => node.dtype)
      : [],
  );

const vectors = targets.filter(
  ({ execution, vectorBytes }) => execution === 'vector' && vectorBytes,
);
const [wide] = vectors as [(typeof targets)[number]];

describe.each(types)('products of %s', (dtype) => {
  it('convert the left operand once, where a tile would do it for every column block', () => {
    expect(operands(productOf(dtype, [8, 40], [40, 24]), wide)).toEqual(['f32', dtype]);
  });

  it('stay as they are for one row, for threads and where a unit takes them', () => {
    expect(operands(productOf(dtype, [1, 40], [40, 24]), wide)).toEqual([dtype, dtype]);
    const unit = { name: 'u', left: dtype, right: dtype, accumulate: 'f32' } as const;
    const shape = { operands: 'global', m: 16, n: 16, k: 32, interleave: 2 } as const;
    const withUnit = { ...wide, matrixUnits: [{ ...unit, ...shape }] };
    expect(operands(productOf(dtype, [8, 40], [40, 24]), withUnit)).toEqual([dtype, dtype]);
    const threads = targets.find(({ execution }) => execution === 'threads') ?? wide;
    expect(operands(productOf(dtype, [8, 40], [40, 24]), threads)).toEqual([dtype, dtype]);
  });

  it.each(targets.map((target) => [target.id, target] as const))(
    'are right on %s',
    async (_, t) => {
      for (const [rows, depth, columns] of [
        [9, 33, 21],
        [1, 16, 40],
        [5, 7, 3],
      ] as const) {
        const graph = productOf(dtype, [2, rows, depth], [2, depth, columns]);
        const given = [
          randomTensor(1, [2, rows, depth], dtype),
          randomTensor(2, [2, depth, columns], dtype),
        ];
        const [expected] = core.interpret(graph, given);
        const [found] = await runOn(t, graph, given);
        const [own, other] = [found, expected].map((x) => core.valuesOf(x as core.HostTensor));
        // One rounding of sums, which may be made in another order.
        const ulp = dtype === 'bf16' ? 2 ** -7 : 2 ** -9;
        own?.forEach((x, i) => {
          const y = Number(other?.[i]);
          expect(Math.abs(Number(x) - y)).toBeLessThanOrEqual(ulp * Math.max(1, Math.abs(y)));
        });
      }
    },
  );
});
