import { describe, expect, it } from 'vitest';
import {
  add,
  type Expression,
  floorDivide,
  lessThan,
  minimum,
  modulo,
  multiply,
  subtract,
  variable,
} from '../base/expression.js';
import type { ComputeType, MemoryType, Target } from '../base/target.js';
import type { Operation, Statement, TileProgram } from '../kernel/tile.js';
import { wasmLanguage } from './wasm.js';
import { lowestAddress } from './wasm-index.js';

const target = { id: 'wasm/simd128', fusedMultiplyAdd: false } as Target;

type Numbers =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

const memoryOf = (array: Numbers): MemoryType => {
  const name = array.constructor.name.replace('Array', '');
  const bits = array.BYTES_PER_ELEMENT * 8;
  const kind = name.startsWith('Float')
    ? 'f'
    : name.startsWith('U') || name.includes('Uint')
      ? 'u'
      : 'i';
  return `${kind}${bits}` as MemoryType;
};

const set = (
  id: number,
  dtype: ComputeType,
  shape: readonly number[],
  operation: Operation,
): Statement => ({ kind: 'let', id, type: { dtype, shape }, operation });

interface Run {
  readonly lanes: number;
  readonly arrays: Readonly<Record<string, Numbers>>;
  readonly body: readonly Statement[];
  readonly sizes?: Readonly<Record<string, number>>;
  readonly grid?: readonly { readonly name: string; readonly extent: Expression }[];
  readonly tasks?: readonly [number, number];
  readonly indexType?: 'i32' | 'i64';
  readonly scratch?: TileProgram['scratch'];
  readonly mayFail?: boolean;
}

/** Emits, validates and runs a kernel on copies of the arrays; gives them back with the status. */
function run(r: Run): Readonly<Record<string, Numbers>> & { readonly status: number } {
  const program: TileProgram = {
    contract: 1,
    name: 'kernel0',
    target: target.id,
    lanes: r.lanes,
    group: 1,
    buffers: Object.entries(r.arrays).map(([name, array]) => ({
      name,
      memory: memoryOf(array),
      access: 'readWrite',
    })),
    sizes: Object.keys(r.sizes ?? {}),
    indexType: r.indexType ?? 'i32',
    scratch: r.scratch ?? [],
    grid: r.grid ?? [],
    body: r.body,
    mayFail: r.mayFail ?? false,
  };
  const source = wasmLanguage.emit([program], target);
  const bytes = source.bytes as Uint8Array<ArrayBuffer>;
  // compile gives the engine's reason where validate only says no
  const module = new WebAssembly.Module(bytes);
  expect(WebAssembly.validate(bytes)).toBe(true);
  const memory = new WebAssembly.Memory({ initial: 8 });
  const { kernel0 } = new WebAssembly.Instance(module, { env: { memory } }).exports;
  const arrays = Object.values(r.arrays);
  const raw = new Uint8Array(memory.buffer);
  let at = lowestAddress;
  const addresses = arrays.map((array) => {
    const here = at;
    raw.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), here);
    at += Math.ceil(array.byteLength / 64) * 64 + 64;
    return here;
  });
  new Uint32Array(memory.buffer, 1024, arrays.length + 1).set([...addresses, at]);
  const status = new Int32Array(memory.buffer, at, 1);
  status[0] = 0x7fffffff;
  const sizes = Object.values(r.sizes ?? {});
  new BigInt64Array(memory.buffer, 2048, sizes.length).set(sizes.map(BigInt));
  const [begin, end] = r.tasks ?? [0, 1];
  const entry = kernel0 as (...parameters: (number | bigint)[]) => void;
  entry(1024, 2048, 4096, BigInt(begin), BigInt(end));
  const results = Object.keys(r.arrays).map((name, i) => {
    const array = arrays[i] as Numbers;
    const kind = array.constructor as new (b: ArrayBuffer) => Numbers;
    const from = addresses[i] as number;
    return [name, new kind(memory.buffer.slice(from, from + array.byteLength))];
  });
  return { ...Object.fromEntries(results), status: status[0] };
}

const flat = (
  buffer: string,
  address: Expression = 0,
  strides: readonly Expression[] = [1],
  rest: object = {},
) => ({ buffer, address, strides, ...rest });

const load = (buffer: string, address: Expression = 0, strides: readonly Expression[] = [1]) =>
  ({ kind: 'load', access: flat(buffer, address, strides) }) as const;

