import { describe, expect, it } from 'vitest';
import { variable } from '../base/expression.js';
import { epsilonOf } from './bounds.js';
import * as b from './build.js';
import type { Node } from './node.js';
import { boundOf, isBinaryName, isUnaryName, opNames, opRules, reductionLength } from './ops.js';

const known = (): undefined => undefined;
const f32 = (...shape: number[]) => b.input('x', { dtype: 'f32', shape });

describe('the operation table', () => {
  it('has a class, an arity and a bound for every operation', () => {
    for (const op of opNames) {
      const rule = opRules[op];
      expect(typeof rule.class).toBe('string');
      expect(rule.bound('i32', 3)).toEqual({ result: 0, terms: 0, absolute: 0 });
      const { result, terms, absolute } = rule.bound('f32', 3);
      expect([result, terms, absolute].every((v) => Number.isFinite(v) && v >= 0)).toBe(true);
    }
    expect(opNames.filter(isUnaryName).length).toBe(25);
    expect(opNames.filter(isBinaryName).length).toBe(16);
  });

  it('bounds sums by their length and accumulation', () => {
    const x = f32(4, 100);
    const total = b.sum(x, [1]);
    expect(reductionLength(total)).toBe(100);
    expect(boundOf(total, known).terms).toBe(101);
    expect(boundOf(b.maximumOver(x, [1]), known).terms).toBe(0);
    const half = b.input('h', { dtype: 'f16', shape: [4, 100] });
    expect(boundOf(b.sum(half, [1]), known).terms).toBeCloseTo(101 * 2 ** -13, 12);
    const w = b.window('convolve', f32(1, 3, 8, 8), f32(2, 3, 5, 5));
    expect(reductionLength(w)).toBe(75);
    expect(epsilonOf('bf16')).toBe(2 ** -7);
    expect(epsilonOf('i8')).toBe(0);
  });

  it('bounds symbolic lengths once the sizes are known', () => {
    const n = b.sizeSymbol();
    const total = b.sum(b.input('x', { dtype: 'f32', shape: [n] }));
    expect(boundOf(total, () => 9).terms).toBe(10);
  });

  const i64 = (...values: bigint[]) => b.constantOf('i64', [values.length], values);
  const wrong: [string, RegExp, () => Node | Node[]][] = [
    ['exp of integers', /OC-DTYPE-01/, () => b.exp(b.input('i', { dtype: 'i32', shape: [2] }))],
    ['and of floats', /OC-DTYPE-01/, () => b.and(f32(2), f32(2))],
    [
      'a loop index as a size',
      /OC-SHAPE-03/,
      () => b.input('x', { dtype: 'f32', shape: [variable('i', 3)] }),
    ],
    ['reshape', /OC-SHAPE-01/, () => b.reshape(f32(2, 3), [7])],
    ['permute', /OC-SHAPE-03/, () => b.make('permute', [f32(2, 3)], { axes: [0, 0] })],
    ['expand', /OC-SHAPE-01/, () => b.expand(f32(2, 3), [2, 6])],
    ['slice', /OC-SHAPE-03/, () => b.sliceAxis(f32(4), 0, 2, 3)],
    ['pad', /OC-SHAPE-03/, () => b.pad(f32(4), { before: [-1], after: [0] })],
    ['concat', /OC-SHAPE-01/, () => b.concat([f32(2, 3), f32(2, 4)], 0)],
    ['gather', /OC-DTYPE-01/, () => b.gather(f32(4), f32(2))],
    ['scatter', /OC-SHAPE-01/, () => b.scatter('sum', f32(4, 2), i64(1n), f32(1, 3))],
    ['update', /OC-SHAPE-01/, () => b.update(f32(4), f32(5), i64(0n))],
    ['unpack', /OC-DTYPE-01/, () => b.unpack(f32(4), 'u4')],
    ['bitcast', /OC-DTYPE-01/, () => b.bitcast(f32(4), 'i64')],
    ['select', /OC-DTYPE-01/, () => b.select(f32(4), f32(4), f32(4))],
    ['reduce axis', /OC-SHAPE-03/, () => b.sum(f32(4), [1])],
    ['accumulate', /OC-DTYPE-01/, () => b.sum(f32(4), [0], { accumulate: 'f16' })],
    ['random key', /OC-DTYPE-01/, () => b.randomBits(f32(2), [4])],
    ['arity', /OC-SHAPE-03/, () => b.make('add', [f32(2)], {})],
    [
      'loop shape',
      /OC-SHAPE-01/,
      () =>
        b.loop({
          trip: 3,
          carried: [f32(2)],
          body: ([v]) => ({ carried: [b.concat([v!, v!], 0)] }),
        }),
    ],
    [
      'branches',
      /OC-DTYPE-02/,
      () =>
        b.ifThen(
          b.input('c', { dtype: 'bool', shape: [] }),
          [f32(2)],
          ([v]) => [v!],
          ([v]) => [b.cast(v!, 'f64')],
        ),
    ],
  ];
  it.each(wrong)('refuses: %s', (_, message, build) => {
    expect(build).toThrow(message);
  });
});
