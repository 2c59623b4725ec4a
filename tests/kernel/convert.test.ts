import { describe, expect, it } from 'vitest';
import {
  dtypeFacts,
  type FloatFormat,
  type FloatType,
} from '../../packages/core/src/base/dtype.js';
import { decodeFloat, encodeFloat } from '../../packages/core/src/base/float-format.js';
import { narrowSmall, widenSmall } from '../../packages/core/src/kernel/convert.js';
import { lowerCast } from '../../packages/core/src/kernel/elementwise.js';
import { column, runTile, scriptTarget } from './run-tile.js';

const types: readonly FloatType[] = [
  'f16',
  'bf16',
  'f8e4m3fn',
  'f8e4m3fnuz',
  'f8e5m2',
  'f8e5m2fnuz',
  'f8e8m0',
  'f4e2m1',
];

const formatOf = (dtype: FloatType): FloatFormat => dtypeFacts[dtype].float as FloatFormat;
const codesOf = (dtype: FloatType): number[] =>
  Array.from({ length: 2 ** dtypeFacts[dtype].bits }, (_, code) => code);

/** Every value of the format, both neighbours of every midpoint, and the ends of f32. */
function interesting(dtype: FloatType): Float32Array<ArrayBuffer> {
  const finite = codesOf(dtype)
    .map((code) => decodeFloat(formatOf(dtype), code))
    .filter((x) => Number.isFinite(x))
    .sort((a, b) => a - b);
  const words = new Uint32Array(1);
  const bits = new Float32Array(words.buffer);
  const beside = (x: number, by: number): number => {
    bits[0] = x;
    words[0] = (words[0] as number) + by;
    return bits[0] as number;
  };
  const values = [...finite];
  finite.forEach((x, i) => {
    const middle = Math.fround((x + (finite[i + 1] ?? x * 1.0001)) / 2);
    values.push(middle, beside(middle, 1), beside(middle, -1), beside(x, 1), beside(x, -1));
  });
  const largest = finite.at(-1) as number;
  for (const factor of [1.01, 1.03125, 1.0625, 1.125, 1.25, 1.5, 2, 1e10]) {
    values.push(largest * factor, -largest * factor);
  }
  values.push(0, -0, Number.NaN, 2 ** -149, -(2 ** -149), 2 ** -126, 2 ** -133 * 1.5, 2 ** -127);
  values.push(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3.4028234663852886e38);
  let state = 99;
  for (let i = 0; i < 4000; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    words[0] = state;
    values.push(bits[0] as number);
  }
  while (values.length % 4 !== 0) values.push(1);
  return Float32Array.from(values);
}

describe.each(types)('%s', (dtype) => {
  const format = formatOf(dtype);
  const narrow = dtypeFacts[dtype].bits === 16;

  it('widens every code', () => {
    const codes = codesOf(dtype);
    const data = narrow ? Uint16Array.from(codes) : Uint8Array.from(codes);
    const wide = runTile([column(data)], 'f32', (b, [v]) => widenSmall(b, dtype, v as never));
    const wrong = codes.filter((code) => !Object.is(Number(wide[code]), decodeFloat(format, code)));
    expect(wrong).toEqual([]);
  });

  it.each([false, true])('narrows to the nearest, ties to even (saturate: %s)', (saturate) => {
    const x = interesting(dtype);
    const codes = runTile([column(x)], narrow ? 'u16' : 'u8', (b, [v]) =>
      narrowSmall(b, dtype, v as never, saturate),
    );
    const wrong = [...x]
      .map((value, i) => ({ value, got: codes[i], exact: encodeFloat(format, value, saturate) }))
      .filter(({ got, exact }) => got !== exact);
    expect(wrong.slice(0, 5)).toEqual([]);
  });

  it('rounds f64 once', () => {
    const base = interesting(dtype).filter((x) => Math.abs(x) < 1e30);
    const shifted = [...base].flatMap((x) => [x, x * (1 + 2 ** -40), x * (1 - 2 ** -40), -x]);
    const x = Float64Array.from(shifted);
    const got = runTile([column(x)], 'f32', (b, [v]) =>
      lowerCast(b, scriptTarget, 'f64', dtype, false, v as never),
    );
    const wrong = [...x]
      .map((value, i) => ({
        value,
        got: Number(got[i]),
        exact: decodeFloat(format, encodeFloat(format, value, false)),
      }))
      .filter(({ got: g, exact }) => !Object.is(g, exact));
    expect(wrong.slice(0, 5)).toEqual([]);
  });
});
