/**
 * Elements as a matrix unit takes them: f32 split into bf16 parts, raw bits of the others, and the
 * range of what was packed, which says whether the unit gives right results for it.
 *
 * Splitting after Dekker, "A floating-point technique for extending the available precision",
 * Numerische Mathematik 18, 1971: hi = c − (c − x) with c = (2^16 + 1)·x has 8 bits.
 */
import { add, type Expression, multiply } from '../base/expression.js';
import type { KernelBuilder, Value, Variable } from './builder.js';

/** x as `parts` f32 values of 8 bits each, greatest first; their low halves are zero. */
export function splitParts(b: KernelBuilder, x: Value, parts: number): readonly Value[] {
  const made: Value[] = [];
  let rest = x;
  for (let part = 0; part < parts; part++) {
    if (part === 2) {
      // What is left of 24 bits has at most 8.
      made.push(rest);
      break;
    }
    const scaled = b.multiply(rest, b.literal('f32', 2 ** 16 + 1));
    const high = b.subtract(scaled, b.subtract(scaled, rest));
    made.push(high);
    rest = b.subtract(rest, high);
  }
  return made;
}

/** Stands in the least part for an element whose bits are in the others as they are: a NaN. */
const asItIs = 0x7fff0000;

/**
 * The parts of x as u32 bits whose low halves are zero. Where all three are kept, an element that
 * does not split exactly has its own bits in the first two, so that it can be recovered.
 */
export function splitBits(b: KernelBuilder, x: Value, parts: number): readonly Value[] {
  const split = splitParts(b, x, parts).map((part) => b.bitcast(part, 'u32'));
  if (parts < 3) return split;
  const bits = b.bitcast(x, 'u32');
  const magnitude = b.bitcast(b.and(bits, b.literal('u32', 0x7fffffff)), 'f32');
  const zero = b.literal('f32', 0);
  const small = b.and(b.less(magnitude, b.literal('f32', leastWhole)), b.notEqual(magnitude, zero));
  // A comparison with NaN is false.
  const large = b.not(b.less(magnitude, b.literal('f32', greatestWhole)));
  const outside = b.or(small, large);
  const own = [
    b.and(bits, b.literal('u32', 0xffff0000)),
    b.binary('shiftLeft', bits, b.literal('u32', 16)),
    b.literal('u32', asItIs),
  ];
  return split.map((part, i) => b.select(outside, own[i] as Value, part));
}

/** The element that `splitBits` made these three parts of, or that one part alone is. */
export function joinBits(b: KernelBuilder, parts: readonly Value[]): Value {
  const [high, middle, low] = parts as [Value, Value?, Value?];
  const f32 = (part: Value): Value => b.bitcast(part, 'f32');
  if (middle === undefined || low === undefined) return f32(high);
  const own = b.or(high, b.binary('shiftRight', middle, b.literal('u32', 16)));
  const sum = b.add(f32(high), b.add(f32(middle), f32(low)));
  return b.select(b.equal(low, b.literal('u32', asItIs)), f32(own), sum);
}

/** Bits of bf16 from an f32 that bf16 holds exactly. */
export const highHalf = (b: KernelBuilder, x: Value): Value =>
  b.binary('shiftRight', b.bitcast(x, 'u32'), b.literal('u32', 16));

/** The word of two bf16, each in the high half of what is given. */
export const joinHalves = (b: KernelBuilder, low: Value, high: Value): Value =>
  b.or(b.binary('shiftRight', low, b.literal('u32', 16)), high);

/** The words that hold a unit's rows of the depth side by side: low bits first. */
export function joinRows(b: KernelBuilder, rows: readonly Value[]): Value {
  const bits = 32 / rows.length;
  const mask = b.literal('u32', 2 ** bits - 1);
  return rows
    .map((row, i) => {
      const word = b.convert(row, 'u32');
      const alone = i === rows.length - 1 ? word : b.and(word, mask);
      return i === 0 ? alone : b.binary('shiftLeft', alone, b.literal('u32', bits * i));
    })
    .reduce((all, word) => b.or(all, word));
}

