import { describe, expect, it } from 'vitest';
import {
  add,
  type Expression,
  floorDivide,
  lessThan,
  minimum,
  modulo,
  multiply,
  variable,
} from '../base/expression.js';
import type { Access, GridAxis, Statement, TileProgram } from './tile.js';
import { windowsOf } from './windows.js';

const n = variable('n');
const tasks = floorDivide(add(n, 7), 8);
const g = variable('g', tasks);
const [i, j] = [variable('i'), variable('j')];

/** A kernel that copies tiles of eight from one buffer to another. */
function program(
  from: Pick<Access, 'address'> & Partial<Access>,
  to: Pick<Access, 'address'> & Partial<Access>,
  around: (body: readonly Statement[]) => readonly Statement[] = (body) => body,
  grid: readonly GridAxis[] = [{ name: 'g', extent: tasks }],
): TileProgram {
  const body: readonly Statement[] = [
    {
      kind: 'let',
      id: 0,
      type: { dtype: 'f32', shape: [8] },
      operation: { kind: 'load', access: { buffer: 'a', strides: [1], ...from } },
    },
    { kind: 'store', access: { buffer: 'b', strides: [1], ...to }, value: 0 },
  ];
  return {
    contract: 1,
    name: 'k',
    target: 'any',
    lanes: 4,
    group: 1,
    buffers: [
      { name: 'a', memory: 'f32', access: 'read' },
      { name: 'b', memory: 'u16', access: 'write' },
    ],
    sizes: ['n'],
    indexType: 'i32',
    scratch: [],
    grid,
    body: around(body),
    mayFail: false,
  };
}

/** The same with tiles of four rows. */
const rows = (of: TileProgram): TileProgram =>
  JSON.parse(JSON.stringify(of).replaceAll('"shape":[8]', '"shape":[4,8]'));

const loop = (index: string, start: Expression, end: Expression, step: number) =>
  ((body) => [{ kind: 'for', index, start, end, step, body }]) as (
    body: readonly Statement[],
  ) => readonly Statement[];

describe('windows', () => {
  it('are the bytes between the tiles of tasks', () => {
    const at = { address: multiply(g, 8) };
    expect(windowsOf(program(at, at))).toEqual([32, 16]);
  });

  it('are none where tiles reach into those of other tasks, or begin elsewhere', () => {
    const at = { address: multiply(g, 8) };
    expect(windowsOf(program({ address: add(multiply(g, 8), 1) }, at))).toEqual([0, 16]);
    expect(windowsOf(program({ address: multiply(g, 7) }, at))).toEqual([0, 16]);
    expect(windowsOf(program({ ...at, strides: [2] }, at))).toEqual([0, 16]);
    expect(windowsOf(program({ address: 0 }, at))).toEqual([0, 16]);
  });

  it('end where the lanes of the last tile do', () => {
    const at = { address: multiply(g, 6), limits: [{ high: minimum(8, add(n, multiply(g, -6))) }] };
    expect(windowsOf(program({ ...at, limits: [{ high: 6 }] }, at))).toEqual([24, 0]);
  });

  it('hold all rounds of loops, also of such that end early', () => {
    const at = { address: i };
    const rounds = (end: Expression) => loop('i', multiply(g, 32), end, 8);
    const full = add(multiply(g, 32), 32);
    expect(windowsOf(program(at, at, rounds(full)))).toEqual([128, 64]);
    const whole = multiply(floorDivide(minimum(full, n), 8), 8);
    expect(windowsOf(program(at, at, rounds(whole)))).toEqual([128, 64]);
    // The last tile may reach beyond the end.
    expect(windowsOf(program(at, at, rounds(add(full, -3))))).toEqual([0, 0]);
  });

  it('end where a guard says that a tile is whole', () => {
    // Rows of eight in groups of four, of which a task has ten.
    const left = add(10, multiply(i, -4));
    const at = { address: add(multiply(g, 80), multiply(i, 32)), strides: [8, 1] };
    const whole = (condition: Expression) => (body: readonly Statement[]) =>
      loop('i', 0, 3, 1)([{ kind: 'if', condition, then: body, else: [] }]);
    const windows = (condition: Expression) =>
      windowsOf(rows(program(at, at, whole(condition)))).slice(0, 1);
    expect(windows(lessThan(3, left))).toEqual([320]);
    expect(windows(multiply(n, lessThan(3, left)))).toEqual([320]);
    expect(windows(floorDivide(variable('left'), 4))).toEqual([0]);
    expect(windows(lessThan(1, left))).toEqual([0]);
    const named = (body: readonly Statement[]): readonly Statement[] => [
      {
        kind: 'let',
        id: 5,
        type: { dtype: 'i32', shape: [] },
        operation: { kind: 'scalar', expression: left },
      },
      { kind: 'name', name: 'left', value: 5 },
      { kind: 'if', condition: floorDivide(variable('left'), 4), then: body, else: [] },
    ];
    const around = (body: readonly Statement[]) => loop('i', 0, 3, 1)(named(body));
    expect(windowsOf(rows(program(at, at, around)))).toEqual([320, 160]);
  });

  it('hold the greatest of a power, not of its base', () => {
    const at = { address: multiply(g, 8) };
    const squares = (window: number) => {
      const rest = modulo(i, 4);
      const address = add(multiply(g, window), multiply(rest, rest));
      return windowsOf(program({ address, strides: [0] }, at, loop('i', 0, 8, 1)));
    };
    expect([squares(8), squares(10)]).toEqual([
      [0, 16],
      [40, 16],
    ]);
  });

  it('hold rows of a length that is not known', () => {
    const row = variable('m');
    const at = { address: add(j, multiply(i, row)), limits: [{ high: add(row, multiply(j, -1)) }] };
    const around = (body: readonly Statement[]) =>
      loop('i', multiply(g, 2), minimum(add(multiply(g, 2), 2), n), 1)(loop('j', 0, row, 8)(body));
    expect(windowsOf(program(at, at, around))).toEqual([multiply(row, 8), multiply(row, 4)]);
  });

  it('are of the tasks in their order: the last axis of the grid runs first', () => {
    const [u, v] = [variable('u', 3), variable('v', 5)];
    const grid = [
      { name: 'u', extent: 3 },
      { name: 'v', extent: 5 },
    ];
    const inner = { address: add(multiply(u, 40), multiply(v, 8)) };
    const outer = { address: add(multiply(v, 24), multiply(u, 8)) };
    expect(windowsOf(program(inner, outer, undefined, grid))).toEqual([32, 0]);
  });

  it('are none where data says what is touched', () => {
    const from: Statement = {
      kind: 'let',
      id: 5,
      type: { dtype: 'i32', shape: [] },
      operation: { kind: 'load', access: { buffer: 'c', address: 0, strides: [] } },
    };
    const around = (body: readonly Statement[]): readonly Statement[] => [
      from,
      { kind: 'name', name: 'i', value: 5 },
      ...body,
    ];
    expect(windowsOf(program({ address: i }, { address: multiply(g, 8) }, around))).toEqual([
      0, 16,
    ]);
  });
});
