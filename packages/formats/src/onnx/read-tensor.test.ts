import { type DType, dtypes, hostTensor, valuesOf } from '@open-claw/core/internal';
import { describe, expect, it } from 'vitest';
import { codeOf } from '../base/testing.js';
import type { SparseTensorProto, TensorProto, ValueType } from './model.js';
import { parseTensorProto, readTensorFile, readValue } from './read-data.js';
import { readSparseTensor, readTensor } from './read-tensor.js';
import { tensorProto, writeTensor, writeValue } from './write.js';

const samples = (dtype: DType): readonly (number | bigint | string | boolean)[] => {
  if (dtype === 'string') return ['', 'a', '漢', '😀', 'e'];
  if (dtype === 'bool') return [true, false, true, true, false];
  if (dtype === 'f8e8m0') return [1, 2, 0.5, 4, 8];
  if (dtype.startsWith('f') || dtype === 'bf16') return [0, 1, -1.5, 2, -0.5];
  if (dtype.startsWith('u')) return dtype === 'u2' ? [0, 1, 2, 3, 1] : [0, 1, 7, 15, 3];
  return dtype === 'i2' ? [0, 1, -1, -2, 1] : [0, 1, -1, -8, 7];
};

describe('readTensor', () => {
  it.each(dtypes)('reads back %s from raw data', (dtype) => {
    const values = samples(dtype);
    const tensor = hostTensor(dtype, [5], values);
    const found = readTensorFile(writeTensor(tensorProto('t', tensor)));
    expect(found).toEqual(tensor);
    expect(valuesOf(found)).toEqual(
      values.map((each) =>
        dtype === 'bool'
          ? Number(each)
          : typeof each === 'number' && dtype.endsWith('64') && !dtype.startsWith('f')
            ? BigInt(each)
            : each,
      ),
    );
  });

  it('reads typed fields of every width', () => {
    const read = (proto: Partial<TensorProto>): readonly unknown[] =>
      valuesOf(readTensor({ name: 't', dims: [3], dataType: 0, ...proto }));
    const int32Data = Int32Array.of(1, 0, 1);
    expect(read({ dataType: 9, int32Data })).toEqual([1, 0, 1]);
    expect(read({ dataType: 10, int32Data: Int32Array.of(0x3c00, 0, 0xbc00) })).toEqual([1, 0, -1]);
    expect(read({ dataType: 16, int32Data: Int32Array.of(0x3f80, 0, 0xbf80) })).toEqual([1, 0, -1]);
    expect(read({ dataType: 17, int32Data: Int32Array.of(0x38, 0, 0xb8) })).toEqual([1, 0, -1]);
    expect(read({ dataType: 22, int32Data: Int32Array.of(0x7f, 0x8) })).toEqual([-1, 7, -8]);
    expect(read({ dataType: 22, int32Data: Int32Array.of(-1, 0x8) })).toEqual([-1, -1, -8]);
    expect(read({ dataType: 25, int32Data: Int32Array.of(0b111001) })).toEqual([1, 2, 3]);
    expect(read({ dataType: 12, uint64Data: BigUint64Array.of(1n, 2n, 4294967295n) })).toEqual([
      1, 2, 4294967295,
    ]);
    expect(read({ dims: [0], dataType: 1 })).toEqual([]);
    expect(read({ dims: [], dataType: 1, floatData: Float32Array.of(2) })).toEqual([2]);
  });

  it('takes any non-zero byte as true', () => {
    const rawData = Uint8Array.of(0, 2, 255);
    expect(readTensor({ name: 't', dims: [3], dataType: 9, rawData }).data).toEqual(
      Uint8Array.of(0, 1, 1),
    );
  });

  it('gives a view where the payload is aligned and a copy where not', () => {
    const buffer = new ArrayBuffer(32);
    const aligned = new Uint8Array(buffer, 8, 8);
    const odd = new Uint8Array(buffer, 9, 8);
    const read = (rawData: Uint8Array) =>
      readTensor({ name: 't', dims: [2], dataType: 1, rawData }).data as Float32Array;
    expect(read(aligned).buffer).toBe(buffer);
    expect(read(odd).buffer).not.toBe(buffer);
    expect([...read(odd)]).toEqual([0, 0]);
  });

  it('refuses payloads that do not fit, each by its code', () => {
    const code = (proto: Partial<TensorProto>): string =>
      codeOf(() => readTensor({ name: 't', dims: [3], dataType: 1, ...proto }));
    expect(code({ rawData: new Uint8Array(11) })).toBe('OC-ONNX-07');
    expect(code({ rawData: new Uint8Array(13) })).toBe('OC-ONNX-07');
    expect(code({ dataType: 22, rawData: new Uint8Array(1) })).toBe('OC-ONNX-07');
    expect(code({ dataType: 25, dims: [2 ** 40], rawData: new Uint8Array(9) })).toBe('OC-ONNX-07');
    expect(code({ floatData: new Float32Array(2) })).toBe('OC-ONNX-08');
    expect(code({ dims: [2 ** 52] })).toBe('OC-ONNX-08');
    expect(code({ dataType: 22, int32Data: new Int32Array(3) })).toBe('OC-ONNX-08');
    expect(code({ dataType: 0 })).toBe('OC-ONNX-09');
    expect(code({ dataType: 99 })).toBe('OC-ONNX-09');
    expect(code({ dataType: -1 })).toBe('OC-ONNX-09');
    expect(code({ dataType: 14 })).toBe('OC-REFUSED-01');
    expect(code({ int32Data: new Int32Array(3) })).toBe('OC-ONNX-10');
    const both = { floatData: new Float32Array(3), rawData: new Uint8Array(12) };
    expect(code(both)).toBe('OC-ONNX-10');
    expect(code({ dataType: 2, int32Data: Int32Array.of(0, 0, 256) })).toBe('OC-ONNX-10');
    expect(code({ dataType: 3, int32Data: Int32Array.of(0, 0, 128) })).toBe('OC-ONNX-10');
    expect(code({ dataType: 12, uint64Data: BigUint64Array.of(0n, 0n, 2n ** 32n) })).toBe(
      'OC-ONNX-10',
    );
    expect(code({ dataType: 8, rawData: new Uint8Array(3) })).toBe('OC-ONNX-10');
    expect(code({ dataType: 8, stringData: ['a', 'b', Uint8Array.of(255)] })).toBe('OC-ONNX-10');
    expect(code({ externalData: [{ key: 'location', value: 'w' }] })).toBe('OC-ONNX-15');
  });

  it('writes sparse tensors out and checks their indices', () => {
    const sparse = (dims: readonly number[], shape: readonly number[], at: readonly bigint[]) =>
      ({
        values: { name: 'v', dims: [2], dataType: 1, floatData: Float32Array.of(5, 6) },
        indices: { name: '', dims: shape, dataType: 7, int64Data: BigInt64Array.from(at) },
        dims,
      }) satisfies SparseTensorProto;
    expect([...readSparseTensor(sparse([2, 2], [2], [1n, 3n])).data]).toEqual([0, 5, 0, 6]);
    expect([...readSparseTensor(sparse([2, 2], [2, 2], [0n, 1n, 1n, 0n])).data]).toEqual([
      0, 5, 6, 0,
    ]);
    const code = (...parts: Parameters<typeof sparse>): string =>
      codeOf(() => readSparseTensor(sparse(...parts)));
    expect(code([4], [2], [1n, 4n])).toBe('OC-ONNX-28');
    expect(code([4], [2], [-1n, 2n])).toBe('OC-ONNX-28');
    expect(code([4], [2], [2n, 1n])).toBe('OC-ONNX-28');
    expect(code([4], [2], [1n, 1n])).toBe('OC-ONNX-28');
    expect(code([4], [2, 2], [0n, 1n, 1n, 0n])).toBe('OC-ONNX-28');
    expect(code([2 ** 40], [2], [1n, 2n])).toBe('OC-ONNX-28');
  });
});

