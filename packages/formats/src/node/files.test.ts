import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { valuesOf } from '@open-claw/core/internal';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { codeOf as failureCode } from '../base/testing.js';
import { buildModel, readTensor, type TensorProto, writeModel } from '../index.js';
import { readModelFile, readModelFileAside } from './files.js';

let root = '';
let folder = '';

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'claw-files-'));
  folder = join(root, 'model');
  mkdirSync(folder);
  writeFileSync(join(root, 'secret.bin'), new Float32Array([7, 8]));
});

afterEach(() => rmSync(root, { recursive: true }));

function writeModelFor(location: string): string {
  const externalData = [{ key: 'location', value: location }];
  const tensor: TensorProto = { name: 'w', dims: [2], dataType: 1, externalData };
  const path = join(folder, 'model.onnx');
  writeFileSync(path, writeModel(buildModel({ initializers: [tensor] })));
  return path;
}

const codeOf = (path: string, options = {}): string =>
  failureCode(() => readModelFile(path, options));

describe('readModelFile', () => {
  it('reads a model with its external data, also through a link to the model', () => {
    mkdirSync(join(folder, 'sub'));
    writeFileSync(join(folder, 'sub/w.bin'), new Float32Array([1, 2]));
    const path = writeModelFor('./sub/w.bin');
    const link = join(root, 'link.onnx');
    symlinkSync(path, link);
    for (const each of [path, link]) {
      const [tensor] = readModelFile(each).graph.initializers;
      expect(valuesOf(readTensor(tensor as TensorProto))).toEqual([1, 2]);
    }
  });

  it('reads the same beside this thread', async () => {
    const data = Float32Array.from({ length: 5_000_000 }, (_, i) => i);
    const rawData = new Uint8Array(data.buffer);
    const tensor: TensorProto = { name: 'w', dims: [data.length], dataType: 1, rawData };
    const path = join(folder, 'large.onnx');
    writeFileSync(path, writeModel(buildModel({ initializers: [tensor] })));
    const model = await readModelFileAside(path);
    const { data: read } = readTensor(model.graph.initializers[0] as TensorProto);
    const bytes = read as Float32Array<ArrayBuffer>;
    const found = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    expect(Buffer.compare(found, rawData)).toBe(0);
    const small = { limits: { bytes: 100 } };
    await expect(readModelFileAside(path, small)).rejects.toThrow('OC-PB-09');
    await expect(readModelFileAside(join(folder, 'no.onnx'))).rejects.toThrow('OC-ONNX-15');
  });

  it('refuses locations outside the folder, by path and by link', () => {
    expect(codeOf(writeModelFor('../secret.bin'))).toBe('OC-ONNX-12');
    expect(codeOf(writeModelFor(join(root, 'secret.bin')))).toBe('OC-ONNX-12');
    symlinkSync(join(root, 'secret.bin'), join(folder, 'w.bin'));
    expect(codeOf(writeModelFor('w.bin'))).toBe('OC-ONNX-16');
    linkSync(join(root, 'secret.bin'), join(folder, 'hard.bin'));
    expect(codeOf(writeModelFor('hard.bin'))).toBe('OC-ONNX-16');
    symlinkSync(root, join(folder, 'sub'));
    expect(codeOf(writeModelFor('sub/secret.bin'))).toBe('OC-ONNX-16');
  });

  it('refuses what is no file, is not there, or is too large', () => {
    expect(codeOf(writeModelFor('missing.bin'))).toBe('OC-ONNX-15');
    expect(codeOf(join(folder, 'missing.onnx'))).toBe('OC-ONNX-15');
    mkdirSync(join(folder, 'dir'));
    expect(codeOf(writeModelFor('dir'))).toBe('OC-ONNX-16');
    writeFileSync(join(folder, 'w.bin'), new Float32Array([1, 2]));
    const path = writeModelFor('w.bin');
    expect(codeOf(path)).toBe('no error');
    expect(codeOf(path, { externalBytes: 7 })).toBe('OC-PB-09');
    expect(codeOf(path, { limits: { bytes: 10 } })).toBe('OC-PB-09');
    writeFileSync(join(folder, 'w.bin'), new Uint8Array(7));
    expect(codeOf(path)).toBe('OC-ONNX-13');
  });
});
