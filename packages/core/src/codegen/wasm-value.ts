/**
 * Tiles as WebAssembly values: scalars, or 128-bit vectors of `lanes` elements. In kernels with
 * two lanes a 32-bit type uses the low half of its vector. A bool is 0 or 1 as a scalar; in
 * vectors it is a mask of all ones in lanes of 128 / lanes bits.
 */
import { internal } from '../base/errors.js';
import type { ComputeType } from '../base/target.js';
import type { TileType, VariableId } from '../kernel/tile.js';
import {
  type Code,
  constant32,
  constant64,
  constantF32,
  constantF64,
  constantVector,
  instruction,
  maybeInstruction,
  shuffle,
  type ValueType,
} from './wasm-encode.js';
import type { FunctionBuilder } from './wasm-function.js';
import type { Opcode } from './wasm-opcodes.js';

export type Lanes = 1 | 2 | 4;

export interface Value {
  readonly type: TileType;
  /** splat: one vector per element, that element in every lane. */
  readonly form: 'scalar' | 'vector' | 'splat';
  /** Row by row: one per element, or one per `lanes` elements for vectors. */
  readonly pieces: readonly Code[];
  /** Depth of the scope that made it. */
  readonly depth: number;
  /** What it was broadcast from, where all elements are equal. */
  readonly uniform?: Value;
  /** All bits of all elements are 0. */
  readonly isZero?: boolean;
  /** Pieces are loads that wait for the dot that this variable becomes. */
  readonly waitsFor?: VariableId;
  /** For a bool: what it says is less than what. */
  readonly less?: readonly [Value, Value];
}

export const isWide = (dtype: ComputeType): boolean =>
  dtype === 'f64' || dtype === 'i64' || dtype === 'u64';
export const isFloat = (dtype: ComputeType): boolean => dtype === 'f32' || dtype === 'f64';
export const isUnsigned = (dtype: ComputeType): boolean => dtype === 'u32' || dtype === 'u64';

/** Type of a scalar of this dtype in a local. */
export function scalarType(dtype: ComputeType): 'i32' | 'i64' | 'f32' | 'f64' {
  if (dtype === 'f32' || dtype === 'f64') return dtype;
  return dtype === 'i64' || dtype === 'u64' ? 'i64' : 'i32';
}

/** Shape prefix of the vector instructions; bools take the mask width. */
export function vectorShape(
  dtype: ComputeType,
  lanes: Lanes,
): 'i32x4' | 'i64x2' | 'f32x4' | 'f64x2' {
  if (dtype === 'bool') return lanes === 4 ? 'i32x4' : 'i64x2';
  const scalar = scalarType(dtype);
  return scalar === 'i32' || scalar === 'f32' ? `${scalar}x4` : `${scalar}x2`;
}

export const elementsOf = (type: TileType): number => type.shape.reduce((n, size) => n * size, 1);

/** Whether tiles of this type are vectors in a kernel of so many lanes. */
export function isVector(type: TileType, lanes: Lanes): boolean {
  const last = type.shape.at(-1);
  if (last === undefined || lanes === 1 || last === 0 || last % lanes !== 0) return false;
  return lanes === 2 || !isWide(type.dtype);
}

export const pieceType = (type: TileType, lanes: Lanes): ValueType =>
  isVector(type, lanes) ? 'v128' : scalarType(type.dtype);

export const pieceCount = (type: TileType, lanes: Lanes): number =>
  elementsOf(type) / (isVector(type, lanes) ? lanes : 1);

/** A scalar constant of the dtype. */
export function constantOf(dtype: ComputeType, value: number | bigint): Code {
  if (dtype === 'f32') return constantF32(Number(value));
  if (dtype === 'f64') return constantF64(Number(value));
  return isWide(dtype) ? constant64(value) : constant32(value);
}

/** A vector constant of the dtype; `values` one per lane. */
export function vectorConstant(dtype: ComputeType, lanes: Lanes, values: readonly number[]): Code {
  const wide = dtype === 'bool' ? lanes === 2 : isWide(dtype);
  const bits = values.map((value) => (dtype === 'bool' ? -value : value));
  if (dtype === 'f64') return constantVector(new BigInt64Array(new Float64Array(bits).buffer));
  if (dtype === 'f32') return constantVector(padded(new Int32Array(new Float32Array(bits).buffer)));
  if (wide) return constantVector(BigInt64Array.from(bits, BigInt));
  return constantVector(padded(Int32Array.from(bits, (value) => value | 0)));
}

function padded(values: Int32Array): Int32Array {
  const four = new Int32Array(4);
  four.set(values);
  return four;
}

const lane = (name: Opcode, index: number, ...operands: readonly Code[]): Code => [
  ...instruction(name, ...operands),
  index,
];

/** The scalar in one lane. */
export function extractLane(dtype: ComputeType, lanes: Lanes, vector: Code, index: number): Code {
  if (dtype === 'bool') {
    const word = lane('i32x4.extract_lane', lanes === 4 ? index : 2 * index, vector);
    return instruction('i32.and', word, constant32(1));
  }
  return lane(`${vectorShape(dtype, lanes)}.extract_lane`, index, vector);
}

/** The vector with one lane replaced. */
export function replaceLane(
  dtype: ComputeType,
  lanes: Lanes,
  vector: Code,
  index: number,
  scalar: Code,
): Code {
  const shape = vectorShape(dtype, lanes);
  return lane(`${shape}.replace_lane`, index, vector, laneBits(dtype, lanes, scalar));
}

/** What goes into a lane: bools become all ones. */
function laneBits(dtype: ComputeType, lanes: Lanes, scalar: Code): Code {
  if (dtype !== 'bool') return scalar;
  const negative = instruction('i32.sub', constant32(0), scalar);
  return lanes === 4 ? negative : instruction('i64.extend_i32_s', negative);
}

