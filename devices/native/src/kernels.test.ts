/** Tile programs made by hand, compiled for every row of this CPU and compared with JavaScript. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ComputeType, Device, DevicePlugin } from '@open-claw/core/device/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compilersOnPath } from './compiler.js';
import { nativeDevice } from './index.js';
import { type Case, e, runCase } from './testing/program.js';

const folder = mkdtempSync(join(tmpdir(), 'claw-kernels-'));
const names = compilersOnPath();
/** The compiler that is taken by default, and a clang where there is one beside it. */
const paths = [names[0], names.slice(1).find((path) => /clang(-\d+)?$/.test(path))];
const compilers = paths.filter((path) => path !== undefined);
if (compilers.length === 0)
  console.warn('skipped: gcc or clang not found: install build-essential');

const v = e.variable;
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Deterministic numbers with both signs and fractions. */
const numbers = (count: number, seed = 1): number[] =>
  Array.from({ length: count }, (_, i) => (((i * 7919 + seed * 104729) % 2003) - 1001) / 16);
const f32 = (count: number, seed?: number) => Float32Array.from(numbers(count, seed));
const f64 = (count: number, seed?: number) => Float64Array.from(numbers(count, seed));
const i32 = (count: number, seed?: number) => Int32Array.from(numbers(count, seed));

const rows = [
  ['avx512', 64],
  ['avx2', 32],
  ['generic', 16],
] as const;
const machines = compilers.flatMap((compiler) => rows.map((row) => [compiler, ...row] as const));

