/** Tile operations that move values between lanes and rows: broadcast, reduce, scan, dot. */
import { internal, refused } from '../base/errors.js';
import type { ComputeType } from '../base/target.js';
import type { TileReduction, TileType, VariableId } from '../kernel/tile.js';
import {
  binaryScalar,
  binaryVector,
  multiplyAddScalar,
  multiplyAddVector,
} from './wasm-arithmetic.js';
import type { Context } from './wasm-context.js';
import { type Code, instruction, setLocal, shuffle } from './wasm-encode.js';
import {
  elementOf,
  elementsOf,
  extractLane,
  fromElements,
  isFloat,
  isVector,
  isWide,
  type Lanes,
  pieceCount,
  scalarType,
  splatOf,
  type Value,
  vectorConstant,
  vectorOf,
} from './wasm-value.js';

const range = (n: number): readonly number[] => Array.from({ length: n }, (_, i) => i);

/** Uniform → any shape; [n] → [m, n] along axis 1, [n] → [n, m] along axis 0. */
export function broadcast(c: Context, type: TileType, value: Value, axis: number): Value {
  const columns = type.shape.at(-1) ?? 1;
  const uniform = elementsOf(value.type) === 1;
  const column = !uniform && (axis === 0 || value.type.shape.at(-1) === 1);
  const depth = uniform || column ? value.depth : c.f.depth;
  if (!isVector(type, c.lanes)) {
    const source = (i: number): number => (column ? Math.floor(i / columns) : i % columns);
    const pieces = range(elementsOf(type)).map((i) => elementOf(value, c.lanes, source(i)));
    return { type, form: 'scalar', pieces, depth };
  }
  const perRow = columns / c.lanes;
  const pieces = range(pieceCount(type, c.lanes)).map((i) =>
    uniform || column
      ? splatOf(c.f, value, c.lanes, Math.floor(i / perRow))
      : vectorOf(c.f, value, c.lanes, i % perRow),
  );
  const made: Value = { type, form: 'vector', pieces, depth };
  return uniform ? { ...made, uniform: value } : made;
}

/** Pairwise, so that errors grow with the logarithm of the length and additions overlap. */
function tree(items: readonly Code[], combine: (a: Code, b: Code) => Code): Code {
  let level = items;
  while (level.length > 1) {
    level = range(Math.ceil(level.length / 2)).map((i) => {
      const [a, b] = [level[2 * i] as Code, level[2 * i + 1]];
      return b === undefined ? a : combine(a, b);
    });
  }
  return level[0] as Code;
}

function reduceScalars(
  c: Context,
  name: TileReduction,
  dtype: ComputeType,
  items: readonly Code[],
) {
  return tree(items, (a, b) => c.f.define(scalarType(dtype), binaryScalar(name, dtype, a, b)));
}

/** Undefined where there is no vector instruction. */
function reduceVectors(
  c: Context,
  name: TileReduction,
  dtype: ComputeType,
  items: readonly Code[],
): Code | undefined {
  const first = items[0] as Code;
  if (binaryVector(name, dtype, c.lanes, first, first) === undefined) return undefined;
  return tree(items, (a, b) =>
    c.f.define('v128', binaryVector(name, dtype, c.lanes, a, b) as Code),
  );
}

/** Lanes of one vector combined into a scalar, by halves. */
function reduceLanes(c: Context, name: TileReduction, dtype: ComputeType, vector: Code): Code {
  if (dtype === 'bool') {
    const lanes = range(c.lanes).map((l) => extractLane(dtype, c.lanes, vector, l));
    return reduceScalars(c, name, dtype, lanes);
  }
  const bytes = isWide(dtype) ? 8 : 4;
  let current = vector;
  for (let half = c.lanes / 2; half >= 1; half /= 2) {
    const upper = range(16).map((i) => (i + half * bytes) % 16);
    const moved = shuffle(upper, current, current);
    const code = binaryVector(name, dtype, c.lanes, current, moved) as Code;
    current = c.f.define('v128', code);
  }
  return c.f.define(scalarType(dtype), extractLane(dtype, c.lanes, current, 0));
}

