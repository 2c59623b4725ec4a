/** Small floats at speed: decoding by table, rounding without going through bit patterns. */
import type { FloatFormat } from '../base/dtype.js';
import { decodeFloat, encodeFloat, largestFinite } from '../base/float-format.js';

const tables = new WeakMap<FloatFormat, Float64Array>();

/** The values of all bit patterns of a format of at most 16 bits. */
export function decodeTable(format: FloatFormat): Float64Array {
  const known = tables.get(format);
  if (known !== undefined) return known;
  const count = 2 ** (Number(format.signed) + format.exponentBits + format.mantissaBits);
  const table = Float64Array.from({ length: count }, (_, code) => decodeFloat(format, code));
  tables.set(format, table);
  return table;
}

const value = new Float64Array(1);
const words = new Uint32Array(value.buffer);
const high = new Uint32Array(Float64Array.of(1).buffer)[1] === 0 ? 0 : 1;

/** floor(log2 |x|) for normal x. */
function exponentOf(x: number): number {
  value[0] = x;
  return ((words[high]! >>> 20) & 0x7ff) - 1023;
}

/** scale·2^first, scale·2^(first+1), … */
const powers = (first: number, count: number, scale: number): Float64Array =>
  Float64Array.from({ length: count }, (_, i) => scale * 2 ** (first + i));

/** The bit pattern of a value of the format; NaN and infinities included. */
export function smallEncoding(format: FloatFormat): (x: number) => number {
  const { special, bias, mantissaBits, exponentBits, signed } = format;
  if (special === 'scale') return (x) => encodeFloat(format, x, false);
  const least = 1 - bias;
  const units = powers(
    mantissaBits - least - 2 ** exponentBits,
    2 ** exponentBits + 1,
    1,
  ).reverse();
  const signBit = signed ? 2 ** (exponentBits + mantissaBits) : 0;
  return (x) => {
    if (!Number.isFinite(x)) return encodeFloat(format, x, false);
    const exponent = Math.max(exponentOf(x) - least, 0);
    const code = Math.abs(x) * units[exponent]! + exponent * 2 ** mantissaBits;
    return x < 0 || Object.is(x, -0) ? code + signBit : code;
  };
}

/** Rounds to the values of a format as encoding and decoding would. */
export function smallRounding(format: FloatFormat, saturate: boolean): (x: number) => number {
  const { special, bias, mantissaBits } = format;
  if (special === 'scale') return (x) => decodeFloat(format, encodeFloat(format, x, saturate));
  const largest = largestFinite(format);
  const beyond =
    saturate || special === 'finite'
      ? largest
      : special === 'ieee'
        ? Number.POSITIVE_INFINITY
        : Number.NaN;
  const keepsSign = special !== 'fnuz';
  const least = 1 - bias;
  // Adding 1.5·2^52 units makes f64's own rounding cut at the unit.
  const shifts = powers(least - mantissaBits + 52, exponentOf(largest) + 2 - least, 1.5);
  return (x) => {
    if (Number.isNaN(x)) return special === 'finite' ? 0 : x;
    const shift = shifts[Math.max(exponentOf(x) - least, 0)];
    const rounded = shift === undefined ? x : x + shift - shift;
    if (Math.abs(rounded) > largest) return rounded > 0 ? beyond : -beyond;
    if (rounded !== 0) return rounded;
    return keepsSign && (x < 0 || Object.is(x, -0)) ? -0 : 0;
  };
}
