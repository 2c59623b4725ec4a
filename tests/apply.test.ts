/** Models on tensors: values stay on the device, donated state is written over, errors of run. */
import { closeDevices, fromHost, openDevice, type Tensor, tensor } from '@open-claw/core';
import {
  buildModel,
  buildNode,
  buildValue,
  type ModelProto,
  tensorProto,
  writeModel,
} from '@open-claw/formats';
import { loadModel, type Model, type ModelApplyOptions } from '@open-claw/openclaw';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { codeOf } from '../packages/openclaw/src/testing/codes.js';
import { reshapeModel } from '../packages/openclaw/src/testing/models.js';
import { useDevices } from './devices.js';

const ids = await useDevices();
afterAll(closeDevices);

const load = (proto: ModelProto, device: string): Promise<Model> =>
  loadModel(writeModel(proto), { device });

/** y = x · w for any number of rows; w is [[2, 0], [0, 3]]. */
const scaleModel = (): ModelProto =>
  buildModel({
    nodes: [buildNode('MatMul', ['x', 'w'], ['y'])],
    inputs: [buildValue('x', ['rows', 2])],
    outputs: [buildValue('y', ['rows', 2])],
    initializers: [
      tensorProto('w', { dtype: 'f32', shape: [2, 2], data: Float32Array.of(2, 0, 0, 3) }),
    ],
  });

const [rows, width] = [64, 256];

/** A row is put into a cache, at a place; total is the sum of all that is there. */
const cacheModel = (): ModelProto =>
  buildModel({
    nodes: [
      buildNode('ScatterND', ['cache', 'at', 'row'], ['next']),
      buildNode('ReduceSum', ['next'], ['total'], [{ name: 'keepdims', kind: 'int', value: 0n }]),
    ],
    inputs: [
      buildValue('cache', [rows, width]),
      buildValue('at', [1, 1], 7),
      buildValue('row', [1, width]),
    ],
    outputs: [buildValue('next', [rows, width]), buildValue('total', [])],
  });

const at = (place: number): Tensor => tensor([[place]], { dtype: 'i64' });
const rowOf = (value: number): Float32Array => new Float32Array(width).fill(value);
const emptyCache = (): Tensor => tensor(new Float32Array(rows * width), { shape: [rows, width] });

const sequenceType = {
  kind: 'sequence',
  element: { kind: 'tensor', dataType: 1, shape: [null, 2] },
} as const;

/** Tensors below each other, and the sequence itself. */
const sequenceModel = (): ModelProto =>
  buildModel({
    nodes: [
      buildNode('ConcatFromSequence', ['xs'], ['y'], [{ name: 'axis', kind: 'int', value: 0n }]),
      buildNode('Identity', ['xs'], ['same']),
    ],
    inputs: [{ name: 'xs', type: sequenceType }],
    outputs: [buildValue('y', [null, 2]), { name: 'same', type: sequenceType }],
  });

/** A constant of text beside a number. */
const textModel = (): ModelProto =>
  buildModel({
    nodes: [buildNode('Relu', ['x'], ['y']), buildNode('Identity', ['words'], ['text'])],
    inputs: [buildValue('x', [1])],
    outputs: [buildValue('y', [1]), buildValue('text', [1], 8)],
    initializers: [tensorProto('words', { dtype: 'string', shape: [1], data: ['word'] })],
  });

