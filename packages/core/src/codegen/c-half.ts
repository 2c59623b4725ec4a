/** Conversions between f16 bits and f32 as C functions that declare themselves on demand. */
import { listLanes } from './c-lanes.js';
import type { Prelude } from './c-prelude.js';

const widenPlain = `union { u32 bits; f32 value; } word;
  const u32 magnitude = a & 0x7fff;
  if (magnitude >= 0x7c00) word.bits = magnitude == 0x7c00 ? 0x7f800000 : 0x7fc00000;
  else if (magnitude >= 0x400) word.bits = (magnitude << 13) + 0x38000000;
  else word.value = (f32)magnitude * 0x1p-24f;
  word.bits |= (u32)(a & 0x8000) << 16;
  return word.value;`;

/** Below the least normal, adding 0.5 rounds to the step 2^-24; elsewhere integers round. */
const narrowPlain = `union { f32 value; u32 bits; } word = {a};
  const u16 sign = word.bits >> 16 & 0x8000;
  word.bits &= 0x7fffffff;
  if (word.bits > 0x7f800000) return sign | 0x7e00;
  if (word.bits >= 0x477ff000) return sign | 0x7c00;
  if (word.bits >= 0x38800000) {
  return sign | (word.bits + 0xfff + (word.bits >> 13 & 1) - 0x38000000) >> 13;
  }
  word.value += 0.5f;
  return sign | (u16)(word.bits - 0x3f000000);`;

/** f32 from the bits of f16, in u16 lanes. */
export function widenHalf(p: Prelude, lanes: number): string {
  const type = p.type('f32', lanes);
  const each = lanes === 1 ? '' : widenHalf(p, 1);
  return p.define(type, `widen_half_${type}`, `${p.type('u16', lanes)} a`, () =>
    lanes === 1 ? widenPlain : `return (${type}){${listLanes(lanes, (i) => `${each}(a[${i}])`)}};`,
  );
}

/** Bits of the nearest f16, in u16 lanes. */
export function narrowHalf(p: Prelude, lanes: number): string {
  const type = p.type('u16', lanes);
  const each = lanes === 1 ? '' : narrowHalf(p, 1);
  return p.define(type, `narrow_half_${type}`, `${p.type('f32', lanes)} a`, () =>
    lanes === 1 ? narrowPlain : `return (${type}){${listLanes(lanes, (i) => `${each}(a[${i}])`)}};`,
  );
}
