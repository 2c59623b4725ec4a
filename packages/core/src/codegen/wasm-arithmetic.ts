/**
 * Elementwise tile operations as WebAssembly: unary, binary, compare, select, multiply-add,
 * convert. Gives code for one scalar and, where instructions exist, for one vector.
 */
import { internal, refused } from '../base/errors.js';
import type { ComputeType } from '../base/target.js';
import type { TileBinary, TileCompare, TileUnary } from '../kernel/tile.js';
import { type Code, instruction, maybeInstruction } from './wasm-encode.js';
import type { Opcode } from './wasm-opcodes.js';
import {
  constantOf,
  extractLane,
  isFloat,
  isUnsigned,
  isWide,
  type Lanes,
  lowWords,
  maskFor,
  scalarType,
  splat,
  vectorInstruction,
  vectorShape,
  widenMask,
} from './wasm-value.js';

/** A scalar instruction put together from type and suffix. */
export function scalarInstruction(
  dtype: ComputeType,
  suffix: string,
  ...operands: readonly Code[]
): Code {
  const code = maybeInstruction(`${scalarType(dtype)}.${suffix}`, ...operands);
  if (code === undefined) throw internal(`no instruction ${scalarType(dtype)}.${suffix}`);
  return code;
}

const floatSuffix: Partial<Record<TileUnary, string>> = {
  negate: 'neg',
  absolute: 'abs',
  floor: 'floor',
  ceil: 'ceil',
  truncate: 'trunc',
  roundEven: 'nearest',
  squareRoot: 'sqrt',
};

function unaryRefused(name: TileUnary, dtype: ComputeType): never {
  throw refused(`${name} on ${dtype}`, 'WebAssembly has no such instruction');
}

export function unaryScalar(name: TileUnary, dtype: ComputeType, a: Code): Code {
  const suffix = floatSuffix[name];
  if (isFloat(dtype)) {
    return suffix === undefined ? unaryRefused(name, dtype) : scalarInstruction(dtype, suffix, a);
  }
  if (name === 'not') {
    if (dtype === 'bool') return instruction('i32.eqz', a);
    return scalarInstruction(dtype, 'xor', a, constantOf(dtype, -1));
  }
  if (suffix === undefined || name === 'squareRoot') return unaryRefused(name, dtype);
  if (name === 'negate') return scalarInstruction(dtype, 'sub', constantOf(dtype, 0), a);
  if (name !== 'absolute' || isUnsigned(dtype) || dtype === 'bool') return a;
  const zero = constantOf(dtype, 0);
  const negative = scalarInstruction(dtype, 'lt_s', a, zero);
  return instruction('select', scalarInstruction(dtype, 'sub', zero, a), a, negative);
}

export function unaryVector(
  name: TileUnary,
  dtype: ComputeType,
  lanes: Lanes,
  a: Code,
): Code | undefined {
  if (name === 'not') return instruction('v128.not', a);
  const suffix = floatSuffix[name];
  if (suffix === undefined) return undefined;
  if (isFloat(dtype) || name === 'negate') return vectorInstruction(dtype, lanes, suffix, a);
  if (name === 'squareRoot') return undefined;
  const signed = dtype === 'i32' || dtype === 'i64';
  return name === 'absolute' && signed ? vectorInstruction(dtype, lanes, 'abs', a) : a;
}

const sign = (dtype: ComputeType): string => (dtype === 'i32' || dtype === 'i64' ? '_s' : '_u');

/** Suffix of the instruction: the same for scalars and vectors. */
function binarySuffix(name: TileBinary, dtype: ComputeType): string {
  switch (name) {
    case 'add':
      return 'add';
    case 'subtract':
      return 'sub';
    case 'multiply':
      return 'mul';
    case 'divide':
      return isFloat(dtype) ? 'div' : `div${sign(dtype)}`;
    case 'remainder':
      return `rem${sign(dtype)}`;
    case 'minimum':
      return isFloat(dtype) ? 'min' : `min${sign(dtype)}`;
    case 'maximum':
      return isFloat(dtype) ? 'max' : `max${sign(dtype)}`;
    case 'shiftLeft':
      return 'shl';
    case 'shiftRight':
      return `shr${sign(dtype)}`;
    case 'power':
      throw refused(`power on ${dtype}`, 'WebAssembly has no such instruction');
    default:
      return name;
  }
}