const bitsOfOne = 0x3f800000;

/**
 * The least and the greatest magnitude of f32 values, zeros left out of the least: as u32 bits,
 * lane by lane. `least` is kept less one, so that zero wraps to the greatest, and is at most 1.
 */
export class RangeOf {
  private readonly b: KernelBuilder;
  private readonly least: Variable;
  private readonly greatest: Variable;

  constructor(b: KernelBuilder, shape: readonly number[]) {
    this.b = b;
    const type = { dtype: 'u32' as const, shape };
    const fill = (value: number): Value => b.broadcast(b.literal('u32', value), shape);
    this.least = b.variable(fill(bitsOfOne - 1), type);
    this.greatest = b.variable(fill(0), type);
  }

  take(x: Value): void {
    const { b, least, greatest } = this;
    const bits = b.and(b.bitcast(x, 'u32'), b.literal('u32', 0x7fffffff));
    b.assign(greatest, b.binary('maximum', b.read(greatest), bits));
    const less = b.subtract(bits, b.literal('u32', 1));
    b.assign(least, b.binary('minimum', b.read(least), less));
  }

  /** Uniform u32 bits of the least and of the greatest. */
  ends(): readonly [Value, Value] {
    const { b } = this;
    const least = b.reduceAll('minimum', b.read(this.least));
    const greatest = b.reduceAll('maximum', b.read(this.greatest));
    return [b.add(least, b.literal('u32', 1)), greatest];
  }
}

/** The range over pairs of ends in memory: `each` takes the number of every pair. */
export function mergeRanges(
  b: KernelBuilder,
  buffer: string,
  each: (take: (pair: Expression) => void) => void,
): readonly [Value, Value] {
  const least = b.variable(b.literal('u32', 0xffffffff));
  const greatest = b.variable(b.literal('u32', 0));
  const load = (address: Expression): Value =>
    b.load({ dtype: 'u32', shape: [] }, { buffer, address, strides: [] });
  each((pair) => {
    const address = multiply(2, pair);
    b.assign(least, b.binary('minimum', b.read(least), load(address)));
    b.assign(greatest, b.binary('maximum', b.read(greatest), load(add(address, 1))));
  });
  return [b.read(least), b.read(greatest)];
}

/** Below it a part of an element may be denormal, which the unit takes as zero. */
const leastWhole = 2 ** -103;
/** Below it a bf16 is denormal. */
const leastNormal = 2 ** -126;
/** Below it the smallest product of parts may be denormal. */
const leastProduct = 2 ** -102;
/** Above it scaling by 2^16 + 1 overflows. */
const greatestWhole = 2 ** 110;
/** Above it a sum of products may overflow, and its parts give inf − inf. */
const greatestSum = 2 ** 126;

/**
 * Whether products of operands with these ranges are right on the unit. Infinities and NaN have
 * bits above every finite number's.
 */
export function rangesFit(
  b: KernelBuilder,
  left: readonly [Value, Value],
  right: readonly [Value, Value],
  splits: boolean,
  depth: number,
): Value {
  const f32 = (bits: Value): Value => b.bitcast(bits, 'f32');
  const literal = (value: number): Value => b.literal('f32', value);
  const [leastLeft, leastRight] = [f32(left[0]), f32(right[0])];
  const least = literal(splits ? leastWhole : leastNormal);
  const small = b.and(b.lessEqual(least, leastLeft), b.lessEqual(least, leastRight));
  const smallest = b.multiply(leastLeft, leastRight);
  const fits = b.and(small, b.lessEqual(literal(leastProduct), smallest));
  if (!splits) return fits;
  const [mostLeft, mostRight] = [f32(left[1]), f32(right[1])];
  const most = literal(greatestWhole);
  const large = b.and(b.less(mostLeft, most), b.less(mostRight, most));
  const greatest = b.multiply(mostLeft, mostRight);
  const sum = b.less(greatest, literal(greatestSum / depth));
  return b.and(fits, b.and(large, sum));
}
