import { describe, expect, it } from 'vitest';
import type { Expression } from '../../packages/core/src/base/expression.js';
import {
  add,
  ceilDivide,
  minimum,
  multiply,
  subtract,
  variable,
} from '../../packages/core/src/base/expression.js';
import type { ComputeType, MemoryType, Target } from '../../packages/core/src/base/target.js';
import { scriptLanguage } from '../../packages/core/src/codegen/script.js';
import type { ThreadStatement } from '../../packages/core/src/codegen/thread-program.js';
import { mapThreads } from '../../packages/core/src/codegen/threads.js';
import type {
  Access,
  Operation,
  Statement,
  TileProgram,
} from '../../packages/core/src/kernel/tile.js';
import { type Numbers, runThreads } from './thread-machine.js';

const target: Target = {
  id: 'test/threads',
  language: 'test',
  execution: 'threads',
  vectorBytes: 0,
  vectorRegisters: 16,
  cores: 1,
  cacheBytes: [],
  maxGroup: 256,
  preferredGroup: 8,
  sharedBytes: 32768,
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
  maxGrid: [65535, 65535, 65535],
  memoryBytes: 2 ** 30,
};

// ---- Programs, each run by the machine above and by the script language. ----

const set = (
  id: number,
  dtype: ComputeType,
  shape: readonly number[],
  operation: Operation,
  space?: 'shared',
): Statement => ({
  kind: 'let',
  id,
  type: { dtype, shape },
  operation,
  ...(space === undefined ? {} : { space }),
});

const at = (
  buffer: string,
  address: Expression,
  strides: readonly Expression[] = [1],
  rest: Partial<Access> = {},
): Access => ({ buffer, address, strides, ...rest });

function programOf(
  memories: Readonly<Record<string, MemoryType>>,
  body: readonly Statement[],
  rest: Partial<TileProgram> = {},
): TileProgram {
  const stored = new Set<string>();
  const walk = (list: readonly Statement[]): void => {
    for (const s of list) {
      if (s.kind === 'store') stored.add(s.access.buffer);
      if (s.kind === 'scatter' || s.kind === 'atomic') stored.add(s.buffer);
      if (s.kind === 'for' || s.kind === 'while') walk(s.body);
      if (s.kind === 'if') walk([...s.then, ...s.else]);
    }
  };
  walk(body);
  return {
    contract: 1,
    name: 'kernel0',
    target: target.id,
    lanes: 1,
    group: 8,
    buffers: Object.entries(memories).map(([name, memory]) => ({
      name,
      memory,
      access: stored.has(name) ? 'readWrite' : 'read',
    })),
    sizes: [],
    indexType: 'i32',
    scratch: [],
    grid: [{ name: 'g', extent: 1 }],
    mayFail: false,
    ...rest,
    body,
  };
}

/** Runs a program both ways and expects equal memory; gives it back. */
function agree(
  program: TileProgram,
  arrays: readonly Numbers[],
  sizes: readonly number[] = [],
  tasks = 1,
): readonly Numbers[] {
  const copies = arrays.map((a) => a.slice()) as Numbers[];
  const source = scriptLanguage.emit([program], target);
  const bytes = copies.map((a) => new Uint8Array(a.buffer));
  new Function(source.text as string)()[program.name](bytes, sizes, 0, tasks);
  // Vector accesses change how elements are moved, not what the memory holds afterwards.
  for (const accessBytes of [16, 8, 0]) {
    const own = accessBytes === 0 ? arrays : (arrays.map((a) => a.slice()) as Numbers[]);
    runThreads(mapThreads(program, { ...target, accessBytes }), own, sizes, tasks);
    for (const [i, a] of own.entries()) expect(a).toEqual(copies[i]);
  }
  return arrays;
}

const count = (list: readonly ThreadStatement[], kind: string): number =>
  list.reduce((n, s) => {
    const inner =
      s.kind === 'for' || s.kind === 'exchange'
        ? s.body
        : s.kind === 'while'
          ? [...s.head, ...s.body]
          : s.kind === 'if'
            ? [...s.then, ...s.else]
            : [];
    return n + (s.kind === kind ? 1 : 0) + count(inner, kind);
  }, 0);

/** Small integers as floats, so that sums are exact in any order. */
const floats = (length: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => ((i * 7919) % 23) - 11);

