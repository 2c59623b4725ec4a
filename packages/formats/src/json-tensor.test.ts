import { hostTensor, isFailure } from '@open-claw/core/internal';
import { describe, expect, it } from 'vitest';
import { readJsonTensor } from './json-tensor.js';

describe('JSON tensors', () => {
  it('reads objects and nested arrays', () => {
    const flat = '{"dtype": "i64", "shape": [2, 1], "data": [1, "9223372036854775807"]}';
    expect(readJsonTensor(flat)).toEqual(hostTensor('i64', [2, 1], [1n, 2n ** 63n - 1n]));
    expect(readJsonTensor('[[1, 2], [3, 4]]')).toEqual(hostTensor('f32', [2, 2], [1, 2, 3, 4]));
    expect(readJsonTensor('[1, 2]', 'u8')).toEqual(hostTensor('u8', [2], [1, 2]));
    expect(readJsonTensor('5', 'i32')).toEqual(hostTensor('i32', [], [5]));
    expect(readJsonTensor('[true, false]')).toEqual(hostTensor('bool', [2], [true, false]));
    expect(readJsonTensor('["a"]')).toEqual(hostTensor('string', [1], ['a']));
    expect(readJsonTensor('[[], []]')).toEqual(hostTensor('f32', [2, 0], []));
    expect(readJsonTensor('{"data": [[1], [2]], "dtype": "f16"}').shape).toEqual([2, 1]);
    expect(readJsonTensor('{"data": ["NaN", "-Infinity"], "dtype": "f64"}').data).toEqual(
      Float64Array.of(Number.NaN, Number.NEGATIVE_INFINITY),
    );
  });

  it.each([
    '{',
    '[[1], [2, 3]]',
    '[1, [2]]',
    '[[1], 2]',
    '[null]',
    '{"data": [1], "shape": [2]}',
    '{"data": [[1, 2]], "shape": [2, 1]}',
    '{"data": [1], "shape": [-1]}',
    '{"data": [], "shape": [9007199254740991, 9007199254740991]}',
    '{"data": [1], "dtype": "complex64"}',
    '{"data": [1], "dtype": "__proto__"}',
    '{"data": [1], "__proto__": {}}',
    '{"data": [1], "other": 1}',
    '{"data": [1.5], "dtype": "i32"}',
    '{"data": [256], "dtype": "u8"}',
    '{"data": [-1], "dtype": "u64"}',
    '{"data": [9007199254740993], "dtype": "i64"}',
    '{"data": ["1e3"], "dtype": "i64"}',
    '{"data": ["x"], "dtype": "f32"}',
    '{"data": [2], "dtype": "bool"}',
    `${'['.repeat(100)}${']'.repeat(100)}`,
    `${'['.repeat(200_000)}`,
  ])('refuses %#', (text) => {
    try {
      readJsonTensor(text);
      expect.unreachable();
    } catch (error) {
      expect(isFailure(error) && error.code).toBe('OC-JSON-01');
    }
  });

  it('refuses a dtype other than the wanted one', () => {
    expect(() => readJsonTensor('{"data": [1], "dtype": "f32"}', 'i32')).toThrow('OC-JSON-01');
  });
});
