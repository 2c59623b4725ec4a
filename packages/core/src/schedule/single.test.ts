import { describe, expect, it } from 'vitest';
import { hostTensor } from '../base/host-tensor.js';
import type { Target } from '../base/target.js';
import * as b from '../graph/build.js';
import type { Node } from '../graph/node.js';
import { nodesOf } from '../graph/traverse.js';
import { sumSingles } from './single.js';

const vectors = { execution: 'vector', vectorBytes: 32 } as Target;
const input = (name: string, shape: readonly number[], dtype: 'f32' | 'f16' = 'f32'): Node =>
  b.input(name, { dtype, shape });

function isSum(inputs: readonly Node[], product: Node, target = vectors): boolean {
  const ops = nodesOf(sumSingles(b.graphOf(inputs, [product]), target)).map(({ op }) => op);
  expect(ops.includes('contract')).toBe(!ops.includes('reduce'));
  return ops.includes('reduce');
}

describe('a product of a matrix and a vector', () => {
  const [row, matrix, column] = [
    input('row', [1, 256]),
    input('matrix', [256, 256]),
    input('column', [256, 1]),
  ];

  it('is a sum on either side where the matrix is large and may change', () => {
    expect(isSum([row, matrix], b.matmul(row, matrix))).toBe(true);
    expect(isSum([matrix, column], b.matmul(matrix, column))).toBe(true);
    const line = input('line', [256]);
    expect(isSum([matrix, line], b.matmul(matrix, line))).toBe(true);
  });

  it('stays a product where the matrix is laid out once, is small, or is none', () => {
    const weight = b.constant(hostTensor('f32', [256, 256], new Float32Array(2 ** 16).fill(1)));
    expect(isSum([row], b.matmul(row, weight))).toBe(false);
    const small = input('small', [256, 255]);
    expect(isSum([row, small], b.matmul(row, small))).toBe(false);
    const two = input('two', [2, 256]);
    expect(isSum([two, matrix], b.matmul(two, matrix))).toBe(false);
    expect(isSum([row, column], b.matmul(row, column))).toBe(false);
  });

  it('stays a product where a size is not known', () => {
    const free = b.input('free', { dtype: 'f32', shape: [1, b.sizeSymbol()] });
    expect(isSum([free, matrix], b.matmul(free, matrix))).toBe(false);
  });

  it('stays a product in batches, of small floats, and on threads', () => {
    const [a, c] = [input('a', [2, 1, 256]), input('c', [2, 256, 256])];
    expect(isSum([a, c], b.matmul(a, c))).toBe(false);
    const [h, m] = [input('h', [1, 256], 'f16'), input('m', [256, 256], 'f16')];
    expect(isSum([h, m], b.matmul(h, m))).toBe(false);
    const threads = { execution: 'threads', vectorBytes: 0 } as Target;
    expect(isSum([row, matrix], b.matmul(row, matrix), threads)).toBe(false);
  });
});