/** Arithmetic of truth values: sums and maxima are or, products and minima are and. */
const boolNames: Partial<Record<TileBinary, 'and' | 'or' | 'xor'>> = {
  and: 'and',
  multiply: 'and',
  minimum: 'and',
  or: 'or',
  add: 'or',
  maximum: 'or',
  xor: 'xor',
};

function boolName(name: TileBinary): 'and' | 'or' | 'xor' {
  const found = boolNames[name];
  if (found === undefined) throw internal(`${name} is no operation on bool`);
  return found;
}

/** `a` and `b` are pure code: they may be repeated. */
export function binaryScalar(name: TileBinary, dtype: ComputeType, a: Code, b: Code): Code {
  if (dtype === 'bool') return instruction(`i32.${boolName(name)}`, a, b);
  if (!isFloat(dtype) && (name === 'minimum' || name === 'maximum')) {
    const less = scalarInstruction(dtype, `lt${sign(dtype)}`, a, b);
    return name === 'minimum'
      ? instruction('select', a, b, less)
      : instruction('select', b, a, less);
  }
  return scalarInstruction(dtype, binarySuffix(name, dtype), a, b);
}

const bitwise = new Set<TileBinary>(['and', 'or', 'xor']);

/** Undefined where lanes must be taken one by one; shifts always are (see shiftVector). */
export function binaryVector(
  name: TileBinary,
  dtype: ComputeType,
  lanes: Lanes,
  a: Code,
  b: Code,
): Code | undefined {
  if (dtype === 'bool') return instruction(`v128.${boolName(name)}`, a, b);
  if (bitwise.has(name)) return instruction(`v128.${name as 'and' | 'or' | 'xor'}`, a, b);
  if (name === 'shiftLeft' || name === 'shiftRight') return undefined;
  if (isFloat(dtype) && (name === 'minimum' || name === 'maximum')) {
    return extremeVector(name, dtype, lanes, a, b);
  }
  return vectorInstruction(dtype, lanes, binarySuffix(name, dtype), a, b);
}

/**
 * Engines on x86 make eight instructions of f32x4.max. These are three: a < b ? b : a keeps a NaN
 * of a, and all ones, which are a NaN too, come in where b is one.
 */
function extremeVector(
  name: 'minimum' | 'maximum',
  dtype: ComputeType,
  lanes: Lanes,
  a: Code,
  b: Code,
): Code {
  const shape = vectorShape(dtype, lanes);
  const chosen = instruction(`${shape}.${name === 'minimum' ? 'pmin' : 'pmax'}` as Opcode, a, b);
  return instruction('v128.or', chosen, instruction(`${shape}.ne` as Opcode, b, b));
}

/** All lanes shifted by one amount. */
export function shiftVector(
  name: 'shiftLeft' | 'shiftRight',
  dtype: ComputeType,
  lanes: Lanes,
  a: Code,
  amount: Code,
): Code | undefined {
  const count = isWide(dtype) ? instruction('i32.wrap_i64', amount) : amount;
  return vectorInstruction(dtype, lanes, binarySuffix(name, dtype), a, count);
}

const compareNames: Readonly<Record<TileCompare, string>> = {
  equal: 'eq',
  notEqual: 'ne',
  less: 'lt',
  lessEqual: 'le',
};

function compareSuffix(name: TileCompare, dtype: ComputeType): string {
  const plain = isFloat(dtype) || name === 'equal' || name === 'notEqual';
  return plain ? compareNames[name] : `${compareNames[name]}${sign(dtype)}`;
}

export const compareScalar = (name: TileCompare, dtype: ComputeType, a: Code, b: Code): Code =>
  scalarInstruction(dtype, compareSuffix(name, dtype), a, b);

/** A mask of the kernel's width. */
export function compareVector(
  name: TileCompare,
  dtype: ComputeType,
  lanes: Lanes,
  a: Code,
  b: Code,
): Code | undefined {
  if (dtype === 'bool') return compareMasks(name, a, b);
  const mask = vectorInstruction(dtype, lanes, compareSuffix(name, dtype), a, b);
  return mask === undefined || isWide(dtype) ? mask : widenMask(lanes, mask);
}

function compareMasks(name: TileCompare, a: Code, b: Code): Code {
  const different = instruction('v128.xor', a, b);
  if (name === 'notEqual') return different;
  if (name === 'equal') return instruction('v128.not', different);
  const notA = instruction('v128.not', a);
  return instruction(name === 'less' ? 'v128.and' : 'v128.or', notA, b);
}

export const selectScalar = (condition: Code, a: Code, b: Code): Code =>
  instruction('select', a, b, condition);

