/** Small programs that together use every kind of step; each runs on every device. */
import type { HostTensor, HostValue, Node } from '@open-claw/core/internal';
import * as core from '@open-claw/core/internal';

export interface SmallProgram {
  readonly name: string;
  readonly graph: core.Graph;
  readonly inputs: readonly HostTensor[];
}

/** Numbers in [−2, 2), the same on every run. */
export function randomTensor(
  seed: number,
  shape: readonly number[],
  dtype: core.DType = 'f32',
): HostTensor {
  let state = seed * 7919 + 17;
  const values = Array.from({ length: core.elementCount(shape) }, (): HostValue => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const value = (state / 2 ** 32) * 4 - 2;
    if (core.isFloat(dtype)) return value;
    const whole = Math.round(value * 8);
    return core.isWide(dtype) ? BigInt(whole) : whole;
  });
  return core.hostTensor(dtype, shape, values);
}

type Build = (...inputs: readonly Node[]) => readonly Node[];

function program(name: string, tensors: readonly HostTensor[], build: Build): SmallProgram {
  const inputs = tensors.map(({ dtype, shape }, i) => core.input(`x${i}`, { dtype, shape }));
  return { name, graph: core.graphOf(inputs, build(...inputs)), inputs: tensors };
}

const f = (seed: number, ...shape: readonly number[]): HostTensor => randomTensor(seed, shape);
const ints = (...values: readonly number[]): HostTensor =>
  core.hostTensor('i64', [values.length], values.map(BigInt));
const node = (value: Node | undefined): Node => value as Node;

function softmax(x: Node, axis: number): Node {
  const e = core.exp(core.subtract(x, core.reduce('maximum', x, [axis], { keep: true })));
  return core.divide(e, core.reduce('sum', e, [axis], { keep: true }));
}

function normalization(x: Node, gain: Node, bias: Node): Node {
  const centred = core.subtract(x, core.mean(x, [-1], { keep: true }));
  const variance = core.mean(core.multiply(centred, centred), [-1], { keep: true });
  const scaled = core.divide(centred, core.squareRoot(core.add(variance, 1e-5)));
  return core.add(core.multiply(scaled, gain), bias);
}

/** Attention of 2 heads over [batch, length, 16]. */
function attention(x: Node, weights: Node): Node {
  const [batch, length] = x.shape as readonly [number, number];
  const split = (i: number): Node => {
    const w = core.sliceAxis(weights, 1, i * 16, 16);
    return core.permute(core.reshape(core.matmul(x, w), [batch, length, 2, 8]), [0, 2, 1, 3]);
  };
  const [q, k, v] = [split(0), split(1), split(2)] as const;
  const scores = core.divide(core.matmul(q, core.permute(k, [0, 1, 3, 2])), Math.sqrt(8));
  const mixed = core.matmul(softmax(scores, -1), v);
  return core.reshape(core.permute(mixed, [0, 2, 1, 3]), [batch, length, 16]);
}