const put = (buffer: string, value: number, strides: readonly Expression[] = [1]): Statement => ({
  kind: 'store',
  access: flat(buffer, 0, strides),
  value,
});

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Kernels with only 32-bit types, and those with wider ones, in every legal lane count. */
const narrow = [1, 2, 4];
const wide = [1, 2];
const lanesFor = (...types: readonly ComputeType[]): number[] =>
  types.some((t) => t === 'f64' || t === 'i64' || t === 'u64') ? wide : narrow;

describe.each(narrow)('32-bit kernels, %i lanes', (lanes) => {
  it('masks the tail of an elementwise kernel by limits', () => {
    const [n, g] = [variable('n'), variable('g', variable('t'))];
    const access = flat('a', multiply(8, g), [1], {
      limits: [{ high: minimum(8, subtract(n, multiply(8, g))) }],
    });
    const result = run({
      lanes,
      arrays: {
        a: Float32Array.from(range(24), (i) => i + 1),
        c: new Float32Array(24).fill(-1),
      },
      sizes: { n: 19, t: 3 },
      grid: [{ name: 'g', extent: variable('t') }],
      tasks: [0, 3],
      body: [
        set(0, 'f32', [8], { kind: 'load', access }),
        set(1, 'f32', [], { kind: 'literal', value: 2 }),
        set(2, 'f32', [8], { kind: 'binary', name: 'multiply', a: 0, b: 1 }),
        { kind: 'store', access: { ...access, buffer: 'c' }, value: 2 },
      ],
    });
    expect([...(result.c as Float32Array)]).toEqual(
      range(24).map((i) => (i < 19 ? 2 * (i + 1) : -1)),
    );
  });

  it('fills lanes outside of low and high limits, below address zero of the buffer too', () => {
    const access = flat('a', subtract(variable('s'), 3), [1], {
      limits: [{ low: subtract(3, variable('s')), high: 6 }],
    });
    const result = run({
      lanes,
      arrays: { a: Int32Array.from(range(8), (i) => i + 10), c: new Int32Array(8) },
      sizes: { s: 0 },
      body: [set(0, 'i32', [8], { kind: 'load', access, other: 7 }), put('c', 0)],
    });
    expect([...(result.c as Int32Array)]).toEqual([7, 7, 7, 10, 11, 12, 7, 7]);
  });

  it('reads strided rows, transposes, reduces and writes', () => {
    const result = run({
      lanes,
      arrays: {
        a: Float32Array.from(range(64), (i) => i),
        t: new Float32Array(32),
        rows: new Float32Array(4),
        columns: new Float32Array(8),
        all: new Float32Array(1),
      },
      sizes: { s: 16 },
      body: [
        set(0, 'f32', [4, 8], load('a', 1, [variable('s'), 2])),
        set(1, 'f32', [8, 4], { kind: 'transpose', a: 0 }),
        put('t', 1, [4, 1]),
        set(2, 'f32', [4], { kind: 'reduce', name: 'add', a: 0, axis: 1 }),
        put('rows', 2),
        set(3, 'f32', [8], { kind: 'reduce', name: 'maximum', a: 0, axis: 0 }),
        put('columns', 3),
        set(4, 'f32', [], { kind: 'reduce', name: 'minimum', a: 3, axis: 0 }),
        put('all', 4, []),
      ],
    });
    const at = (i: number, j: number): number => 1 + 16 * i + 2 * j;
    expect([...(result.t as Float32Array)]).toEqual(
      range(32).map((i) => at(i % 4, Math.floor(i / 4))),
    );
    expect([...(result.rows as Float32Array)]).toEqual(
      range(4).map((i) => range(8).reduce((sum, j) => sum + at(i, j), 0)),
    );
    expect([...(result.columns as Float32Array)]).toEqual(range(8).map((j) => at(3, j)));
    expect((result.all as Float32Array)[0]).toBe(at(3, 0));
  });

  it.each([
    [1, 'i32', 8],
    [2, 'i32', 8],
    [4, 'i64', 8],
    // Rows in two groups, where vectors have four lanes.
    [1, 'i64', 12],
    [3, 'i32', 12],
  ] as const)(
    'multiplies matrices in a register tile, unrolled %i times, %s indices, %i columns',
    (unroll, indexType, n) => {
      const [m, depth] = [3, 7];
      const k = variable('k', variable('K'));
      const result = run({
        lanes,
        indexType,
        arrays: {
          a: Float32Array.from(range(m * depth), (i) => (i % 5) - 2),
          b: Float32Array.from(range(depth * n), (i) => (i % 7) - 3),
          c: new Float32Array(m * n),
        },
        sizes: { K: depth },
        body: [
          set(0, 'f32', [], { kind: 'literal', value: 1 }),
          set(1, 'f32', [m, n], { kind: 'broadcast', a: 0, axis: 0 }),
          { kind: 'variable', id: 0, type: { dtype: 'f32', shape: [m, n] }, initial: 1 },
          {
            kind: 'for',
            index: 'k',
            start: 0,
            end: variable('K'),
            step: 1,
            unroll,
            body: [
              set(2, 'f32', [m, 1], load('a', k, [variable('K'), 0])),
              set(3, 'f32', [1, n], load('b', multiply(n, k), [0, 1])),
              set(4, 'f32', [m, n], { kind: 'read', variable: 0 }),
              set(5, 'f32', [m, n], { kind: 'dot', a: 2, b: 3, accumulator: 4 }),
              { kind: 'assign', variable: 0, value: 5 },
            ],
          },
          set(6, 'f32', [m, n], { kind: 'read', variable: 0 }),
          put('c', 6, [n, 1]),
        ],
      });
      const expected = range(m * n).map((i) => {
        const [row, column] = [Math.floor(i / n), i % n];
        const product = (p: number): number =>
          (((row * depth + p) % 5) - 2) * (((p * n + column) % 7) - 3);
        return range(depth).reduce((sum, p) => sum + product(p), 1);
      });
      expect([...(result.c as Float32Array)]).toEqual(expected);
    },
  );

  it('gathers and scatters under a mask', () => {
    const result = run({
      lanes,
      arrays: {
        a: Uint16Array.from([5, 6, 7, 65535]),
        i: Int32Array.of(3, 0, 2, 1_000_000),
        m: Uint8Array.of(1, 1, 1, 0),
        c: new Uint16Array(4),
      },
      body: [
        set(0, 'i32', [4], load('i')),
        set(1, 'bool', [4], load('m')),
        set(2, 'u32', [4], { kind: 'gather', buffer: 'a', index: 0, mask: 1 }),
        { kind: 'scatter', buffer: 'c', index: 0, value: 2, mask: 1 },
      ],
    });
    expect([...(result.c as Uint16Array)]).toEqual([5, 0, 7, 65535]);
  });

  it('counts and takes minima by atomics', () => {
    const result = run({
      lanes,
      arrays: {
        i: Uint32Array.of(0, 1, 0, 0),
        v: Int32Array.of(4, 5, -6, 7),
        c: Int32Array.of(0, 0),
        d: Int32Array.of(9, 9),
        e: Uint32Array.of(0x80000000, 1),
        x: Int32Array.of(1, 1),
      },
      body: [
        set(0, 'u32', [4], load('i')),
        set(1, 'i32', [4], load('v')),
        { kind: 'atomic', name: 'add', buffer: 'c', index: 0, value: 1 },
        { kind: 'atomic', name: 'minimum', buffer: 'd', index: 0, value: 1 },
        { kind: 'atomic', name: 'maximum', buffer: 'e', index: 0, value: 1 },
        { kind: 'atomic', name: 'exchange', buffer: 'x', index: 0, value: 1 },
      ],
    });
    expect([...(result.e as Uint32Array)]).toEqual([0xfffffffa, 5]);
    expect([...(result.x as Int32Array)]).toEqual([7, 5]);
    expect([...(result.c as Int32Array)]).toEqual([5, 5]);
    expect([...(result.d as Int32Array)]).toEqual([-6, 5]);
  });

  it('loads, widens, narrows and stores every small integer', () => {
    for (const kind of [Int8Array, Uint8Array, Int16Array, Uint16Array]) {
      const a = kind.from(range(8).map((i) => i * 9001 - 20000));
      const dtype = kind === Int8Array || kind === Int16Array ? 'i32' : 'u32';
      const strided = flat('a', 7, [-1]);
      const result = run({
        lanes,
        arrays: { a, c: new kind(8), r: new kind(8), e: new kind(8), w: new Int32Array(8) },
        body: [
          set(0, dtype, [8], load('a')),
          put('c', 0),
          put('w', 0),
          set(1, dtype, [8], { kind: 'load', access: strided }),
          put('r', 1),
          set(2, dtype, [8], {
            kind: 'load',
            access: flat('a', 0, [1], { limits: [{ high: 5 }] }),
            other: 3,
          }),
          put('e', 2),
        ],
      });
      const values = [...a];
      expect([...(result.c as Int8Array)]).toEqual(values);
      expect([...(result.w as Int32Array)]).toEqual(values);
      expect([...(result.r as Int8Array)]).toEqual([...values].reverse());
      expect([...(result.e as Int8Array)]).toEqual([...values.slice(0, 5), 3, 3, 3]);
    }
  });

  it('stores under a mask and leaves the rest', () => {
    const result = run({
      lanes,
      arrays: { a: Float32Array.of(1, -2, 3, -4), c: Float32Array.of(9, 9, 9, 9) },
      body: [
        set(0, 'f32', [4], load('a')),
        set(1, 'f32', [], { kind: 'literal', value: 0 }),
        set(2, 'bool', [4], { kind: 'compare', name: 'less', a: 1, b: 0 }),
        { kind: 'store', access: flat('c', 0, [1], { mask: 2 }), value: 0 },
      ],
    });
    expect([...(result.c as Float32Array)]).toEqual([1, 9, 3, 9]);
  });

  it('scans, shifts and divides integers', () => {
    const result = run({
      lanes,
      arrays: {
        a: Int32Array.of(-7, 8, 9, -10),
        b: Int32Array.of(2, 3, 4, 5),
        scan: new Int32Array(4),
        quotient: new Int32Array(4),
        rest: new Int32Array(4),
        byLane: new Int32Array(4),
        byOne: new Int32Array(4),
      },
      body: [
        set(0, 'i32', [4], load('a')),
        set(1, 'i32', [4], load('b')),
        set(2, 'i32', [4], { kind: 'scan', name: 'add', a: 0 }),
        put('scan', 2),
        set(3, 'i32', [4], { kind: 'binary', name: 'divide', a: 0, b: 1 }),
        put('quotient', 3),
        set(4, 'i32', [4], { kind: 'binary', name: 'remainder', a: 0, b: 1 }),
        put('rest', 4),
        set(5, 'i32', [4], { kind: 'binary', name: 'shiftRight', a: 0, b: 1 }),
        put('byLane', 5),
        set(6, 'i32', [], { kind: 'literal', value: 1 }),
        set(7, 'i32', [4], { kind: 'binary', name: 'shiftRight', a: 0, b: 6 }),
        put('byOne', 7),
      ],
    });
    expect([...(result.scan as Int32Array)]).toEqual([-7, 1, 10, 0]);
    expect([...(result.quotient as Int32Array)]).toEqual([-3, 2, 2, -2]);
    expect([...(result.rest as Int32Array)]).toEqual([-1, 2, 1, 0]);
    expect([...(result.byLane as Int32Array)]).toEqual([-2, 1, 0, -1]);
    expect([...(result.byOne as Int32Array)]).toEqual([-4, 4, 4, -5]);
  });

  it('keeps NaN in minima and rounds halves to even', () => {
    const result = run({
      lanes,
      arrays: {
        a: Float32Array.of(Number.NaN, 2.5, -0.5, 3.5),
        b: Float32Array.of(1, Number.NaN, 2, 1),
        low: new Float32Array(4),
        even: new Float32Array(4),
      },
      body: [
        set(0, 'f32', [4], load('a')),
        set(1, 'f32', [4], load('b')),
        set(2, 'f32', [4], { kind: 'binary', name: 'minimum', a: 0, b: 1 }),
        put('low', 2),
        set(3, 'f32', [4], { kind: 'unary', name: 'roundEven', a: 0 }),
        put('even', 3),
      ],
    });
    expect([...(result.low as Float32Array)]).toEqual([Number.NaN, Number.NaN, -0.5, 1]);
    expect([...(result.even as Float32Array)]).toEqual([Number.NaN, 2, -0, 4]);
  });

  it('runs while and if, names values in addresses, keeps state in scratch', () => {
    const result = run({
      lanes,
      arrays: { n: Int32Array.of(6), c: new Int32Array(8) },
      scratch: [{ name: 't', memory: 'i32', length: 8, space: 'scratch' }],
      body: [
        set(0, 'i32', [], load('n', 0, [])),
        set(1, 'i32', [], { kind: 'literal', value: 1 }),
        { kind: 'variable', id: 0, type: { dtype: 'i32', shape: [] }, initial: 1 },
        {
          kind: 'while',
          head: [
            set(2, 'i32', [], { kind: 'read', variable: 0 }),
            set(3, 'bool', [], { kind: 'compare', name: 'less', a: 2, b: 0 }),
          ],
          condition: 3,
          body: [
            { kind: 'name', name: 'v', value: 2 },
            set(4, 'i32', [], { kind: 'scalar', expression: multiply(10, variable('v')) }),
            {
              kind: 'if',
              condition: lessThan(modulo(variable('v'), 2), 1),
              then: [{ kind: 'store', access: flat('t', variable('v'), []), value: 4 }],
              else: [{ kind: 'store', access: flat('t', variable('v'), []), value: 1 }],
            },
            set(5, 'i32', [], { kind: 'binary', name: 'add', a: 2, b: 1 }),
            { kind: 'assign', variable: 0, value: 5 },
          ],
        },
        set(6, 'i32', [8], {
          kind: 'load',
          access: flat('t', 0, [1], { limits: [{ low: 1, high: 6 }] }),
        }),
        put('c', 6),
      ],
    });
    expect([...(result.c as Int32Array)]).toEqual([0, 1, 20, 1, 40, 1, 0, 0]);
  });

  it('takes hints about memory beyond the end', () => {
    const { y } = run({
      lanes,
      arrays: { x: Float32Array.of(1, 2, 3, 4), y: new Float32Array(4) },
      body: [
        { kind: 'touch', buffer: 'x', address: 2 ** 20, count: 64 },
        { kind: 'touch', buffer: 'y', address: 2 ** 28, count: 4 },
        set(0, 'f32', [4], load('x')),
        put('y', 0),
      ],
    });
    expect(y).toEqual(Float32Array.of(1, 2, 3, 4));
  });

  it('asks for nothing beyond the end in a walk', () => {
    const count = 8192;
    const x = Float32Array.from({ length: count }, (_, i) => i);
    const at = (buffer: string) => ({ buffer, address: variable('i'), strides: [1] });
    for (const ahead of [1024, 2 ** 26]) {
      const { y } = run({
        lanes,
        arrays: { x, y: new Float32Array(count) },
        body: [
          {
            kind: 'for',
            index: 'i',
            start: 0,
            end: count,
            step: 4,
            body: [
              set(0, 'f32', [4], { kind: 'load', access: { ...at('x'), ahead } }),
              { kind: 'store', access: { ...at('y'), ahead }, value: 0 },
            ],
          },
        ],
      });
      expect(y).toEqual(x);
    }
  });

  it.each(['minimum', 'maximum'] as const)('keeps a NaN of either side of the %s', (name) => {
    const { x, y, z } = run({
      lanes,
      arrays: {
        x: Float32Array.of(Number.NaN, 1, -1, 5),
        y: Float32Array.of(2, Number.NaN, 3, 4),
        z: new Float32Array(4),
      },
      body: [
        set(0, 'f32', [4], load('x')),
        set(1, 'f32', [4], load('y')),
        set(2, 'f32', [4], { kind: 'binary', name, a: 0, b: 1 }),
        put('z', 2),
      ],
    });
    const choose = name === 'minimum' ? Math.min : Math.max;
    expect([...(z as Float32Array)]).toEqual(
      [...(x as Float32Array)].map((value, i) => choose(value, (y as Float32Array)[i] as number)),
    );
  });

  it.each([
    ['add', (a: number, b: number) => a + b],
    ['multiply', (a: number, b: number) => a * b],
    ['maximum', Math.max],
  ] as const)('scans vectors by %s', (name, combine) => {
    const x = Float32Array.from({ length: 12 }, (_, i) => ((i * 5) % 7) - 2.5);
    const { y } = run({
      lanes,
      arrays: { x, y: new Float32Array(12) },
      body: [
        set(0, 'f32', [12], load('x')),
        set(1, 'f32', [12], { kind: 'scan', name, a: 0 }),
        put('y', 1),
      ],
    });
    let total: number | undefined;
    x.forEach((value, i) => {
      total = total === undefined ? value : combine(total, value);
      expect((y as Float32Array)[i]).toBeCloseTo(total, Math.abs(total) > 1e3 ? -1 : 3);
    });
  });

  it('rebinds a name in every copy of an unrolled loop', () => {
    const result = run({
      lanes,
      arrays: { a: Int32Array.of(3, 1, 0, 2, 4), c: new Int32Array(5) },
      sizes: { n: 5 },
      body: [
        {
          kind: 'for',
          index: 'i',
          start: 0,
          end: variable('n'),
          step: 1,
          unroll: 2,
          body: [
            set(0, 'i32', [], load('a', variable('i'), [])),
            { kind: 'name', name: 'v', value: 0 },
            set(1, 'i32', [], { kind: 'scalar', expression: variable('i') }),
            { kind: 'store', access: flat('c', variable('v'), []), value: 1 },
          ],
        },
      ],
    });
    expect([...(result.c as Int32Array)]).toEqual([2, 1, 3, 0, 4]);
  });

  it('writes the least failure code into the status word', () => {
    const failing = (codes: readonly number[], value: number) =>
      run({
        lanes,
        arrays: { a: Int32Array.of(0, 0, value, 0) },
        mayFail: true,
        body: [
          set(0, 'i32', [4], load('a')),
          set(1, 'bool', [4], { kind: 'convert', a: 0 }),
          ...codes.map((code): Statement => ({ kind: 'fail', when: 1, code })),
        ],
      }).status;
    expect(failing([19, 11, 14], 1)).toBe(11);
    expect(failing([19], 0)).toBe(0x7fffffff);
  });

  it('decomposes tasks into coordinates and divides indices downwards', () => {
    const [i, j, n] = [variable('i'), variable('j'), variable('n')];
    const result = run({
      lanes,
      arrays: { c: new Int32Array(24), d: new Int32Array(24) },
      sizes: { n: 3 },
      grid: [
        { name: 'i', extent: 2 },
        { name: 'j', extent: 4 },
        { name: 'k', extent: n },
      ],
      tasks: [5, 20],
      body: [
        set(0, 'i32', [], {
          kind: 'scalar',
          expression: add(multiply(100, i), multiply(10, j), variable('k')),
        }),
        set(1, 'i32', [], { kind: 'scalar', expression: floorDivide(subtract(j, 9), n) }),
        ...[0, 1].map(
          (value): Statement => ({
            kind: 'store',
            access: flat(
              value === 0 ? 'c' : 'd',
              add(multiply(12, i), multiply(3, j), variable('k')),
              [],
            ),
            value,
          }),
        ),
      ],
    });
    const coordinates = range(24).map((t) => [Math.floor(t / 12), Math.floor(t / 3) % 4, t % 3]);
    const inside = (t: number): boolean => t >= 5 && t < 20;
    expect([...(result.c as Int32Array)]).toEqual(
      coordinates.map(([a = 0, b = 0, e = 0], t) => (inside(t) ? 100 * a + 10 * b + e : 0)),
    );
    expect([...(result.d as Int32Array)]).toEqual(
      coordinates.map(([, b = 0], t) => (inside(t) ? Math.floor((b - 9) / 3) : 0)),
    );
  });
});

