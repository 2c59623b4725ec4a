import { expect, it } from 'vitest';
import { add, minimum, multiply, subtract, variable } from '../base/expression.js';
import { KernelBuilder } from './builder.js';
import { printProgram } from './print.js';
import type { TileProgram } from './tile.js';
import { verifyProgram } from './verify.js';

/** Row sums of a matrix, with its names spelled by `size`. */
function rowSums(size: string, unused: number): TileProgram {
  const b = new KernelBuilder('i32');
  for (let i = 0; i < unused; i++) b.fresh('q');
  const [n, row] = [variable(size), variable(`row_${size}`)];
  const total = b.variable(b.broadcast(b.literal('f32', 0), [4]));
  b.for(0, n, 4, (k) => {
    const limits = [{ high: minimum(4, subtract(n, k)) }];
    const access = { buffer: 'x', address: add(multiply(n, row), k), strides: [1], limits };
    b.assign(total, b.add(b.read(total), b.load({ dtype: 'f32', shape: [4] }, access)));
  });
  const sum = b.reduce('add', b.read(total));
  b.if(b.less(b.literal('f32', 0), sum), () =>
    b.store({ buffer: 'y', address: row, strides: [] }, sum),
  );
  return {
    contract: 1,
    name: 'k0',
    target: 'test/chip',
    lanes: 4,
    group: 1,
    buffers: [
      { name: 'x', memory: 'f32', access: 'read' },
      { name: 'y', memory: 'f32', access: 'write' },
    ],
    sizes: [size],
    indexType: 'i32',
    scratch: [],
    grid: [{ name: `row_${size}`, extent: 7 }],
    body: b.body,
    mayFail: false,
  };
}

it('prints every statement on a line of its own', () => {
  const program = rowSums('s3', 0);
  verifyProgram(program);
  expect(printProgram(program)).toMatchInlineSnapshot(`
    "kernel k0 for test/chip  lanes 4  index i32
    memory x: f32, y: f32 write
    sizes n0
    grid g1 < 7
      v0: f32[4] = broadcast(0, axis 0)
      variable x0: f32[4] = v0
      for i2 in 0 .. n0 step 4
        v1: f32[4] = x0
        v2: f32[4] = load x[g1*n0 + i2 by 1] lanes ..min(4, -i2 + n0)
        v3: f32[4] = v1 + v2
        x0 = v3
      v4: f32[4] = x0
      v5: f32 = reduce add(v4, axis 0)
      v6: bool = 0 < v5
      if v6
        store y[g1] = v5
    "
  `);
});

it('prints equal programs equally, whatever their names', () => {
  expect(printProgram(rowSums('s99', 5))).toBe(printProgram(rowSums('s3', 0)));
});