export function smallPrograms(): readonly SmallProgram[] {
  return [
    program('elementwise', [f(1, 5, 7), f(2, 7)], (x, y) => [
      core.multiply(core.exp(core.add(node(x), node(y))), core.tanh(node(x))),
      core.select(core.less(node(x), 0), core.negate(node(x)), node(x)),
    ]),
    program('views', [f(3, 4, 6)], (x) => [
      core.permute(core.slice(node(x), { starts: [1, 0], sizes: [2, 3], steps: [1, 2] }), [1, 0]),
      core.concat([core.flip(node(x), [1]), core.add(node(x), 1)], 0),
      core.pad(core.reshape(node(x), [24]), { before: [2], after: [3], value: 9 }),
      core.reshape(core.permute(node(x), [1, 0]), [3, 8]),
    ]),
    program(
      'long concatenation',
      Array.from({ length: 20 }, (_, i) => f(i, 2, 1 + (i % 3))),
      (...x) => [core.concat(x, 1)],
    ),
    program('integers', [randomTensor(4, [9], 'i64'), randomTensor(5, [9], 'i32')], (a, b) => [
      core.add(core.multiply(node(a), node(a)), core.cast(node(b), 'i64')),
      core.shiftLeft(core.cast(node(b), 'u32'), 3),
      core.divide(node(b), 3),
    ]),
    program(
      'narrow types',
      [randomTensor(6, [33], 'f16'), randomTensor(7, [33], 'bf16')],
      (a, b) => [
        core.multiply(core.add(node(a), node(a)), node(a)),
        core.cast(core.add(core.cast(node(b), 'f32'), core.cast(node(a), 'f32')), 'bf16'),
        core.cast(node(a), 'i8'),
      ],
    ),
    program('reductions', [f(8, 6, 5, 4)], (x) => [
      core.reduce('sum', node(x), [1]),
      core.reduce('maximum', node(x), [0, 2]),
      core.mean(node(x)),
      core.reduce('product', node(x), [2], { keep: true }),
    ]),
    program('softmax', [f(9, 12, 33)], (x) => [softmax(node(x), -1), softmax(node(x), 0)]),
    program('normalization', [f(10, 9, 40), f(11, 40), f(12, 40)], (x, g, b) => [
      normalization(node(x), node(g), node(b)),
    ]),
    program('product with epilogue', [f(13, 17, 23), f(14, 23, 19), f(15, 19)], (x, w, b) => [
      core.maximum(core.add(core.matmul(node(x), node(w)), node(b)), 0),
    ]),
    program('attention', [f(16, 2, 5, 16), f(17, 16, 48)], (x, w) => [attention(node(x), node(w))]),
    program('convolution', [f(18, 1, 3, 8, 8), f(19, 4, 3, 3, 3)], (x, w) => [
      core.maximum(
        core.window('convolve', node(x), node(w), {
          strides: [2, 2],
          padding: [
            [1, 1],
            [1, 1],
          ],
        }),
        0,
      ),
    ]),
    program('gather and scatter', [f(20, 7, 3), ints(2, 0, 6, 2), f(21, 4, 3)], (x, i, u) => [
      core.gather(node(x), node(i), 0),
      core.scatter('sum', node(x), node(i), node(u)),
    ]),
    program('reduction of no rows', [f(63, 1, 1, 0)], (x) => [
      core.negate(core.reduce('minimum', node(x), [0, 1], { keep: true })),
    ]),
    // Batch axes that are one run for the left operand and the result, but not for the right one.
    program('product with heads inside', [f(61, 2, 3, 12, 8), f(62, 2, 6, 3, 8)], (x, y) => [
      core.matmul(node(x), core.permute(node(y), [0, 2, 3, 1])),
    ]),
    program('prefix and sort', [f(22, 4, 9)], (x) => [
      core.cumulate('sum', node(x), 1),
      ...core.sort(node(x), [], { axis: 1, descending: true }),
    ]),
    program('compact', [f(23, 11)], (x) => {
      const [values, count] = core.compact(core.less(node(x), 0), node(x));
      const size = core.elementSize(count, 0);
      return [core.exp(core.slice(values, { starts: [0], sizes: [size], steps: [1] })), count];
    }),
    program('branches', [f(24, 4), f(25, 4)], (x, y) =>
      [true, false].flatMap((way) =>
        core.ifThen(
          core.less(core.reduce('sum', node(x)), way ? 1e9 : -1e9),
          [node(x), node(y)],
          ([a, b]) => [core.add(node(a), node(b)), node(b)],
          ([a, b]) => [core.subtract(node(a), node(b)), node(a)],
        ),
      ),
    ),
    program('loop', [f(26, 3), f(27, 3)], (x, y) =>
      core.loop({
        trip: 7,
        carried: [node(x), node(y)],
        body: ([a, b], _, i) => ({
          carried: [node(b), core.add(core.multiply(node(a), 0.5), core.cast(core.size(i), 'f32'))],
          stacked: [core.add(node(a), node(b))],
        }),
      }),
    ),
    program('while', [f(28, 3)], (x) =>
      core.whileLoop({
        condition: core.scalar('bool', 1),
        limit: 20,
        carried: [core.absolute(node(x))],
        body: ([a]) => {
          const next = core.multiply(core.add(node(a), 1), 1.5);
          return {
            condition: core.less(core.reduce('sum', next), 100),
            carried: [next],
            stacked: [node(a)],
          };
        },
      }),
    ),
    program('no iterations', [f(37, 3)], (x) => [
      ...core.loop({
        trip: 0,
        carried: [node(x)],
        body: ([a]) => ({ carried: [core.add(node(a), 1)], stacked: [node(a)] }),
      }),
      ...core.whileLoop({
        condition: core.scalar('bool', 0),
        limit: 4,
        carried: [node(x)],
        body: ([a]) => ({
          condition: core.scalar('bool', 1),
          carried: [core.add(node(a), 1)],
          stacked: [node(a)],
        }),
      }),
    ]),
    program('regions inside regions', [f(38, 4), f(39, 4)], (x, y) =>
      core.loop({
        trip: 5,
        carried: [node(x), node(y)],
        invariants: [node(y)],
        body: ([a, b], [c], i) => {
          const step = core.size(i);
          const isEven = core.equal(core.remainder(step, 2n), 0n);
          const values = [node(a), node(b), node(c)];
          const [p] = core.ifThen(
            isEven,
            values,
            ([u, v]) => [core.add(node(u), node(v))],
            ([u, , w]) => [core.multiply(node(u), node(w))],
          );
          const [q] = core.loop({
            trip: 3,
            carried: [node(b)],
            invariants: [node(p)],
            body: ([u], [v]) => ({
              carried: [core.subtract(node(v), core.multiply(node(u), 0.5))],
            }),
          });
          return { carried: [node(q), node(a)], stacked: [node(p), step] };
        },
      }),
    ),
    program('sizes inside a loop', [f(40, 9)], (x) =>
      core.loop({
        trip: 3,
        carried: [node(x), core.scalar('f32', 0)],
        body: ([a, total]) => {
          const [values, count] = core.compact(core.less(0, node(a)), node(a));
          const sizes = [core.elementSize(count, 0)];
          const kept = core.slice(values, { starts: [0], sizes, steps: [1] });
          const sum = core.reduce('sum', core.multiply(kept, 2));
          return {
            carried: [core.subtract(node(a), 0.5), core.add(node(total), sum)],
            stacked: [count],
          };
        },
      }),
    ),
    program('branches of other sizes', [f(41, 6), ints(1)], (x, way) => {
      const condition = core.reshape(core.cast(node(way), 'bool'), []);
      const [y] = core.ifThen(
        condition,
        [node(x)],
        ([a]) => [core.sliceAxis(node(a), 0, 1, 3)],
        ([a]) => [core.concat([node(a), node(a)], 0)],
      );
      return [core.multiply(node(y), 2)];
    }),
    program('composites', [f(42, 2, 4, 6, 8), f(43, 5, 12), f(44, 12)], (x, y, g) => [
      core.attention(node(x), node(x), node(x), { causal: true }),
      core.gelu(core.layerNormalization(node(y), { scale: node(g), bias: node(g) })),
      core.softmax(core.rmsNormalization(node(y), { scale: node(g) }), 0),
      core.argMax(node(y), 1),
      ...core.topK(node(y), 3),
      core.groupNormalization(node(x), 2, {}),
    ]),
    program('lstm', [f(45, 5, 2, 3), f(46, 16, 3), f(47, 16, 4), f(48, 16)], (x, w, r, b) =>
      core.lstm({ x: node(x), weights: node(w), recurrence: node(r), bias: node(b) }),
    ),
    program('gru, reversed', [f(49, 5, 2, 3), f(50, 12, 3), f(51, 12, 4)], (x, w, r) =>
      core.gru({ x: node(x), weights: node(w), recurrence: node(r), reverse: true }),
    ),
    program('sizes from data', [f(29, 12), ints(3, 4)], (x, s) => {
      const [rows, columns] = [0, 1].map((i) => core.elementSize(node(s), i)) as [
        core.Size,
        core.Size,
      ];
      return [core.reduce('sum', core.multiply(core.reshape(node(x), [rows, columns]), 2), [0])];
    }),
    program('constants', [f(30, 4, 8)], (x) => {
      const w = core.constant(f(31, 8, 5));
      const b = core.constant(f(32, 5));
      return [core.add(core.matmul(node(x), w), b), b, core.scalar('f32', 3)];
    }),
    program('update', [f(33, 6, 4), f(34, 2, 4), ints(3, 0)], (x, p, o) => [
      core.update(node(x), node(p), node(o)),
    ]),
    program('random bits', [core.hostTensor('u32', [2], [1, 2])], (key) => [
      core.randomBits(node(key), [3, 5]),
    ]),
    program('nothing to do', [f(35, 0, 4), f(36, 3)], (x, y) => [
      core.exp(node(x)),
      core.reduce('sum', node(x), [0]),
      node(y),
      core.reshape(node(y), [1, 3]),
    ]),
  ];
}
