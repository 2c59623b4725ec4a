import { describe, expect, it } from 'vitest';
import { multiply, variable } from '../base/expression.js';
import type { Operation, Statement, TileProgram, TileType } from './tile.js';
import { verifyProgram } from './verify.js';

const f32 = (...shape: readonly number[]): TileType => ({ dtype: 'f32', shape });
const i32 = (...shape: readonly number[]): TileType => ({ dtype: 'i32', shape });
const bool = (...shape: readonly number[]): TileType => ({ dtype: 'bool', shape });

const set = (id: number, type: TileType, operation: Operation): Statement => ({
  kind: 'let',
  id,
  type,
  operation,
});

const at = (buffer: string, strides = [1]) => ({
  buffer,
  address: multiply(4, variable('g')),
  strides,
});

const load = (id: number, buffer = 'a'): Statement =>
  set(id, f32(4), { kind: 'load', access: at(buffer) });
const store = (value: number, buffer = 'c'): Statement => ({
  kind: 'store',
  access: at(buffer),
  value,
});

function programOf(body: readonly Statement[], rest: Partial<TileProgram> = {}): TileProgram {
  return {
    contract: 1,
    name: 'k0',
    target: 'test/chip',
    lanes: 4,
    group: 1,
    buffers: [
      { name: 'a', memory: 'f32', access: 'read' },
      { name: 'c', memory: 'f32', access: 'write' },
      { name: 's', memory: 'u16', access: 'readWrite' },
    ],
    sizes: ['n'],
    indexType: 'i32',
    scratch: [{ name: 't', memory: 'f32', length: 8, space: 'scratch' }],
    grid: [{ name: 'g', extent: variable('n') }],
    body,
    mayFail: false,
    ...rest,
  };
}

const one = set(1, f32(), { kind: 'literal', value: 1 });
const sum = set(2, f32(4), { kind: 'binary', name: 'add', a: 0, b: 1 });
const truth = set(5, bool(), { kind: 'literal', value: 1 });

describe('verifyProgram', () => {
  it('accepts a program that keeps the rules', () => {
    const body: Statement[] = [
      load(0),
      one,
      sum,
      { kind: 'variable', id: 0, type: f32(4), initial: 2 },
      {
        kind: 'for',
        index: 'k',
        start: 0,
        end: variable('n'),
        step: 1,
        body: [
          set(3, f32(4), { kind: 'read', variable: 0 }),
          set(4, f32(4), { kind: 'multiplyAdd', a: 3, b: 1, c: 0 }),
          { kind: 'assign', variable: 0, value: 4 },
        ],
      },
      set(6, f32(4), { kind: 'read', variable: 0 }),
      store(6),
    ];
    expect(() => verifyProgram(programOf(body))).not.toThrow();
  });

  const broken: readonly (readonly [string, readonly Statement[], RegExp])[] = [
    ['a value before it is made', [sum, load(0), one], /value 0 is used before/],
    ['a value made twice', [load(0), load(0)], /value 0 is made twice/],
    ['a buffer that is not there', [load(0, 'b')], /no memory is called b/],
    [
      'a hint about no memory',
      [{ kind: 'touch', buffer: 'b', address: 0, count: 4 }],
      /touch of b, which is no memory/,
    ],
    ['a load from what is only written', [load(0, 'c')], /read of c/],
    ['a store to what is only read', [load(0), store(0, 'a')], /write of a/],
    ['a load as another type', [load(0, 's')], /u16 is u32/],
    [
      'strides of another rank',
      [set(0, f32(4), { kind: 'load', access: at('a', []) })],
      /0 strides/,
    ],
    [
      'a tile that no vector holds',
      [set(0, i32(6), { kind: 'broadcast', a: 1, axis: 0 })],
      /\[6\]/,
    ],
    [
      'shapes that do not join',
      [load(0), set(1, f32(8), { kind: 'binary', name: 'add', a: 0, b: 0 })],
      /f32\[4\] in a result f32\[8\]/,
    ],
    [
      'types that do not fit',
      [load(0), set(1, i32(4), { kind: 'unary', name: 'negate', a: 0 })],
      /negate of f32\[4\]/,
    ],
    [
      'bits of a float',
      [load(0), set(1, f32(4), { kind: 'binary', name: 'and', a: 0, b: 0 })],
      /and has no meaning for f32/,
    ],
    [
      'a name that is not bound',
      [set(0, i32(), { kind: 'scalar', expression: variable('m') })],
      /name m is not bound/,
    ],
    [
      'a value from an inner scope',
      [one, truth, { kind: 'if', condition: { value: 5 }, then: [load(0)], else: [] }, sum],
      /value 0 is used before/,
    ],
    [
      'a condition with lanes',
      [
        load(0),
        set(1, bool(4), { kind: 'compare', name: 'less', a: 0, b: 0 }),
        { kind: 'if', condition: { value: 1 }, then: [], else: [] },
      ],
      /no uniform bool/,
    ],
    ['an undeclared variable', [set(0, f32(), { kind: 'read', variable: 3 })], /variable 3/],
    ['an undeclared failure', [truth, { kind: 'fail', when: 5, code: 1 }], /mayFail/],
    [
      'an assignment of another shape',
      [
        one,
        { kind: 'variable', id: 0, type: f32(), initial: 1 },
        load(0),
        { kind: 'assign', variable: 0, value: 0 },
      ],
      /f32\[4\] where f32\[\] is due/,
    ],
  ];

  it.each(broken)('refuses %s', (_, body, message) => {
    expect(() => verifyProgram(programOf(body))).toThrow(message);
  });

  it('lets a size be missing nowhere', () => {
    expect(() => verifyProgram(programOf([], { sizes: [] }))).toThrow(/name n is not bound/);
  });
});