describe.each(wide)('64-bit kernels, %i lanes', (lanes) => {
  it('computes in i64 and u64 with 64-bit indices', () => {
    const big = 2n ** 62n;
    const result = run({
      lanes,
      indexType: 'i64',
      arrays: {
        a: BigInt64Array.of(big, -5n, 7n, -(2n ** 63n) + 1n),
        u: BigUint64Array.of(2n ** 64n - 1n, 1n, 2n, 3n),
        low: new BigInt64Array(4),
        less: new Uint8Array(4),
        half: new BigUint64Array(4),
        sum: new BigInt64Array(1),
        narrow: new Int32Array(4),
      },
      sizes: { zero: 0 },
      body: [
        set(0, 'i64', [4], load('a', variable('zero'))),
        set(1, 'u64', [4], load('u')),
        set(2, 'i64', [], { kind: 'literal', value: -6n }),
        set(3, 'i64', [4], { kind: 'binary', name: 'minimum', a: 0, b: 2 }),
        put('low', 3),
        set(4, 'u64', [], { kind: 'literal', value: 2n }),
        set(5, 'bool', [4], { kind: 'compare', name: 'less', a: 1, b: 4 }),
        put('less', 5),
        set(6, 'u64', [4], { kind: 'binary', name: 'divide', a: 1, b: 4 }),
        put('half', 6),
        set(7, 'i64', [], { kind: 'reduce', name: 'add', a: 0, axis: 0 }),
        put('sum', 7, []),
        set(8, 'i32', [4], { kind: 'convert', a: 0 }),
        put('narrow', 8),
      ],
    });
    expect([...(result.low as BigInt64Array)]).toEqual([-6n, -6n, -6n, -(2n ** 63n) + 1n]);
    expect([...(result.less as Uint8Array)]).toEqual([0, 1, 0, 0]);
    expect([...(result.half as BigUint64Array)]).toEqual([2n ** 63n - 1n, 0n, 1n, 1n]);
    expect((result.sum as BigInt64Array)[0]).toBe(big + 2n - 2n ** 63n + 1n);
    expect([...(result.narrow as Int32Array)]).toEqual([0, -5, 7, 1]);
  });

  it('sums f32 in f64 and gives it back', () => {
    const result = run({
      lanes,
      arrays: {
        a: Float32Array.from(range(8), (i) => i + 0.25),
        c: new Float64Array(1),
        d: new Float32Array(8),
      },
      body: [
        set(0, 'f32', [8], load('a')),
        set(1, 'f64', [8], { kind: 'convert', a: 0 }),
        set(2, 'f64', [], { kind: 'reduce', name: 'add', a: 1, axis: 0 }),
        put('c', 2, []),
        set(3, 'f64', [8], { kind: 'binary', name: 'divide', a: 1, b: 2 }),
        set(4, 'f32', [8], { kind: 'convert', a: 3 }),
        put('d', 4),
      ],
    });
    expect((result.c as Float64Array)[0]).toBe(30);
    expect([...(result.d as Float32Array)]).toEqual(
      range(8).map((i) => Math.fround((i + 0.25) / 30)),
    );
  });

  it('selects 32-bit values by masks of 64-bit lanes', () => {
    const result = run({
      lanes,
      arrays: {
        a: Float64Array.of(1, -1, 2, -2),
        b: Int32Array.of(1, 2, 3, 4),
        c: new Int32Array(4),
      },
      body: [
        set(0, 'f64', [4], load('a')),
        set(1, 'i32', [4], load('b')),
        set(2, 'f64', [], { kind: 'literal', value: 0 }),
        set(3, 'bool', [4], { kind: 'compare', name: 'less', a: 0, b: 2 }),
        set(4, 'i32', [4], { kind: 'unary', name: 'negate', a: 1 }),
        set(5, 'i32', [4], { kind: 'select', condition: 3, a: 4, b: 1 }),
        put('c', 5),
      ],
    });
    expect([...(result.c as Int32Array)]).toEqual([1, -2, 3, -4]);
  });
});