/** A vector with the scalar in every lane. */
export function splat(dtype: ComputeType, lanes: Lanes, scalar: Code): Code {
  const shape = vectorShape(dtype, lanes);
  return instruction(`${shape}.splat`, laneBits(dtype, lanes, scalar));
}

/** A vector of `lanes` scalars. */
export function pack(dtype: ComputeType, lanes: Lanes, scalars: readonly Code[]): Code {
  const first = splat(dtype, lanes, scalars[0] as Code);
  return scalars
    .slice(1)
    .reduce<Code>((vector, scalar, i) => replaceLane(dtype, lanes, vector, i + 1, scalar), first);
}

/** A mask of 32-bit lanes in the low half as one of 64-bit lanes. */
export const widenMask = (lanes: Lanes, mask: Code): Code =>
  lanes === 2 ? instruction('i64x2.extend_low_i32x4_s', mask) : mask;

/** The low words of two 64-bit lanes, in the low half. */
export const lowWords = (vector: Code, held: Code = vector): Code =>
  shuffle([0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11], vector, held);

/** A mask with lanes as wide as those of the dtype. */
export const maskFor = (dtype: ComputeType, lanes: Lanes, mask: Code): Code =>
  lanes === 2 && dtype !== 'bool' && !isWide(dtype) ? lowWords(mask) : mask;

/** One element of a tile as a scalar; a uniform value serves every index. */
export function elementOf(value: Value, lanes: Lanes, index: number): Code {
  const at = elementsOf(value.type) === 1 ? 0 : index;
  const { dtype } = value.type;
  if (value.form === 'scalar') return value.pieces[at] as Code;
  if (value.form === 'splat') return extractLane(dtype, lanes, value.pieces[at] as Code, 0);
  const piece = value.pieces[Math.floor(at / lanes)] as Code;
  return extractLane(dtype, lanes, piece, at % lanes);
}

/** Elements index·lanes … as one vector; a uniform value serves every index. */
export function vectorOf(f: FunctionBuilder, value: Value, lanes: Lanes, index: number): Code {
  const { type, form, pieces } = value;
  if (elementsOf(type) === 1) {
    const piece = pieces[0] as Code;
    return form === 'scalar' ? hoistedSplat(f, value, lanes, piece) : piece;
  }
  if (form === 'vector') return pieces[index] as Code;
  const scalars = Array.from({ length: lanes }, (_, l) =>
    elementOf(value, lanes, index * lanes + l),
  );
  return pack(type.dtype, lanes, scalars);
}

/** One element in every lane. */
export function splatOf(f: FunctionBuilder, value: Value, lanes: Lanes, index: number): Code {
  const at = elementsOf(value.type) === 1 ? 0 : index;
  if (value.form === 'splat') return value.pieces[at] as Code;
  return hoistedSplat(f, value, lanes, elementOf(value, lanes, at));
}

function hoistedSplat(f: FunctionBuilder, value: Value, lanes: Lanes, scalar: Code): Code {
  const { dtype } = value.type;
  const key = `splat:${dtype}:${scalar.join()}`;
  return f.hoist(value.depth, key, 'v128', splat(dtype, lanes, scalar));
}

/** A value whose pieces are held in locals. */
export function hold(
  f: FunctionBuilder,
  type: TileType,
  lanes: Lanes,
  pieces: readonly Code[],
): Value {
  const local = pieceType(type, lanes);
  if (pieces.length !== pieceCount(type, lanes)) throw internal('a tile has a wrong piece count');
  return {
    type,
    form: local === 'v128' ? 'vector' : 'scalar',
    pieces: pieces.map((piece) => f.define(local, piece)),
    depth: f.depth,
  };
}

/** A value from its elements in order. */
export function fromElements(
  f: FunctionBuilder,
  type: TileType,
  lanes: Lanes,
  elements: readonly Code[],
): Value {
  if (!isVector(type, lanes)) return hold(f, type, lanes, elements);
  const pieces = Array.from({ length: pieceCount(type, lanes) }, (_, i) =>
    pack(type.dtype, lanes, elements.slice(i * lanes, (i + 1) * lanes)),
  );
  return hold(f, type, lanes, pieces);
}

/** Element by element: by a vector instruction where there is one, else lane by lane. */
export function elementwise(
  f: FunctionBuilder,
  type: TileType,
  lanes: Lanes,
  operands: readonly Value[],
  rule: {
    readonly vector: (...operands: readonly Code[]) => Code | undefined;
    readonly scalar: (...operands: readonly Code[]) => Code;
  },
): Value {
  const vectors = operands.every((v) => elementsOf(v.type) === 1 || isVector(v.type, lanes));
  if (isVector(type, lanes) && vectors) {
    const pieces: Code[] = [];
    for (let i = 0; i < pieceCount(type, lanes); i++) {
      const codes = operands.map((value) => vectorOf(f, value, lanes, i));
      const code = rule.vector(...codes);
      if (code === undefined) break;
      pieces.push(f.define('v128', code));
    }
    if (pieces.length > 0) return { type, form: 'vector', pieces, depth: f.depth };
  }
  const elements = Array.from({ length: elementsOf(type) }, (_, i) => {
    const codes = operands.map((value) => elementOf(value, lanes, i));
    return f.define(scalarType(type.dtype), rule.scalar(...codes));
  });
  return fromElements(f, type, lanes, elements);
}

/** A vector instruction put together from shape and suffix, where it exists. */
export const vectorInstruction = (
  dtype: ComputeType,
  lanes: Lanes,
  suffix: string,
  ...operands: readonly Code[]
): Code | undefined => maybeInstruction(`${vectorShape(dtype, lanes)}.${suffix}`, ...operands);
