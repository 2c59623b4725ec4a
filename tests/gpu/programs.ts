/** Hand-made tile programs that together use every operation and statement, for compilers. */
import type {
  ComputeType,
  Expression,
  MemoryType,
  Operation,
  Statement,
  Target,
  TileProgram,
} from '@open-claw/core/device';
import {
  add,
  ceilDivide,
  minimum,
  multiply,
  subtract,
  variable,
} from '../../packages/core/src/base/expression.js';

/** A target of threads that may be compiled for by any C for GPUs. */
export const threadsTarget: Target = {
  id: 'test/threads',
  language: 'test',
  execution: 'threads',
  vectorBytes: 0,
  vectorRegisters: 64,
  cores: 1,
  cacheBytes: [],
  maxGroup: 256,
  preferredGroup: 64,
  sharedBytes: 16384,
  spaces: [],
  matrixUnits: [],
  compute: ['f32', 'f64', 'i32', 'u32', 'i64', 'u64', 'bool'],
  storage: ['f32'],
  math: [],
  fusedMultiplyAdd: false,
  maxBindings: 8,
  maxBufferBytes: 2 ** 30,
  offsetAlignment: 256,
  sharedBuffers: true,
  indexBits: 64,
  maxGrid: [2 ** 31 - 1, 65535, 65535],
  memoryBytes: 2 ** 30,
};

const set = (
  id: number,
  dtype: ComputeType,
  shape: readonly number[],
  operation: Operation,
  space: 'register' | 'shared' = 'register',
): Statement => ({ kind: 'let', id, type: { dtype, shape }, operation, space });

/** A program, with what runs it: sizes, tasks per axis and elements per buffer. */
export interface Sample {
  readonly program: TileProgram;
  readonly sizes: readonly number[];
  readonly grid: readonly number[];
  readonly lengths: readonly number[];
}

const parametersOf = (
  reads: Readonly<Record<string, MemoryType>>,
  writes: Readonly<Record<string, MemoryType>>,
): TileProgram['buffers'] => [
  ...Object.entries(reads).map(([name, memory]) => ({ name, memory, access: 'read' as const })),
  ...Object.entries(writes).map(([name, memory]) => ({
    name,
    memory,
    access: 'readWrite' as const,
  })),
];

const kernel = (
  name: string,
  group: number,
  indexType: 'i32' | 'i64',
  rest: Pick<TileProgram, 'buffers' | 'body'> & Partial<TileProgram>,
): TileProgram => ({
  contract: 1,
  name,
  target: threadsTarget.id,
  lanes: group,
  group,
  sizes: [],
  indexType,
  scratch: [],
  grid: [{ name: 'g', extent: 1 }],
  mayFail: false,
  ...rest,
});