describe('conversions', () => {
  const samples: Readonly<Record<string, Numbers>> = {
    f32: Float32Array.of(0, 1.5, 3, 100),
    f64: Float64Array.of(0, 2.5, 7, 200),
    i32: Int32Array.of(0, 1, 77, 1000),
    u32: Uint32Array.of(0, 1, 77, 4000000000),
    i64: BigInt64Array.of(0n, 1n, 77n, 2000n),
    u64: BigUint64Array.of(0n, 1n, 77n, 3000n),
    bool: Uint8Array.of(0, 1, 0, 1),
  };
  const types = Object.keys(samples) as ComputeType[];
  const expected = (from: ComputeType, to: ComputeType): (number | bigint)[] =>
    [...(samples[from] as Float32Array)].map((value) => {
      const number = Number(value);
      if (to === 'bool') return number === 0 ? 0 : 1;
      if (to === 'f32') return Math.fround(number);
      if (to === 'f64') return number;
      const whole = BigInt(Math.trunc(number));
      if (to === 'i64') return whole;
      if (to === 'u64') return whole;
      return Number(to === 'i32' ? BigInt.asIntN(32, whole) : BigInt.asUintN(32, whole));
    });
  it.each(types.flatMap((from) => types.map((to) => [from, to] as const)))(
    '%s to %s',
    (from, to) => {
      for (const lanes of lanesFor(from, to)) {
        const a = samples[from] as Numbers;
        const c = new ((samples[to] as Numbers).constructor as Float32ArrayConstructor)(4);
        const result = run({
          lanes,
          arrays: { a, c },
          body: [
            set(0, from, [4], load('a')),
            set(1, to, [4], { kind: 'convert', a: 0 }),
            put('c', 1),
          ],
        });
        expect([...(result.c as Float32Array)]).toEqual(expected(from, to));
      }
    },
  );
});