describe('readValue', () => {
  const tensor = hostTensor('f32', [2], [1, 2]);
  const proto = { kind: 'tensor', value: tensorProto('', tensor) } as const;
  const type: ValueType = { kind: 'tensor', dataType: 1, shape: null };

  it('reads sequences, optionals and maps', () => {
    const list = { kind: 'sequence', value: { name: 's', values: [proto, proto] } } as const;
    const expected = { kind: 'tensor', tensor } as const;
    expect(readValue(writeValue(list), { kind: 'sequence', element: type })).toEqual({
      kind: 'sequence',
      elements: [expected, expected],
    });
    const optional: ValueType = { kind: 'optional', element: type };
    const some = writeValue({ kind: 'optional', value: { name: '', value: proto } });
    expect(readValue(some, optional)).toEqual({ kind: 'optional', value: expected });
    expect(readValue(new Uint8Array(0), optional)).toEqual({ kind: 'optional', value: null });
    const values = list.value;
    const map = { kind: 'map', value: { name: '', keyType: 7, keys: [5n, -1n], values } } as const;
    expect(readValue(writeValue(map), { kind: 'map', keyType: 7, value: type })).toEqual({
      kind: 'map',
      keys: [5n, -1n],
      values: [expected, expected],
    });
    const short = { ...map, value: { ...map.value, keys: [5n] } };
    expect(
      codeOf(() => readValue(writeValue(short), { kind: 'map', keyType: 7, value: type })),
    ).toBe('OC-ONNX-29');
  });

  it('reads bfloat16 bits that older ONNX stored as UINT16', () => {
    const bits = writeTensor(tensorProto('', hostTensor('u16', [1], [0x3f80])));
    const value = readValue(bits, { kind: 'tensor', dataType: 16, shape: null });
    expect(value).toEqual({ kind: 'tensor', tensor: hostTensor('bf16', [1], [1]) });
  });

  it('keeps unset fields unset', () => {
    expect(parseTensorProto(new Uint8Array(0))).toEqual({ name: '', dims: [], dataType: 0 });
  });
});