describe.each(machines)('C kernels, %s, %s', (compiler, row, vectorBytes) => {
  const plugin: DevicePlugin = nativeDevice({ cache: folder, threads: 2, compiler });
  let device: Device | undefined;
  beforeAll(async () => {
    device = await plugin.open(`native/${row}`).catch(() => undefined);
    if (device === undefined) console.warn(`skipped: this CPU lacks ${row}`);
  });
  afterAll(async () => device?.close());
  const words = vectorBytes / 4;
  const longs = vectorBytes / 8;
  const run = async (c: Case): Promise<number> =>
    device === undefined ? Number.NaN : runCase(plugin, device, c);
  const check = (name: string, test: () => Promise<void>) =>
    it(name, async ({ skip }) => {
      if (device === undefined) return skip();
      await test();
    });

  check('converts all f16 codes both ways, tiles and scalars, ties to even', async () => {
    if (row === 'generic') return;
    const valueOfCode = (code: number): number => {
      const [sign, exponent, mantissa] = [code >> 15, (code >> 10) & 31, code & 1023];
      const steps = exponent === 0 ? mantissa : (1024 + mantissa) * 2 ** (exponent - 1);
      const special = mantissa === 0 ? Number.POSITIVE_INFINITY : Number.NaN;
      return (sign === 1 ? -1 : 1) * (exponent === 31 ? special : steps * 2 ** -24);
    };
    const codes = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const values = Float32Array.from(codes, valueOfCode);
    // Between two codes of one sign: the even one at the tie, else the nearer one.
    const next = (i: number) => valueOfCode(i + 1);
    const isLast = (i: number) => (i & 0x7fff) >= 0x7bff;
    const ties = Float32Array.from(codes, (i) =>
      isLast(i) ? valueOfCode(i) : (valueOfCode(i) + next(i)) / 2,
    );
    const above = Float32Array.from(ties, (x, i) => (isLast(i) ? x : x + (next(i) - x) / 256));
    const evens = codes.map((i) => (isLast(i) || i % 2 === 0 ? i : i + 1));
    const nexts = codes.map((i) => (isLast(i) ? i : i + 1));
    for (const tile of [1, words]) {
      const wide = new Float32Array(65536);
      const [b0, b1, b2] = [codes, codes, codes].map((list) => new Uint16Array(list.length));
      if (b0 === undefined || b1 === undefined || b2 === undefined) return;
      const shape = tile === 1 ? [] : [tile];
      const at = (buffer: string) => ({
        buffer,
        address: v('i'),
        strides: tile === 1 ? [] : [1],
      });
      await run({
        lanes: tile,
        buffers: { codes, wide, values, ties, above, b0, b1, b2 },
        write: (b) => {
          b.statements.push({
            kind: 'for',
            index: 'i',
            start: 0,
            end: 65536,
            step: tile,
            body: b.body((inner) => {
              const code = inner.load('u32', shape, at('codes'));
              inner.store(at('wide'), inner.let('f32', shape, { kind: 'widenHalf', a: code }));
              ['values', 'ties', 'above'].forEach((name, i) => {
                const a = inner.load('f32', shape, at(name));
                const half = inner.let('u32', shape, { kind: 'narrowHalf', a });
                inner.store(at(`b${i}`), half);
              });
            }),
          });
        },
      });
      expect(wide).toEqual(values);
      const isNaN16 = (i: number) => (i & 0x7fff) > 0x7c00;
      const plain = (list: Uint16Array) => list.map((i) => (isNaN16(i) ? 0x7e00 : i));
      expect(plain(b0)).toEqual(plain(codes));
      expect(plain(b1)).toEqual(plain(evens));
      expect(plain(b2)).toEqual(plain(nexts));
    }
  });

  check('elementwise with a masked tail leaves what lies behind alone', async () => {
    const n = 5 * words + 3;
    const a = f32(n + words);
    const b = f32(n + words, 2);
    const c = new Float32Array(n + words).fill(42);
    const tile = 2 * words;
    const at = e.multiply(v('g', e.ceilDivide(v('n'), tile)), tile);
    const limits = [{ high: e.subtract(v('n'), at) }];
    await run({
      lanes: words,
      buffers: { a, b, c },
      sizes: { n },
      grid: [['g', e.ceilDivide(v('n'), tile)]],
      write(k) {
        const x = k.load('f32', [tile], { buffer: 'a', address: at, strides: [1], limits });
        const y = k.load('f32', [tile], { buffer: 'b', address: at, strides: [1], limits });
        const sum = k.let('f32', [tile], { kind: 'binary', name: 'multiply', a: x, b: y });
        k.store({ buffer: 'c', address: at, strides: [1], limits }, sum);
      },
    });
    const want = a.map((x, i) => (i < n ? Math.fround(x * (b[i] as number)) : 42));
    expect(c).toEqual(want);
  });

  check('bounds on both sides, and the filler of untouched lanes', async () => {
    const a = f32(words);
    const c = new Float32Array(words);
    await run({
      lanes: words,
      buffers: { a, c },
      sizes: { lo: 1, hi: words - 1 },
      write(k) {
        const limits = [{ low: v('lo'), high: v('hi') }];
        const access = { buffer: 'a', address: 0, strides: [1], limits };
        k.store({ buffer: 'c', address: 0, strides: [1] }, k.load('f32', [words], access, -2.5));
      },
    });
    expect(c).toEqual(a.map((x, i) => (i >= 1 && i < words - 1 ? x : -2.5)));
  });

  check('strides: every third, backwards, splat; masked and with rows', async () => {
    const a = f32(words * 8);
    const c = new Float32Array(words * 4).fill(9);
    const flags = new Uint8Array(words).map((_, i) => i % 2);
    await run({
      lanes: words,
      buffers: { a, c, flags },
      sizes: { s: 3, n: words },
      write(k) {
        const mask = k.load('bool', [words], { buffer: 'flags', address: 0, strides: [1] });
        const third = k.load('f32', [words], { buffer: 'a', address: 0, strides: [v('s')] });
        k.store({ buffer: 'c', address: 0, strides: [1] }, third);
        const back = k.load(
          'f32',
          [words],
          { buffer: 'a', address: words - 1, strides: [-1], mask },
          7,
        );
        k.store({ buffer: 'c', address: words, strides: [1] }, back);
        const splat = k.load('f32', [words], {
          buffer: 'a',
          address: 5,
          strides: [0],
          limits: [{ high: e.subtract(v('n'), 1) }],
        });
        k.store({ buffer: 'c', address: 2 * words, strides: [1], mask }, splat);
        const half = k.load('f32', [words], { buffer: 'a', address: 0, strides: [1] });
        const limits = [{ high: e.floorDivide(v('n'), 2) }];
        k.store({ buffer: 'c', address: 3 * words + 1, strides: [2], limits }, half);
      },
    });
    const want = new Float32Array(words * 4).fill(9);
    for (let i = 0; i < words; i++) {
      want[i] = a[3 * i] as number;
      want[words + i] = i % 2 === 1 ? (a[words - 1 - i] as number) : 7;
      if (i % 2 === 1) want[2 * words + i] = i < words - 1 ? (a[5] as number) : 0;
      if (i < words / 2) want[3 * words + 1 + 2 * i] = a[i] as number;
    }
    expect(c).toEqual(want);
  });

  check('all f32 arithmetic, NaN through minimum and maximum', async () => {
    const a = f32(words);
    const b = f32(words, 5);
    a[0] = Number.NaN;
    b[1] = Number.NaN;
    a[2] = 2.5;
    a[3] = -3.5;
    const c = new Float32Array(words * 9);
    const unary = ['negate', 'absolute', 'floor', 'ceil', 'truncate', 'roundEven'] as const;
    await run({
      lanes: words,
      buffers: { a, b, c },
      write(k) {
        const x = k.load('f32', [words], { buffer: 'a', address: 0, strides: [1] });
        const y = k.load('f32', [words], { buffer: 'b', address: 0, strides: [1] });
        const out = (i: number, id: number) =>
          k.store({ buffer: 'c', address: i * words, strides: [1] }, id);
        for (const [i, name] of unary.entries()) {
          out(i, k.let('f32', [words], { kind: 'unary', name, a: x }));
        }
        out(6, k.let('f32', [words], { kind: 'binary', name: 'minimum', a: x, b: y }));
        out(7, k.let('f32', [words], { kind: 'binary', name: 'maximum', a: x, b: y }));
        const size = k.let('f32', [words], { kind: 'unary', name: 'absolute', a: x });
        out(8, k.let('f32', [words], { kind: 'unary', name: 'squareRoot', a: size }));
      },
    });
    const even = (x: number) => {
      const r = Math.round(x);
      return Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : r;
    };
    const functions = [
      (x: number) => -x,
      Math.abs,
      Math.floor,
      Math.ceil,
      Math.trunc,
      even,
      Math.min,
      Math.max,
      (x: number) => Math.sqrt(Math.abs(x)),
    ];
    for (const [i, f] of functions.entries()) {
      for (let j = 0; j < words; j++) {
        const want = Math.fround(f(a[j] as number, b[j] as number));
        expect(c[i * words + j], `function ${i}, lane ${j}`).toBe(want + 0);
      }
    }
  });

  check('register tile of a matrix product, rows and columns limited', async () => {
    const [m, n, depth] = [5, 2 * words, 7];
    const [rowsHave, columnsHave] = [4, 2 * words - 3];
    const a = f32(m * depth);
    const b = f32(depth * n, 3);
    const c = new Float32Array(m * n).fill(1);
    const p = v('p', v('k'));
    await run({
      lanes: words,
      buffers: { a, b, c },
      sizes: { k: depth, m: rowsHave, n: columnsHave },
      write(k) {
        const zero = k.literal('f32', 0);
        const initial = k.let('f32', [m, n], { kind: 'broadcast', a: zero, axis: 0 });
        k.statements.push({
          kind: 'variable',
          id: 0,
          type: { dtype: 'f32', shape: [m, n] },
          initial,
        });
        const body = k.body((inner) => {
          const x = inner.load('f32', [m, 1], {
            buffer: 'a',
            address: p,
            strides: [v('k'), 1],
            limits: [{ high: v('m') }, {}],
          });
          const y = inner.load('f32', [1, n], {
            buffer: 'b',
            address: e.multiply(p, n),
            strides: [n, 1],
            limits: [{}, { high: v('n') }],
          });
          const seen = inner.let('f32', [m, n], { kind: 'read', variable: 0 });
          const value = inner.let('f32', [m, n], { kind: 'dot', a: x, b: y, accumulator: seen });
          inner.statements.push({ kind: 'assign', variable: 0, value });
        });
        k.statements.push({ kind: 'for', index: 'p', start: 0, end: v('k'), step: 1, body });
        const done = k.let('f32', [m, n], { kind: 'read', variable: 0 });
        const limits = [{ high: v('m') }, { high: v('n') }];
        k.store({ buffer: 'c', address: 0, strides: [n, 1], limits }, done);
      },
    });
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let want = 0;
        for (let q = 0; q < depth; q++) want += (a[i * depth + q] ?? 0) * (b[q * n + j] ?? 0);
        const inside = i < rowsHave && j < columnsHave;
        expect(c[i * n + j]).toBeCloseTo(inside ? want : 1, 1);
      }
    }
  });

  check('reductions over all, rows and columns; scan; transpose', async () => {
    const [m, n] = [3, 2 * words];
    const a = i32(m * n);
    const all = new Int32Array(4);
    const columns = new Int32Array(n);
    const perRow = new Int32Array(m);
    const prefix = new Int32Array(n);
    const turned = new Int32Array(m * n);
    await run({
      lanes: words,
      buffers: { a, all, columns, perRow, prefix, turned },
      write(k) {
        const x = k.load('i32', [m, n], { buffer: 'a', address: 0, strides: [n, 1] });
        const row = k.load('i32', [n], { buffer: 'a', address: 0, strides: [1] });
        for (const [i, name] of (['add', 'minimum', 'maximum', 'xor'] as const).entries()) {
          const r = k.let('i32', [], { kind: 'reduce', name, a: row, axis: 0 });
          k.store({ buffer: 'all', address: i, strides: [] }, r);
        }
        const down = k.let('i32', [n], { kind: 'reduce', name: 'add', a: x, axis: 0 });
        k.store({ buffer: 'columns', address: 0, strides: [1] }, down);
        const along = k.let('i32', [m], { kind: 'reduce', name: 'maximum', a: x, axis: 1 });
        k.store({ buffer: 'perRow', address: 0, strides: [1] }, along);
        const scan = k.let('i32', [n], { kind: 'scan', name: 'add', a: row });
        k.store({ buffer: 'prefix', address: 0, strides: [1] }, scan);
        const turn = k.let('i32', [n, m], { kind: 'transpose', a: x });
        k.store({ buffer: 'turned', address: 0, strides: [m, 1] }, turn);
      },
    });
    const first = [...a.subarray(0, n)];
    const sum = (xs: number[]) => xs.reduce((s, x) => s + x, 0);
    const xor = first.reduce((s, x) => s ^ x, 0);
    expect([...all]).toEqual([sum(first), Math.min(...first), Math.max(...first), xor]);
    for (let j = 0; j < n; j++) {
      const column = Array.from({ length: m }, (_, i) => a[i * n + j] as number);
      expect(columns[j]).toBe(sum(column));
      expect(prefix[j]).toBe(sum(first.slice(0, j + 1)));
      expect([...turned.subarray(j * m, j * m + m)]).toEqual(column);
    }
    expect([...perRow]).toEqual(
      Array.from({ length: m }, (_, i) => Math.max(...a.subarray(i * n, i * n + n))),
    );
  });

  check('gather, scatter and atomics, masked', async () => {
    const n = words;
    const data = f32(50);
    const at = Int32Array.from({ length: n }, (_, i) => (i * 13) % 50);
    const flags = new Uint8Array(n).map((_, i) => (i % 3 === 0 ? 0 : 1));
    const c = new Float32Array(2 * n);
    const spread = new Float32Array(50);
    const counts = new Int32Array([0, 100, -100, 0]);
    const zeros = new Int32Array(n);
    await run({
      lanes: words,
      buffers: { data, at, flags, c, spread, counts, zeros },
      write(k) {
        const index = k.load('i32', [n], { buffer: 'at', address: 0, strides: [1] });
        const mask = k.load('bool', [n], { buffer: 'flags', address: 0, strides: [1] });
        const g = k.let('f32', [n], { kind: 'gather', buffer: 'data', index });
        const h = k.let('f32', [n], { kind: 'gather', buffer: 'data', index, mask });
        k.store({ buffer: 'c', address: 0, strides: [1] }, g);
        k.store({ buffer: 'c', address: n, strides: [1] }, h);
        k.statements.push({ kind: 'scatter', buffer: 'spread', index, value: g, mask });
        for (const [i, name] of (['add', 'minimum', 'maximum'] as const).entries()) {
          const place = k.literal('i32', i);
          k.statements.push({ kind: 'atomic', name, buffer: 'counts', index: place, value: index });
        }
      },
    });
    const want = new Float32Array(50);
    for (let i = 0; i < n; i++) {
      const from = data[at[i] as number] as number;
      expect(c[i]).toBe(from);
      expect(c[n + i]).toBe(flags[i] === 0 ? 0 : from);
      if (flags[i] === 1) want[at[i] as number] = from;
    }
    expect(spread).toEqual(want);
    const sum = at.reduce((s, x) => s + x, 0);
    expect([...counts]).toEqual([sum, Math.min(...at), Math.max(...at), 0]);
  });

  check('64-bit integers wrap, divide and shift; f64 keeps its bits', async () => {
    const n = longs;
    const a = BigInt64Array.from({ length: n }, (_, i) => BigInt(i * 1234567 - 3) * 7_000_000_007n);
    const b = BigInt64Array.from({ length: n }, (_, i) => BigInt(2 * i + 1));
    const x = f64(n);
    const c = new BigInt64Array(5 * n);
    const y = new Float64Array(3 * n);
    const narrow = new Float32Array(n);
    await run({
      lanes: longs,
      buffers: { a, b, x, c, y, narrow },
      write(k) {
        const p = k.load('i64', [n], { buffer: 'a', address: 0, strides: [1] });
        const q = k.load('i64', [n], { buffer: 'b', address: 0, strides: [1] });
        for (const [i, name] of (
          ['multiply', 'divide', 'remainder', 'shiftRight', 'minimum'] as const
        ).entries()) {
          const r = k.let('i64', [n], { kind: 'binary', name, a: p, b: q });
          k.store({ buffer: 'c', address: i * n, strides: [1] }, r);
        }
        const z = k.load('f64', [n], { buffer: 'x', address: 0, strides: [1] });
        const w = k.let('f64', [n], { kind: 'convert', a: p });
        k.store({ buffer: 'y', address: 0, strides: [1] }, w);
        const fused = k.let('f64', [n], { kind: 'multiplyAdd', a: z, b: z, c: w });
        k.store({ buffer: 'y', address: n, strides: [1] }, fused);
        const bits = k.let('i64', [n], { kind: 'bitcast', a: z });
        const back = k.let('f64', [n], { kind: 'bitcast', a: bits });
        k.store({ buffer: 'y', address: 2 * n, strides: [1] }, back);
        const single = k.let('f32', [n], { kind: 'convert', a: z });
        const zero = k.literal('f32', 0);
        const less = k.let('bool', [n], { kind: 'compare', name: 'less', a: single, b: zero });
        const minus = k.let('f32', [n], { kind: 'unary', name: 'negate', a: single });
        const size = k.let('f32', [n], { kind: 'select', condition: less, a: minus, b: single });
        k.store({ buffer: 'narrow', address: 0, strides: [1] }, size);
      },
    });
    for (let i = 0; i < n; i++) {
      const [p, q, z] = [a[i] as bigint, b[i] as bigint, x[i] as number];
      expect(c[i]).toBe(BigInt.asIntN(64, p * q));
      expect(c[n + i]).toBe(p / q);
      expect(c[2 * n + i]).toBe(p % q);
      expect(c[3 * n + i]).toBe(p >> q);
      // biome-ignore lint/complexity/useMathMinMax: they are bigints
      const least = p < q ? p : q;
      expect(c[4 * n + i]).toBe(least);
      expect(y[i]).toBe(Number(p));
      expect(y[n + i]).toBeCloseTo(z * z + Number(p), 0);
      expect(y[2 * n + i]).toBe(z);
      expect(narrow[i]).toBe(Math.abs(z));
    }
  });

  check('bools: logic, comparison, conversion; small integers in memory', async () => {
    const n = words;
    const a = Int8Array.from({ length: n }, (_, i) => i * 37 - 60);
    const b = Uint16Array.from({ length: n }, (_, i) => 65535 - i * 1000);
    const small = new Int8Array(n);
    const truth = new Uint8Array(4 * n);
    const floats = new Float32Array(n);
    await run({
      lanes: words,
      buffers: { a, b, small, truth, floats },
      write(k) {
        const x = k.load('i32', [n], { buffer: 'a', address: 0, strides: [1] });
        const y = k.load('u32', [n], { buffer: 'b', address: 0, strides: [1] });
        const zero = k.literal('i32', 0);
        const p = k.let('bool', [n], { kind: 'compare', name: 'less', a: x, b: zero });
        const q = k.let('bool', [n], { kind: 'convert', a: x });
        const out = (i: number, id: number) =>
          k.store({ buffer: 'truth', address: i * n, strides: [1] }, id);
        out(0, p);
        out(1, k.let('bool', [n], { kind: 'binary', name: 'and', a: p, b: q }));
        out(2, k.let('bool', [n], { kind: 'unary', name: 'not', a: p }));
        out(3, k.let('bool', [n], { kind: 'compare', name: 'lessEqual', a: p, b: q }));
        const double = k.let('i32', [n], { kind: 'binary', name: 'add', a: x, b: x });
        k.store({ buffer: 'small', address: 0, strides: [1] }, double);
        const wide = k.let('f32', [n], { kind: 'convert', a: y });
        const one = k.let('f32', [n], { kind: 'convert', a: p });
        const sum = k.let('f32', [n], { kind: 'binary', name: 'add', a: wide, b: one });
        k.store({ buffer: 'floats', address: 0, strides: [1] }, sum);
      },
    });
    for (let i = 0; i < n; i++) {
      const negative = (a[i] as number) < 0 ? 1 : 0;
      const some = a[i] !== 0 ? 1 : 0;
      expect(truth[i]).toBe(negative);
      expect(truth[n + i]).toBe(negative & some);
      expect(truth[2 * n + i]).toBe(1 - negative);
      expect(truth[3 * n + i]).toBe(negative <= some ? 1 : 0);
      expect(floats[i]).toBe((b[i] as number) + negative);
    }
    expect(small).toEqual(a.map((x) => 2 * x));
  });

  check('while, if, names and scratch', async () => {
    const out = new Int32Array(4);
    await run({
      lanes: words,
      buffers: { out },
      sizes: { n: 1000 },
      scratch: [{ name: 'memo', memory: 'i32', length: 8, space: 'scratch' }],
      write(k) {
        const one = k.literal('i32', 1);
        const three = k.literal('i32', 3);
        k.statements.push({
          kind: 'variable',
          id: 0,
          type: { dtype: 'i32', shape: [] },
          initial: one,
        });
        // The least power of three that is not below n.
        let condition = 0;
        const head = k.body((h) => {
          const seen = h.let('i32', [], { kind: 'read', variable: 0 });
          const n = h.let('i32', [], { kind: 'scalar', expression: v('n') });
          condition = h.let('bool', [], { kind: 'compare', name: 'less', a: seen, b: n });
        });
        const body = k.body((h) => {
          const seen = h.let('i32', [], { kind: 'read', variable: 0 });
          const value = h.let('i32', [], { kind: 'binary', name: 'multiply', a: seen, b: three });
          h.statements.push({ kind: 'assign', variable: 0, value });
        });
        k.statements.push({ kind: 'while', head, condition, body });
        const power = k.let('i32', [], { kind: 'read', variable: 0 });
        k.statements.push({ kind: 'name', name: 'p', value: power });
        k.store({ buffer: 'memo', address: 3, strides: [] }, power);
        const kept = k.load('i32', [], { buffer: 'memo', address: 3, strides: [] });
        k.store({ buffer: 'out', address: 0, strides: [] }, kept);
        const high = e.lessThan(1500, v('p', undefined, Number.NEGATIVE_INFINITY));
        k.statements.push({
          kind: 'if',
          condition: high,
          then: k.body((t) => t.store({ buffer: 'out', address: 1, strides: [] }, one)),
          else: k.body((t) => t.store({ buffer: 'out', address: 1, strides: [] }, three)),
        });
        const negative = e.subtract(0, v('p', undefined, Number.NEGATIVE_INFINITY));
        for (const [i, expression] of [
          e.floorDivide(negative, 1000),
          e.modulo(negative, 1000),
        ].entries()) {
          const r = k.let('i32', [], { kind: 'scalar', expression });
          k.store({ buffer: 'out', address: 2 + i, strides: [] }, r);
        }
      },
    });
    expect([...out]).toEqual([2187, 1, -3, 813]);
  });

  check('the status word holds the least code of all lanes and tasks', async () => {
    const n = words;
    const a = new Int32Array(n).fill(1);
    const failing = (code: number): Case => ({
      lanes: words,
      buffers: { a },
      mayFail: true,
      grid: [['g', 3]],
      write(k) {
        const x = k.load('i32', [n], { buffer: 'a', address: 0, strides: [1] });
        const zero = k.literal('i32', 0);
        const when = k.let('bool', [n], { kind: 'compare', name: 'equal', a: x, b: zero });
        const always = k.literal('bool', 1);
        k.statements.push({ kind: 'fail', when: always, code });
        k.statements.push({ kind: 'fail', when, code: 17 });
      },
    });
    expect(await run(failing(25))).toBe(25);
    a[n - 1] = 0;
    expect(await run(failing(25))).toBe(17);
  });

  check('grid coordinates of three axes, split between threads', async () => {
    const sizes = { x: 3, y: 4, z: 5 };
    const c = new Int32Array(60);
    const names = ['x', 'y', 'z'] as const;
    const [i, j, l] = names.map((name) => v(`g${name}`, v(name))) as never as [0, 0, 0];
    await run({
      lanes: 1,
      buffers: { c },
      sizes,
      grid: names.map((name) => [`g${name}`, v(name)] as const),
      write(k) {
        const expression = e.add(e.multiply(i, 100), e.multiply(j, 10), l);
        const id = k.let('i32', [], { kind: 'scalar', expression });
        const address = e.add(e.multiply(i, 20), e.multiply(j, 5), l);
        k.store({ buffer: 'c', address, strides: [] }, id);
      },
    });
    const want = Array.from({ length: 60 }, (_, t) => {
      return Math.floor(t / 20) * 100 + (Math.floor(t / 5) % 4) * 10 + (t % 5);
    });
    expect([...c]).toEqual(want);
  });

  check('conversions truncate, wrap and round as C does, on every pair of types', async () => {
    const types: readonly ComputeType[] = ['f32', 'f64', 'i32', 'u32', 'i64', 'u64'];
    const n = longs;
    const a = Float64Array.from({ length: n }, (_, i) => i * 3.7 + 0.5);
    const c = new Float64Array(types.length * types.length * n);
    await run({
      lanes: longs,
      buffers: { a, c },
      write(k) {
        const x = k.load('f64', [n], { buffer: 'a', address: 0, strides: [1] });
        for (const [i, from] of types.entries()) {
          const p = k.let(from, [n], { kind: 'convert', a: x });
          for (const [j, to] of types.entries()) {
            const q = k.let(to, [n], { kind: 'convert', a: p });
            const r = k.let('f64', [n], { kind: 'convert', a: q });
            k.store({ buffer: 'c', address: (i * types.length + j) * n, strides: [1] }, r);
          }
        }
      },
    });
    const as = (type: ComputeType, x: number) =>
      type === 'f64' ? x : type === 'f32' ? Math.fround(x) : Math.trunc(x);
    for (const [i, from] of types.entries()) {
      for (const [j, to] of types.entries()) {
        for (let lane = 0; lane < n; lane++) {
          const want = as(to, as(from, a[lane] as number));
          expect(c[(i * types.length + j) * n + lane], `${from} to ${to}`).toBe(want);
        }
      }
    }
  });
});
