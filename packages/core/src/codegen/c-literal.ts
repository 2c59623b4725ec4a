/** Numbers as C text, exact. */
import type { ComputeType, MemoryType } from '../base/target.js';

function floatText(value: number, suffix: 'f' | ''): string {
  if (Number.isNaN(value)) return `__builtin_nan${suffix}("")`;
  if (!Number.isFinite(value)) return `${value < 0 ? '-' : ''}__builtin_inf${suffix}()`;
  const text = Object.is(value, -0) ? '-0' : String(value);
  return `${/[.e]/.test(text) ? text : `${text}.0`}${suffix}`;
}

/** A literal of a type; floats in the shortest form that reads back as the same value. */
export function literalText(type: ComputeType | MemoryType, value: number | bigint): string {
  switch (type) {
    case 'f32':
      return `(${floatText(Math.fround(Number(value)), 'f')})`;
    case 'f64':
      return `(${floatText(Number(value), '')})`;
    case 'bool':
      return Number(value) === 0 ? '0' : '1';
    case 'u64':
      return `${BigInt.asUintN(64, BigInt(value))}ull`;
    case 'i64': {
      const wrapped = BigInt.asIntN(64, BigInt(value));
      // C has no negative literals, and 2^63 is none of a signed type.
      return wrapped < 0n ? `(${wrapped + 1n}ll - 1)` : `${wrapped}ll`;
    }
    default:
      return `((${type})${BigInt.asIntN(64, BigInt(value))}ll)`;
  }
}