export function reduce(
  c: Context,
  type: TileType,
  name: TileReduction,
  value: Value,
  axis: number,
): Value {
  const { shape, dtype } = value.type;
  const rows = shape.length === 2 ? (shape[0] as number) : 1;
  const columns = shape.at(-1) ?? 1;
  if (shape.length === 2 && axis === 0) return reduceRows(c, type, name, value, rows, columns);
  const elements = range(rows).map((row) => {
    if (value.form === 'vector') {
      const perRow = columns / c.lanes;
      const pieces = value.pieces.slice(row * perRow, (row + 1) * perRow);
      const vector = reduceVectors(c, name, dtype, pieces);
      if (vector !== undefined) return reduceLanes(c, name, dtype, vector);
    }
    const items = range(columns).map((i) => elementOf(value, c.lanes, row * columns + i));
    return reduceScalars(c, name, dtype, items);
  });
  return fromElements(c.f, type, c.lanes, elements);
}

function reduceRows(
  c: Context,
  type: TileType,
  name: TileReduction,
  value: Value,
  rows: number,
  columns: number,
): Value {
  const { dtype } = value.type;
  if (value.form === 'vector') {
    const perRow = columns / c.lanes;
    const pieces = range(perRow).map((i) =>
      reduceVectors(
        c,
        name,
        dtype,
        range(rows).map((row) => value.pieces[row * perRow + i] as Code),
      ),
    );
    const found = pieces.filter((piece) => piece !== undefined);
    if (found.length === perRow) return { type, form: 'vector', pieces: found, depth: c.f.depth };
  }
  const elements = range(columns).map((i) =>
    reduceScalars(
      c,
      name,
      dtype,
      range(rows).map((row) => elementOf(value, c.lanes, row * columns + i)),
    ),
  );
  return fromElements(c.f, type, c.lanes, elements);
}

/** What changes no other operand. */
function identityOf(name: TileReduction, dtype: ComputeType): number | undefined {
  if (name === 'add') return dtype === 'f32' || dtype === 'f64' ? -0 : 0;
  if (name === 'multiply') return 1;
  const isFloat = dtype === 'f32' || dtype === 'f64';
  if (!isFloat || (name !== 'minimum' && name !== 'maximum')) return undefined;
  return name === 'minimum' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
}

/**
 * Within each vector by shifts of one lane, two …; then each takes the last lane of the one before
 * it. Undefined where lanes do not fill the vector or there is no instruction.
 */
function scanVectors(
  c: Context,
  type: TileType,
  name: TileReduction,
  { form, pieces }: Value,
): readonly Code[] | undefined {
  const { dtype } = type;
  const bytes = isWide(dtype) ? 8 : 4;
  const identity = identityOf(name, dtype);
  const isFull = form === 'vector' && dtype !== 'bool' && c.lanes * bytes === 16;
  if (!isFull || identity === undefined) return undefined;
  const combine = (a: Code, b: Code): Code | undefined => binaryVector(name, dtype, c.lanes, a, b);
  const first = pieces[0] as Code;
  if (combine(first, first) === undefined) return undefined;
  const fill = vectorConstant(
    dtype,
    c.lanes,
    range(c.lanes).map(() => identity),
  );
  const within = pieces.map((piece) => {
    let current = piece;
    for (let shift = bytes; shift < 16; shift *= 2) {
      const moved = shuffle(
        range(16).map((i) => 16 - shift + i),
        fill,
        current,
      );
      const before = c.f.define('v128', moved);
      current = c.f.define('v128', combine(before, current) as Code);
    }
    return current;
  });
  const last = range(16).map((i) => 16 - bytes + (i % bytes));
  const done: Code[] = [];
  for (const piece of within) {
    const before = done.at(-1);
    const carry = before && c.f.define('v128', shuffle(last, before, before));
    done.push(carry ? c.f.define('v128', combine(carry, piece) as Code) : piece);
  }
  return done;
}