/** c = a · b + bias, tile by tile, operands in shared memory. */
export function matrixProduct(
  indexType: 'i32' | 'i64',
  tile: { readonly m: number; readonly n: number; readonly k: number },
  group: number,
): Sample {
  const [m, n, k] = [variable('m'), variable('n'), variable('k')];
  const [i, j, p] = [variable('i'), variable('j'), variable('p')];
  const left = (size: Expression, extent: number, at: Expression) => ({
    high: minimum(extent, subtract(size, at)),
  });
  const [row, column] = [multiply(tile.m, i), multiply(tile.n, j)];
  const whole = [tile.m, tile.n];
  const body: Statement[] = [
    set(0, 'f32', [], { kind: 'literal', value: 0 }),
    set(1, 'f32', whole, { kind: 'broadcast', a: 0, axis: 0 }),
    { kind: 'variable', id: 0, type: { dtype: 'f32', shape: whole }, initial: 1 },
    {
      kind: 'for',
      index: 'p',
      start: 0,
      end: k,
      step: tile.k,
      body: [
        set(
          2,
          'f32',
          [tile.m, tile.k],
          {
            kind: 'load',
            access: {
              buffer: 'a',
              address: add(multiply(row, k), p),
              strides: [k, 1],
              limits: [left(m, tile.m, row), left(k, tile.k, p)],
            },
          },
          'shared',
        ),
        set(
          3,
          'f32',
          [tile.k, tile.n],
          {
            kind: 'load',
            access: {
              buffer: 'b',
              address: add(multiply(p, n), column),
              strides: [n, 1],
              limits: [left(k, tile.k, p), left(n, tile.n, column)],
            },
          },
          'shared',
        ),
        set(4, 'f32', whole, { kind: 'read', variable: 0 }),
        set(5, 'f32', whole, { kind: 'dot', a: 2, b: 3, accumulator: 4 }),
        { kind: 'assign', variable: 0, value: 5 },
      ],
    },
    set(6, 'f32', whole, { kind: 'read', variable: 0 }),
    set(7, 'f32', [tile.n], {
      kind: 'load',
      access: {
        buffer: 'bias',
        address: column,
        strides: [1],
        limits: [left(n, tile.n, column)],
      },
    }),
    set(8, 'f32', whole, { kind: 'broadcast', a: 7, axis: 1 }),
    set(9, 'f32', whole, { kind: 'binary', name: 'add', a: 6, b: 8 }),
    {
      kind: 'store',
      access: {
        buffer: 'c',
        address: add(multiply(row, n), column),
        strides: [n, 1],
        limits: [left(m, tile.m, row), left(n, tile.n, column)],
      },
      value: 9,
    },
  ];
  const [rows, columns, depth] = [2 * tile.m - 3, tile.n + 5, 2 * tile.k + 2];
  return {
    program: kernel('product0', group, indexType, {
      buffers: parametersOf({ a: 'f32', b: 'f32', bias: 'f32' }, { c: 'f32' }),
      sizes: ['m', 'n', 'k'],
      grid: [
        { name: 'i', extent: ceilDivide(m, tile.m) },
        { name: 'j', extent: ceilDivide(n, tile.n) },
      ],
      body,
    }),
    sizes: [rows, columns, depth],
    grid: [2, 2],
    lengths: [rows * depth, depth * columns, columns, rows * columns],
  };
}

/** c = row-wise (x − maximum) · sum, in-place on one output, transposed into another. */
export function rowKernel(indexType: 'i32' | 'i64', group: number): Sample {
  const g = variable('g');
  const shape = [4, 40];
  const at = (buffer: string, strides: readonly number[]) => ({
    buffer,
    address: multiply(160, g),
    strides,
  });
  return {
    program: kernel('rows0', group, indexType, {
      buffers: parametersOf({ a: 'f32' }, { c: 'f32', t: 'f32', prefix: 'f32' }),
      sizes: ['n'],
      grid: [{ name: 'g', extent: variable('n') }],
      body: [
        set(0, 'f32', shape, { kind: 'load', access: at('a', [40, 1]) }),
        set(1, 'f32', [4], { kind: 'reduce', name: 'maximum', a: 0, axis: 1 }),
        set(2, 'f32', shape, { kind: 'broadcast', a: 1, axis: 0 }),
        set(3, 'f32', shape, { kind: 'binary', name: 'subtract', a: 0, b: 2 }),
        set(4, 'f32', [40], { kind: 'reduce', name: 'add', a: 3, axis: 0 }),
        set(5, 'f32', [], { kind: 'reduce', name: 'minimum', a: 4, axis: 0 }),
        set(6, 'f32', shape, { kind: 'binary', name: 'multiply', a: 3, b: 5 }),
        { kind: 'store', access: at('c', [40, 1]), value: 6 },
        set(7, 'f32', [40, 4], { kind: 'transpose', a: 6 }),
        { kind: 'store', access: at('t', [4, 1]), value: 7 },
        set(8, 'f32', [40], { kind: 'scan', name: 'add', a: 4 }),
        {
          kind: 'store',
          access: { buffer: 'prefix', address: multiply(40, g), strides: [1] },
          value: 8,
        },
      ],
    }),
    sizes: [3],
    grid: [3],
    lengths: [480, 480, 480, 120],
  };
}