describe('every binary, unary and compare against JavaScript', () => {
  const values = {
    f32: [1.5, -2.25, 3, -0.5],
    f64: [1.5, -2.25, 3, -0.5],
    i32: [5, -6, 7, -8],
    u32: [5, 6, 7, 8],
  };
  const arrays = { f32: Float32Array, f64: Float64Array, i32: Int32Array, u32: Uint32Array };
  type Kind = keyof typeof values;
  const binaries: Readonly<Record<string, (a: number, b: number) => number>> = {
    add: (a, b) => a + b,
    subtract: (a, b) => a - b,
    multiply: (a, b) => a * b,
    minimum: Math.min,
    maximum: Math.max,
  };
  const compares: Readonly<Record<string, (a: number, b: number) => boolean>> = {
    equal: (a, b) => a === b,
    notEqual: (a, b) => a !== b,
    less: (a, b) => a < b,
    lessEqual: (a, b) => a <= b,
  };
  it.each(Object.keys(values) as Kind[])('%s', (dtype) => {
    const kind = arrays[dtype];
    const a = kind.from(values[dtype]);
    const b = kind.from([...values[dtype]].map((x, i) => (i === 2 ? x : x - 2)));
    for (const lanes of lanesFor(dtype)) {
      for (const [name, rule] of Object.entries(binaries)) {
        const result = run({
          lanes,
          arrays: { a, b, c: new kind(4) },
          body: [
            set(0, dtype, [4], load('a')),
            set(1, dtype, [4], load('b')),
            set(2, dtype, [4], { kind: 'binary', name: name as 'add', a: 0, b: 1 }),
            put('c', 2),
          ],
        });
        expect([...(result.c as Float32Array)], name).toEqual([
          ...kind.from(range(4).map((i) => rule(a[i] as number, b[i] as number))),
        ]);
      }
      for (const [name, rule] of Object.entries(compares)) {
        const result = run({
          lanes,
          arrays: { a, b, c: new Uint8Array(4) },
          body: [
            set(0, dtype, [4], load('a')),
            set(1, dtype, [4], load('b')),
            set(2, 'bool', [4], { kind: 'compare', name: name as 'equal', a: 0, b: 1 }),
            put('c', 2),
          ],
        });
        expect([...(result.c as Uint8Array)], name).toEqual(
          range(4).map((i) => Number(rule(a[i] as number, b[i] as number))),
        );
      }
    }
  });
});

