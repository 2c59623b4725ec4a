import { expect, test } from 'vitest';
import { type DType, dtypeFacts } from '../base/dtype.js';
import { decodeFloat, encodeFloat } from '../base/float-format.js';
import { type HostValue, hostTensor, valuesOf } from '../base/host-tensor.js';
import * as g from './build.js';
import { interpret, interpretNode } from './interpret.js';
import { erf } from './interpret-erf.js';
import { philox } from './interpret-random.js';
import { decodeTable, smallEncoding, smallRounding } from './interpret-rounding.js';
import type { Node } from './node.js';
import { chanceFrom } from './random-graph-chance.js';

/** Values of an output of a program without inputs. */
function run(node: Node): HostValue[] {
  return valuesOf(interpret(g.graphOf([], [node]), [])[0]!);
}

const tensor = (dtype: DType, shape: number[], values: ArrayLike<HostValue>): Node =>
  g.constantOf(dtype, shape, values);
const f32 = (values: number[], shape = [values.length]): Node => tensor('f32', shape, values);
const i32 = (values: number[], shape = [values.length]): Node => tensor('i32', shape, values);
const nan = Number.NaN;
const infinity = Number.POSITIVE_INFINITY;

test('Philox4x32-10 gives the published known answers', () => {
  expect(philox([0, 0, 0, 0], [0, 0])).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  const ones = 0xffffffff;
  expect(philox([ones, ones, ones, ones], [ones, ones])).toEqual([
    0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd,
  ]);
  expect(
    philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
  ).toEqual([0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
  const bits = run(g.randomBits(tensor('u32', [2], [0, 0]), [6])) as number[];
  expect(bits.slice(0, 4)).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  expect(bits.slice(4)).toEqual(philox([1, 0, 0, 0], [0, 0]).slice(0, 2));
});

test('erf agrees with published values', () => {
  const known: [number, number][] = [
    [0.1, 0.1124629160182849],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [1.5, 0.9661051464753108],
    [2, 0.9953222650189527],
    [2.5, 0.999593047982555],
    [3.5, 0.9999992569016276],
    [1e-10, 1.1283791670955126e-10],
  ];
  for (const [x, y] of known) {
    expect(Math.abs(erf(x) - y)).toBeLessThanOrEqual(1e-15 * y);
    expect(erf(-x)).toBe(-erf(x));
  }
  expect(erf(infinity)).toBe(1);
  expect(erf(nan)).toBeNaN();
});

test('floats are rounded once per op, minimum and maximum propagate NaN', () => {
  expect(run(g.add(f32([16777216]), f32([1])))).toEqual([16777216]);
  expect(run(g.minimum(f32([1, nan, -0]), f32([nan, 1, 0])))).toEqual([nan, nan, -0]);
  expect(run(g.round(f32([0.5, 1.5, 2.5, -1.5, 1e10])))).toEqual([0, 2, 2, -2, 1e10]);
  expect(run(g.remainder(f32([5.5, -5.5]), f32([2, 2])))).toEqual([1.5, -1.5]);
  expect(run(g.power(f32([1, -1, 2, 0]), f32([nan, infinity, 0.5, 0])))).toEqual([
    1,
    1,
    Math.fround(Math.SQRT2),
    1,
  ]);
  expect(run(g.add(tensor('bf16', [1], [256]), tensor('bf16', [1], [1])))).toEqual([256]);
});

test('integers wrap, divide toward zero and refuse a zero divisor by name', () => {
  expect(run(g.add(i32([2147483647]), i32([1])))).toEqual([-2147483648]);
  expect(run(g.multiply(i32([123456789]), i32([987654321])))).toEqual([
    Math.imul(123456789, 987654321),
  ]);
  expect(run(g.divide(i32([-7, 7]), i32([2, -2])))).toEqual([-3, -3]);
  expect(run(g.remainder(i32([-7, 7]), i32([2, -2])))).toEqual([-1, 1]);
  expect(run(g.multiply(tensor('u8', [1], [200]), tensor('u8', [1], [2])))).toEqual([144]);
  const most = 2n ** 63n - 1n;
  expect(run(g.add(tensor('i64', [1], [most]), tensor('i64', [1], [1n])))).toEqual([-(2n ** 63n)]);
  expect(run(g.shiftRight(i32([-8, 8]), i32([33, 1])))).toEqual([-4, 4]);
  expect(run(g.shiftRight(tensor('u32', [1], [4294967288]), tensor('u32', [1], [1])))).toEqual([
    2147483644,
  ]);
  expect(run(g.not(tensor('u8', [1], [1])))).toEqual([254]);
  expect(run(g.power(i32([3, -1, 2]), i32([4, -3, -1])))).toEqual([81, -1, 0]);
  for (const dtype of ['i32', 'u8', 'i64'] as const) {
    const divide = g.divide(tensor(dtype, [1], [1n]), tensor(dtype, [1], [0n]));
    expect(() => run(divide)).toThrow('OC-RUN-01');
  }
});

test('casts truncate, wrap or clamp, and round integers once', () => {
  const x = f32([3.9, -3.9, 300, nan, infinity, -1]);
  expect(run(g.cast(x, 'u8'))).toEqual([3, 253, 44, 0, 0, 255]);
  expect(run(g.cast(x, 'u8', { saturate: true }))).toEqual([3, 0, 255, 0, 255, 0]);
  expect(run(g.cast(f32([1e19, -1e30, 2 ** 62]), 'i64', { saturate: true }))).toEqual([
    2n ** 63n - 1n,
    -(2n ** 63n),
    2n ** 62n,
  ]);
  expect(run(g.cast(f32([0, nan, 0.1]), 'bool'))).toEqual([0, 1, 1]);
  // 2^24 + 1 + 2^-40 of an ulp: through f64 it would round twice, to 2^60 instead of above it.
  const big = 2n ** 60n + 2n ** 36n + 1n;
  expect(run(g.cast(tensor('i64', [1], [big]), 'f32'))).toEqual([2 ** 60 + 2 ** 37]);
  expect(run(g.cast(f32([500, -500, nan]), 'f8e4m3fn', { saturate: true }))).toEqual([
    448,
    -448,
    nan,
  ]);
  expect(run(g.cast(f32([500]), 'f8e4m3fn'))).toEqual([nan]);
  expect(run(g.cast(f32([0.1, -2]), 'f16'))).toEqual([0.0999755859375, -2]);
  expect(run(g.bitcast(f32([1, -0]), 'u32'))).toEqual([0x3f800000, 0x80000000]);
  expect(run(g.bitcast(tensor('i4', [2], [-1, 7]), 'u4'))).toEqual([15, 7]);
  expect(run(g.unpack(tensor('u8', [1], [0xf1]), 'i4'))).toEqual([1, -1]);
  expect(run(g.unpack(tensor('u8', [1], [0b11100100]), 'u2'))).toEqual([0, 1, 2, 3]);
});

test('views move elements, also of strings', () => {
  const x = i32([0, 1, 2, 3, 4, 5], [2, 3]);
  expect(run(g.permute(x, [1, 0]))).toEqual([0, 3, 1, 4, 2, 5]);
  expect(run(g.slice(x, { starts: [0, 0], sizes: [2, 2], steps: [1, 2] }))).toEqual([0, 2, 3, 5]);
  expect(run(g.flip(x, [0, 1]))).toEqual([5, 4, 3, 2, 1, 0]);
  expect(run(g.pad(i32([1, 2]), { before: [1], after: [2], value: 9 }))).toEqual([9, 1, 2, 9, 9]);
  expect(run(g.concat([x, x], 1))).toEqual([0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5]);
  expect(run(g.broadcastTo(i32([1, 2]), [2, 2]))).toEqual([1, 2, 1, 2]);
  expect(run(g.iota({ dtype: 'i64', shape: [2, 2] }, 1))).toEqual([0n, 1n, 0n, 1n]);
  const words = tensor('string', [2, 2], ['a', 'b', 'c', 'd']);
  expect(run(g.permute(words, [1, 0]))).toEqual(['a', 'c', 'b', 'd']);
  expect(run(g.gather(words, i32([1]), 1))).toEqual(['b', 'd']);
  expect(run(g.equal(words, tensor('string', [], ['c'])))).toEqual([0, 0, 1, 0]);
});

test('reductions, prefixes, sort and compact', () => {
  const x = f32([1, 2, 3, 4, 5, 6], [2, 3]);
  expect(run(g.sum(x, [0]))).toEqual([5, 7, 9]);
  expect(run(g.reduce('product', x, [1]))).toEqual([6, 120]);
  expect(run(g.reduce('maximum', f32([], [0, 2]), [0]))).toEqual([-infinity, -infinity]);
  expect(run(g.reduce('minimum', i32([], [0]), [0]))).toEqual([2147483647]);
  expect(run(g.cumulate('sum', x, 1, { exclusive: true }))).toEqual([0, 1, 3, 0, 4, 9]);
  expect(run(g.cumulate('sum', x, 0, { reverse: true }))).toEqual([5, 7, 9, 4, 5, 6]);
  const [keys, places] = g.sort(f32([2, nan, 1, 2]), [i32([0, 1, 2, 3])], { descending: true });
  expect(run(keys!)).toEqual([2, 2, 1, nan]);
  expect(run(places!)).toEqual([0, 3, 2, 1]);
  const mask = tensor('bool', [3], [0, 1, 1]);
  const [chosen, count] = g.compact(mask, i32([7, 8, 9]));
  expect(run(chosen)).toEqual([8, 9, 0]);
  expect(run(count)).toEqual([2n]);
});

test('contract sums over pairs of axes, integers modulo their width', () => {
  const a = f32([1, 2, 3, 4, 5, 6], [2, 3]);
  const b = f32([1, 0, 2, 1, 0, 3], [3, 2]);
  expect(run(g.matmul(a, b))).toEqual([5, 11, 14, 23]);
  const outer = g.contract(f32([1, 2]), f32([3, 4]), { contracted: [] });
  expect(run(outer)).toEqual([3, 4, 6, 8]);
  const large = i32([2147483647, 2147483647]);
  expect(run(g.contract(large, large, { contracted: [[0, 0]] }))).toEqual([2]);
  const wide = tensor('i64', [2], [2n ** 62n, 3n]);
  expect(run(g.contract(wide, wide, { contracted: [[0, 0]] }))).toEqual([9n]);
});

test('windows: convolution with groups, dilation and padding; pooling', () => {
  const x = f32([1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 4]);
  const w = f32([1, 1, 2, 0], [2, 1, 2]);
  expect(run(g.window('convolve', x, w, { groups: 2 }))).toEqual([3, 5, 7, 10, 12, 14]);
  const wide = g.window('convolve', x, f32([1, 10, 0, 0], [1, 2, 2]), {
    padding: [[1, 1]],
    strides: [2],
    kernelDilation: [2],
  });
  expect(run(wide)).toEqual([20, 42]);
  const spread = g.window('convolve', f32([1, 2], [1, 1, 2]), f32([1, 1], [1, 1, 2]), {
    inputDilation: [2],
    padding: [[1, 1]],
  });
  expect(run(spread)).toEqual([1, 1, 2, 2]);
  const image = f32([1, 5, 2, 4, 3, 6, 7, 8, 9], [1, 1, 3, 3]);
  const pooled = g.window('maximum', image, undefined, {
    kernel: [2, 2],
    padding: [
      [1, 0],
      [1, 0],
    ],
    strides: [2, 2],
  });
  expect(run(pooled)).toEqual([1, 5, 7, 9]);
});

test('gather and scatter refuse indices outside by name', () => {
  const x = f32([1, 2, 3]);
  expect(run(g.gather(x, i32([2, 0])))).toEqual([3, 1]);
  expect(() => run(g.gather(x, i32([3])))).toThrow('OC-RUN-02');
  expect(() => run(g.gather(x, i32([-1])))).toThrow('OC-RUN-02');
  expect(run(g.scatter('sum', x, i32([1, 1]), f32([10, 20])))).toEqual([1, 32, 3]);
  expect(run(g.scatter('replace', x, i32([1, 1]), f32([10, 20])))).toEqual([1, 20, 3]);
  expect(() => run(g.scatter('replace', x, i32([5]), f32([1])))).toThrow('OC-RUN-02');
  const offsets = tensor('i64', [1], [5n]);
  expect(run(g.update(x, f32([8, 9]), offsets))).toEqual([1, 8, 9]);
});

test('if, loop and while run their bodies', () => {
  const yes = tensor('bool', [], [1]);
  const x = f32([1, 2]);
  const [chosen] = g.ifThen(
    yes,
    [x],
    ([v]) => [g.add(v!, 1)],
    ([v]) => [v!],
  );
  expect(run(chosen!)).toEqual([2, 3]);
  const [last, all] = g.loop({
    trip: 3,
    carried: [x],
    body: ([v], _, i) => {
      const next = g.multiply(v!, g.cast(g.add(g.size(i), 1), 'f32'));
      return { carried: [next], stacked: [next] };
    },
  });
  expect(run(last!)).toEqual([6, 12]);
  expect(run(all!)).toEqual([1, 2, 2, 4, 6, 12]);
  const [found, , count] = g.whileLoop({
    condition: yes,
    limit: 10,
    carried: [f32([1], [])],
    body: ([v]) => {
      const next = g.multiply(v!, 2);
      return { condition: g.less(next, 20), carried: [next], stacked: [next] };
    },
  });
  expect(run(found!)).toEqual([32]);
  expect(run(count!)).toEqual([5n]);
});

test('symbols are bound from inputs and elements, requirements are checked', () => {
  const n = g.sizeSymbol(1);
  const x = g.input('x', { dtype: 'f32', shape: [n] });
  const y = g.input('y', { dtype: 'f32', shape: [g.sizeSymbol()] });
  const graph = g.graphOf([x, y], [g.make('add', [x, y], {})]);
  const two = hostTensor('f32', [2], [1, 2]);
  expect(valuesOf(interpret(graph, [two, two])[0]!)).toEqual([2, 4]);
  expect(() => interpret(graph, [two, hostTensor('f32', [1], [1])])).toThrow('OC-SHAPE-04');
  expect(() => interpret(graph, [two, hostTensor('i32', [2], [1, 1])])).toThrow('OC-DTYPE-02');
  const k = g.input('k', { dtype: 'i64', shape: [] });
  const taken = g.sliceAxis(x, 0, 0, g.elementSize(k, 0));
  const cut = g.graphOf([x, k], [taken]);
  const one = hostTensor('i64', [], [1n]);
  expect(valuesOf(interpret(cut, [two, one])[0]!)).toEqual([1]);
  expect(() => interpret(cut, [two, hostTensor('i64', [], [3n])])).toThrow('OC-SHAPE-04');
});

test('a chain of 100,000 nodes runs without using the stack, and can be stopped', () => {
  const x = g.input('x', { dtype: 'f64', shape: [] });
  let y = x;
  for (let i = 0; i < 100_000; i++) y = g.add(y, 1);
  const graph = g.graphOf([x], [y]);
  const zero = hostTensor('f64', [], [0]);
  expect(valuesOf(interpret(graph, [zero])[0]!)).toEqual([100_000]);
  let calls = 0;
  const check = (): void => {
    if (++calls > 10) throw new Error('stopped');
  };
  expect(() => interpret(graph, [zero], { check })).toThrow('stopped');
});

test('interpretNode computes one node', () => {
  const sum = g.add(f32([1]), f32([2]));
  const inputs = [hostTensor('f32', [1], [4]), hostTensor('f32', [1], [5])];
  expect(valuesOf(interpretNode(sum, inputs)[0]!)).toEqual([9]);
});

test('rounding to small floats agrees with encoding and decoding', () => {
  const chance = chanceFrom(3);
  for (const { float, storage } of Object.values(dtypeFacts)) {
    if (float === undefined || storage === 'f64' || storage === 'f32') continue;
    const codes = decodeTable(float);
    const encode = smallEncoding(float);
    const wrong = [...codes].filter((x) => encode(x) !== encodeFloat(float, x, false));
    expect(wrong).toEqual([]);
    for (const saturate of [false, true]) {
      const round = smallRounding(float, saturate);
      const check = (x: number): void => {
        expect(round(x)).toBe(decodeFloat(float, encodeFloat(float, x, saturate)));
      };
      for (const x of [0, -0, nan, infinity, -infinity, 1e300, -1e300, 1e-300]) check(x);
      for (let i = 0; i < 1500; i++) {
        const x = chance.between(-1, 1) * 2 ** (chance.below(40) - 20);
        const [a, b] = [codes[chance.below(codes.length)]!, codes[chance.below(codes.length)]!];
        for (const y of [x, a, (a + b) / 2, a * (1 + 2 ** -float.mantissaBits / 2)]) check(y);
      }
    }
  }
});