describe('threads', () => {
  for (const width of [1, 3, 8, 12, 16, 24]) {
    it(`masks an elementwise kernel of width ${width} without a barrier`, () => {
      const n = variable('n');
      const g = variable('g', ceilDivide(n, width));
      const access = at('a', multiply(width, g), [1], {
        limits: [{ high: minimum(width, subtract(n, multiply(width, g))) }],
      });
      const program = programOf(
        { a: 'f32', c: 'f32' },
        [
          set(0, 'f32', [width], { kind: 'load', access }),
          set(1, 'f32', [width], { kind: 'binary', name: 'multiply', a: 0, b: 0 }),
          { kind: 'store', access: { ...access, buffer: 'c' }, value: 1 },
        ],
        { sizes: ['n'], grid: [{ name: 'g', extent: ceilDivide(n, width) }] },
      );
      const tasks = Math.ceil(50 / width);
      agree(program, [floats(50), new Float32Array(64)], [50], tasks);
      expect(count(mapThreads(program, target).body, 'barrier')).toBe(0);
    });
  }

  for (const shape of [
    [4, 8],
    [16, 16],
    [3, 5],
    [1, 24],
    [32, 2],
  ] as const) {
    it(`reduces [${shape}] both ways, broadcasts back and transposes`, () => {
      const [rows, columns] = shape;
      const program = programOf(
        { a: 'f32', bias: 'f32', c: 'f32', t: 'f32', sums: 'f32', s: 'f32' },
        [
          set(0, 'f32', shape, { kind: 'load', access: at('a', 0, [columns, 1]) }),
          set(1, 'f32', [columns], { kind: 'load', access: at('bias', 0) }),
          set(2, 'f32', shape, { kind: 'broadcast', a: 1, axis: 1 }),
          set(3, 'f32', shape, { kind: 'binary', name: 'add', a: 0, b: 2 }),
          set(4, 'f32', [rows], { kind: 'reduce', name: 'maximum', a: 3, axis: 1 }),
          set(5, 'f32', shape, { kind: 'broadcast', a: 4, axis: 0 }),
          set(6, 'f32', shape, { kind: 'binary', name: 'subtract', a: 3, b: 5 }),
          set(7, 'f32', [columns], { kind: 'reduce', name: 'add', a: 6, axis: 0 }),
          set(8, 'f32', [], { kind: 'reduce', name: 'add', a: 7, axis: 0 }),
          set(9, 'f32', shape, { kind: 'binary', name: 'multiply', a: 6, b: 8 }),
          set(10, 'f32', [columns, rows], { kind: 'transpose', a: 9 }),
          { kind: 'store', access: at('c', 0, [columns, 1]), value: 9 },
          { kind: 'store', access: at('t', 0, [rows, 1]), value: 10 },
          { kind: 'store', access: at('sums', 0), value: 7 },
          { kind: 'store', access: at('s', 0, []), value: 8 },
        ],
      );
      const n = rows * columns;
      agree(program, [
        floats(n),
        floats(columns),
        ...[n, n, columns, 1].map((k) => new Float32Array(k)),
      ]);
    });
  }

  it('runs a tiled matrix product with operands in shared memory', () => {
    const [m, n, k] = [variable('m'), variable('n'), variable('k')];
    const [i, j, p] = [variable('i'), variable('j'), variable('p')];
    const left = (s: Expression, tile: number, position: Expression) =>
      minimum(tile, subtract(s, position));
    const program = programOf(
      { a: 'f32', b: 'f32', bias: 'f32', c: 'f32' },
      [
        set(0, 'f32', [], { kind: 'literal', value: 0 }),
        set(1, 'f32', [8, 8], { kind: 'broadcast', a: 0, axis: 0 }),
        { kind: 'variable', id: 0, type: { dtype: 'f32', shape: [8, 8] }, initial: 1 },
        {
          kind: 'for',
          index: 'p',
          start: 0,
          end: k,
          step: 4,
          body: [
            set(
              2,
              'f32',
              [8, 4],
              {
                kind: 'load',
                access: at('a', add(multiply(8, i, k), p), [k, 1], {
                  limits: [{ high: left(m, 8, multiply(8, i)) }, { high: left(k, 4, p) }],
                }),
              },
              'shared',
            ),
            set(
              3,
              'f32',
              [4, 8],
              {
                kind: 'load',
                access: at('b', add(multiply(p, n), multiply(8, j)), [n, 1], {
                  limits: [{ high: left(k, 4, p) }, { high: left(n, 8, multiply(8, j)) }],
                }),
              },
              'shared',
            ),
            set(4, 'f32', [8, 8], { kind: 'read', variable: 0 }),
            set(5, 'f32', [8, 8], { kind: 'dot', a: 2, b: 3, accumulator: 4 }),
            { kind: 'assign', variable: 0, value: 5 },
          ],
        },
        set(6, 'f32', [8, 8], { kind: 'read', variable: 0 }),
        set(7, 'f32', [8], {
          kind: 'load',
          access: at('bias', multiply(8, j), [1], {
            limits: [{ high: left(n, 8, multiply(8, j)) }],
          }),
        }),
        set(8, 'f32', [8, 8], { kind: 'broadcast', a: 7, axis: 1 }),
        set(9, 'f32', [8, 8], { kind: 'binary', name: 'add', a: 6, b: 8 }),
        {
          kind: 'store',
          access: at('c', add(multiply(8, i, n), multiply(8, j)), [n, 1], {
            limits: [{ high: left(m, 8, multiply(8, i)) }, { high: left(n, 8, multiply(8, j)) }],
          }),
          value: 9,
        },
      ],
      {
        sizes: ['m', 'n', 'k'],
        grid: [
          { name: 'i', extent: ceilDivide(m, 8) },
          { name: 'j', extent: ceilDivide(n, 8) },
        ],
      },
    );
    const arrays = [floats(11 * 10), floats(10 * 13), floats(13), new Float32Array(11 * 13)];
    const [a, b, bias, c] = agree(program, arrays, [11, 13, 10], 4) as Float32Array[];
    const want = Array.from({ length: 11 * 13 }, (_, e) => {
      const [row, column] = [Math.floor(e / 13), e % 13];
      const products = Array.from(
        { length: 10 },
        (_, s) => (a?.[row * 10 + s] ?? 0) * (b?.[s * 13 + column] ?? 0),
      );
      return products.reduce((x, y) => x + y, bias?.[column] ?? 0);
    });
    expect([...(c ?? [])]).toEqual(want);
    const threaded = mapThreads(program, target);
    expect(count(threaded.body, 'barrier')).toBe(2);
    expect(threaded.sharedBytes).toBe(4 * (8 * 5 + 4 * 9));
  });

  it('passes a dot on to another dot and to a reduction, through shared memory', () => {
    const program = programOf({ a: 'f32', b: 'f32', c: 'f32', t: 'f32', r: 'f32' }, [
      set(0, 'f32', [4, 6], { kind: 'load', access: at('a', 0, [6, 1]) }),
      set(1, 'f32', [6, 4], { kind: 'load', access: at('b', 0, [1, 6]) }),
      set(2, 'f32', [], { kind: 'literal', value: 1 }),
      set(3, 'f32', [4, 4], { kind: 'broadcast', a: 2, axis: 0 }),
      set(4, 'f32', [4, 4], { kind: 'dot', a: 0, b: 1, accumulator: 3 }),
      set(5, 'f32', [4], { kind: 'reduce', name: 'maximum', a: 4, axis: 1 }),
      set(6, 'f32', [4, 4], { kind: 'broadcast', a: 5, axis: 0 }),
      set(7, 'f32', [4, 4], { kind: 'binary', name: 'subtract', a: 4, b: 6 }),
      set(9, 'f32', [4, 6], { kind: 'broadcast', a: 2, axis: 0 }),
      set(8, 'f32', [4, 6], { kind: 'dot', a: 7, b: 0, accumulator: 9 }),
      { kind: 'store', access: at('c', 0, [6, 1]), value: 8 },
      set(10, 'f32', [4, 4], { kind: 'transpose', a: 4 }),
      { kind: 'store', access: at('t', 0, [4, 1]), value: 10 },
      { kind: 'store', access: at('r', 0), value: 5 },
    ]);
    agree(program, [floats(24), floats(24), ...[24, 16, 4].map((k) => new Float32Array(k))]);
  });

  it('scans, gathers, scatters, adds atomically and reports failures', () => {
    for (const width of [8, 20, 24]) {
      const program = programOf(
        { a: 'i32', data: 'i32', c: 'i32', out: 'i32', total: 'i32' },
        [
          set(0, 'i32', [width], { kind: 'load', access: at('a', 0) }),
          set(1, 'i32', [width], { kind: 'scan', name: 'add', a: 0 }),
          { kind: 'store', access: at('c', 0), value: 1 },
          set(2, 'i32', [], { kind: 'literal', value: 40 }),
          set(3, 'bool', [width], { kind: 'compare', name: 'less', a: 1, b: 2 }),
          set(4, 'i32', [width], { kind: 'gather', buffer: 'data', index: 1, mask: 3 }),
          set(5, 'i32', [width], { kind: 'iota' }),
          set(6, 'i32', [width], { kind: 'binary', name: 'add', a: 4, b: 5 }),
          { kind: 'scatter', buffer: 'out', index: 1, value: 6, mask: 3 },
          set(7, 'i32', [], { kind: 'literal', value: 0 }),
          { kind: 'atomic', name: 'add', buffer: 'total', index: 7, value: 4, mask: 3 },
          set(8, 'bool', [width], { kind: 'unary', name: 'not', a: 3 }),
          { kind: 'fail', when: 8, code: 9 },
          { kind: 'fail', when: 8, code: 17 },
          // Reads what other threads have just written.
          set(9, 'i32', [width], { kind: 'load', access: at('out', 0) }),
          set(10, 'i32', [width], { kind: 'binary', name: 'multiply', a: 9, b: 9 }),
          { kind: 'store', access: at('out', 0), value: 10 },
        ],
        { mayFail: true },
      );
      const arrays = [
        Int32Array.from({ length: width }, (_, i) => 1 + (i % 3)),
        Int32Array.from({ length: 64 }, (_, i) => 3 * i),
        new Int32Array(width),
        new Int32Array(64),
        new Int32Array(1),
        Int32Array.of(0x7fffffff),
      ];
      agree(program, arrays);
    }
  });

  it('keeps turns of a loop apart where threads meet each other’s elements', () => {
    const p = variable('p', 4);
    const program = programOf(
      { a: 'i64', c: 'i64' },
      [
        set(0, 'i64', [], { kind: 'literal', value: 1n }),
        {
          kind: 'for',
          index: 'p',
          start: 0,
          end: 4,
          step: 1,
          body: [
            // Each turn shifts the window, so that threads read what neighbours wrote.
            set(1, 'i64', [16], { kind: 'load', access: at('c', p) }),
            set(2, 'i64', [16], { kind: 'load', access: at('hold', 0) }),
            set(3, 'i64', [16], { kind: 'binary', name: 'add', a: 1, b: 0 }),
            set(4, 'i64', [16], { kind: 'binary', name: 'add', a: 3, b: 2 }),
            { kind: 'store', access: at('c', add(p, 1)), value: 4 },
            set(5, 'i64', [1], { kind: 'broadcast', a: 0, axis: 0 }),
            { kind: 'store', access: at('hold', subtract(3, p), [0]), value: 5 },
          ],
        },
      ],
      { scratch: [{ name: 'hold', memory: 'i64', length: 16, space: 'scratch' }] },
    );
    const fill: Statement[] = [
      set(20, 'i64', [], { kind: 'literal', value: 2n }),
      set(21, 'i64', [16], { kind: 'broadcast', a: 20, axis: 0 }),
      { kind: 'store', access: at('hold', 0), value: 21 },
    ];
    agree({ ...program, body: [...fill, ...program.body] }, [
      new BigInt64Array(1),
      BigInt64Array.from({ length: 24 }, (_, i) => BigInt(i)),
    ]);
  });

  it('runs while and if on values that a reduction made', () => {
    const program = programOf({ a: 'u32', c: 'u32' }, [
      set(0, 'u32', [16], { kind: 'load', access: at('a', 0) }),
      { kind: 'variable', id: 0, type: { dtype: 'u32', shape: [16] }, initial: 0 },
      set(1, 'u32', [], { kind: 'literal', value: 1 }),
      {
        kind: 'while',
        head: [
          set(2, 'u32', [16], { kind: 'read', variable: 0 }),
          set(3, 'u32', [], { kind: 'reduce', name: 'maximum', a: 2, axis: 0 }),
          set(4, 'bool', [], { kind: 'compare', name: 'less', a: 1, b: 3 }),
        ],
        condition: 4,
        body: [
          set(5, 'u32', [16], { kind: 'binary', name: 'shiftRight', a: 2, b: 1 }),
          { kind: 'assign', variable: 0, value: 5 },
          { kind: 'name', name: 'top', value: 3 },
          {
            kind: 'if',
            condition: variable('top'),
            then: [{ kind: 'store', access: at('c', 16, []), value: 3 }],
            else: [],
          },
        ],
      },
      set(6, 'u32', [16], { kind: 'read', variable: 0 }),
      { kind: 'store', access: at('c', 0), value: 6 },
    ]);
    agree(program, [Uint32Array.from({ length: 16 }, (_, i) => i * 5), new Uint32Array(17)]);
  });

  it('refuses more shared memory than there is, so that the kernel is tiled anew', () => {
    const program = programOf({ a: 'f32', c: 'f32' }, [
      set(0, 'f32', [128, 128], { kind: 'load', access: at('a', 0, [128, 1]) }, 'shared'),
      set(1, 'f32', [128], { kind: 'reduce', name: 'add', a: 0, axis: 0 }),
      { kind: 'store', access: at('c', 0), value: 1 },
    ]);
    expect(() => mapThreads(program, target)).toThrow('OC-REFUSED-02');
  });
});
