/**
 * Loads and stores of tiles as WebAssembly. A tile that lies whole inside its limits takes vector
 * instructions; one at an edge, or under a mask, touches each allowed lane alone.
 */

import { internal } from '../base/errors.js';
import { add, type Expression, multiply, provablyAtLeast } from '../base/expression.js';
import { bytesOfMemory, type MemoryType } from '../base/memory-type.js';
import type { Access, Limit, TileType, ValueId } from '../kernel/tile.js';
import {
  type Buffer,
  bufferOf,
  type Context,
  filledPiece,
  naturalType,
  valueNamed,
} from './wasm-context.js';
import { convert } from './wasm-convert.js';
import {
  branch,
  type Code,
  getLocal,
  instruction,
  memoryAccess,
  setLocal,
  shuffle,
} from './wasm-encode.js';
import type { Address } from './wasm-index.js';
import type { Opcode } from './wasm-opcodes.js';
import { loadApart } from './wasm-strided.js';
import { touchAhead } from './wasm-touch.js';
import {
  elementOf,
  hold,
  isVector,
  pack,
  pieceCount,
  pieceType,
  replaceLane,
  splat,
  type Value,
} from './wasm-value.js';

const loadOpcodes: Readonly<Record<MemoryType, Opcode>> = {
  f32: 'f32.load',
  f64: 'f64.load',
  i8: 'i32.load8_s',
  i16: 'i32.load16_s',
  i32: 'i32.load',
  i64: 'i64.load',
  u8: 'i32.load8_u',
  u16: 'i32.load16_u',
  u32: 'i32.load',
  u64: 'i64.load',
};

const storeOpcodes: Readonly<Record<MemoryType, Opcode>> = {
  f32: 'f32.store',
  f64: 'f64.store',
  i8: 'i32.store8',
  i16: 'i32.store16',
  i32: 'i32.store',
  i64: 'i64.store',
  u8: 'i32.store8',
  u16: 'i32.store16',
  u32: 'i32.store',
  u64: 'i64.store',
};

export const loadElement = (memory: MemoryType, at: Address): Code =>
  memoryAccess(loadOpcodes[memory], at.offset, at.code);

export const storeElement = (memory: MemoryType, at: Address, value: Code): Code =>
  memoryAccess(storeOpcodes[memory], at.offset, at.code, value);

/** A tile in memory: rows and columns ([n] is one row, [] one element). */
interface Region {
  readonly buffer: Buffer;
  readonly type: TileType;
  readonly rows: number;
  readonly columns: number;
  readonly rowStride: Expression;
  readonly columnStride: Expression;
  readonly address: Expression;
  readonly rowLimit: Bounds;
  readonly columnLimit: Bounds;
  readonly mask: Value | undefined;
}

/** Bounds of an axis as code; absent where they always hold. */
interface Bounds {
  readonly low?: Code;
  readonly high?: Code;
}

function boundsOf(c: Context, limit: Limit | undefined, extent: number): Bounds {
  const low = limit?.low;
  const high = limit?.high;
  return {
    ...(low !== undefined && !provablyAtLeast(0, low) && { low: c.index.value(low) }),
    ...(high !== undefined && !provablyAtLeast(high, extent) && { high: c.index.value(high) }),
  };
}

function regionOf(c: Context, access: Access, type: TileType): Region {
  const [rows, columns] = rowsAndColumns(type);
  const one = type.shape.length < 2;
  return {
    buffer: bufferOf(c, access.buffer),
    type,
    rows,
    columns,
    rowStride: one ? 0 : (access.strides[0] ?? 0),
    columnStride: access.strides.at(-1) ?? 0,
    address: access.address,
    rowLimit: one ? {} : boundsOf(c, access.limits?.[0], rows),
    columnLimit: boundsOf(c, type.shape.length === 0 ? undefined : access.limits?.at(-1), columns),
    mask: access.mask === undefined ? undefined : valueNamed(c, access.mask),
  };
}