/** Each element with all before it; one after the other where vectors do not serve. */
export function scan(c: Context, type: TileType, name: TileReduction, value: Value): Value {
  const { dtype } = type;
  const vectors = scanVectors(c, type, name, value);
  if (vectors !== undefined) return { type, form: 'vector', pieces: vectors, depth: c.f.depth };
  const elements: Code[] = [];
  for (const i of range(elementsOf(type))) {
    const element = elementOf(value, c.lanes, i);
    const before = elements.at(-1);
    const code = before === undefined ? element : binaryScalar(name, dtype, before, element);
    elements.push(c.f.define(scalarType(dtype), code));
  }
  return fromElements(c.f, type, c.lanes, elements);
}

export function transpose(c: Context, type: TileType, value: Value): Value {
  const [rows, columns] = type.shape as readonly [number, number];
  if (
    value.form === 'vector' &&
    c.lanes === 4 &&
    isVector(type, c.lanes) &&
    type.dtype !== 'bool'
  ) {
    return transposeBlocks(c, type, value);
  }
  const elements = range(rows * columns).map((i) =>
    elementOf(value, c.lanes, (i % columns) * rows + Math.floor(i / columns)),
  );
  return fromElements(c.f, type, c.lanes, elements);
}

/** Bytes of 32-bit words; 0–3 of the first vector, 4–7 of the second. */
const words = (...chosen: readonly number[]): readonly number[] =>
  chosen.flatMap((word) => range(4).map((byte) => word * 4 + byte));

/** Four by four words at a time: eight shuffles each. */
function transposeBlocks(c: Context, type: TileType, value: Value): Value {
  const [rows, columns] = type.shape as readonly [number, number];
  const pieces: Code[] = [];
  for (const blockRow of range(rows / 4)) {
    for (const blockColumn of range(columns / 4)) {
      const source = range(4).map(
        (i) => value.pieces[((4 * blockColumn + i) * rows) / 4 + blockRow] as Code,
      );
      transposeBlock(c, source).forEach((vector, i) => {
        pieces[((4 * blockRow + i) * columns) / 4 + blockColumn] = vector;
      });
    }
  }
  return { type, form: 'vector', pieces, depth: c.f.depth };
}

function transposeBlock(c: Context, rows: readonly Code[]): readonly Code[] {
  const [a, b, d, e] = rows as [Code, Code, Code, Code];
  const mixed = (chosen: readonly number[], x: Code, y: Code): Code =>
    c.f.define('v128', shuffle(chosen, x, y));
  const low = words(0, 4, 1, 5);
  const high = words(2, 6, 3, 7);
  const [abLow, abHigh] = [mixed(low, a, b), mixed(high, a, b)];
  const [deLow, deHigh] = [mixed(low, d, e), mixed(high, d, e)];
  const [front, back] = [words(0, 1, 4, 5), words(2, 3, 6, 7)];
  return [
    mixed(front, abLow, deLow),
    mixed(back, abLow, deLow),
    mixed(front, abHigh, deHigh),
    mixed(back, abHigh, deHigh),
  ];
}

/** Words of two signed halves, and of four bytes; see target.matrixUnits. */
const pairUnit = 'dot-i16';
const byteUnit = 'dot-u8i8';
const units: readonly (string | undefined)[] = [pairUnit, byteUnit];

