import { hostTensor } from '@open-claw/core/internal';
import { describe, expect, it } from 'vitest';
import { codeOf, mutate, randomIntegers } from './base/testing.js';
import { encodeUtf8 } from './base/text.js';
import { readSafetensors } from './safetensors.js';

function file(header: string | Uint8Array, data = 0, length?: number): Uint8Array {
  const text = typeof header === 'string' ? encodeUtf8(header) : header;
  const bytes = new Uint8Array(8 + text.length + data);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length ?? text.length), true);
  bytes.set(text, 8);
  return bytes;
}

const entry = (dtype: string, shape: string, offsets: string): string =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;
const one = (dtype: string, shape: string, offsets: string): string =>
  `{"a":${entry(dtype, shape, offsets)}}`;
const code = (bytes: Uint8Array): string => codeOf(() => readSafetensors(bytes));

describe('safetensors', () => {
  it('reads tensors, aligned or not, and metadata', () => {
    const parts = [`"b":${entry('F32', '[2]', '[2,10]')}`, `"é":${entry('U8', '[2]', '[0,2]')}`];
    const bytes = file(`{"__metadata__":{"k":"v"},${parts.join()}}  `, 10);
    bytes.set([1, 2, 0, 0, 128, 63, 0, 0, 0, 64], bytes.length - 10);
    const { tensors, metadata } = readSafetensors(bytes);
    expect([...metadata]).toEqual([['k', 'v']]);
    expect([...tensors]).toEqual([
      ['b', hostTensor('f32', [2], [1, 2])],
      ['é', hostTensor('u8', [2], [1, 2])],
    ]);
  });

  it('reads files without tensors, scalars and empty tensors', () => {
    expect(readSafetensors(file('{}')).tensors.size).toBe(0);
    const { tensors } = readSafetensors(file(one('I64', '[]', '[0,8]'), 8));
    expect(tensors.get('a')).toEqual(hostTensor('i64', [], [0n]));
    const empty = readSafetensors(file(one('F32', '[9007199254740991,0]', '[0,0]')));
    expect(empty.tensors.get('a')?.data).toHaveLength(0);
  });

  it('refuses headers that are none (case 17)', () => {
    expect(code(new Uint8Array(7))).toBe('OC-SAFETENSORS-01');
    expect(code(file('{}', 0, 3))).toBe('OC-SAFETENSORS-01');
    expect(code(file('{}', 0, 2 ** 52))).toBe('OC-SAFETENSORS-01');
    expect(code(file(Uint8Array.of(0x7b, 0xff, 0x7d)))).toBe('OC-SAFETENSORS-01');
    for (const text of ['', '[]', '{', ' {}', 'null', '{"a":1,}', '{"a"}', '{"a":']) {
      expect(code(file(text))).toBe('OC-SAFETENSORS-01');
    }
    expect(code(file(`{"a":${'['.repeat(100_000)}`))).toBe('OC-SAFETENSORS-01');
    const long = file(`{${' '.repeat(2000)}}`);
    expect(codeOf(() => readSafetensors(long, { headerBytes: 1000 }))).toBe('OC-PB-09');
  });

  it('refuses ranges that overlap, leave gaps or miss the end (case 18)', () => {
    const two = (a: string, b: string): string =>
      `{"a":${entry('U8', '[4]', a)},"b":${entry('U8', '[4]', b)}}`;
    expect(code(file(two('[4,8]', '[0,4]'), 8))).toBe('no error');
    expect(code(file(two('[0,4]', '[0,4]'), 4))).toBe('OC-SAFETENSORS-03');
    expect(code(file(two('[0,4]', '[3,7]'), 7))).toBe('OC-SAFETENSORS-03');
    expect(code(file(two('[0,4]', '[5,9]'), 9))).toBe('OC-SAFETENSORS-03');
    expect(code(file(two('[0,4]', '[4,8]'), 7))).toBe('OC-SAFETENSORS-03');
    expect(code(file(two('[0,4]', '[4,8]'), 9))).toBe('OC-SAFETENSORS-03');
    expect(code(file(one('U8', '[4]', '[4,0]'), 4))).toBe('OC-SAFETENSORS-02');
  });

  it('refuses shapes that disagree, odd names and keys (case 19)', () => {
    const wrong: readonly [string, string, string][] = [
      ['F32', '[3]', '[0,8]'],
      ['F32', '[4294967296,4294967296]', '[0,8]'],
      ['F32', '[-2]', '[0,8]'],
      ['F32', '[1e300]', '[0,8]'],
      ['F32', '["2"]', '[0,8]'],
      ['F32', '2', '[0,8]'],
      ['F32', '[2]', '[0,8,9]'],
      ['F32', '[2]', '[0.5,8.5]'],
      ['constructor', '[2]', '[0,8]'],
      ['F32', `[${'1,'.repeat(99)}2]`, '[0,8]'],
    ];
    for (const each of wrong) expect(code(file(one(...each), 8))).toBe('OC-SAFETENSORS-02');
    const good = entry('F32', '[2]', '[0,8]');
    expect(code(file(`{"a":${good},"\\u0061":${good}}`, 8))).toBe('OC-SAFETENSORS-01');
    expect(code(file(`{"a":${good.replace('}', ',"shape":[2]}')}}`, 8))).toBe('OC-SAFETENSORS-01');
    expect(code(file(`{"a":${good.replace('}', ',"x":[2]}')}}`, 8))).toBe('OC-SAFETENSORS-02');
    expect(code(file(`{"__metadata__":{"n":1},"a":${good}}`, 8))).toBe('OC-SAFETENSORS-01');
    expect(code(file('{"a":[1]}'))).toBe('OC-SAFETENSORS-02');
    const { tensors } = readSafetensors(file(`{"__proto__":${good}}`, 8));
    expect([...tensors.keys()]).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>)['dtype']).toBeUndefined();
    const bools = file(one('BOOL', '[1]', '[0,1]'), 1);
    bools[bools.length - 1] = 2;
    expect(code(bools)).toBe('OC-SAFETENSORS-02');
  });

  it('ends in a code of its own whatever the bytes are', () => {
    const good = file(`{"a":${entry('F32', '[2]', '[0,8]')}}`, 8);
    const random = randomIntegers(7);
    for (let i = 0; i < 2000; i++) {
      expect(code(mutate(good, random, 4, 6))).toMatch(/^(OC-SAFETENSORS-0[123]|no error)$/);
    }
  });
});
