import { isFailure, valuesOf } from '@open-claw/core/internal';
import { describe, expect, it } from 'vitest';
import { buildGraph, buildModel, buildNode } from './build.js';
import { externalLocations, loadExternalData } from './external.js';
import type { ModelProto, StringEntry, TensorProto } from './model.js';
import { readModel } from './read.js';
import { readTensor } from './read-tensor.js';
import { writeModel } from './write.js';

const entry = (key: string, value: string): StringEntry => ({ key, value });

function external(...externalData: readonly StringEntry[]): TensorProto {
  return { name: 'w', dims: [2], dataType: 1, externalData };
}

function modelOf(tensor: TensorProto): ModelProto {
  return readModel(writeModel(buildModel({ initializers: [tensor] })));
}

const file = new Uint8Array(new Float32Array([1, 2, 3, 4]).buffer);

function codeOf(...entries: readonly StringEntry[]): string {
  let calls = 0;
  try {
    loadExternalData(modelOf(external(...entries)), () => {
      calls += 1;
      return file;
    });
  } catch (error) {
    if (!isFailure(error)) throw error;
    // A refused location never reaches the caller's function.
    if (error.code === 'OC-ONNX-12' || error.code === 'OC-ONNX-14') expect(calls).toBe(0);
    return error.code;
  }
  return 'no error';
}

describe('external data', () => {
  it('loads tensors everywhere in the model, each file once, as views', () => {
    const first = external(entry('location', 'a/w.bin'), entry('offset', '4'));
    const inner = external(entry('location', 'a/w.bin'), entry('length', '8'));
    const body = buildGraph({ initializers: [inner] });
    const nodes = [buildNode('If', [], [], [{ name: 'b', kind: 'graph', value: body }])];
    const model = buildModel({ initializers: [first], nodes });
    expect(externalLocations(model)).toEqual(['a/w.bin']);
    const asked: string[] = [];
    const loaded = loadExternalData(model, (location) => {
      asked.push(location);
      return file;
    });
    expect(asked).toEqual(['a/w.bin']);
    const tensor = readTensor(loaded.graph.initializers[0] as TensorProto);
    expect(valuesOf(tensor)).toEqual([2, 3]);
    expect((tensor.data as Float32Array).buffer).toBe(file.buffer);
    const attribute = loaded.graph.nodes[0]?.attributes[0];
    if (attribute?.kind !== 'graph') return expect.unreachable();
    expect(valuesOf(readTensor(attribute.value.initializers[0] as TensorProto))).toEqual([1, 2]);
  });

  it.each([
    '../w.bin',
    'a/../../etc/passwd',
    '/etc/passwd',
    '..\\w.bin',
    'a\\b',
    'C:w.bin',
    'c:/w.bin',
    'file:///etc/passwd',
    'https://host/w.bin',
    'w\0.bin',
    '',
    'x'.repeat(100_000),
  ])('refuses the location %j', (location) => {
    expect(codeOf(entry('location', location))).toBe('OC-ONNX-12');
  });

  it('refuses offsets and lengths outside the file', () => {
    const at = entry('location', 'w.bin');
    expect(codeOf(at, entry('offset', '8'))).toBe('no error');
    expect(codeOf(at, entry('offset', '9'))).toBe('OC-ONNX-13');
    expect(codeOf(at, entry('offset', '-1'))).toBe('OC-ONNX-13');
    expect(codeOf(at, entry('offset', '0x1'))).toBe('OC-ONNX-13');
    expect(codeOf(at, entry('offset', '9007199254740991'))).toBe('OC-ONNX-13');
    expect(codeOf(at, entry('offset', '18446744073709551615'))).toBe('OC-ONNX-13');
    expect(codeOf(at, entry('length', '16'))).toBe('OC-ONNX-13');
    expect(codeOf(at, entry('length', '9007199254740990'))).toBe('OC-ONNX-13');
  });

  it('refuses unknown and repeated keys', () => {
    const at = entry('location', 'w.bin');
    expect(codeOf(at, entry('__proto__', 'x'))).toBe('OC-ONNX-14');
    expect(codeOf(at, entry('constructor', 'x'))).toBe('OC-ONNX-14');
    expect(codeOf(at, at)).toBe('OC-ONNX-14');
    expect(codeOf(at, entry('checksum', 'x'))).toBe('no error');
  });
});
