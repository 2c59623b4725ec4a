import { describe, expect, it } from 'vitest';
import { add, minimum, multiply, subtract, variable } from '../base/expression.js';
import type { ComputeType, MemoryType, Target } from '../base/target.js';
import type { Operation, Statement, TileProgram } from '../kernel/tile.js';
import { scriptLanguage } from './script.js';

const target: Target = {
  id: 'test/script',
  language: 'script',
  execution: 'vector',
  vectorBytes: 0,
  vectorRegisters: 16,
  cores: 1,
  cacheBytes: [],
  maxGroup: 1,
  preferredGroup: 1,
  sharedBytes: 0,
  spaces: [],
  matrixUnits: [],
  compute: ['f32', 'f64', 'i32', 'u32', 'i64', 'u64', 'bool'],
  storage: ['f32'],
  math: [],
  fusedMultiplyAdd: false,
  maxBindings: 8,
  maxBufferBytes: 2 ** 30,
  offsetAlignment: 64,
  sharedBuffers: true,
  indexBits: 64,
  maxGrid: [1, 1, 1],
  memoryBytes: 2 ** 30,
};

const set = (
  id: number,
  dtype: ComputeType,
  shape: readonly number[],
  operation: Operation,
): Statement => ({ kind: 'let', id, type: { dtype, shape }, operation });

function programOf(
  memories: Readonly<Record<string, MemoryType>>,
  body: readonly Statement[],
  rest: Partial<TileProgram> = {},
): TileProgram {
  return {
    contract: 1,
    name: 'kernel0',
    target: target.id,
    lanes: 1,
    group: 1,
    buffers: Object.entries(memories).map(([name, memory]) => ({
      name,
      memory,
      access: 'readWrite',
    })),
    sizes: [],
    indexType: 'i64',
    scratch: [],
    grid: [{ name: 'g', extent: 1 }],
    mayFail: false,
    ...rest,
    body,
  };
}

type Numbers =
  | Float32Array
  | Float64Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

function run(
  program: TileProgram,
  arrays: readonly Numbers[],
  sizes: readonly number[] = [],
  tasks = 1,
  on = target,
): void {
  const source = scriptLanguage.emit([program], on);
  const functions = new Function(source.text as string)();
  const bytes = arrays.map((a) => new Uint8Array(a.buffer, a.byteOffset, a.byteLength));
  functions[program.name](bytes, sizes, 0, tasks);
}

const at = (buffer: string, address = variable('g') as ReturnType<typeof add>, strides = [1]) => ({
  buffer,
  address,
  strides,
});