describe.each([...ids, 'interpreter'])('a model on tensors, on %s', (id) => {
  it('gives tensors that the next call takes, of any size', async () => {
    const model = await load(scaleModel(), id);
    const first = await model.apply({ x: tensor([[1, 1]]) });
    const second = await model.apply({ x: first['y'] as Tensor });
    const pending = await model.apply({ x: (second['y'] as Tensor).add(1) });
    expect(await (second['y'] as Tensor).array()).toEqual([[4, 9]]);
    expect(await (pending['y'] as Tensor).array()).toEqual([[10, 30]]);
    const { y } = await model.apply({
      x: [
        [1, 2],
        [3, 4],
      ],
    });
    expect(y).toMatchObject({ dtype: 'f32', shape: [2, 2], device: model.backend.device });
    expect(await y?.array()).toEqual([
      [2, 6],
      [6, 12],
    ]);
    const { y: same } = await model.run({ x: y as Tensor });
    expect([...(same?.data ?? [])]).toEqual([4, 18, 12, 36]);
    expect(model.fallbacks).toEqual([]);
    await model.dispose();
    expect(await codeOf(model.apply({ x: y as Tensor }))).toBe('OC-RUN-08');
    // Results outlive the model.
    expect(await y?.array()).toEqual([
      [2, 6],
      [6, 12],
    ]);
  });

  it('takes over the memory of what is donated', async () => {
    const model = await load(cacheModel(), id);
    const device = id === 'interpreter' ? undefined : (await openDevice(id)).device;
    let cache = emptyCache();
    const step = async (place: number, options: ModelApplyOptions): Promise<number> => {
      const given = cache;
      const { next, total } = await model.apply({ cache, at: at(place), row: rowOf(1) }, options);
      expect(await codeOf(given.array())).toBe(options.donate ? 'OC-TENSOR-01' : 'no failure');
      cache = next as Tensor;
      return (total as Tensor).item();
    };
    expect(await step(0, { donate: ['cache'] })).toBe(width);
    expect(await step(1, { donate: ['cache'] })).toBe(2 * width);
    if (device !== undefined) {
      const spies = [vi.spyOn(device, 'allocate'), vi.spyOn(device, 'submit')] as const;
      const [allocate, submit] = spies;
      const copies = (): number =>
        submit.mock.calls.flatMap(([list]) => list).filter(({ kind }) => kind === 'copy').length;
      expect(await step(2, { donate: ['cache'] })).toBe(3 * width);
      expect(copies()).toBe(0);
      const most = Math.max(0, ...allocate.mock.calls.map(([bytes]) => bytes));
      expect(most).toBeLessThan(rows * width * 4);
      for (const spy of spies) spy.mockRestore();
    } else await step(2, { donate: ['cache'] });
    // Kept: the value before is still there.
    const before = cache;
    expect(await step(3, {})).toBe(4 * width);
    expect(await before.sum().item()).toBe(3 * width);
    await model.dispose();
  });

  it('copies what is donated while another call reads it', async () => {
    const model = await load(cacheModel(), id);
    const { next } = await model.apply({ cache: emptyCache(), at: at(0), row: rowOf(1) });
    const cache = next as Tensor;
    const row = rowOf(2);
    const [kept, given, again] = await Promise.all([
      model.apply({ cache, at: at(1), row }),
      model.apply({ cache, at: at(0), row }, { donate: ['cache'] }),
      codeOf(model.apply({ cache, at: at(0), row })),
    ]);
    expect(await (kept['total'] as Tensor).item()).toBe(3 * width);
    expect(await (given['total'] as Tensor).item()).toBe(2 * width);
    expect(again).toBe('OC-TENSOR-01');
    await model.dispose();
  });

  it('refuses what run refuses, and lets what was donated go', async () => {
    const model = await load(scaleModel(), id);
    const x = tensor([[1, 1]]);
    expect(await codeOf(model.apply({}))).toBe('OC-INPUT-03');
    expect(await codeOf(model.apply({ x, q: x }))).toBe('OC-INPUT-02');
    expect(await codeOf(model.apply({ x }, { donate: ['q'] }))).toBe('OC-INPUT-02');
    expect(await codeOf(model.apply({ x: tensor([1, 2]) }))).toBe('OC-INPUT-01');
    expect(await codeOf(model.apply({ x: tensor([[1n, 2n]]) }))).toBe('OC-INPUT-01');
    expect(await codeOf(model.apply({ x: tensor([[1, 2, 3]]) }))).toBe('OC-INPUT-01');
    expect(await x.array()).toEqual([[1, 1]]);
    const stopped = { donate: ['x'], signal: AbortSignal.abort() };
    expect(await codeOf(model.apply({ x }, stopped))).toBe('OC-DEVICE-05');
    expect(await codeOf(x.array())).toBe('OC-TENSOR-01');
    expect(await codeOf(model.apply({ x }))).toBe('OC-TENSOR-01');
    const { y } = await model.apply({ x: [[1, 1]] });
    expect(await y?.array()).toEqual([[2, 3]]);
    await model.dispose();
  });

  it('makes a program for the values of tensors where it must', async () => {
    const model = await load(reshapeModel(), id);
    const x = tensor(
      Float32Array.from({ length: 12 }, (_, i) => i),
      { shape: [2, 6] },
    );
    for (const shape of [
      [3, 4],
      [2, 3, 2],
      [3, 4],
    ]) {
      const s = tensor(shape, { dtype: 'i64' });
      const { y } = await model.apply({ x, s }, { donate: ['s'] });
      expect(y?.shape).toEqual(shape);
      expect([...((await y?.data()) ?? [])]).toEqual(Array.from({ length: 12 }, (_, i) => i));
      expect(await codeOf(s.array())).toBe('OC-TENSOR-01');
    }
    await model.dispose();
  });

  it('takes and gives sequences, and refuses text', async () => {
    const model = await load(sequenceModel(), id);
    const xs = [
      tensor([[1, 2]]),
      [
        [3, 4],
        [5, 6],
      ],
      fromHost({ dtype: 'f32', shape: [0, 2], data: new Float32Array(0) }),
    ];
    const outputs = await model.apply({ xs }, { donate: ['xs'] });
    expect(Object.keys(outputs)).toEqual(['y', 'same[0]', 'same[1]', 'same[2]']);
    expect(await outputs['y']?.array()).toEqual([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    expect(await outputs['same[1]']?.array()).toEqual([
      [3, 4],
      [5, 6],
    ]);
    expect(await codeOf((xs[0] as Tensor).array())).toBe('OC-TENSOR-01');
    const words = await load(textModel(), id);
    expect((await words.run({ x: [1] }))['text']?.data).toEqual(['word']);
    expect(await codeOf(words.apply({ x: [1] }))).toBe('OC-REFUSED-01');
    await Promise.all([model.dispose(), words.dispose()]);
  });

  it('copies tensors of another device and tells it', async () => {
    const other = ids.find((each) => each !== id) as string;
    const model = await load(scaleModel(), id);
    const x = await tensor([[1, 1]], { device: other })
      .mul(2)
      .realize();
    const { y } = await model.apply({ x });
    expect(await y?.array()).toEqual([[4, 6]]);
    if (id !== 'interpreter') {
      expect(model.fallbacks).toMatchObject([{ op: 'input', node: 'x' }]);
      expect(model.fallbacks[0]?.reason).toContain(other);
    }
    await model.dispose();
  });
});
