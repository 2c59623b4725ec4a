/**
 * Element types as data: all of ONNX, from f64 to two-bit integers. Everything that depends on an
 * element type asks this table.
 *
 * Storage: one element of a sub-byte type takes one byte, both in host arrays and in device
 * memory (i4, i2 sign-extended in an Int8Array, u4, u2 in a Uint8Array, f4e2m1 as its 4-bit code).
 * Packed payloads are u8 tensors and pass through the primitive `unpack`.
 * f16, bf16 and the eight-bit floats are stored as their bit patterns in unsigned arrays.
 */
import { bytesOfMemory, type MemoryType } from './memory-type.js';

export type FloatType =
  | 'f64'
  | 'f32'
  | 'f16'
  | 'bf16'
  | 'f8e4m3fn'
  | 'f8e4m3fnuz'
  | 'f8e5m2'
  | 'f8e5m2fnuz'
  | 'f8e8m0'
  | 'f4e2m1';
export type SignedType = 'i64' | 'i32' | 'i16' | 'i8' | 'i4' | 'i2';
export type UnsignedType = 'u64' | 'u32' | 'u16' | 'u8' | 'u4' | 'u2';
export type IntegerType = SignedType | UnsignedType;
/** `string` lives on the host only. */
export type DType = FloatType | IntegerType | 'bool' | 'string';

export type DTypeKind = 'float' | 'signed' | 'unsigned' | 'bool' | 'string';

/** What storage holds one element: the array class on the host, the integer or float in memory. */
export type StorageType = MemoryType | 'string';

/** Layout of a binary floating-point format. */
export interface FloatFormat {
  readonly exponentBits: number;
  readonly mantissaBits: number;
  readonly bias: number;
  readonly signed: boolean;
  /** ieee: infinities and NaNs; fn: one NaN pattern pair, no infinity; fnuz: NaN is the code of −0;
   * finite: neither (f4e2m1); scale: only powers of two and one NaN (f8e8m0). */
  readonly special: 'ieee' | 'fn' | 'fnuz' | 'finite' | 'scale';
}

export interface DTypeFacts {
  readonly kind: DTypeKind;
  /** Bits of one value. */
  readonly bits: number;
  readonly storage: StorageType;
  readonly float?: FloatFormat;
}

const format = (
  exponentBits: number,
  mantissaBits: number,
  bias: number,
  special: FloatFormat['special'],
): FloatFormat => ({ exponentBits, mantissaBits, bias, special, signed: special !== 'scale' });

export const dtypeFacts: Readonly<Record<DType, DTypeFacts>> = {
  f64: { kind: 'float', bits: 64, storage: 'f64', float: format(11, 52, 1023, 'ieee') },
  f32: { kind: 'float', bits: 32, storage: 'f32', float: format(8, 23, 127, 'ieee') },
  f16: { kind: 'float', bits: 16, storage: 'u16', float: format(5, 10, 15, 'ieee') },
  bf16: { kind: 'float', bits: 16, storage: 'u16', float: format(8, 7, 127, 'ieee') },
  f8e4m3fn: { kind: 'float', bits: 8, storage: 'u8', float: format(4, 3, 7, 'fn') },
  f8e4m3fnuz: { kind: 'float', bits: 8, storage: 'u8', float: format(4, 3, 8, 'fnuz') },
  f8e5m2: { kind: 'float', bits: 8, storage: 'u8', float: format(5, 2, 15, 'ieee') },
  f8e5m2fnuz: { kind: 'float', bits: 8, storage: 'u8', float: format(5, 2, 16, 'fnuz') },
  f8e8m0: { kind: 'float', bits: 8, storage: 'u8', float: format(8, 0, 127, 'scale') },
  f4e2m1: { kind: 'float', bits: 4, storage: 'u8', float: format(2, 1, 1, 'finite') },
  i64: { kind: 'signed', bits: 64, storage: 'i64' },
  i32: { kind: 'signed', bits: 32, storage: 'i32' },
  i16: { kind: 'signed', bits: 16, storage: 'i16' },
  i8: { kind: 'signed', bits: 8, storage: 'i8' },
  i4: { kind: 'signed', bits: 4, storage: 'i8' },
  i2: { kind: 'signed', bits: 2, storage: 'i8' },
  u64: { kind: 'unsigned', bits: 64, storage: 'u64' },
  u32: { kind: 'unsigned', bits: 32, storage: 'u32' },
  u16: { kind: 'unsigned', bits: 16, storage: 'u16' },
  u8: { kind: 'unsigned', bits: 8, storage: 'u8' },
  u4: { kind: 'unsigned', bits: 4, storage: 'u8' },
  u2: { kind: 'unsigned', bits: 2, storage: 'u8' },
  bool: { kind: 'bool', bits: 8, storage: 'u8' },
  string: { kind: 'string', bits: 0, storage: 'string' },
};

export const dtypes = Object.keys(dtypeFacts) as readonly DType[];

/** Bytes that one element takes in memory; 0 for strings. */
export function bytesOf(dtype: DType): number {
  const { storage } = dtypeFacts[dtype];
  return storage === 'string' ? 0 : bytesOfMemory[storage];
}

export const isFloat = (dtype: DType): dtype is FloatType => dtypeFacts[dtype].kind === 'float';
export const isSigned = (dtype: DType): dtype is SignedType => dtypeFacts[dtype].kind === 'signed';
export const isUnsigned = (dtype: DType): dtype is UnsignedType =>
  dtypeFacts[dtype].kind === 'unsigned';
export const isInteger = (dtype: DType): dtype is IntegerType =>
  isSigned(dtype) || isUnsigned(dtype);
/** Whether host values are bigint: only 64-bit integers are. */
export const isWide = (dtype: DType): boolean => dtype === 'i64' || dtype === 'u64';

/** Smallest and largest value of an integer type, exact. */
export function integerRange(dtype: IntegerType): readonly [bigint, bigint] {
  const { bits } = dtypeFacts[dtype];
  if (isUnsigned(dtype)) return [0n, (1n << BigInt(bits)) - 1n];
  return [-(1n << BigInt(bits - 1)), (1n << BigInt(bits - 1)) - 1n];
}
