/**
 * Contractions on matrix units of threads, run on a stub whose host gives every instruction the
 * layout of its manual: against the interpreter, by dtype, precision, orientation and tails.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeDevices, compile, load, openDevice, type Precision, use } from '@open-claw/core';
import {
  add,
  type Graph,
  graphOf,
  hostTensor,
  input,
  interpret,
  matmul,
  type Node,
  permute,
  readElement,
  relu,
} from '@open-claw/core/internal';
import { cudaDevice, type GpuRow, gpuRows } from '@open-claw/device-cuda';
import { buildStub, stubCompiler } from '@open-claw/device-cuda/stub';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'claw-matrix-'));
const missing = stubCompiler() === undefined;
if (missing) console.warn('skipped: no C compiler for the stubs: install build-essential');

afterAll(async () => {
  await closeDevices();
  rmSync(folder, { recursive: true, force: true });
});

type Small = 'f32' | 'bf16' | 'f16';

/** Numbers of both signs and some orders of magnitude. */
const numbers = (count: number, seed: number): number[] =>
  Array.from({ length: count }, (_, i) => {
    const x = Math.sin((i + 1) * (seed + 0.37)) * 43758.5453;
    return (x - Math.floor(x) - 0.5) * 2 ** ((i % 7) - 3);
  });

interface Sizes {
  readonly m: number;
  readonly k: number;
  readonly n: number;
}

/** x · y of [batch, m, k] and [batch, k, n], operands stored transposed where asked. */
function product(dtype: Small, batch: number, sizes: Sizes, flips = ''): Graph {
  const { m, k, n } = sizes;
  const side = (name: string, rows: number, columns: number, flip: boolean): [Node, Node] => {
    const shape = flip ? [batch, columns, rows] : [batch, rows, columns];
    const node = input(name, { dtype, shape });
    return [node, flip ? permute(node, [0, 2, 1]) : node];
  };
  const [a, x] = side('a', m, k, flips.includes('a'));
  const [b, y] = side('b', k, n, flips.includes('b'));
  return graphOf([a, b], [matmul(x, y)]);
}

