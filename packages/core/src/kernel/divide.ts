/** Division of floats where the machine's own is dear: of tiles by one number. */
import type { KernelBuilder, Value } from './builder.js';

/** Divisors whose reciprocals and remainders neither overflow nor lose digits. */
const [least, most] = [2 ** -100, 2 ** 100];

/**
 * x / y. A tile by a uniform f32 goes by the reciprocal r and the remainder of x·r (Markstein
 * 1990), which is right to the last bit but for denormal quotients; other divisors are divided by.
 */
export function divideFloats(b: KernelBuilder, x: Value, y: Value): Value {
  const isTile = x.type.shape.length > 0 && y.type.shape.length === 0;
  if (!isTile || x.type.dtype !== 'f32' || !b.math.has('nearDivide')) return b.divide(x, y);
  const one = b.literal('f32', 1);
  const zero = b.literal('f32', 0);
  const size = b.unary('absolute', y);
  const isOrdinary = b.and(
    b.lessEqual(b.literal('f32', least), size),
    b.lessEqual(size, b.literal('f32', most)),
  );
  const quotient = b.variable(x);
  b.if(
    isOrdinary,
    () => {
      const r = b.divide(one, y);
      const q = b.multiply(x, r);
      const rest = b.multiplyAdd(b.unary('negate', q), y, x);
      // Without a rest q is exact, also ±0; an infinite q is right, and its rest is no number.
      const left = b.unary('absolute', rest);
      const hasRest = b.and(
        b.less(zero, left),
        b.less(left, b.literal('f32', Number.POSITIVE_INFINITY)),
      );
      b.assign(quotient, b.select(hasRest, b.multiplyAdd(rest, r, q), q));
    },
    () => b.assign(quotient, b.divide(x, y)),
  );
  return b.read(quotient);
}
