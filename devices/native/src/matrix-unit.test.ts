/** Products on the CPU's matrix unit: exact bytes, and f32 no worse than plain multiply-adds. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile, type HostTensor, hostTensor, load, type Precision } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { afterAll, describe, expect, it } from 'vitest';
import { nativeDevice } from './index.js';
import type { NativeRow } from './targets.js';

const folder = mkdtempSync(join(tmpdir(), 'claw-native-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const opened = async (row: NativeRow['name']) => {
  const plugin = nativeDevice({ cache: folder, row, threads: 2 });
  const [found] = await plugin.probe();
  return found !== undefined && 'target' in found ? { plugin, target: found.target } : undefined;
};
const [unit, plain] = await Promise.all([opened('amx'), opened('avx512')]);
if (unit === undefined) console.warn('skipped: this CPU or its system has no AMX');

async function run(
  on: NonNullable<typeof unit>,
  graph: core.Graph,
  inputs: readonly HostTensor[],
  precision: Precision = 'highest',
): Promise<HostTensor> {
  const { plugin, target } = on;
  const device = await plugin.open(target.id);
  const program = compile(graph, target, plugin.language, { precision });
  const executable = await load(program, { id: target.id, device, plugin, target } as never);
  const [output] = await executable.run(inputs);
  await executable.dispose();
  await device.close();
  return output as HostTensor;
}

let state = 7;
const random = (): number => {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return state / 2 ** 31;
};
const f32 = (shape: readonly number[], scale = 1): HostTensor => {
  const count = shape.reduce((a, b) => a * b, 1);
  return hostTensor(
    'f32',
    shape,
    Float32Array.from({ length: count }, () => random() * scale),
  );
};
const product = (a: HostTensor, b: HostTensor): core.Graph => {
  const [x, y] = [core.input('a', a), core.input('b', b)];
  return core.graphOf([x, y], [core.matmul(x, y)]);
};

/** Root of the mean square error, relative to that of the results. */
function errorOf(a: HostTensor, b: HostTensor, c: HostTensor): number {
  const [m = 0, k = 0] = a.shape as number[];
  const n = b.shape[1] as number;
  let [error, size] = [0, 0];
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let d = 0; d < k; d++) sum += Number(a.data[i * k + d]) * Number(b.data[d * n + j]);
      error += (Number(c.data[i * n + j]) - sum) ** 2;
      size += sum ** 2;
    }
  }
  return Math.sqrt(error / size);
}

const same = (a: HostTensor, b: HostTensor): boolean =>
  (a.data as Float32Array).every((value, i) => Object.is(value, b.data[i]));