function rowsAndColumns({ shape }: TileType): readonly [number, number] {
  if (shape.length > 2) throw internal('a tile has at most two axes');
  return shape.length === 2 ? [shape[0] as number, shape[1] as number] : [1, shape[0] ?? 1];
}

function addressOf(c: Context, region: Region, row: number, column: number): Address {
  const { address, rowStride, columnStride, buffer } = region;
  const element = add(address, multiply(row, rowStride), multiply(column, columnStride));
  return c.index.address(buffer.base, element, bytesOfMemory[buffer.memory]);
}

const compare = (c: Context, suffix: string, a: Code, b: Code): Code =>
  instruction(`${c.index.type}.${suffix}` as Opcode, a, b);

/** Whether lanes first … last of an axis lie inside; undefined where they always do. */
function inside(c: Context, bounds: Bounds, first: number, last: number): Code | undefined {
  const { low, high } = bounds;
  return all([
    low && compare(c, 'le_s', low, c.index.constant(first)),
    high && compare(c, 'gt_s', high, c.index.constant(last)),
  ]);
}

function all(conditions: readonly (Code | undefined)[]): Code | undefined {
  const given = conditions.filter((code) => code !== undefined);
  return given.length === 0 ? undefined : given.reduce((a, b) => instruction('i32.and', a, b));
}

/** Whether every element is touched; undefined where that is so always. */
function wholeCondition(c: Context, region: Region): Code | undefined {
  const { mask, rows, columns } = region;
  const masks = mask === undefined ? [] : [allTrue(c, mask)];
  return all([
    inside(c, region.rowLimit, 0, rows - 1),
    inside(c, region.columnLimit, 0, columns - 1),
    ...masks,
  ]);
}

/** 1 where all lanes of a bool tile are true. */
export function allTrue(c: Context, mask: Value): Code {
  const test = c.lanes === 4 ? 'i32x4.all_true' : 'i64x2.all_true';
  const codes = mask.pieces.map((p) => (mask.form === 'scalar' ? p : instruction(test, p)));
  return codes.reduce((a, b) => instruction('i32.and', a, b));
}

function elementCondition(c: Context, region: Region, row: number, column: number) {
  const { mask, columns } = region;
  return all([
    inside(c, region.rowLimit, row, row),
    inside(c, region.columnLimit, column, column),
    mask && elementOf(mask, c.lanes, row * columns + column),
  ]);
}

function askAhead(c: Context, access: Access, { rows, columns, columnStride }: Region): void {
  if (access.ahead !== undefined && rows === 1 && columnStride === 1)
    touchAhead(c, access, columns);
}

/** Load of a tile; `id` tells whether its elements are only used in every lane. */
export function load(
  c: Context,
  id: ValueId,
  type: TileType,
  access: Access,
  other: number,
): Value {
  const { memory } = bufferOf(c, access.buffer);
  const natural = naturalType(memory);
  const loaded: TileType = { ...type, dtype: natural };
  if (c.splatLoads.has(id) && natural === type.dtype && access.mask === undefined) {
    const value = loadSplats(c, id, loaded, access, other);
    if (value !== undefined) return value;
  }
  const region = regionOf(c, access, loaded);
  askAhead(c, access, region);
  const whole = wholeCondition(c, region);
  const value =
    whole === undefined
      ? hold(c.f, loaded, c.lanes, wholePieces(c, region))
      : loadEdge(c, region, whole, other);
  return convert(c, value, type.dtype);
}

