/** What the matrix units of a device reach: products of tiles that never leave its registers. */
import { dtypeFacts, type OpenDevice } from '@open-claw/core/face';
import { expressions } from '@open-claw/core/internal';
import { type Statement, type TileProgram, timeProgram } from './tile-run.js';

type Target = OpenDevice['target'];
type Unit = NonNullable<Target['matrixUnits']>[number];
type Side = 'left' | 'right';

export interface UnitPeak {
  readonly name: string;
  /** Element types of the operands. */
  readonly left: Unit['left'];
  readonly right: Unit['right'];
  /** Operations per second, a multiply-add counting two. */
  readonly flops: number;
}

/** Tiles of each operand: so many products squared, that none waits for the one before it. */
const tilesOfSide = 2;
const rounds = 100_000;

const { multiply, variable } = expressions;

/** Rows and columns of an operand's tile as memory holds it. */
const shapeOf = ({ m, n, k, interleave }: Unit, side: Side): readonly [number, number] =>
  side === 'left' ? [m, k] : [k / interleave, n * interleave];

const memoryOf = (unit: Unit, side: Side) => dtypeFacts[unit[side]].storage as 'u16' | 'u8' | 'i8';

/** Every task multiplies the same tiles, `rounds` times. */
function unitProgram(target: Target, unit: Unit): TileProgram {
  const { m, n } = unit;
  const body: Statement[] = [];
  const inside: Statement[] = [];
  let id = 0;
  const value = (into: Statement[], type: object, operation: object): number => {
    into.push({ kind: 'let', id, type, operation } as Statement);
    id += 1;
    return id - 1;
  };
  const operand = (side: Side, at: number): number => {
    const shape = shapeOf(unit, side);
    const dtype = dtypeFacts[unit[side]].kind === 'signed' ? 'i32' : 'u32';
    const address = at * shape[0] * shape[1];
    const access = { buffer: side, address, strides: [shape[1], 1] };
    return value(body, { dtype, shape }, { kind: 'load', access });
  };
  const operands = (side: Side): readonly number[] =>
    Array.from({ length: tilesOfSide }, (_, i) => operand(side, i));
  const [left, right] = [operands('left'), operands('right')];
  const type = { dtype: unit.accumulate as 'f32' | 'i32', shape: [m, n] };
  const literal = value(body, { ...type, shape: [] }, { kind: 'literal', value: 0 });
  const zero = value(body, type, { kind: 'broadcast', a: literal, axis: 1 });
  const products = left.flatMap((a) => right.map((b) => [a, b] as const));
  products.forEach(([a, b], sum) => {
    body.push({ kind: 'variable', id: sum, type, initial: zero });
    const read = value(inside, type, { kind: 'read', variable: sum });
    const next = value(inside, type, { kind: 'dot', a, b, accumulator: read, unit: unit.name });
    inside.push({ kind: 'assign', variable: sum, value: next });
  });
  const loop = { start: 0, end: variable('rounds'), step: 1, body: inside };
  body.push({ kind: 'for', index: 'k', ...loop });
  products.forEach((_, sum) => {
    const last = value(body, type, { kind: 'read', variable: sum });
    const task = multiply(variable('g'), products.length);
    const address = multiply(expressions.add(task, sum), m * n);
    const access = { buffer: 'sums', address, strides: [n, 1] };
    body.push({ kind: 'store', access, value: last });
  });
  return {
    contract: 1,
    name: 'peak',
    target: target.id,
    lanes: n,
    group: 1,
    buffers: [
      { name: 'left', memory: memoryOf(unit, 'left'), access: 'read' },
      { name: 'right', memory: memoryOf(unit, 'right'), access: 'read' },
      { name: 'sums', memory: unit.accumulate as 'f32' | 'i32', access: 'write' },
    ],
    sizes: ['rounds'],
    indexType: 'i32',
    scratch: [],
    grid: [{ name: 'g', extent: target.cores }],
    body,
    mayFail: false,
  };
}

async function measureUnit(opened: OpenDevice, unit: Unit): Promise<UnitPeak> {
  const { target } = opened;
  const { name, left, right, m, n, k } = unit;
  const program = unitProgram(target, unit);
  const bytesOf = (side: Side): number => {
    const [rows, columns] = shapeOf(unit, side);
    return tilesOfSide * rows * columns * (dtypeFacts[unit[side]].bits / 8);
  };
  const given = new Map(
    (['left', 'right'] as const).map((side) => [side as string, new Uint8Array(bytesOf(side))]),
  );
  const products = tilesOfSide ** 2;
  const outputBytes = target.cores * products * m * n * 4;
  const ms = await timeProgram(opened, program, given, { outputBytes, size: rounds });
  return {
    name,
    left,
    right,
    flops: (2 * m * n * k * products * rounds * target.cores * 1e3) / ms,
  };
}

/**
 * Units of CPUs with tiles of their own; those of chips with groups of threads are met by large
 * products instead, and those that work on vectors are no more than what vectors reach.
 */
export async function measureUnits(opened: OpenDevice): Promise<readonly UnitPeak[]> {
  const { execution, matrixUnits = [] } = opened.target;
  const peaks: UnitPeak[] = [];
  if (execution !== 'vector') return peaks;
  const own = matrixUnits.filter(({ operands }) => operands !== 'register');
  for (const unit of own) peaks.push(await measureUnit(opened, unit));
  return peaks;
}
