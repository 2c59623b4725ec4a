/** Keys as signed whole numbers whose order is that of a sort. */
import { type DType, isFloat, isUnsigned, isWide } from '../base/dtype.js';
import type { KernelBuilder, Value } from './builder.js';
import { computeType } from './elementwise.js';

/** What a sort asks of its keys. */
export interface KeyOrder {
  readonly dtype: DType;
  readonly descending: boolean;
}

/** Type of the number of a key: as wide as keys are inside kernels. */
export const orderType = (dtype: DType): 'i32' | 'i64' =>
  dtype === 'f64' || isWide(dtype) ? 'i64' : 'i32';

const signBit = { i32: -(2 ** 31), i64: -(2n ** 63n) } as const;
const greatest = { i32: 2 ** 31 - 1, i64: 2n ** 63n - 1n } as const;

/** Bits of a float ↔ a number of the same order: all but the sign are turned where it is set. */
function turnNegative(b: KernelBuilder, word: 'i32' | 'i64', bits: Value): Value {
  const unsigned = word === 'i32' ? 'u32' : 'u64';
  const sign = b.binary('shiftRight', bits, b.literal(word, word === 'i32' ? 31 : 63));
  const magnitude = b.binary('shiftRight', b.bitcast(sign, unsigned), b.literal(unsigned, 1));
  return b.binary('xor', bits, b.bitcast(magnitude, word));
}

/** The number of a key, of its shape: the less, the earlier. NaN is last, and zeros are equal. */
export function orderOf(b: KernelBuilder, { dtype, descending }: KeyOrder, key: Value): Value {
  const word = orderType(dtype);
  if (!isFloat(dtype)) {
    const bits = dtype === 'bool' ? b.convert(key, word) : b.bitcast(key, word);
    const flips = isUnsigned(dtype);
    const plain = flips ? b.binary('xor', bits, b.literal(word, signBit[word])) : bits;
    return descending ? b.not(plain) : plain;
  }
  const zero = b.literal(computeType(dtype), 0);
  const bits = b.bitcast(b.select(b.equal(key, zero), zero, key), word);
  const ordered = turnNegative(b, word, bits);
  const wanted = descending ? b.not(ordered) : ordered;
  return b.select(b.notEqual(key, key), b.literal(word, greatest[word]), wanted);
}

/** A key of this number: `orderOf` backwards, but for NaN and the sign of zero. */
export function keyOfOrder(b: KernelBuilder, { dtype, descending }: KeyOrder, order: Value): Value {
  const word = orderType(dtype);
  const plain = descending ? b.not(order) : order;
  const type = computeType(dtype);
  if (isFloat(dtype)) return b.bitcast(turnNegative(b, word, plain), type);
  if (dtype === 'bool') return b.convert(plain, 'bool');
  if (!isUnsigned(dtype)) return plain;
  return b.bitcast(b.binary('xor', plain, b.literal(word, signBit[word])), type);
}