/** Each element loaded into all lanes of a vector; undefined for edges and narrow types. */
function loadSplats(
  c: Context,
  id: ValueId,
  type: TileType,
  access: Access,
  other: number,
): Value | undefined {
  const bytes = bytesOfMemory[bufferOf(c, access.buffer).memory];
  const opcode = bytes === 4 ? 'v128.load32_splat' : 'v128.load64_splat';
  if (bytes < 4 || c.lanes === 1 || bytes * c.lanes > 16) return undefined;
  const region = regionOf(c, access, type);
  if (wholeCondition(c, region) !== undefined) return splatEdge(c, region, opcode, other);
  const loads = eachElement(region).map(([row, column]) => {
    const at = addressOf(c, region, row, column);
    return memoryAccess(opcode, at.offset, at.code);
  });
  const waitsFor = c.waitingLoads.get(id);
  if (waitsFor !== undefined) {
    return { type, form: 'splat', pieces: loads, depth: c.f.depth, waitsFor };
  }
  const pieces = loads.map((code) => c.f.define('v128', code));
  return { type, form: 'splat', pieces, depth: c.f.depth };
}

function splatEdge(c: Context, region: Region, opcode: Opcode, other: number): Value {
  const { type } = region;
  const empty = splat(type.dtype, c.lanes, filledPiece({ ...type, shape: [] }, c.lanes, other));
  const pieces = eachElement(region).map(([row, column]) => {
    const at = addressOf(c, region, row, column);
    const local = c.f.newLocal('v128');
    const read = setLocal(local, memoryAccess(opcode, at.offset, at.code));
    const condition = elementCondition(c, region, row, column);
    c.f.emit(condition ? branch(condition, read, setLocal(local, empty)) : read);
    return getLocal(local);
  });
  return { type, form: 'splat', pieces, depth: c.f.depth };
}

function eachElement({ rows, columns }: Region): readonly (readonly [number, number])[] {
  return Array.from({ length: rows * columns }, (_, i) => [Math.floor(i / columns), i % columns]);
}

/** Row and first column of each piece. */
function eachPiece(c: Context, region: Region): readonly (readonly [number, number])[] {
  const width = isVector(region.type, c.lanes) ? c.lanes : 1;
  return Array.from({ length: pieceCount(region.type, c.lanes) }, (_, i) => {
    const at = i * width;
    return [Math.floor(at / region.columns), at % region.columns];
  });
}

function wholePieces(c: Context, region: Region): readonly Code[] {
  return eachPiece(c, region).map(([row, column]) => wholePiece(c, region, row, column));
}

function wholePiece(c: Context, region: Region, row: number, column: number): Code {
  const { memory } = region.buffer;
  const at = addressOf(c, region, row, column);
  if (!isVector(region.type, c.lanes)) return loadElement(memory, at);
  if (region.columnStride === 1) return loadRun(c, region, at);
  const { dtype } = region.type;
  if (region.columnStride === 0) {
    if (memory === 'f32') return memoryAccess('v128.load32_splat', at.offset, at.code);
    return splat(dtype, c.lanes, loadElement(memory, at));
  }
  const places = Array.from({ length: c.lanes }, (_, lane) =>
    addressOf(c, region, row, column + lane),
  );
  if (bytesOfMemory[memory] === 4 && c.lanes === 4) return loadApart(region.columnStride, places);
  const scalars = places.map((place) => loadElement(memory, place));
  return pack(dtype, c.lanes, scalars);
}

/** One vector from neighbouring elements. */
function loadRun(c: Context, { buffer: { memory } }: Region, at: Address): Code {
  const from = (opcode: Opcode): Code => memoryAccess(opcode, at.offset, at.code);
  const mark = memory === 'i8' || memory === 'i16' ? 's' : 'u';
  switch (bytesOfMemory[memory] * c.lanes) {
    case 16:
      return from('v128.load');
    case 8:
      if (bytesOfMemory[memory] === 2) return from(`v128.load16x4_${mark}`);
      return from('v128.load64_zero');
    case 4:
      return bytesOfMemory[memory] === 2
        ? instruction(`i32x4.extend_low_i16x8_${mark}`, from('v128.load32_zero'))
        : extendBytes(mark, from('v128.load32_zero'));
    default:
      return extendBytes(mark, from('v128.load16_splat'));
  }
}

const extendBytes = (mark: 's' | 'u', code: Code): Code =>
  instruction(
    `i32x4.extend_low_i16x8_${mark}`,
    instruction(`i16x8.extend_low_i8x16_${mark}`, code),
  );