/** A mask has all bits of a lane or none, so the relaxed instruction has one answer too. */
export function selectVector(
  dtype: ComputeType,
  lanes: Lanes,
  relaxed: boolean,
  [condition, a, b]: readonly [Code, Code, Code],
): Code {
  const mask = maskFor(dtype, lanes, condition);
  const wide = dtype === 'bool' ? lanes === 2 : isWide(dtype);
  if (!relaxed) return instruction('v128.bitselect', a, b, mask);
  return instruction(`${wide ? 'i64x2' : 'i32x4'}.relaxed_laneselect`, a, b, mask);
}

export function multiplyAddVector(
  dtype: ComputeType,
  lanes: Lanes,
  fused: boolean,
  [a, b, c]: readonly [Code, Code, Code],
): Code {
  const shape = vectorShape(dtype, lanes);
  if (fused && (dtype === 'f32' || dtype === 'f64')) {
    return instruction(`${shape}.relaxed_madd` as Opcode, a, b, c);
  }
  return instruction(`${shape}.add`, instruction(`${shape}.mul`, a, b), c);
}

/** A scalar one goes through a vector where it is fused: only vectors have that instruction. */
export function multiplyAddScalar(
  dtype: ComputeType,
  fused: boolean,
  [a, b, c]: readonly [Code, Code, Code],
): Code {
  if (!fused || !isFloat(dtype)) {
    return scalarInstruction(dtype, 'add', scalarInstruction(dtype, 'mul', a, b), c);
  }
  const lanes = dtype === 'f32' ? 4 : 2;
  const wide = (code: Code): Code => splat(dtype, lanes, code);
  const vector = multiplyAddVector(dtype, lanes, true, [wide(a), wide(b), wide(c)]);
  return extractLane(dtype, lanes, vector, 0);
}

export function convertScalar(from: ComputeType, to: ComputeType, a: Code): Code {
  if (from === to) return a;
  if (to === 'bool') return scalarInstruction(from, 'ne', a, constantOf(from, 0));
  const [source, target] = [scalarType(from), scalarType(to)];
  const unsignedSource = isUnsigned(from) || from === 'bool';
  if (source === target) return a;
  if (source === 'f64' && target === 'f32') return instruction('f32.demote_f64', a);
  if (source === 'f32' && target === 'f64') return instruction('f64.promote_f32', a);
  if (isFloat(from)) {
    return scalarInstruction(to, `trunc_sat_${source}${isUnsigned(to) ? '_u' : '_s'}`, a);
  }
  if (isFloat(to)) {
    return scalarInstruction(to, `convert_${source}${unsignedSource ? '_u' : '_s'}`, a);
  }
  if (target === 'i32') return instruction('i32.wrap_i64', a);
  return instruction(unsignedSource ? 'i64.extend_i32_u' : 'i64.extend_i32_s', a);
}

/** `a` is a local read: it may be repeated. Undefined where lanes must be taken one by one. */
export function convertVector(
  from: ComputeType,
  to: ComputeType,
  lanes: Lanes,
  a: Code,
): Code | undefined {
  if (from === to) return a;
  if (from === 'bool') {
    const one = splat(to, lanes, constantOf(to, 1));
    return instruction('v128.and', maskFor(to, lanes, a), one);
  }
  if (to === 'bool') {
    const zero = splat(from, lanes, constantOf(from, 0));
    return compareVector('notEqual', from, lanes, a, zero);
  }
  const [source, target] = [scalarType(from), scalarType(to)];
  if (source === target) return a;
  const mark = isUnsigned(isFloat(from) ? to : from) ? '_u' : '_s';
  switch (`${source}>${target}`) {
    case 'i32>f32':
      return instruction(`f32x4.convert_i32x4${mark}`, a);
    case 'f32>i32':
      return instruction(`i32x4.trunc_sat_f32x4${mark}`, a);
    case 'f32>f64':
      return instruction('f64x2.promote_low_f32x4', a);
    case 'f64>f32':
      return instruction('f32x4.demote_f64x2_zero', a);
    case 'i32>i64':
      return instruction(`i64x2.extend_low_i32x4${mark}`, a);
    case 'i64>i32':
      return lowWords(a);
    case 'i32>f64':
      return instruction(`f64x2.convert_low_i32x4${mark}`, a);
    case 'f64>i32':
      return instruction(`i32x4.trunc_sat_f64x2${mark}_zero`, a);
    default:
      return undefined;
  }
}
