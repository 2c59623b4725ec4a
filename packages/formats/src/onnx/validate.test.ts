import { describe, expect, it } from 'vitest';
import { isFailure } from '../base/core.js';
import { buildGraph, buildModel, buildNode, buildValue } from './build.js';
import type { FunctionProto, GraphProto, ModelProto, NodeProto } from './model.js';
import { validateModel } from './validate.js';

function failureOf(model: ModelProto): { code: string; message: string } {
  try {
    validateModel(model, { fileName: 'm.onnx' });
  } catch (error) {
    if (isFailure(error)) return { code: error.code, message: error.message };
    throw error;
  }
  return { code: 'no error', message: '' };
}

const x = buildValue('x', [1]);
const y = buildValue('y', [1]);

function codeOfGraph(graph: Partial<GraphProto>): string {
  return failureOf(buildModel({ inputs: [x], outputs: [y], ...graph })).code;
}

function relu(input: string, output: string): NodeProto {
  return buildNode('Relu', [input], [output]);
}

function func(name: string, nodes: readonly NodeProto[], parts = {}): FunctionProto {
  return {
    name,
    domain: 'local',
    overload: '',
    docString: '',
    inputs: ['a'],
    outputs: ['r'],
    attributeNames: [],
    attributeDefaults: [],
    nodes,
    opsetImport: [
      { domain: '', version: 21 },
      { domain: 'local', version: 1 },
    ],
    valueInfo: [],
    metadata: [],
    ...parts,
  };
}

const call = (name: string, input: string, output: string): NodeProto =>
  buildNode(name, [input], [output], [], { domain: 'local' });

function withFunctions(
  functions: readonly FunctionProto[],
  nodes: readonly NodeProto[],
): ModelProto {
  return buildModel(
    { inputs: [x], outputs: [y], nodes },
    {
      functions,
      opsetImport: [
        { domain: '', version: 21 },
        { domain: 'local', version: 1 },
      ],
    },
  );
}

