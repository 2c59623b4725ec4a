/**
 * Small binary floats to and from f64, by their format's numbers alone: f16, bf16, the eight-bit
 * floats of "FP8 Formats for Deep Learning" (arXiv 2209.05433) and of OCP MX v1.0.
 */
import type { FloatFormat } from './dtype.js';

/** The value of a bit pattern. */
export function decodeFloat(format: FloatFormat, code: number): number {
  const { exponentBits, mantissaBits, bias, special } = format;
  if (special === 'scale') return code === 255 ? Number.NaN : 2 ** (code - bias);
  const signBit = 2 ** (exponentBits + mantissaBits);
  const negative = code >= signBit;
  const magnitude = negative ? code - signBit : code;
  const exponent = Math.floor(magnitude / 2 ** mantissaBits);
  const mantissa = magnitude % 2 ** mantissaBits;
  const topExponent = 2 ** exponentBits - 1;
  const sign = negative ? -1 : 1;
  if (special === 'ieee' && exponent === topExponent) {
    return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  }
  if (special === 'fn' && exponent === topExponent && mantissa === 2 ** mantissaBits - 1) {
    return Number.NaN;
  }
  if (special === 'fnuz' && negative && magnitude === 0) return Number.NaN;
  if (exponent === 0) return sign * mantissa * 2 ** (1 - bias - mantissaBits);
  return sign * (1 + mantissa / 2 ** mantissaBits) * 2 ** (exponent - bias);
}

/** Rounds to the nearest integer, ties to even; exact for |x| < 2^52. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest < 0.5) return floor;
  if (rest > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** The largest finite magnitude of a format. */
export function largestFinite(format: FloatFormat): number {
  return decodeFloat(format, largestCode(format));
}

function largestCode(format: FloatFormat): number {
  const all = 2 ** (format.exponentBits + format.mantissaBits) - 1;
  if (format.special === 'ieee') return all - 2 ** format.mantissaBits;
  if (format.special === 'fn' || format.special === 'scale') return all - 1;
  return all;
}

function nanCode(format: FloatFormat): number {
  const magnitudeBits = format.exponentBits + format.mantissaBits;
  if (format.special === 'ieee') {
    return (
      (2 ** format.exponentBits - 1) * 2 ** format.mantissaBits + 2 ** (format.mantissaBits - 1)
    );
  }
  if (format.special === 'fn') return 2 ** magnitudeBits - 1;
  if (format.special === 'fnuz') return 2 ** magnitudeBits;
  if (format.special === 'scale') return 255;
  return 0;
}

/**
 * The bit pattern nearest to `value`, ties to even. Beyond the largest finite value: the largest
 * finite one when `saturate`, else infinity, or NaN where the format has no infinity. Formats
 * without NaN (f4e2m1) store 0 for it and always saturate.
 */
export function encodeFloat(format: FloatFormat, value: number, saturate: boolean): number {
  const { exponentBits, mantissaBits, bias, special } = format;
  if (Number.isNaN(value)) return nanCode(format);
  const signBit = format.signed ? 2 ** (exponentBits + mantissaBits) : 0;
  const negative = value < 0 || Object.is(value, -0);
  const sign = negative ? signBit : 0;
  const magnitude = Math.abs(value);
  const largest = largestCode(format);
  const overflow = (): number => {
    if (saturate || special === 'finite') return sign + largest;
    if (special === 'ieee') return sign + largest + 1;
    return nanCode(format) + (special === 'fn' ? sign : 0);
  };
  if (special === 'scale') return encodeScale(magnitude, saturate);
  if (magnitude === Number.POSITIVE_INFINITY) return overflow();
  const smallestExponent = 1 - bias;
  const exponent = Math.max(exponentOf(magnitude), smallestExponent);
  const units = roundHalfEven(magnitude / 2 ** (exponent - mantissaBits));
  // A carry into the exponent comes out right because codes are consecutive.
  const code = units + (exponent - smallestExponent) * 2 ** mantissaBits;
  if (code > largest) return overflow();
  if (special === 'fnuz' && code === 0) return 0;
  return sign + code;
}

function encodeScale(magnitude: number, saturate: boolean): number {
  if (magnitude === 0) return 0;
  if (magnitude === Number.POSITIVE_INFINITY) return saturate ? 254 : 255;
  const exponent = exponentOf(magnitude);
  const up = magnitude / 2 ** exponent >= 1.5 ? 1 : 0;
  const code = exponent + up + 127;
  if (code > 254) return saturate ? 254 : 255;
  return Math.max(code, 0);
}

/** floor(log2(x)), exact, for x > 0; a very small number for 0. */
function exponentOf(x: number): number {
  if (x === 0) return -2000;
  let exponent = Math.floor(Math.log2(x));
  if (2 ** exponent > x) exponent -= 1;
  else if (2 ** (exponent + 1) <= x) exponent += 1;
  return exponent;
}