describe('fused multiply-add', () => {
  const body = (shape: readonly number[]): readonly Statement[] => [
    set(0, 'f32', shape, { kind: 'load', access: flat('a', 0, shape) }),
    set(1, 'f32', shape, { kind: 'multiplyAdd', a: 0, b: 0, c: 0 }),
  ];
  const emitted = (shape: readonly number[], fusedMultiplyAdd: boolean): readonly number[] => {
    const kernel: TileProgram = {
      contract: 1,
      name: 'kernel0',
      target: 'wasm/relaxed',
      lanes: 4,
      group: 1,
      buffers: [{ name: 'a', memory: 'f32', access: 'read' }],
      sizes: [],
      indexType: 'i32',
      scratch: [],
      grid: [],
      body: body(shape),
      mayFail: false,
    };
    const source = wasmLanguage.emit([kernel], { ...target, fusedMultiplyAdd });
    return [...(source.bytes as Uint8Array)];
  };
  const has = (bytes: readonly number[], code: readonly number[]): boolean =>
    bytes.some((_, at) => code.every((byte, i) => bytes[at + i] === byte));
  it.each([[[]], [[4]]])('is one instruction where the target has it, shape %j', (shape) => {
    const relaxed = [0xfd, 0x85, 0x02];
    expect(has(emitted(shape, true), relaxed)).toBe(true);
    expect(has(emitted(shape, false), relaxed)).toBe(false);
  });
});

