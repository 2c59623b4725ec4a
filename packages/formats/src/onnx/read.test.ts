import { describe, expect, it } from 'vitest';
import { isFailure } from '../base/core.js';
import { codeOf, mutate, randomIntegers } from '../base/testing.js';
import { WireWriter } from '../protobuf/writer.js';
import { buildGraph, buildModel, buildNode, buildValue } from './build.js';
import type { ModelProto, TensorProto } from './model.js';
import { readModel } from './read.js';
import { validateModel } from './validate.js';
import { writeModel } from './write.js';

const weights: TensorProto = {
  name: 'w',
  dims: [2, 3],
  dataType: 1,
  docString: 'weights',
  floatData: Float32Array.of(1, 2, 3, 4, 5, 6),
};

/** A model with every part that the types know. */
const full: ModelProto = buildModel(
  {
    name: 'main',
    docString: 'doc',
    inputs: [
      buildValue('x', ['batch', 3, null]),
      {
        name: 's',
        type: { kind: 'sequence', element: { kind: 'optional', element: tensorType() } },
      },
      { name: 'm', type: { kind: 'map', keyType: 7, value: tensorType() } },
      { name: 'o', type: { kind: 'opaque', domain: 'd', name: 'n' } },
      { name: 'sp', type: { kind: 'sparseTensor', dataType: 1, shape: [4] }, docString: 'd' },
    ],
    outputs: [buildValue('y', null)],
    valueInfo: [buildValue('t', [])],
    initializers: [
      weights,
      { name: 'i32', dims: [2], dataType: 6, int32Data: Int32Array.of(-1, 7) },
      { name: 'i64', dims: [1], dataType: 7, int64Data: BigInt64Array.of(-(2n ** 63n)) },
      { name: 'f64', dims: [1], dataType: 11, doubleData: Float64Array.of(0.1) },
      { name: 'u64', dims: [1], dataType: 13, uint64Data: BigUint64Array.of(2n ** 64n - 1n) },
      { name: 'text', dims: [2], dataType: 8, stringData: ['é漢😀', Uint8Array.of(255)] },
    ],
    sparseInitializers: [
      {
        values: { name: 'sparse', dims: [1], dataType: 1, floatData: Float32Array.of(5) },
        indices: { name: '', dims: [1], dataType: 7, int64Data: BigInt64Array.of(3n) },
        dims: [4],
      },
    ],
    quantization: [{ tensorName: 'w', parameters: [{ key: 'SCALE_TENSOR', value: 'f64' }] }],
    metadata: [{ key: 'a', value: 'b' }],
    nodes: [
      buildNode(
        'Custom',
        ['x', '', 'w'],
        ['t', ''],
        [
          { name: 'float', kind: 'float', value: 0.5 },
          { name: 'int', kind: 'int', value: 2n ** 63n - 1n, docString: 'd' },
          { name: 'string', kind: 'string', value: 'text' },
          { name: 'bytes', kind: 'string', value: Uint8Array.of(0xff, 0) },
          { name: 'tensor', kind: 'tensor', value: weights },
          { name: 'floats', kind: 'floats', value: [1, 2] },
          { name: 'ints', kind: 'ints', value: [-1n, 2n] },
          { name: 'none', kind: 'ints', value: [] },
          { name: 'strings', kind: 'strings', value: ['a', 'b'] },
          { name: 'tensors', kind: 'tensors', value: [weights, weights] },
          { name: 'type', kind: 'type', value: tensorType() },
          { name: 'types', kind: 'types', value: [tensorType()] },
          {
            name: 'body',
            kind: 'graph',
            value: buildGraph({
              nodes: [buildNode('Identity', ['x'], ['inner'])],
              outputs: [buildValue('inner', null)],
            }),
          },
          { name: 'bodies', kind: 'graphs', value: [buildGraph({})] },
        ],
        { name: 'node', domain: 'local', overload: 'v', docString: 'd' },
      ),
      buildNode('Relu', ['t'], ['y']),
    ],
  },
  {
    producerName: 'p',
    producerVersion: '1',
    domain: 'd',
    modelVersion: 3n,
    docString: 'doc',
    opsetImport: [
      { domain: '', version: 21 },
      { domain: 'local', version: 1 },
    ],
    metadata: [{ key: 'k', value: 'v' }],
    trainingInfo: [
      {
        initialization: buildGraph({ name: 'init' }),
        algorithm: null,
        initializationBinding: [{ key: 'a', value: 'b' }],
        updateBinding: [],
      },
    ],
    functions: [
      {
        name: 'Custom',
        domain: 'local',
        overload: 'v',
        docString: 'd',
        inputs: ['a', 'b', 'c'],
        outputs: ['r'],
        attributeNames: ['float', 'int'],
        attributeDefaults: [{ name: 'alpha', kind: 'float', value: 0.25 }],
        nodes: [
          buildNode(
            'LeakyRelu',
            ['a'],
            ['r'],
            [{ name: 'alpha', kind: 'reference', value: 'alpha', type: 'float' }],
          ),
        ],
        opsetImport: [{ domain: '', version: 21 }],
        valueInfo: [],
        metadata: [],
      },
    ],
  },
);

function tensorType() {
  return { kind: 'tensor', dataType: 1, shape: [2, 'n', null] } as const;
}

