/**
 * Contractions that are cut into groups of panels and blocks of rows, on a target whose caches are
 * so small that small shapes are: against the interpreter, and what the blocks hold.
 */
import { closeDevices } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { interpretWithBounds, type Node } from '@open-claw/core/internal';
import { afterAll, describe, expect, it } from 'vitest';
import { makeTarget, plainMachine, rows } from '../../devices/native/src/targets.js';
import { taskBlocks } from '../../packages/core/src/kernel/contract-blocks.js';
import { registerTile } from '../../packages/core/src/kernel/register-tile.js';
import { difference } from '../fuzz.js';
import { randomTensor } from '../programs.js';
import { runOn, targets } from './targets.js';

afterAll(closeDevices);

/** Loads of whole lines, which ask for more themselves, and narrower ones, which ask apart. */
const small = targets
  .filter(({ vectorBytes }) => vectorBytes === 32)
  .flatMap((target) => [
    { ...target, vectorBytes: 64, cacheBytes: [4096, 16384] },
    { ...target, vectorRegisters: 16, cacheBytes: [1024, 16384] },
  ]);

async function expectRight(
  target: (typeof targets)[number],
  inputs: readonly core.HostTensor[],
  build: (x: readonly Node[]) => Node,
): Promise<void> {
  const nodes = inputs.map(({ dtype, shape }, i) => core.input(`x${i}`, { dtype, shape }));
  const graph = core.graphOf(nodes, [build(nodes)]);
  const outputs = await runOn(target, graph, inputs);
  interpretWithBounds(graph, inputs).forEach(({ tensor: expected, error }, i) => {
    expect(difference(outputs[i] as core.HostTensor, expected, error)).toBeUndefined();
  });
}

describe('blocks of contractions', () => {
  const shapes = [
    [45, 30, 70],
    [64, 64, 100],
    [33, 100, 70],
    [100, 17, 200],
    [12, 64, 100],
  ] as const;

  it.each(shapes)('%i × %i × %i agree with the interpreter', async (m, k, n) => {
    for (const target of small) {
      for (const dtype of ['f32', 'bf16'] as const) {
        const inputs = [randomTensor(1, [m, k], dtype), randomTensor(2, [k, n], dtype)];
        await expectRight(target, inputs, ([x, y]) =>
          core.maximum(core.matmul(core.multiply(x as Node, 2), y as Node), 0),
        );
        const turned = [randomTensor(5, [k, m], dtype), randomTensor(6, [k, n], dtype)];
        await expectRight(target, turned, ([x, y]) =>
          core.matmul(core.permute(x as Node, [1, 0]), y as Node),
        );
      }
    }
  });

  it('of symbolic rows agree with the interpreter', async () => {
    const a = core.input('a', { dtype: 'f32', shape: [core.sizeSymbol(), 64] });
    const b = core.input('b', { dtype: 'f32', shape: [64, 150] });
    const graph = core.graphOf([a, b], [core.matmul(a, b)]);
    for (const target of small) {
      for (const m of [1, 13, 60]) {
        const inputs = [randomTensor(3, [m, 64], 'f32'), randomTensor(4, [64, 150], 'f32')];
        const outputs = await runOn(target, graph, inputs);
        interpretWithBounds(graph, inputs).forEach(({ tensor: expected, error }, i) => {
          expect(difference(outputs[i] as core.HostTensor, expected, error)).toBeUndefined();
        });
      }
    }
  });
});

describe('a task', () => {
  const rowOf = (name: string) => {
    const row = rows.find((each) => each.name === name);
    if (row === undefined) throw new Error('no such row');
    return row;
  };
  const target = (cores: number) => makeTarget(rowOf('avx512'), { ...plainMachine, cores });

  it.each([1024, 2048])('of %i asks for long panels that come from afar', (n) => {
    const machine = { ...plainMachine, cores: 1, cacheBytes: [32 * 1024, 512 * 1024] };
    const narrow = makeTarget(rowOf('avx2'), machine);
    const tile = registerTile(narrow, 'f32', n, n);
    const work = { rows: n, panels: n / tile.columns, depth: n, outer: 1, bytes: 4 };
    const blocks = taskBlocks(narrow, tile, { ...work, isPacked: true });
    expect(blocks.stepsPerRequest).toBeGreaterThan(0);
    // Each panel serves many rows, however long it is.
    expect(blocks.rows).toBeGreaterThanOrEqual(90);
    expect(blocks.rows).toBeLessThan(120);
    expect(taskBlocks(narrow, tile, { ...work, isPacked: false }).stepsPerRequest).toBe(0);
  });

  it.each([
    [512, 4096],
    [512, 512],
    [4096, 512],
  ])('of depth %i asks for each of %i columns that follow', (depth, columns) => {
    const tile = registerTile(target(1), 'f32', 256, columns);
    const panels = Math.ceil(columns / tile.columns);
    const work = { rows: 256, depth, outer: 1, bytes: 4, isPacked: true };
    expect(taskBlocks(target(1), tile, { ...work, panels }).asksLater).toBe(true);
    expect(taskBlocks(target(1), tile, { ...work, panels: 1 }).asksLater).toBe(false);
    expect(taskBlocks(target(1), tile, { ...work, panels: 1, outer: 8 }).asksLater).toBe(true);
  });

  it.each([64, 256, 512, 1000, 1500])('of %i keeps its rows in the second cache', (n) => {
    const tile = registerTile(target(1), 'f32', n, n);
    const panels = Math.ceil(n / tile.columns);
    const work = { rows: n, panels, depth: n, outer: 1, bytes: 4, isPacked: true };
    const blocks = taskBlocks(target(1), tile, work);
    expect(blocks.rows % tile.rows).toBe(0);
    const [, second = 0] = target(1).cacheBytes;
    const least = tile.rows * n * 4;
    expect(blocks.rows * n * 4).toBeLessThanOrEqual(Math.max(second / 2, least));
  });

  it.each([2, 3, 8])('leaves none of %i cores idle for long', (cores) => {
    for (const n of [256, 512, 1024, 2048]) {
      const tile = registerTile(target(cores), 'f32', n, n);
      const panels = Math.ceil(n / tile.columns);
      const work = { rows: n, panels, depth: n, outer: 1, bytes: 4, isPacked: true };
      const blocks = taskBlocks(target(cores), tile, work);
      const tasks = Math.ceil(n / blocks.rows) * Math.ceil(panels / blocks.panels);
      expect(tasks).toBeGreaterThanOrEqual(2 * cores);
      expect(Math.ceil(tasks / cores) * cores).toBeLessThanOrEqual(tasks * 1.15);
    }
  });
});