/** Gather, scatter, atomics, failures, while, if, names, scratch and narrow memory. */
export function indexKernel(indexType: 'i32' | 'i64', group: number): Sample {
  const top = variable('top');
  const width = 48;
  const plain = (buffer: string) => ({ buffer, address: 0, strides: [1] });
  return {
    program: kernel('index0', group, indexType, {
      buffers: parametersOf(
        { bytes: 'u8', shorts: 'i16' },
        { out: 'i32', narrow: 'u8', total: 'i32' },
      ),
      scratch: [{ name: 'hold', memory: 'u32', length: 64, space: 'scratch' }],
      mayFail: true,
      body: [
        set(0, 'i32', [width], { kind: 'load', access: plain('bytes') }),
        set(1, 'i32', [width], { kind: 'iota' }),
        set(2, 'i32', [], { kind: 'literal', value: 40 }),
        set(3, 'bool', [width], { kind: 'compare', name: 'less', a: 0, b: 2 }),
        set(4, 'i32', [width], { kind: 'gather', buffer: 'shorts', index: 0, mask: 3 }),
        set(5, 'i32', [], { kind: 'literal', value: 0 }),
        { kind: 'scatter', buffer: 'out', index: 1, value: 4 },
        { kind: 'atomic', name: 'add', buffer: 'total', index: 5, value: 4, mask: 3 },
        set(6, 'i32', [], { kind: 'literal', value: 1 }),
        { kind: 'atomic', name: 'maximum', buffer: 'total', index: 6, value: 1 },
        set(7, 'bool', [width], { kind: 'unary', name: 'not', a: 3 }),
        { kind: 'fail', when: 7, code: 9 },
        set(8, 'u32', [width], { kind: 'convert', a: 1 }),
        { kind: 'variable', id: 0, type: { dtype: 'u32', shape: [width] }, initial: 8 },
        set(9, 'u32', [], { kind: 'literal', value: 1 }),
        {
          kind: 'while',
          head: [
            set(10, 'u32', [width], { kind: 'read', variable: 0 }),
            set(11, 'u32', [], { kind: 'reduce', name: 'maximum', a: 10, axis: 0 }),
            set(12, 'bool', [], { kind: 'compare', name: 'less', a: 9, b: 11 }),
          ],
          condition: 12,
          body: [
            set(13, 'u32', [width], { kind: 'binary', name: 'shiftRight', a: 10, b: 9 }),
            { kind: 'assign', variable: 0, value: 13 },
            { kind: 'name', name: 'top', value: 11 },
            {
              kind: 'if',
              condition: top,
              then: [
                { kind: 'store', access: plain('hold'), value: 13 },
                set(14, 'u32', [width], {
                  kind: 'load',
                  access: { buffer: 'hold', address: width - 1, strides: [-1] },
                }),
                { kind: 'assign', variable: 0, value: 14 },
              ],
              else: [],
            },
          ],
        },
        set(15, 'u32', [width], { kind: 'read', variable: 0 }),
        { kind: 'store', access: plain('narrow'), value: 15 },
      ],
    }),
    sizes: [],
    grid: [1],
    lengths: [width, 64, width, width, 2],
  };
}