describe('refusals', () => {
  const program = (rest: Partial<TileProgram>): TileProgram => ({
    contract: 1,
    name: 'kernel0',
    target: target.id,
    lanes: 4,
    group: 1,
    buffers: [],
    sizes: [],
    indexType: 'i32',
    scratch: [],
    grid: [],
    body: [],
    mayFail: false,
    ...rest,
  });
  it('refuses other vector widths and thread groups', () => {
    expect(() => wasmLanguage.emit([program({ lanes: 8 })], target)).toThrow('OC-REFUSED-01');
    expect(() => wasmLanguage.emit([program({ group: 64 })], target)).toThrow('OC-REFUSED-01');
  });
  it('refuses mathematics that WebAssembly does not have', () => {
    const body = [
      set(0, 'f32', [], { kind: 'literal', value: 1 }),
      set(1, 'f32', [], { kind: 'unary', name: 'exp', a: 0 }),
    ];
    expect(() => wasmLanguage.emit([program({ body })], target)).toThrow('exp on f32');
  });
  it('asks for a smaller tile where the locals do not fit', () => {
    const body = range(60).flatMap((i) => [
      set(2 * i, 'f32', [1024], load('a')),
      set(2 * i + 1, 'f32', [1024], { kind: 'unary', name: 'negate', a: 2 * i }),
    ]);
    const buffers = [{ name: 'a', memory: 'f32', access: 'read' }] as const;
    expect(() => wasmLanguage.emit([program({ lanes: 1, body, buffers })], target)).toThrow(
      'OC-REFUSED-02',
    );
  });
});