describe('script language', () => {
  it('masks the tail of an elementwise kernel by limits', () => {
    const n = variable('n');
    const g = variable('g', n);
    const access = {
      buffer: 'a',
      address: multiply(4, g),
      strides: [1],
      limits: [{ high: minimum(4, subtract(n, multiply(4, g))) }],
    };
    const program = programOf(
      { a: 'f32', c: 'f32' },
      [
        set(0, 'f32', [4], { kind: 'load', access }),
        set(1, 'f32', [], { kind: 'literal', value: 0.1 }),
        set(2, 'f32', [4], { kind: 'binary', name: 'multiply', a: 0, b: 1 }),
        { kind: 'store', access: { ...access, buffer: 'c' }, value: 2 },
      ],
      { sizes: ['n'] },
    );
    const a = Float32Array.of(1, 2, 3, 4, 5, 6, 99, 99);
    const c = new Float32Array(8).fill(-1);
    run(program, [a, c], [6], 2);
    const tenth = Math.fround(0.1);
    expect([...c]).toEqual([...[1, 2, 3, 4, 5, 6].map((x) => Math.fround(x * tenth)), -1, -1]);
  });

  it('reads strided rows, transposes and writes them, in every grid task', () => {
    const [i, j] = [variable('i', 2), variable('j', 3)];
    const program = programOf(
      { a: 'i32', c: 'i32' },
      [
        set(0, 'i32', [2, 2], {
          kind: 'load',
          access: { buffer: 'a', address: add(multiply(12, i), multiply(2, j)), strides: [6, 1] },
        }),
        set(1, 'i32', [2, 2], { kind: 'transpose', a: 0 }),
        {
          kind: 'store',
          access: { buffer: 'c', address: add(multiply(8, j), multiply(2, i)), strides: [4, 1] },
          value: 1,
        },
      ],
      {
        grid: [
          { name: 'i', extent: 2 },
          { name: 'j', extent: 3 },
        ],
      },
    );
    const a = Int32Array.from({ length: 24 }, (_, k) => k);
    const c = new Int32Array(24);
    run(program, [a, c], [], 6);
    const expected = Array.from({ length: 24 }, (_, k) => (k % 4) * 6 + Math.floor(k / 4));
    expect([...c]).toEqual(expected);
  });

  it('accumulates in a loop, reduces along either axis, scans and broadcasts', () => {
    const k = variable('k', 8);
    const program = programOf({ a: 'f64', rows: 'f64', columns: 'f64', prefix: 'f64' }, [
      set(0, 'f64', [], { kind: 'literal', value: 0 }),
      set(1, 'f64', [2, 4], { kind: 'broadcast', a: 0, axis: 0 }),
      { kind: 'variable', id: 0, type: { dtype: 'f64', shape: [2, 4] }, initial: 1 },
      {
        kind: 'for',
        index: 'k',
        start: 0,
        end: 8,
        step: 4,
        body: [
          set(2, 'f64', [2, 4], { kind: 'load', access: at('a', k, [8, 1]) }),
          set(3, 'f64', [2, 4], { kind: 'read', variable: 0 }),
          set(4, 'f64', [2, 4], { kind: 'binary', name: 'add', a: 3, b: 2 }),
          { kind: 'assign', variable: 0, value: 4 },
        ],
      },
      set(5, 'f64', [2, 4], { kind: 'read', variable: 0 }),
      set(6, 'f64', [2], { kind: 'reduce', name: 'add', a: 5, axis: 1 }),
      set(7, 'f64', [4], { kind: 'reduce', name: 'maximum', a: 5, axis: 0 }),
      set(8, 'f64', [4], { kind: 'scan', name: 'add', a: 7 }),
      { kind: 'store', access: at('rows', 0), value: 6 },
      { kind: 'store', access: at('columns', 0), value: 7 },
      { kind: 'store', access: at('prefix', 0), value: 8 },
    ]);
    const a = Float64Array.from({ length: 16 }, (_, i) => i);
    const [rows, columns, prefix] = [2, 4, 4].map((n) => new Float64Array(n));
    run(program, [a, rows as Float64Array, columns as Float64Array, prefix as Float64Array]);
    expect([...(rows as Float64Array)]).toEqual([28, 92]);
    expect([...(columns as Float64Array)]).toEqual([20, 22, 24, 26]);
    expect([...(prefix as Float64Array)]).toEqual([20, 42, 66, 92]);
  });

  it('multiplies tiles', () => {
    const program = programOf({ a: 'f32', b: 'f32', c: 'f32' }, [
      set(0, 'f32', [2, 3], { kind: 'load', access: at('a', 0, [3, 1]) }),
      set(1, 'f32', [3, 2], { kind: 'load', access: at('b', 0, [2, 1]) }),
      set(2, 'f32', [], { kind: 'literal', value: 1 }),
      set(3, 'f32', [2, 2], { kind: 'broadcast', a: 2, axis: 0 }),
      set(4, 'f32', [2, 2], { kind: 'dot', a: 0, b: 1, accumulator: 3 }),
      { kind: 'store', access: at('c', 0, [2, 1]), value: 4 },
    ]);
    const c = new Float32Array(4);
    run(program, [Float32Array.of(1, 2, 3, 4, 5, 6), Float32Array.of(1, 2, 3, 4, 5, 6), c]);
    expect([...c]).toEqual([23, 29, 50, 65]);
  });

  it('multiplies tiles on a matrix unit', () => {
    const unit = {
      name: 'bf16',
      m: 2,
      n: 2,
      k: 4,
      left: 'bf16',
      right: 'bf16',
      accumulate: 'f32',
      interleave: 2,
      operands: 'global',
    } as const;
    const program = programOf({ a: 'u16', b: 'u16', c: 'f32' }, [
      set(0, 'u32', [2, 4], { kind: 'load', access: at('a', 0, [4, 1]) }),
      // Rows 0 and 1 of the depth side by side, then rows 2 and 3.
      set(1, 'u32', [2, 4], { kind: 'load', access: at('b', 0, [4, 1]) }),
      set(2, 'f32', [], { kind: 'literal', value: 1 }),
      set(3, 'f32', [2, 2], { kind: 'broadcast', a: 2, axis: 0 }),
      set(4, 'f32', [2, 2], { kind: 'dot', a: 0, b: 1, accumulator: 3, unit: 'bf16' }),
      { kind: 'store', access: at('c', 0, [2, 1]), value: 4 },
    ]);
    const bits = (...values: number[]): Uint16Array => {
      const words = new Uint32Array(Float32Array.from(values).buffer);
      return Uint16Array.from(words, (word) => word >>> 16);
    };
    const c = new Float32Array(4);
    // b = [[1, 2], [3, 4], [5, 6], [7, −8]].
    const arrays = [bits(1, 2, 3, 4, 5, 6, 7, -8), bits(1, 3, 2, 4, 5, 7, 6, -8), c];
    run(program, arrays, [], 1, { ...target, matrixUnits: [unit] });
    expect([...c]).toEqual([51, 1 + 2 + 8 + 18 - 32, 3, 1 + 10 + 24 + 42 + 64]);
    expect(() => run(program, arrays)).toThrow('matrix unit bf16');
  });

  it('gathers, scatters and adds atomically under a mask', () => {
    const mask = { mask: 2 };
    const program = programOf({ index: 'i32', data: 'i32', out: 'i32', count: 'i32' }, [
      set(0, 'i32', [4], { kind: 'load', access: at('index', 0) }),
      set(1, 'i32', [], { kind: 'literal', value: 0 }),
      set(2, 'bool', [4], { kind: 'compare', name: 'lessEqual', a: 1, b: 0 }),
      set(3, 'i32', [4], { kind: 'gather', buffer: 'data', index: 0, ...mask }),
      { kind: 'store', access: at('out', 0), value: 3 },
      { kind: 'scatter', buffer: 'out', index: 0, value: 0, ...mask },
      { kind: 'atomic', name: 'add', buffer: 'count', index: 1, value: 3, ...mask },
    ]);
    const out = new Int32Array(8);
    const count = Int32Array.of(1);
    run(program, [
      Int32Array.of(5, -1, 6, 4),
      Int32Array.from({ length: 8 }, (_, i) => 10 * i),
      out,
      count,
    ]);
    expect([...out]).toEqual([50, 0, 60, 40, 4, 5, 6, 0]);
    expect(count[0]).toBe(151);
  });

  it('wraps integers of every width and rounds wide integers once', () => {
    const program = programOf({ a: 'i64', sum: 'i64', low: 'i32', float: 'f32', bits: 'u64' }, [
      set(0, 'i64', [], { kind: 'load', access: at('a', 0, []) }),
      set(1, 'i64', [], { kind: 'binary', name: 'add', a: 0, b: 0 }),
      set(2, 'i32', [], { kind: 'convert', a: 0 }),
      set(3, 'i32', [], { kind: 'binary', name: 'multiply', a: 2, b: 2 }),
      set(4, 'f32', [], { kind: 'convert', a: 0 }),
      set(5, 'u64', [], { kind: 'bitcast', a: 0 }),
      set(6, 'u64', [], { kind: 'unary', name: 'not', a: 5 }),
      { kind: 'store', access: at('sum', 0, []), value: 1 },
      { kind: 'store', access: at('low', 0, []), value: 3 },
      { kind: 'store', access: at('float', 0, []), value: 4 },
      { kind: 'store', access: at('bits', 0, []), value: 6 },
    ]);
    const value = 2n ** 62n + 2n ** 38n + 1n;
    const [sum, bits] = [new BigInt64Array(1), new BigUint64Array(1)];
    const [low, float] = [new Int32Array(1), new Float32Array(1)];
    run(program, [BigInt64Array.of(value), sum, low, float, bits]);
    expect(sum[0]).toBe(BigInt.asIntN(64, value * 2n));
    expect(low[0]).toBe(1);
    // Two roundings, through f64 first, would fall on the even neighbour 2^62.
    expect(float[0]).toBe(2 ** 62 + 2 ** 39);
    expect(bits[0]).toBe(BigInt.asUintN(64, ~value));
  });

  it('runs while, if, named values and scratch, and reports the least failure', () => {
    const steps = variable('steps');
    const program = programOf(
      { a: 'u32', c: 'u32' },
      [
        set(0, 'u32', [], { kind: 'load', access: at('a', 0, []) }),
        set(1, 'u32', [], { kind: 'literal', value: 0 }),
        set(2, 'u32', [], { kind: 'literal', value: 1 }),
        { kind: 'variable', id: 0, type: { dtype: 'u32', shape: [] }, initial: 0 },
        { kind: 'variable', id: 1, type: { dtype: 'u32', shape: [] }, initial: 1 },
        {
          kind: 'while',
          head: [
            set(3, 'u32', [], { kind: 'read', variable: 0 }),
            set(4, 'bool', [], { kind: 'compare', name: 'less', a: 2, b: 3 }),
          ],
          condition: 4,
          body: [
            set(5, 'u32', [], { kind: 'binary', name: 'shiftRight', a: 3, b: 2 }),
            { kind: 'assign', variable: 0, value: 5 },
            set(6, 'u32', [], { kind: 'read', variable: 1 }),
            set(7, 'u32', [], { kind: 'binary', name: 'add', a: 6, b: 2 }),
            { kind: 'assign', variable: 1, value: 7 },
          ],
        },
        set(8, 'u32', [], { kind: 'read', variable: 1 }),
        { kind: 'name', name: 'steps', value: 8 },
        { kind: 'store', access: at('hold', 2, []), value: 8 },
        {
          kind: 'if',
          condition: steps,
          then: [
            set(9, 'u32', [], { kind: 'load', access: at('hold', 2, []) }),
            { kind: 'store', access: at('c', steps, []), value: 9 },
          ],
          else: [{ kind: 'store', access: at('c', 0, []), value: 2 }],
        },
        set(10, 'bool', [], { kind: 'compare', name: 'equal', a: 8, b: 1 }),
        set(11, 'bool', [], { kind: 'unary', name: 'not', a: 10 }),
        { kind: 'fail', when: 10, code: 3 },
        { kind: 'fail', when: 11, code: 9 },
        { kind: 'fail', when: 11, code: 17 },
      ],
      { scratch: [{ name: 'hold', memory: 'u32', length: 4, space: 'scratch' }], mayFail: true },
    );
    const c = new Uint32Array(8);
    const status = Int32Array.of(0x7fffffff);
    run(program, [Uint32Array.of(40), c, status]);
    expect([...c]).toEqual([0, 0, 0, 0, 0, 5, 0, 0]);
    expect(status[0]).toBe(9);
  });

  it('keeps NaN in minimum, rounds to even and stores bools as bytes', () => {
    const program = programOf({ a: 'f32', b: 'f32', even: 'f32', less: 'u8' }, [
      set(0, 'f32', [4], { kind: 'load', access: at('a', 0) }),
      set(1, 'f32', [4], { kind: 'unary', name: 'roundEven', a: 0 }),
      set(2, 'f32', [], { kind: 'literal', value: Number.NaN }),
      set(3, 'f32', [4], { kind: 'binary', name: 'minimum', a: 0, b: 2 }),
      set(4, 'bool', [4], { kind: 'compare', name: 'less', a: 0, b: 1 }),
      { kind: 'store', access: at('even', 0), value: 1 },
      { kind: 'store', access: at('b', 0), value: 3 },
      { kind: 'store', access: at('less', 0), value: 4 },
    ]);
    const [b, even, less] = [new Float32Array(4), new Float32Array(4), new Uint8Array(4)];
    run(program, [Float32Array.of(0.5, 1.5, -2.5, -0.25), b, even, less]);
    expect([...even]).toEqual([0, 2, -2, -0]);
    expect([...b]).toEqual([Number.NaN, Number.NaN, Number.NaN, Number.NaN]);
    expect([...less]).toEqual([0, 1, 1, 1]);
  });

  it('throws where a kernel leaves its buffer, and refuses unlisted functions', () => {
    const outside = programOf({ a: 'f32' }, [
      set(0, 'f32', [], { kind: 'load', access: at('a', 4, []) }),
      { kind: 'store', access: at('a', 0, []), value: 0 },
    ]);
    expect(() => run(outside, [new Float32Array(4)])).toThrow('element 4 of a, which has 4');
    const logarithm = programOf({ a: 'f32' }, [
      set(0, 'f32', [], { kind: 'load', access: at('a', 0, []) }),
      set(1, 'f32', [], { kind: 'unary', name: 'log', a: 0 }),
    ]);
    expect(() => scriptLanguage.emit([logarithm], target)).toThrow('OC-REFUSED-01');
  });
});