describe.skipIf(missing)('matrix units on a stub', () => {
  const id = 'cuda/cuda:0';
  beforeAll(() => {
    const row = gpuRows.find(({ name }) => name === 'cuda') as GpuRow;
    const places = buildStub(row, join(folder, 'stub'), { architecture: 'sm_80' });
    use(cudaDevice(row, { places, cache: join(folder, 'cache') }));
  });

  /** Runs a graph; gives its first output, what it should be, and the text that was run. */
  async function both(graph: Graph, data: readonly number[][], precision: Precision = 'highest') {
    const opened = await openDevice(id);
    const program = compile(graph, opened.target, opened.plugin.language, { precision });
    const inputs = graph.inputs.map((node, i) =>
      hostTensor(node.dtype, node.shape as number[], data[i] as number[]),
    );
    const executable = await load(program, opened);
    const [actual] = await executable.run(inputs);
    await executable.dispose();
    const [expected] = interpret(graph, inputs);
    if (actual === undefined || expected === undefined) throw new Error('there is no output');
    const read = (tensor: typeof actual): number[] =>
      Array.from({ length: tensor.data.length }, (_, i) => Number(readElement(tensor, i)));
    return { actual: read(actual), expected: read(expected), text: program.source?.text ?? '' };
  }

  const worst = (actual: readonly number[], expected: readonly number[], scale: number): number =>
    actual.reduce((most, x, i) => Math.max(most, Math.abs(x - (expected[i] as number)) / scale), 0);

  const shapes: readonly (readonly [string, number, Sizes, string])[] = [
    ['whole tiles', 1, { m: 128, k: 64, n: 128 }, ''],
    ['tails on every side', 1, { m: 70, k: 41, n: 93 }, ''],
    ['tails of whole vectors', 1, { m: 72, k: 40, n: 104 }, ''],
    ['a left operand stored by columns', 1, { m: 64, k: 48, n: 64 }, 'a'],
    ['a right operand stored by columns', 1, { m: 64, k: 48, n: 64 }, 'b'],
    ['both stored by columns, in a batch', 3, { m: 64, k: 32, n: 72 }, 'ab'],
    ['many tiles', 1, { m: 256, k: 32, n: 384 }, ''],
  ];

  // Every layout once for elements that are taken as they are, the ends and both turns for others.
  const some = { bf16: shapes, f16: shapes.slice(1, 2), f32: [shapes[1], shapes[5]] } as const;
  for (const dtype of ['bf16', 'f16', 'f32'] as const) {
    it.each(some[dtype] as typeof shapes)(
      `multiplies ${dtype}: %s`,
      async (_, batch, sizes, flips) => {
        const graph = product(dtype, batch, sizes, flips);
        const { m, k, n } = sizes;
        const data = [numbers(batch * m * k, 1), numbers(batch * k * n, 2)];
        const { actual, expected, text } = await both(graph, data);
        expect(text).toContain(dtype === 'f16' ? 'mma_m16n8k16_f16' : 'mma_m16n8k16_bf16');
        // Results are rounded to their own type.
        const unit = { bf16: 2 ** -8, f16: 2 ** -11, f32: 2 ** -22 }[dtype];
        const scale = Math.max(...expected.map(Math.abs));
        expect(worst(actual, expected, scale)).toBeLessThan(unit * 2);
      },
    );
  }

  /** Root of the mean square of what a result is off. */
  const error = (actual: readonly number[], expected: readonly number[]): number =>
    Math.sqrt(
      actual.reduce((sum, x, i) => sum + (x - (expected[i] as number)) ** 2, 0) / actual.length,
    );

  const accuracy: readonly (readonly [Precision, number, number])[] = [
    ['highest', 1, 6],
    ['high', 2 ** 7, 3],
    ['fast', 2 ** 16, 1],
  ];
  it.each(accuracy)('splits f32 for precision %s', async (precision, factor, products) => {
    const [m, k, n] = [64, 256, 64];
    const graph = product('f32', 1, { m, k, n });
    const data = [numbers(m * k, 3), numbers(k * n, 4)] as const;
    const { actual, expected, text } = await both(graph, data, precision);
    const [a, b] = data.map((list) => list.map(Math.fround)) as [number[], number[]];
    const plain = Array.from({ length: m * n }, (_, at) => {
      let sum = 0;
      for (let i = 0; i < k; i++) {
        const product = (a[Math.floor(at / n) * k + i] as number) * (b[i * n + (at % n)] as number);
        sum = Math.fround(sum + product);
      }
      return sum;
    });
    const ratio = error(actual, expected) / error(plain, expected);
    expect(ratio).toBeLessThan(factor);
    expect(ratio).toBeGreaterThan(factor / 2 ** 6);
    // A warp's part of the tile is 32 × 32: two rows of calls, four of columns.
    const calls = text.split('mma_m16n8k16_bf16(&').length - 1;
    expect(calls).toBe(8 * products);
  });

  it.each([
    ['infinities and NaN', [Number.POSITIVE_INFINITY, Number.NaN]],
    ['numbers that no bf16 part reaches', [2 ** 127 * 1.99, 2 ** 127 * 1.996]],
    ['denormal numbers', [2 ** -140, 2 ** -149]],
    ['numbers whose last part would be denormal', [2 ** -110 * 1.2345678, 2 ** -120]],
    ['products that overflow', [2 ** 100 * 1.2345678, -(2 ** 90) * 1.7654321]],
  ])('multiplies %s without parts', async (name, values) => {
    const factor = name.startsWith('products') ? 2 ** 90 * 1.2345678 : 1;
    const sizes = { m: 64, k: 32, n: 64 };
    const graph = product('f32', 1, sizes);
    const a = new Array<number>(64 * 32).fill(0);
    const b = new Array<number>(32 * 64).fill(0);
    // Row 5 times column 7, and the identity elsewhere.
    [a[5 * 32 + 3], a[5 * 32 + 4]] = values as [number, number];
    [b[3 * 64 + 7], b[4 * 64 + 9]] = [factor, factor];
    const { actual, expected } = await both(graph, [a, b]);
    expect(actual).toEqual(expected);
  });

  it('leaves what follows a contraction in its kernel', async () => {
    const shape = [64, 64];
    const [a, b] = ['a', 'b'].map((name) => input(name, { dtype: 'f32', shape })) as [Node, Node];
    const bias = input('bias', { dtype: 'f32', shape: [64] });
    const sum = add(matmul(a, b), bias);
    const graph = graphOf([a, b, bias], [relu(sum)]);
    const data = [numbers(64 * 64, 5), numbers(64 * 64, 6), numbers(64, 7)];
    const { actual, expected, text } = await both(graph, data);
    expect(text.match(/__global__/g)).toHaveLength(1);
    expect(worst(actual, expected, Math.max(...expected))).toBeLessThan(2 ** -22);
  });

  it('keeps small problems and other types on the plain path', async () => {
    const { target, plugin } = await openDevice(id);
    const textOf = (graph: Graph): string =>
      compile(graph, target, plugin.language).source?.text ?? '';
    expect(textOf(product('bf16', 1, { m: 16, k: 64, n: 64 }))).not.toContain('mma');
    const [a, b] = ['a', 'b'].map((name) => input(name, { dtype: 'f64', shape: [64, 64] }));
    expect(textOf(graphOf([a as Node, b as Node], [matmul(a as Node, b as Node)]))).not.toContain(
      'mma',
    );
  });
});
