/** cast, bitcast and unpack: the same values, or the same bits, in another dtype. */
import {
  type DType,
  dtypeFacts,
  type IntegerType,
  integerRange,
  isFloat,
  isWide,
} from '../base/dtype.js';
import { decodeFloat } from '../base/float-format.js';
import { allocateArray } from '../base/host-tensor.js';
import { allocate, decode, encode, numbersOf, rounding, type Value } from './interpret-value.js';

type Convert = (x: number | bigint | string) => number | bigint | string;

/**
 * A big integer as an f64 that rounds to any narrower float as the integer itself would: the top
 * 54 bits with the last one set when anything was cut off (rounding to odd).
 */
function roundToOdd(x: bigint): number {
  const magnitude = x < 0n ? -x : x;
  const cut = magnitude.toString(2).length - 53;
  if (cut <= 0) return Number(x);
  const top = magnitude >> BigInt(cut);
  const sticky = top << BigInt(cut) === magnitude ? 0n : 1n;
  const rounded = Number(top | sticky) * 2 ** cut;
  return x < 0n ? -rounded : rounded;
}

/** Float → integer: truncates, NaN → 0; beyond the range clamps or wraps (∞ wraps to 0). */
function toInteger(dtype: IntegerType, saturate: boolean): Convert {
  const [least, greatest] = integerRange(dtype);
  const { bits } = dtypeFacts[dtype];
  const wrap = dtypeFacts[dtype].kind === 'unsigned' ? BigInt.asUintN : BigInt.asIntN;
  const result = (x: bigint) => (isWide(dtype) ? x : Number(x));
  return (x) => {
    const value = Math.trunc(Number(x));
    if (Number.isNaN(value)) return result(0n);
    if (saturate && value >= Number(greatest)) return result(greatest);
    if (saturate && value <= Number(least)) return result(least);
    return result(Number.isFinite(value) ? wrap(bits, BigInt(value)) : 0n);
  };
}

/** Integer → integer keeps the low bits, or clamps. */
function betweenIntegers(dtype: IntegerType, saturate: boolean): Convert {
  const [least, greatest] = integerRange(dtype);
  const { bits } = dtypeFacts[dtype];
  const wrap = dtypeFacts[dtype].kind === 'unsigned' ? BigInt.asUintN : BigInt.asIntN;
  const clamp = (x: bigint): bigint => (x < least ? least : x > greatest ? greatest : x);
  return (x) => {
    const value = saturate ? clamp(BigInt(x)) : wrap(bits, BigInt(x));
    return isWide(dtype) ? value : Number(value);
  };
}

/** The shortest decimal text that reads back as the same value of the dtype. */
function textOf(dtype: DType): Convert {
  if (!isFloat(dtype)) return String;
  const round = rounding(dtype);
  return (x) => {
    const value = Number(x);
    if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
    for (let digits = 1; digits < 17; digits++) {
      const text = value.toPrecision(digits);
      if (round(Number(text)) === value) return shortest(Number(text));
    }
    return shortest(value);
  };
}

const shortest = (value: number): string =>
  Number.isInteger(value) && Math.abs(value) < 1e16 ? value.toFixed(1) : String(value);

function parseNumber(text: string): number {
  const plain = text.trim().toLowerCase();
  const infinite = /^([+-]?)inf(inity)?$/.exec(plain);
  if (infinite !== null) return infinite[1] === '-' ? -Number.POSITIVE_INFINITY : Infinity;
  return plain === 'nan' ? Number.NaN : Number(plain);
}

function conversion(from: DType, to: DType, saturate: boolean): Convert {
  if (from === 'string') {
    if (to === 'string') return (x) => x;
    if (isWide(to)) return (x) => BigInt((x as string).trim());
    const convert = conversion('f64', to, saturate);
    return (x) => convert(parseNumber(x as string));
  }
  if (to === 'string') return textOf(from);
  if (to === 'bool') return (x) => (Number(x) !== 0 ? 1 : 0);
  if (isFloat(to)) {
    // Only formats of eight bits and fewer have the choice between the largest value and ∞ or NaN.
    const round = rounding(to, saturate && dtypeFacts[to].bits <= 8);
    if (to === 'f64') return Number;
    return isWide(from) ? (x) => round(roundToOdd(x as bigint)) : (x) => round(x as number);
  }
  const integer = to as IntegerType;
  return isFloat(from) ? toInteger(integer, saturate) : betweenIntegers(integer, saturate);
}

export function castValue(x: Value, dtype: DType, saturate: boolean): Value {
  if (x.dtype === dtype) return x;
  const convert = conversion(x.dtype, dtype, saturate);
  const out = allocate(dtype, x.shape);
  if (x.data instanceof Float64Array && out.data instanceof Float64Array) {
    const [from, to] = [x.data, numbersOf(out)];
    const fast = quickConversion(x.dtype, dtype, saturate) ?? (convert as (x: number) => number);
    for (let i = 0; i < to.length; i++) to[i] = fast(from[i]!);
    return out;
  }
  const to = out.data as { [i: number]: unknown };
  for (let i = 0; i < x.data.length; i++) to[i] = convert(x.data[i]!);
  return out;
}

/** Wrapping casts to ≤ 32 bits without bigint: `<<` truncates and takes the value modulo 2^32. */
function quickConversion(from: DType, to: DType, saturate: boolean) {
  if (saturate || from === 'bool' || isFloat(to) || to === 'bool') return undefined;
  return rounding(to);
}

/** Keeps the bits. Sub-byte types exchange within their width, sign-extended as they are stored. */
export function bitcastValue(x: Value, dtype: DType): Value {
  const stored = encode(x).data as Exclude<ReturnType<typeof encode>['data'], readonly string[]>;
  const target = allocateArray(dtype, stored.length);
  const bytes = new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
  new Uint8Array(target.buffer).set(bytes);
  const { bits, float, storage } = dtypeFacts[dtype];
  if (bits < 8) {
    const codes = target as Int8Array;
    const unused = 32 - bits;
    const signed = storage === 'i8' && float === undefined;
    for (let i = 0; i < codes.length; i++) {
      codes[i] = signed ? (codes[i]! << unused) >> unused : (codes[i]! << unused) >>> unused;
    }
  }
  return decode({ dtype, shape: x.shape, data: target });
}

/** u8[…, n] → dtype[…, n·8/bits], low bits of each byte first. */
export function unpackValue(x: Value, dtype: DType): Value {
  const { bits, float, kind } = dtypeFacts[dtype];
  const perByte = 8 / bits;
  const last = x.shape.length - 1;
  const out = allocate(dtype, x.shape.with(last, x.shape[last]! * perByte));
  const [from, to] = [numbersOf(x), numbersOf(out)];
  const unused = 32 - bits;
  for (let i = 0; i < to.length; i++) {
    const code = (from[Math.floor(i / perByte)]! >> ((i % perByte) * bits)) & (2 ** bits - 1);
    if (float !== undefined) to[i] = decodeFloat(float, code);
    else to[i] = kind === 'signed' ? (code << unused) >> unused : code;
  }
  return out;
}