/** Every unary, binary and compare operation that a type has, and conversions between types. */
export function arithmeticKernel(
  dtypes: readonly ('f32' | 'f64' | 'i32' | 'u32' | 'i64' | 'u64')[],
  group: number,
): Sample {
  const width = 16;
  const body: Statement[] = [];
  let id = 0;
  const next = (dtype: ComputeType, shape: readonly number[], operation: Operation): number => {
    body.push(set(id, dtype, shape, operation));
    return id++;
  };
  const both = (buffer: string) => ({ buffer, address: 0, strides: [1] });
  for (const dtype of dtypes) {
    const float = dtype === 'f32' || dtype === 'f64';
    const a = next(dtype, [width], { kind: 'load', access: both(`a_${dtype}`) });
    const one = next(dtype, [], {
      kind: 'literal',
      value: dtype === 'i64' || dtype === 'u64' ? 3n : 3,
    });
    const wide = next(dtype, [width], { kind: 'broadcast', a: one, axis: 0 });
    let sum = a;
    const fold = (value: number): void => {
      sum = next(dtype, [width], {
        kind: 'binary',
        name: float ? 'add' : 'xor',
        a: sum,
        b: value,
      });
    };
    const unaries = ['negate', 'absolute', 'floor', 'ceil', 'truncate', 'roundEven'] as const;
    for (const name of unaries) fold(next(dtype, [width], { kind: 'unary', name, a }));
    if (!float) fold(next(dtype, [width], { kind: 'unary', name: 'not', a }));
    const common = ['add', 'subtract', 'multiply', 'divide', 'minimum', 'maximum'] as const;
    const whole = ['remainder', 'and', 'or', 'xor', 'shiftLeft', 'shiftRight'] as const;
    for (const name of [...common, ...(float ? [] : whole)]) {
      fold(next(dtype, [width], { kind: 'binary', name, a, b: wide }));
    }
    fold(next(dtype, [width], { kind: 'multiplyAdd', a, b: one, c: wide }));
    for (const name of ['equal', 'notEqual', 'less', 'lessEqual'] as const) {
      const truth = next('bool', [width], { kind: 'compare', name, a, b: one });
      fold(next(dtype, [width], { kind: 'select', condition: truth, a: sum, b: a }));
      fold(next(dtype, [width], { kind: 'convert', a: truth }));
    }
    for (const other of dtypes) {
      if (float && other !== 'f32' && other !== 'f64') continue;
      const there = next(other, [width], { kind: 'convert', a });
      if (!float && (other === 'f32' || other === 'f64')) continue;
      fold(next(dtype, [width], { kind: 'convert', a: there }));
    }
    const twin = {
      f32: 'i32',
      i32: 'f32',
      u32: 'i32',
      f64: 'i64',
      i64: 'u64',
      u64: 'f64',
    } as const;
    if (dtypes.includes(twin[dtype])) {
      const bits = next(twin[dtype], [width], { kind: 'bitcast', a });
      fold(next(dtype, [width], { kind: 'bitcast', a: bits }));
    }
    body.push({ kind: 'store', access: both(`c_${dtype}`), value: sum });
  }
  const named = (prefix: string): Record<string, MemoryType> =>
    Object.fromEntries(dtypes.map((dtype) => [`${prefix}_${dtype}`, dtype]));
  return {
    program: kernel('arithmetic0', group, 'i32', {
      buffers: parametersOf(named('a'), named('c')),
      body,
    }),
    sizes: [],
    grid: [1],
    lengths: Array.from({ length: 2 * dtypes.length }, () => width),
  };
}

const arrayOf = {
  f32: Float32Array,
  f64: Float64Array,
  i8: Int8Array,
  i16: Int16Array,
  i32: Int32Array,
  i64: BigInt64Array,
  u8: Uint8Array,
  u16: Uint16Array,
  u32: Uint32Array,
  u64: BigUint64Array,
};

/** Buffers of small numbers, the status word last if the program may fail. */
export function buffersOf(sample: Sample): Uint8Array<ArrayBuffer>[] {
  const buffers = sample.program.buffers.map((b, at) => {
    const array = new arrayOf[b.memory](sample.lengths[at] as number);
    const input = b.access === 'read';
    for (let i = 0; i < array.length; i++) {
      const value = input ? ((i * 7919 + at) % 61) - (b.memory.startsWith('u') ? 0 : 19) : 0;
      const wide = array instanceof BigInt64Array || array instanceof BigUint64Array;
      if (wide) array[i] = BigInt(value);
      else array[i] = b.memory.startsWith('f') ? value / 4 : value;
    }
    return new Uint8Array(array.buffer);
  });
  const status = new Uint8Array(Int32Array.of(0x7fffffff).buffer);
  return sample.program.mayFail ? [...buffers, status] : buffers;
}

/** Contents of buffers by name, as numbers. */
export function valuesOf(sample: Sample, buffers: readonly Uint8Array<ArrayBuffer>[]): object {
  return Object.fromEntries(
    buffers.map((bytes, i) => {
      const buffer = sample.program.buffers[i];
      return [buffer?.name ?? 'status', new arrayOf[buffer?.memory ?? 'i32'](bytes.buffer)];
    }),
  );
}