describe.skipIf(unit === undefined || plain === undefined)('on tiles', () => {
  const [tiles, vectors] = [unit, plain] as [NonNullable<typeof unit>, NonNullable<typeof plain>];

  it.each([
    [128, 128, 128, 1, 1],
    [120, 1500, 192, 1, 1],
    [190, 90, 250, 1e-20, 1e30],
    [160, 200, 192, 1e10, 1e15],
  ])('%i × %i × %i of %f and %f is no worse than plain f32', async (m, k, n, left, right) => {
    const [a, b] = [f32([m, k], left), f32([k, n], right)];
    const own = await run(tiles, product(a, b), [a, b]);
    const other = await run(vectors, product(a, b), [a, b]);
    expect(same(own, other)).toBe(false);
    expect(errorOf(a, b, own)).toBeLessThanOrEqual(errorOf(a, b, other));
  });

  it('leaves numbers of 1e-30 to plain code', async () => {
    const [a, b] = [f32([190, 90], 1e-30), f32([90, 250], 1e30)];
    const own = await run(tiles, product(a, b), [a, b]);
    expect(errorOf(a, b, own)).toBeLessThan(3e-7);
  });

  it.each([28, 37])('convolves lines of %i alike whatever was computed before', async (width) => {
    const [x, w] = [f32([1, 64, 14, width]), f32([64, 64, 3, 3])];
    const [a, b] = [core.input('a', x), core.input('b', w)];
    const padding = [
      [1, 1],
      [1, 1],
    ] as const;
    const graph = core.graphOf([a, b], [core.window('convolve', a, b, { padding })]);
    const outputs: HostTensor[] = [];
    for (const left of [0, Number.NaN]) {
      const large = f32([512, 512]);
      (large.data as Float32Array).fill(left);
      await run(tiles, product(large, large), [large, large]);
      outputs.push(await run(tiles, graph, [x, w]));
    }
    expect(same(...(outputs as [HostTensor, HostTensor]))).toBe(true);
  });

  it('leaves products of few columns to plain code, whose operands need no splitting', () => {
    const usesUnit = (m: number, n: number): boolean => {
      const [a, b] = [core.input('a', { dtype: 'f32', shape: [m, 256] }), f32([256, n])];
      const graph = core.graphOf([a], [core.matmul(a, core.constant(b))]);
      const { source } = compile(graph, tiles.target, tiles.plugin.language);
      return (source?.text ?? '').includes('tdpbf16ps');
    };
    expect([usesUnit(256, 256), usesUnit(256, 32), usesUnit(16, 256)]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it('takes fewer parts where asked to', async () => {
    const [a, b] = [f32([160, 64]), f32([64, 160])];
    const errors: number[] = [];
    for (const precision of ['highest', 'high', 'fast'] as const) {
      errors.push(errorOf(a, b, await run(tiles, product(a, b), [a, b], precision)));
    }
    expect(errors[0]).toBeLessThan(3e-7);
    expect(errors[1]).toBeGreaterThan(1e-6);
    expect(errors[1]).toBeLessThan(1e-4);
    expect(errors[2]).toBeGreaterThan(1e-4);
    expect(errors[2]).toBeLessThan(1e-2);
  });

  it.each([
    ['infinity', Number.POSITIVE_INFINITY],
    ['NaN', Number.NaN],
    ['a denormal', 1e-42],
    ['one with denormal parts', 2e-35],
    ['the greatest', 3.4028234663852886e38],
  ])('%s among the rest is right', async (_name, value) => {
    const [a, b] = [f32([140, 64], Math.min(value, 1) || 1), f32([64, 160])];
    (a.data as Float32Array)[64 * 40 + 7] = value;
    const own = await run(tiles, product(a, b), [a, b]);
    const other = await run(vectors, product(a, b), [a, b]);
    const wanted = other.data as Float32Array;
    const size = Number.isFinite(value) ? Math.abs(value) : 1;
    (own.data as Float32Array).forEach((got, i) => {
      const expected = wanted[i] as number;
      if (Number.isFinite(expected)) {
        expect(Math.abs(got - expected)).toBeLessThanOrEqual(2 ** -14 * size);
      } else expect(got).toBe(expected);
    });
    const row = (data: HostTensor['data'], i: number) =>
      Array.from(data as Float32Array).slice(i * 160, i * 160 + 160);
    if (value < 1) expect(row(own.data, 40).some((x) => x !== 0)).toBe(true);
  });

  it.each([
    ['u8', 0, 'i8', 70, 300, 90],
    ['u8', 128, 'i8', 33, 67, 45],
    ['u8', 100, 'i8', 16, 64, 32],
    ['i8', 0, 'i8', 9, 1000, 200],
    ['u8', 3, 'u8', 40, 70, 50],
  ] as const)('%s less %i by %s, %i × %i × %i, is exact on vectors', async (...facts) => {
    const [leftType, zero, rightType, m, k, n] = facts;
    const bytes = (dtype: 'u8' | 'i8', count: number) =>
      Array.from(
        { length: count },
        () => Math.floor((random() + 1) * 128) - (dtype === 'i8' ? 128 : 0),
      );
    const tensor = (dtype: 'u8' | 'i8', shape: number[]): HostTensor => {
      const data = bytes(dtype, (shape[0] as number) * (shape[1] as number));
      return hostTensor(
        dtype,
        shape,
        dtype === 'u8' ? Uint8Array.from(data) : Int8Array.from(data),
      );
    };
    const [a, b] = [tensor(leftType, [m, k]), tensor(rightType, [k, n])];
    const x = core.input('a', a);
    for (const y of [core.input('b', b), core.constant(b)]) {
      const left = core.subtract(core.cast(x, 'i32'), core.scalar('i32', zero));
      const right = core.cast(y, 'i32');
      const shifted = rightType === 'u8' ? core.subtract(right, core.scalar('i32', 128)) : right;
      const inputs = y.op === 'input' ? [x, y] : [x];
      const graph = core.graphOf(inputs as never, [core.matmul(left, shifted)]);
      const wanted = core.interpret(graph, y.op === 'input' ? [a, b] : [a]);
      const text = compile(graph, vectors.target, vectors.plugin.language).source?.text ?? '';
      expect(text.includes('multiply_bytes_u32x16')).toBe(true);
      for (const on of [vectors, tiles]) {
        const got = await run(on, graph, y.op === 'input' ? [a, b] : [a]);
        expect(got.data).toEqual(((await wanted)[0] as HostTensor).data);
      }
    }
  });

  const byConstant = (a: HostTensor, b: HostTensor): core.Graph => {
    const x = core.input('a', a);
    return core.graphOf([x], [core.matmul(x, core.constant(b))]);
  };

  it('packs a constant once, and plain code reads its elements from the parts', async () => {
    const { plugin, target } = tiles;
    const [a, b] = [f32([150, 90]), f32([90, 190])];
    const program = compile(byConstant(a, b), target, plugin.language);
    expect(program.main.once).toHaveLength(1);
    const roles = program.main.steps.flatMap((step) =>
      step.kind === 'launch' ? step.buffers.map((id) => program.main.buffers[id]?.role) : [],
    );
    expect(roles).not.toContain('constant');
    const [own, twice] = [
      await run(tiles, byConstant(a, b), [a]),
      await run(tiles, product(a, b), [a, b]),
    ];
    expect(same(own, twice)).toBe(true);
    const odd = [Number.NaN, Number.NEGATIVE_INFINITY, 1e-42, 2e-35, -3.4028234663852886e38, -0];
    (b.data as Float32Array).set(odd, 190 * 31 + 14);
    for (const scale of [1, 1e-30, 1e30]) {
      const left = hostTensor(
        'f32',
        a.shape,
        (a.data as Float32Array).map((x) => x * scale),
      );
      const got = await run(tiles, byConstant(left, b), [left]);
      const wanted = await run(vectors, product(left, b), [left, b]);
      expect(same(got, wanted)).toBe(true);
    }
  });

  it('rounds operands to bf16 while it packs them', async () => {
    const [a, b] = [f32([70, 65]), f32([65, 90])];
    const [x, y] = [core.input('a', a), core.input('b', b)];
    const [left, right] = [core.cast(x, 'bf16'), core.cast(y, 'bf16')];
    const graph = core.graphOf([x, y], [core.cast(core.matmul(left, right), 'f32')]);
    const program = compile(graph, tiles.target, tiles.plugin.language);
    expect(program.main.steps.filter(({ kind }) => kind === 'launch')).toHaveLength(2);
    const [own, other] = [await run(tiles, graph, [a, b]), await run(vectors, graph, [a, b])];
    const differences = Array.from(own.data as Float32Array, (value, i) =>
      Math.abs(value - Number(other.data[i])),
    );
    // One rounding to bf16 of sums that are below 16.
    expect(Math.max(...differences)).toBeLessThanOrEqual(2 ** -4);
    expect(differences.filter((d) => d > 0).length).toBeLessThan(100);
  });

  it('rounds a left operand while it packs parts of an odd depth', async () => {
    const [a, b] = [f32([70, 4097]), f32([4097, 96])];
    const [x, y] = [core.input('a', a), core.input('b', b)];
    const left = core.cast(core.cast(x, 'bf16'), 'f32');
    const right = core.cast(core.cast(y, 'bf16'), 'f32');
    const graph = core.graphOf([x, y], [core.matmul(core.cast(x, 'bf16'), core.cast(y, 'bf16'))]);
    const exact = core.graphOf([x, y], [core.matmul(left, right)]);
    const [wanted] = core.interpret(exact, [a, b]) as [HostTensor];
    const own = core.valuesOf(await run(tiles, graph, [a, b]));
    const errors = core.valuesOf(wanted).map((w, i) => Math.abs(Number(w) - Number(own[i])));
    expect(Math.max(...errors)).toBeLessThanOrEqual(0.5);
  });

  it.each([
    [70, 300, 90],
    // The depth in parts: panels inside and several blocks, or rows inside.
    [70, 2100, 300],
    [70, 1100, 1990],
  ])('multiplies bytes exactly, %i × %i × %i', async (m, k, n) => {
    const bytes = (count: number, scale: number, shift: number) =>
      Array.from({ length: count }, () => Math.floor(random() * scale + shift));
    const a = hostTensor('u8', [m, k], Uint8Array.from(bytes(m * k, 128, 128)));
    const b = hostTensor('i8', [k, n], Int8Array.from(bytes(k * n, 128, 0)));
    const [x, y] = [core.input('a', a), core.input('b', b)];
    for (const zero of [0, 128]) {
      const left = core.subtract(core.cast(x, 'i32'), core.scalar('i32', zero));
      const output = core.matmul(left, core.cast(y, 'i32'));
      const got = await run(tiles, core.graphOf([x, y], [output]), [a, b]);
      const wanted = Int32Array.from({ length: m * n }, (_, at) => {
        const [i, j] = [Math.floor(at / n), at % n];
        let sum = 0;
        for (let d = 0; d < k; d++) {
          sum += (Number(a.data[i * k + d]) - zero) * Number(b.data[d * n + j]);
        }
        return sum;
      });
      expect(got.data).toEqual(wanted);
    }
  });
});
