/**
 * Random windows against the interpreter, on targets with small caches, so that they are cut into
 * blocks. Values are small whole numbers: every answer is exact in f32 whatever the order of
 * additions, and one wrong index shows.
 */
import { compile, hostTensor, load, type Target } from '@open-claw/core';
import type { DevicePlugin } from '@open-claw/core/device';
import * as core from '@open-claw/core/internal';
import { nativeDevice } from '@open-claw/device-native';
import { wasmDevice } from '@open-claw/device-wasm';
import { describe, expect, it } from 'vitest';
import { runOn, targets } from './targets.js';

type Draw = (below: number) => number;

function draws(seed: number): Draw {
  let state = (seed * 2654435761) >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

interface Made {
  readonly node: core.Node;
  readonly inputs: readonly core.NodeOf<'input'>[];
}

/** A tensor that is an input or, now and then, a constant. */
function operand(draw: Draw, shape: readonly number[], isFixed: boolean): core.Node {
  if (!isFixed) return core.input('x', { dtype: 'f32', shape });
  const values = Array.from({ length: core.elementCount(shape) }, () => draw(7) - 3);
  return core.constantOf('f32', shape, values);
}

/** A convolution with as many output channels as make vectors along them worth while, or a pool. */
function randomWindow(draw: Draw): Made {
  const rank = 1 + draw(3);
  const each = (make: () => number): number[] => Array.from({ length: rank }, make);
  const isDeep = draw(4) > 0;
  const groups = isDeep ? (draw(3) === 0 ? 2 : 1) : 1 + draw(7);
  const depth = isDeep ? 1 + draw(9) : 1;
  const rows = isDeep ? ([1, 3, 8, 16, 19, 33, 40][draw(7)] as number) : 1;
  const kernel = each(() => 1 + draw(rank === 3 ? 2 : 4));
  const kernelDilation = each(() => 1 + (draw(4) === 0 ? 1 : 0));
  const padding = each(() => draw(4)).map(
    (low) => [low + (draw(8) === 0 ? 6 : 0), draw(4)] as const,
  );
  const inputDilation = each(() => (draw(8) === 0 ? 2 : 1));
  const strides = each(() => 1 + draw(2) * draw(3));
  const reach = kernel.map((k, i) => (k - 1) * (kernelDilation[i] as number) + 1);
  const sizes = reach.map((least) => least + draw(rank === 1 ? 60 : rank === 2 ? 18 : 6));
  const shape = [1 + draw(2), groups * depth, ...sizes];
  const x = operand(draw, shape, false);
  const options = { strides, padding, kernelDilation, inputDilation, groups };
  const inputs: core.NodeOf<'input'>[] = [x as core.NodeOf<'input'>];
  const fresh = (size: readonly number[], isFixed: boolean): core.Node => {
    const made = operand(draw, size, isFixed);
    if (!isFixed) inputs.push(made as core.NodeOf<'input'>);
    return made;
  };
  if (draw(5) === 0) {
    const kind = (['sum', 'maximum', 'minimum'] as const)[draw(3)] as 'sum';
    const pool = { ...options, kernel, groups: 1, inputDilation: each(() => 1) };
    return { node: core.window(kind, x, undefined, pool), inputs };
  }
  const w = fresh([groups * rows, depth, ...kernel], draw(3) > 0);
  const sum = core.window('convolve', x, w, options);
  if (draw(3) === 0) return { node: sum, inputs };
  const bias = fresh([1, groups * rows, ...each(() => 1)], true);
  const other = fresh(sum.shape as number[], false);
  return { node: core.maximum(core.add(core.add(sum, bias), other), -5), inputs };
}

function randomGraph(seed: number, count: number): core.Graph {
  const draw = draws(seed);
  const made = Array.from({ length: count }, () => randomWindow(draw));
  return core.graphOf(
    made.flatMap(({ inputs }) => inputs),
    made.map(({ node }) => node),
  );
}

const inputsOf = (graph: core.Graph, seed: number) => {
  const draw = draws(seed + 1);
  return graph.inputs.map(({ shape }) => {
    const count = core.elementCount(shape as number[]);
    return hostTensor(
      'f32',
      shape as number[],
      Array.from({ length: count }, () => draw(7) - 3),
    );
  });
};

type Outputs = readonly { readonly data: ArrayLike<unknown> }[];

function expectSame(graph: core.Graph, actual: Outputs, expected: Outputs): void {
  expected.forEach(({ data }, i) => {
    const got = (actual[i] as Outputs[number]).data;
    const at = Array.from(data).findIndex((value, j) => value !== got[j]);
    const where = `output ${i} ${graph.outputs[i]?.shape}, element ${at}`;
    expect(at < 0 ? '' : `${where}: ${got[at]} instead of ${data[at]}`).toBe('');
  });
}

describe.each(targets.filter(({ execution }) => execution === 'vector'))(
  'windows on $id',
  (row) => {
    const own = {
      name: 'own',
      class: 'scratch',
      bytes: 2 ** 20,
      alignment: 64,
      copiesTo: [],
    } as const;
    const spaces = [...row.spaces, own];
    const small: Target = { ...row, cores: 3, cacheBytes: [1024, 8192], spaces };
    it.each([1, 2, 3, 4])('are the same as the interpreter, seed %i', async (seed) => {
      const graph = randomGraph(seed, 8);
      const inputs = inputsOf(graph, seed);
      const expected = core.interpret(graph, inputs);
      expectSame(graph, await runOn(small, graph, inputs), expected);
    });
  },
);

const devices: readonly (readonly [string, () => DevicePlugin])[] = [
  ['native/avx512', nativeDevice],
  ['native/avx2', nativeDevice],
  ['native/generic', nativeDevice],
  ['wasm', wasmDevice],
];

describe.each(devices)('windows on %s', (id, make) => {
  it('are the same as the interpreter', async ({ skip }) => {
    const plugin = make();
    const device = await plugin.open(id).catch(() => undefined);
    if (device === undefined) return skip();
    const target = plugin.targets.find((t) => t.id === id) ?? (plugin.targets[0] as Target);
    for (const [seed, cacheBytes] of [
      [1, [2 ** 15, 2 ** 20]],
      [2, [1024, 16384]],
    ] as const) {
      const graph = randomGraph(seed, 6);
      const inputs = inputsOf(graph, 5);
      const program = compile(graph, { ...target, cacheBytes }, plugin.language);
      const executable = await load(program, { id, device, plugin, target } as never);
      expectSame(graph, await executable.run(inputs), core.interpret(graph, inputs));
      await executable.dispose();
    }
    await device.close();
  });
});

it('leaves out bands where tasks have no memory of their own', () => {
  const row = targets.find(({ id }) => id === 'test/vector16') as Target;
  const x = core.input('x', { dtype: 'f32', shape: [1, 64, 56, 56] });
  const w = core.input('w', { dtype: 'f32', shape: [64, 64, 3, 3] });
  const padding = [[1, 1] as const, [1, 1] as const];
  const convolved = core.window('convolve', x, w, { padding });
  const pooled = core.window('maximum', x, undefined, { kernel: [3, 3], padding });
  const graph = core.graphOf([x, w], [convolved, pooled]);
  const own = {
    name: 'own',
    class: 'scratch',
    bytes: 2 ** 20,
    alignment: 64,
    copiesTo: [],
  } as const;
  const bytesWith = (spaces: Target['spaces']): number => {
    const { source } = compile(graph, { ...row, spaces }, nativeDevice().language);
    return Math.max(...(source?.entries.map(({ scratchBytes }) => scratchBytes ?? 0) ?? []));
  };
  expect(bytesWith([own])).toBeGreaterThan(8192);
  expect(bytesWith([])).toBeLessThanOrEqual(8192);
});