/** accumulator[m, n] + a[m, k] · b[k, n], fully unrolled. */
export function dot(
  c: Context,
  type: TileType,
  a: Value,
  b: Value,
  accumulator: Value,
  unit?: string,
): Value {
  const [rows, depth] = a.type.shape as readonly [number, number];
  const columns = type.shape.at(-1) as number;
  const { dtype } = type;
  const isPlain = a.type.dtype === dtype && b.type.dtype === dtype;
  if (unit === undefined ? !isPlain : !units.includes(unit)) throw internal('dot of unlike dtypes');
  const vector = isVector(type, c.lanes);
  const perRow = vector ? columns / c.lanes : columns;
  let sums = range(rows * perRow).map((i) =>
    vector ? vectorOf(c.f, accumulator, c.lanes, i) : elementOf(accumulator, c.lanes, i),
  );
  const isFused = unit === byteUnit || (c.fused && isFloat(dtype));
  const groups = vector && a.waitsFor !== undefined ? groupsOfRows(c, isFused, rows, perRow) : 1;
  const height = Math.ceil(rows / groups);
  for (const k of range(depth)) {
    let held: Code = [];
    const made: Code[] = [];
    const keep = (code: Code): Code => {
      made.push(code);
      return code;
    };
    sums = sums.map((sum, i) => {
      const row = Math.floor(i / perRow);
      if (i % perRow === 0) {
        if (row > 0 && row % height === 0) endBlock(c, row, made, a.waitsFor);
        if (a.waitsFor !== undefined) held = c.f.define('v128', a.pieces[row * depth + k] as Code);
      }
      if (!vector) {
        if (unit !== undefined) throw refused('products of words', 'columns are no whole vectors');
        const left = elementOf(a, c.lanes, row * depth + k);
        const right = elementOf(b, c.lanes, k * columns + (i % perRow));
        const code = multiplyAddScalar(dtype, c.fused, [left, right, sum]);
        return c.f.define(scalarType(dtype), code);
      }
      const left = a.waitsFor !== undefined ? held : splatOf(c.f, a, c.lanes, row * depth + k);
      const right = vectorOf(c.f, b, c.lanes, k * perRow + (i % perRow));
      if (unit === byteUnit) {
        const code = instruction('i32x4.relaxed_dot_i8x16_i7x16_add_s', right, left, sum);
        return keep(c.f.define('v128', code));
      }
      if (unit === pairUnit) {
        const products = instruction('i32x4.dot_i16x8_s', left, right);
        return keep(c.f.define('v128', instruction('i32x4.add', sum, products)));
      }
      const code = multiplyAddVector(dtype, c.lanes, c.fused, [left, right, sum]);
      return keep(c.f.define('v128', code));
    });
  }
  return { type, form: vector ? 'vector' : 'scalar', pieces: sums, depth: c.f.depth };
}

/** Registers that engines leave to code on x86, and what a product takes that is rounded alone. */
const registers = 15;

/**
 * Groups of rows whose operands are loaded one group after the other, so that all stay in
 * registers; 1 where they do anyway, or where that is out of reach.
 */
function groupsOfRows(c: Context, isFused: boolean, rows: number, vectors: number): number {
  if (c.index.countedUp() === undefined) return 1;
  const free = registers - (isFused ? 0 : 1) - (rows + 1) * vectors;
  if (rows <= free) return 1;
  return Math.ceil(rows / 2) <= free ? 2 : 1;
}

/**
 * Engines move all loads of a block ahead of its arithmetic, and spill what finds no register. A
 * way out of the loop ends the block; it is never taken, but they cannot know that an index is not
 * negative. The variable holds the sums made so far, or their making would move behind it.
 */
function endBlock(
  c: Context,
  row: number,
  made: readonly Code[],
  variable: VariableId | undefined,
): void {
  const counter = c.index.countedUp();
  const { locals = [] } = (variable !== undefined && c.variables.get(variable)) || {};
  if (counter === undefined) return;
  made.forEach((sum, i) => {
    c.f.emit(setLocal(locals[i] as number, sum));
  });
  const never = instruction(`${c.index.type}.eq`, counter, c.index.constant(-row));
  c.f.emit([...instruction('br_if', never), 1]);
}

/** Whether any lane of a bool tile is true, as i32. */
export function anyTrue(value: Value): Code {
  const codes = value.pieces.map((piece) =>
    value.form === 'scalar' ? piece : instruction('v128.any_true', piece),
  );
  return codes.reduce((a, b) => instruction('i32.or', a, b));
}

/** The scalar that every element of a tile equals, where that is known. */
export const uniformSource = (value: Value, lanes: Lanes): Code | undefined =>
  elementsOf(value.type) === 1
    ? elementOf(value, lanes, 0)
    : value.uniform && elementOf(value.uniform, lanes, 0);