describe('validateModel', () => {
  it('accepts a plain model, omitted values, and outer names in subgraphs', () => {
    expect(codeOfGraph({ nodes: [relu('x', 'y')] })).toBe('no error');
    const branch = buildGraph({
      nodes: [relu('x', 'inner')],
      outputs: [buildValue('inner', null)],
    });
    const node = buildNode(
      'If',
      ['x'],
      ['y', ''],
      [{ name: 'then_branch', kind: 'graph', value: branch }],
    );
    expect(codeOfGraph({ nodes: [node] })).toBe('no error');
  });

  it('checks versions and domains', () => {
    const nodes = [relu('x', 'y')];
    const code = (parts: object): string =>
      failureOf(buildModel({ inputs: [x], outputs: [y], nodes }, parts)).code;
    expect(code({ irVersion: 0 })).toBe('OC-ONNX-02');
    expect(code({ irVersion: 99 })).toBe('OC-ONNX-02');
    expect(code({ opsetImport: [] })).toBe('OC-ONNX-03');
    expect(code({ opsetImport: [{ domain: 'ai.onnx.ml', version: 1 }] })).toBe('OC-ONNX-03');
    expect(code({ opsetImport: [{ domain: '', version: 999 }] })).toBe('OC-ONNX-04');
    expect(code({ opsetImport: [{ domain: '', version: 0 }] })).toBe('OC-ONNX-04');
    expect(code({ opsetImport: [{ domain: 'ai.onnx', version: 21 }] })).toBe('no error');
    const custom = buildNode('Op', ['x'], ['y'], [], { domain: '__proto__' });
    expect(codeOfGraph({ nodes: [custom] })).toBe('OC-ONNX-05');
  });

  it('checks names: single assignment, order, cycles, undefined values', () => {
    expect(codeOfGraph({ nodes: [relu('x', 'y'), relu('x', 'y')] })).toBe('OC-ONNX-18');
    expect(codeOfGraph({ nodes: [relu('x', 'x'), relu('x', 'y')] })).toBe('OC-ONNX-18');
    expect(codeOfGraph({ inputs: [x, x], nodes: [relu('x', 'y')] })).toBe('OC-ONNX-18');
    expect(codeOfGraph({ nodes: [relu('nowhere', 'y')] })).toBe('OC-ONNX-19');
    expect(codeOfGraph({ nodes: [relu('t', 'y'), relu('x', 't')] })).toBe('OC-ONNX-20');
    expect(codeOfGraph({ nodes: [relu('t', 'y'), relu('y', 't')] })).toBe('OC-ONNX-21');
    expect(codeOfGraph({ nodes: [relu('y', 'y')] })).toBe('OC-ONNX-21');
    expect(codeOfGraph({ nodes: [] })).toBe('OC-ONNX-22');
    expect(codeOfGraph({ nodes: [relu('toString', 'y')] })).toBe('OC-ONNX-19');
  });

  it('checks types, payloads and nodes', () => {
    const nodes = [relu('x', 'y')];
    expect(codeOfGraph({ inputs: [{ name: 'x', type: null }], nodes })).toBe('OC-ONNX-25');
    expect(codeOfGraph({ inputs: [buildValue('x', [], 0)], nodes })).toBe('OC-ONNX-09');
    expect(codeOfGraph({ inputs: [buildValue('x', [], 99)], nodes })).toBe('OC-ONNX-09');
    expect(codeOfGraph({ valueInfo: [buildValue('t', [], 99)], nodes })).toBe('OC-ONNX-09');
    const bad = { name: 'w', dims: [2 ** 40], dataType: 1, rawData: new Uint8Array(4) };
    expect(codeOfGraph({ initializers: [bad], nodes })).toBe('OC-ONNX-07');
    const value = buildNode('Constant', [], ['y'], [{ name: 'value', kind: 'tensor', value: bad }]);
    expect(codeOfGraph({ nodes: [value] })).toBe('OC-ONNX-07');
    expect(codeOfGraph({ nodes: [buildNode('', ['x'], ['y'])] })).toBe('OC-ONNX-30');
    const reference = { name: 'a', kind: 'reference', value: 'b', type: 'int' } as const;
    expect(codeOfGraph({ nodes: [buildNode('Relu', ['x'], ['y'], [reference])] })).toBe(
      'OC-ONNX-26',
    );
    const twice = { name: 'a', kind: 'int', value: 1n } as const;
    expect(codeOfGraph({ nodes: [buildNode('Relu', ['x'], ['y'], [twice, twice])] })).toBe(
      'OC-ONNX-26',
    );
  });

  it('refuses recursion of functions, also through subgraphs', () => {
    const nodes = [call('f', 'x', 'y')];
    const code = (...functions: readonly FunctionProto[]): string =>
      failureOf(withFunctions(functions, nodes)).code;
    expect(code(func('f', [relu('a', 'r')]))).toBe('no error');
    expect(code(func('f', [call('f', 'a', 'r')]))).toBe('OC-ONNX-23');
    expect(code(func('f', [call('g', 'a', 'r')]), func('g', [call('f', 'a', 'r')]))).toBe(
      'OC-ONNX-23',
    );
    const inner = buildGraph({ nodes: [call('f', 'a', 'i')], outputs: [buildValue('i', null)] });
    const branch = { name: 'then_branch', kind: 'graph', value: inner } as const;
    expect(code(func('f', [buildNode('If', ['a'], ['r'], [branch])]))).toBe('OC-ONNX-23');
    expect(code(func('f', [relu('b', 'r')]))).toBe('OC-ONNX-19');
    expect(code(func('f', [relu('a', 'q')]))).toBe('OC-ONNX-22');
    expect(code(func('f', [relu('a', 'r')]), func('f', [relu('a', 'r')]))).toBe('OC-ONNX-27');
  });

  it('bounds the expansion of functions and survives long chains of calls', () => {
    const doubling = Array.from({ length: 60 }, (_, i) =>
      func(`f${i}`, [
        i === 59 ? relu('a', 't') : call(`f${i + 1}`, 'a', 't'),
        i === 59 ? relu('t', 'r') : call(`f${i + 1}`, 't', 'r'),
      ]),
    );
    expect(failureOf(withFunctions(doubling, [call('f0', 'x', 'y')])).code).toBe('OC-ONNX-31');
    const chain = Array.from({ length: 20_000 }, (_, i) =>
      func(`f${i}`, [i === 19_999 ? relu('a', 'r') : call(`f${i + 1}`, 'a', 'r')]),
    );
    expect(failureOf(withFunctions(chain, [call('f0', 'x', 'y')])).code).toBe('no error');
  });

  it('refuses graphs nested too deep', () => {
    let graph = buildGraph({});
    for (let i = 0; i < 100; i++) {
      const attribute = { name: 'body', kind: 'graph', value: graph } as const;
      graph = buildGraph({ nodes: [buildNode('Loop', [], [], [attribute])] });
    }
    expect(codeOfGraph({ nodes: [...graph.nodes, relu('x', 'y')] })).toBe('OC-ONNX-24');
  });

  it('keeps its text short and on one line whatever the names are', () => {
    const long = 'n'.repeat(100_000);
    const node = buildNode('Relu', [long], [`${long}\n\u0000`], [], { name: `${long}\u202e\n` });
    const { code, message } = failureOf(buildModel({ name: long, inputs: [x], nodes: [node] }));
    expect(code).toBe('OC-ONNX-19');
    expect(message.length).toBeLessThan(600);
    expect(message.split('\n').length).toBe(4);
    expect(message).toContain('node 0');
  });
});
