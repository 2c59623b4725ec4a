/** Models that are valid and hostile: they are bounded by time and memory, not refused as files. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isFailure } from '@open-claw/core';
import {
  buildGraph,
  buildNode,
  buildValue,
  readModel,
  tensorProto,
  writeModel,
} from '@open-claw/formats';
import { closeDevices, loadModel } from '@open-claw/openclaw';
import { afterAll, describe, expect, it } from 'vitest';
import { i64, modelOf } from './bad-models.js';
import { english, runAll, temporary } from './commands.js';

afterAll(closeDevices);

const folder = temporary();
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const f32 = (name: string, shape: readonly number[], values: readonly number[]) =>
  tensorProto(name, { dtype: 'f32', shape, data: Float32Array.from(values) });

/** A loop of as many trips as int64 can say. */
function endless(): Uint8Array {
  const body = buildGraph({
    nodes: [buildNode('Add', ['a', 'one'], ['b']), buildNode('Identity', ['c'], ['d'])],
    inputs: [buildValue('i', [], 7), buildValue('c', [], 9), buildValue('a', [2, 3])],
    outputs: [buildValue('d', [], 9), buildValue('b', [2, 3])],
  });
  const loop = buildNode(
    'Loop',
    ['trips', 'go', 'x'],
    ['y'],
    [{ name: 'body', kind: 'graph', value: body }],
  );
  const go = tensorProto('go', { dtype: 'bool', shape: [], data: Uint8Array.of(1) });
  return modelOf([loop], [2, 3], {
    initializers: [i64('trips', [], [2n ** 63n - 1n]), go, f32('one', [], [1])],
  });
}

const huge = {
  ConstantOfShape: modelOf([buildNode('ConstantOfShape', ['s'], ['c']), plus('c')], [1], {
    initializers: [i64('s', [2], [2 ** 20, 2 ** 22])],
  }),
  Tile: modelOf([buildNode('Tile', ['x', 's'], ['c']), plus('c')], [1, 1], {
    initializers: [i64('s', [2], [2 ** 21, 2 ** 21])],
  }),
  Expand: modelOf([buildNode('Expand', ['x', 's'], ['c']), plus('c')], [1, 1], {
    initializers: [i64('s', [2], [2 ** 21, 2 ** 21])],
  }),
  Pad: modelOf([buildNode('Pad', ['x', 's'], ['c']), plus('c')], [1], {
    initializers: [i64('s', [2], [0, 2 ** 42])],
  }),
  Range: modelOf([buildNode('Range', ['zero', 'end', 'step'], ['c']), plus('c')], [1], {
    initializers: [f32('zero', [], [0]), f32('end', [], [2 ** 42]), f32('step', [], [1])],
  }),
  Outer: modelOf(
    [buildNode('Transpose', ['x'], ['t']), buildNode('Sub', ['x', 't'], ['y'])],
    [1, 2 ** 20],
  ),
} as const;

/** Sorting cannot be done piece by piece, so the whole value is in memory. */
function plus(name: string) {
  return buildNode('CumSum', [name, 'axis'], ['y']);
}

describe.each(['native', 'wasm', 'interpreter'])('on %s', (device) => {
  it('ends a loop of 2^63 trips at the time limit and runs again', async () => {
    const model = await loadModel(endless(), { device });
    const x = new Float32Array(6);
    for (let i = 0; i < 2; i++) {
      const start = performance.now();
      await expect(model.run({ x }, { timeLimit: 150 })).rejects.toThrow('OC-DEVICE-04');
      expect(performance.now() - start).toBeLessThan(2000);
    }
    await model.dispose();
  });

  it('runs weights of NaN', async () => {
    const bytes = modelOf([buildNode('MatMul', ['x', 'w'], ['y'])], [2, 3], {
      initializers: [f32('w', [3, 2], new Array(6).fill(Number.NaN))],
    });
    const model = await loadModel(bytes, { device });
    const { y } = await model.run({ x: new Float32Array(6).fill(1) });
    expect([...(y?.data ?? [])]).toEqual(new Array(4).fill(Number.NaN));
    await model.dispose();
  });

  it('takes 10,000 tensors of one element', async () => {
    const count = 10_000;
    const initializers = Array.from({ length: count }, (_, i) => f32(`w${i}`, [1], [1]));
    const bytes = modelOf([buildNode('Add', ['x', 'w9999'], ['y'])], [1], { initializers });
    const model = await loadModel(bytes, { device });
    const { y } = await model.run({ x: Float32Array.of(1) });
    expect([...(y?.data ?? [])]).toEqual([2]);
    await model.dispose();
  });
});

describe.each(Object.entries(huge))('terabytes by %s', (name, bytes) => {
  it.each(['native', 'wasm', 'interpreter'])('are refused with figures on %s', async (device) => {
    const axis = i64('axis', [], [0]);
    const start = performance.now();
    let said: unknown;
    try {
      const model = await loadModel(withInitializer(bytes, axis), { device });
      await model.run({ x: new Float32Array(name === 'Outer' ? 2 ** 20 : 1) });
    } catch (error) {
      said = error;
    }
    if (!isFailure(said)) throw said ?? new Error('it ran');
    expect(['OC-MEMORY-01', 'OC-DEVICE-01', 'OC-REFUSED-02', 'OC-ONNX-32']).toContain(said.code);
    expect(said.message).toMatch(/\d{7}/);
    expect(performance.now() - start).toBeLessThan(2000);
  });
});

function withInitializer(bytes: Uint8Array, tensor: ReturnType<typeof i64>): Uint8Array {
  const model = readModel(bytes);
  const initializers = [...model.graph.initializers, tensor];
  return writeModel({ ...model, graph: { ...model.graph, initializers } });
}

it('bounds time by --time-limit and memory by --memory', () => {
  const paths = ['loop', 'tile'].map((name) => join(folder, `${name}.onnx`));
  writeFileSync(paths[0] as string, endless());
  const small = modelOf([buildNode('MatMul', ['x', 'x'], ['y'])], [512, 512]);
  writeFileSync(paths[1] as string, small);
  const common = ['--device', 'template:0', '--random', '1'];
  const [loop, tile] = runAll(
    [
      { words: ['run', paths[0] as string, ...common, '--time-limit', '200ms'], env: english },
      { words: ['run', paths[1] as string, ...common, '--memory', '1MB'], env: english },
    ],
    folder,
  );
  expect(loop?.text).toContain('OC-DEVICE-04');
  expect(loop?.exit).toBe(1);
  expect(loop?.ms).toBeLessThan(2000);
  expect(tile?.text).toMatch(/OC-MEMORY-01 {2}\d+ bytes of memory needed.*1000000/);
  expect(tile?.exit).toBe(3);
});
