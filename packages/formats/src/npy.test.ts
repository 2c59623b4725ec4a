import { dtypes, type HostTensor, hostTensor, valuesOf } from '@open-claw/core/internal';
import { describe, expect, it } from 'vitest';
import { codeOf as failureCode } from './base/testing.js';
import { encodeUtf8 } from './base/text.js';
import { readNpy, writeNpy } from './npy.js';

function file(header: string, payload: Uint8Array, version = 1): Uint8Array {
  const text = encodeUtf8(header);
  const lengths = [text.length & 255, text.length >> 8, ...(version === 1 ? [] : [0, 0])];
  return Uint8Array.from([
    0x93,
    0x4e,
    0x55,
    0x4d,
    0x50,
    0x59,
    version,
    0,
    ...lengths,
    ...text,
    ...payload,
  ]);
}

const header = (descr: string, shape: string, order = 'False'): string =>
  `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }\n`;

const codeOf = (bytes: Uint8Array): string => failureCode(() => readNpy(bytes));

describe('npy', () => {
  it.each(['f64', 'f32', 'f16', 'i64', 'i32', 'i16', 'i8', 'u64', 'u32', 'u16', 'u8'] as const)(
    'reads back %s',
    (dtype) => {
      const tensor = hostTensor(dtype, [2, 3], [0, 1, 2, 3, 4, 5]);
      const bytes = writeNpy(tensor);
      expect((bytes.length - 6 * (tensor.data as Uint8Array).BYTES_PER_ELEMENT) % 64).toBe(0);
      expect(readNpy(bytes)).toEqual(tensor);
    },
  );

  it('reads back bool, text, scalars and empty arrays', () => {
    const tensors: HostTensor[] = [
      hostTensor('bool', [2], [true, false]),
      hostTensor('string', [3], ['', '漢字', '😀']),
      hostTensor('f32', [], [1.5]),
      hostTensor('i32', [0, 4], []),
    ];
    for (const tensor of tensors) expect(readNpy(writeNpy(tensor))).toEqual(tensor);
  });

  it('writes every other dtype without loss', () => {
    for (const dtype of dtypes) {
      if (dtype === 'string' || dtype === 'bool' || dtype.endsWith('64')) continue;
      const tensor = hostTensor(dtype, [2], [1, dtype === 'f8e8m0' ? 2 : 0]);
      expect(valuesOf(readNpy(writeNpy(tensor)))).toEqual(valuesOf(tensor));
    }
  });

  it('reads Fortran order, big-endian, and versions 2 and 3', () => {
    const fortran = file(header('|u1', '(2, 3)', 'True'), Uint8Array.of(1, 4, 2, 5, 3, 6));
    expect(readNpy(fortran)).toEqual(hostTensor('u8', [2, 3], [1, 2, 3, 4, 5, 6]));
    const deep = file(
      header('|u1', '(2, 1, 3, 2)', 'True'),
      Uint8Array.from({ length: 12 }, (_, i) => i),
    );
    expect([...readNpy(deep).data]).toEqual([0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11]);
    const big = file(header('>i2', '(2,)'), Uint8Array.of(1, 2, 0xff, 0xfe), 2);
    expect(readNpy(big)).toEqual(hostTensor('i16', [2], [258, -2]));
    const third = file(header('<f4', '()'), Uint8Array.of(0, 0, 0x80, 0x3f), 3);
    expect(readNpy(third)).toEqual(hostTensor('f32', [], [1]));
    const old = file(
      "{'shape': (2L,), 'fortran_order': False, 'descr': '|b1'}",
      Uint8Array.of(7, 0),
    );
    expect(readNpy(old)).toEqual(hostTensor('bool', [2], [true, false]));
  });

  it('refuses each kind of bad file by its own code', () => {
    const none = new Uint8Array(0);
    expect(codeOf(none)).toBe('OC-NPY-01');
    expect(codeOf(encodeUtf8('not numpy at all'))).toBe('OC-NPY-01');
    expect(codeOf(file(header('<f4', '()'), new Uint8Array(4), 4))).toBe('OC-NPY-02');
    expect(codeOf(file('', none).fill(255, 8, 10))).toBe('OC-NPY-03');
    expect(codeOf(file('[]', none))).toBe('OC-NPY-03');
    expect(codeOf(file("{'descr': '<f4'}", none))).toBe('OC-NPY-03');
    expect(codeOf(file(header('<f4', '(-1,)'), none))).toBe('OC-NPY-03');
    expect(codeOf(file(header('<f4', '(__import__("os"),)'), none))).toBe('OC-NPY-03');
    expect(codeOf(file(header('|O', '(1,)'), none))).toBe('OC-NPY-04');
    expect(codeOf(file(header('|O8', '(1,)'), none))).toBe('OC-NPY-04');
    expect(codeOf(file(header('<c8', '(1,)'), new Uint8Array(8)))).toBe('OC-NPY-05');
    expect(codeOf(file(header('<M8[ns]', '(1,)'), new Uint8Array(8)))).toBe('OC-NPY-05');
    expect(codeOf(file(header('|V4', '(1,)'), new Uint8Array(4)))).toBe('OC-NPY-05');
    const fields = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }";
    expect(codeOf(file(fields, new Uint8Array(4)))).toBe('OC-NPY-05');
    expect(codeOf(file(header('<f4', '(9007199254740991, 4)'), none))).toBe('OC-NPY-06');
    expect(codeOf(file(header('<f4', '(0, 9007199254740991, 4)'), none))).toBe('OC-NPY-06');
    expect(codeOf(file(header('<U0', '(9007199254740991,)'), none))).toBe('OC-NPY-06');
    expect(codeOf(file(header('<f4', '(1099511627776,)'), none))).toBe('OC-NPY-07');
    expect(codeOf(file(header('<f4', '(2,)'), new Uint8Array(9)))).toBe('OC-NPY-07');
    expect(codeOf(file(header('<U1', '(1,)'), Uint8Array.of(0, 0, 0x11, 1)))).toBe('OC-NPY-05');
  });
});