describe('readModel', () => {
  it('reads back all that writeModel writes', () => {
    const bytes = writeModel(full);
    expect(readModel(bytes)).toEqual(full);
    validateModel(readModel(bytes));
  });

  it('gives payloads as views of the file', () => {
    const rawData = Uint8Array.from({ length: 64 }, (_, i) => i);
    const bytes = writeModel(
      buildModel({ initializers: [{ name: 'w', dims: [64], dataType: 2, rawData }] }),
    );
    const found = readModel(bytes).graph.initializers[0]?.rawData;
    expect(found).toEqual(rawData);
    expect(found?.buffer).toBe(bytes.buffer);
  });

  it('refuses an empty file, a file without graph, and a second graph', () => {
    expect(codeOf(() => readModel(new Uint8Array(0)))).toBe('OC-ONNX-01');
    const text = Uint8Array.from('<!DOCTYPE html>', (each) => each.charCodeAt(0));
    expect(codeOf(() => readModel(text))).toMatch(/^OC-PB/);
    const twice = new WireWriter().blob(7, new Uint8Array(0)).blob(7, new Uint8Array(0)).finish();
    expect(codeOf(() => readModel(twice))).toBe('OC-PB-07');
  });

  it('refuses graphs nested thousands deep', () => {
    let graph = new Uint8Array(0);
    for (let i = 0; i < 2000; i++) {
      const attribute = new WireWriter().text(1, 'body').blob(6, graph).varint(20, 5).finish();
      const node = new WireWriter().text(4, 'If').blob(5, attribute).finish();
      graph = new WireWriter().blob(1, node).finish() as Uint8Array<ArrayBuffer>;
    }
    const bytes = new WireWriter().varint(1, 10).blob(7, graph).finish();
    expect(codeOf(() => readModel(bytes))).toBe('OC-ONNX-24');
    expect(codeOf(() => readModel(bytes, { subgraphDepth: 5000 }))).toBe('OC-PB-05');
  });

  it('keeps to its limits', () => {
    const bytes = writeModel(full);
    expect(codeOf(() => readModel(bytes, { nodes: 3 }))).toBe('OC-PB-09');
    expect(codeOf(() => readModel(bytes, { tensors: 3 }))).toBe('OC-PB-09');
    expect(codeOf(() => readModel(bytes, { attributes: 3 }))).toBe('OC-PB-09');
    expect(codeOf(() => readModel(bytes, { items: 30 }))).toBe('OC-PB-09');
    expect(codeOf(() => readModel(bytes, { rank: 1 }))).toBe('OC-PB-09');
    expect(codeOf(() => readModel(bytes, { bytes: 100 }))).toBe('OC-PB-09');
  });

  it('refuses impossible sizes before anything else', () => {
    const withDims = (dims: readonly number[]): Uint8Array =>
      writeModel(buildModel({ initializers: [{ name: 'w', dims, dataType: 1 }] }));
    expect(codeOf(() => readModel(withDims([-1])))).toBe('OC-ONNX-06');
    expect(codeOf(() => readModel(withDims([2 ** 40, 2 ** 40])))).toBe('OC-ONNX-06');
    const huge = new WireWriter().varint(1, 2n ** 62n).finish();
    const graph = new WireWriter().blob(5, huge).finish();
    expect(codeOf(() => readModel(new WireWriter().blob(7, graph).finish()))).toBe('OC-PB-08');
  });

  it('refuses a number field in thousands of pieces', () => {
    const pieces = (count: number): Uint8Array => {
      const tensor = new WireWriter();
      for (let i = 0; i < count; i++) tensor.float(4, i).varint(99, 0);
      const graph = new WireWriter().blob(5, tensor.finish()).finish();
      return new WireWriter().blob(7, graph).finish();
    };
    expect(readModel(pieces(9)).graph.initializers[0]?.floatData?.length).toBe(9);
    expect(codeOf(() => readModel(pieces(10_001)))).toBe('OC-PB-09');
  });

  it('refuses attributes whose value and type disagree', () => {
    const read = (write: (writer: WireWriter) => void): string => {
      const model = new WireWriter().message(7, (graph) =>
        graph.message(1, (node) => node.message(5, (attribute) => write(attribute.text(1, 'a')))),
      );
      return codeOf(() => readModel(model.finish()));
    };
    expect(read((each) => each.varint(3, 1).varint(20, 1))).toBe('OC-ONNX-26');
    expect(read((each) => each.varint(3, 1).float(2, 1))).toBe('OC-ONNX-26');
    expect(read((each) => each.varint(20, 99))).toBe('OC-ONNX-26');
    expect(read((each) => each.varint(20, 5))).toBe('OC-ONNX-26');
    expect(read((each) => each.varint(20, 2))).toBe('no error');
    expect(read((each) => each.varint(3, 1))).toBe('no error');
  });

  it('survives mutated bytes: a failure of our kind, or a model that can be written', () => {
    const original = writeModel(full);
    const random = randomIntegers(12345);
    const codes = new Set<string>();
    let read = 0;
    for (let round = 0; round < 5000; round++) {
      const bytes = mutate(original, random, 4, 4);
      try {
        const model = readModel(bytes, {}, 'mutant');
        writeModel(model);
        validateModel(model);
        read += 1;
      } catch (error) {
        if (!isFailure(error)) throw error;
        codes.add(error.code);
        expect(error.message.length).toBeLessThan(1500);
      }
    }
    expect(read).toBeGreaterThan(100);
    expect(codes.size).toBeGreaterThan(12);
  });
});