function loadEdge(c: Context, region: Region, whole: Code, other: number): Value {
  const { type } = region;
  const locals = eachPiece(c, region).map(() => c.f.newLocal(pieceType(type, c.lanes)));
  const fast = wholePieces(c, region).map((code, i) => setLocal(locals[i] as number, code));
  const slow = eachPiece(c, region).map(([row, column], i) =>
    edgePiece(c, region, row, column, locals[i] as number, other),
  );
  c.f.emit(branch(whole, fast.flat(), slow.flat()));
  const form = isVector(type, c.lanes) ? 'vector' : 'scalar';
  return { type, form, pieces: locals.map(getLocal), depth: c.f.depth };
}

function edgePiece(
  c: Context,
  region: Region,
  row: number,
  column: number,
  local: number,
  other: number,
): Code {
  const { type, buffer } = region;
  const vector = isVector(type, c.lanes);
  const lanes = vector ? c.lanes : 1;
  const touched = Array.from({ length: lanes }, (_, lane) => {
    const element = loadElement(buffer.memory, addressOf(c, region, row, column + lane));
    const value = vector
      ? replaceLane(type.dtype, c.lanes, getLocal(local), lane, element)
      : element;
    const condition = elementCondition(c, region, row, column + lane);
    return condition ? branch(condition, setLocal(local, value)) : setLocal(local, value);
  });
  return [...setLocal(local, filledPiece(type, c.lanes, other)), ...touched.flat()];
}

export function store(c: Context, access: Access, given: Value): void {
  const { memory } = bufferOf(c, access.buffer);
  const value = convert(c, given, naturalType(memory));
  const region = regionOf(c, access, value.type);
  askAhead(c, access, region);
  const whole = wholeCondition(c, region);
  const fast = eachPiece(c, region).map(([row, column]) =>
    storePiece(c, region, value, row, column),
  );
  if (whole === undefined) {
    c.f.emit(fast.flat());
    return;
  }
  const slow = eachElement(region).map(([row, column]) => {
    const write = storeOne(c, region, value, row, column);
    const condition = elementCondition(c, region, row, column);
    return condition ? branch(condition, write) : write;
  });
  c.f.emit(branch(whole, fast.flat(), slow.flat()));
}

function storeOne(c: Context, region: Region, value: Value, row: number, column: number): Code {
  const element = elementOf(value, c.lanes, row * region.columns + column);
  return storeElement(region.buffer.memory, addressOf(c, region, row, column), element);
}

function storePiece(c: Context, region: Region, value: Value, row: number, column: number): Code {
  if (value.form !== 'vector' || !isVector(region.type, c.lanes)) {
    return storeOne(c, region, value, row, column);
  }
  if (region.columnStride !== 1) {
    const lanes = Array.from({ length: c.lanes }, (_, l) => l);
    return lanes.flatMap((l) => storeOne(c, region, value, row, column + l));
  }
  const piece = value.pieces[(row * region.columns + column) / c.lanes] as Code;
  return storeRun(c, region, addressOf(c, region, row, column), piece);
}

/** Neighbouring elements from one vector; narrow types take the low bytes of each lane. */
function storeRun(c: Context, { buffer: { memory } }: Region, at: Address, vector: Code): Code {
  const bytes = bytesOfMemory[memory];
  const total = bytes * c.lanes;
  if (total === 16) return memoryAccess('v128.store', at.offset, at.code, vector);
  const kept = Array.from({ length: 16 }, (_, i) => (Math.floor(i / bytes) * 4 + (i % bytes)) % 16);
  const packed = bytes === 4 ? vector : shuffle(kept, vector, vector);
  const opcode: Opcode =
    total === 8 ? 'v128.store64_lane' : total === 4 ? 'v128.store32_lane' : 'v128.store16_lane';
  return [...memoryAccess(opcode, at.offset, at.code, packed), 0];
}
