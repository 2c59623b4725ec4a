/** Cast, CastLike, BitCast, and texts to and from numbers where the elements are known. */
import { dtypeOfNumber } from '../read-tensor.js';
import type { OperatorCall } from './context.js';
import { build, type DType, dtypeFacts, isFloat, type Node } from './core.js';
import { constantValue } from './fold.js';
import type { OperatorTable } from './registry.js';
import type { Result } from './value.js';

/** Names that the first version of Cast uses for types. */
const oldNames: Readonly<Record<string, number>> = {
  FLOAT: 1,
  UINT8: 2,
  INT8: 3,
  UINT16: 4,
  INT16: 5,
  INT32: 6,
  INT64: 7,
  STRING: 8,
  BOOL: 9,
  FLOAT16: 10,
  DOUBLE: 11,
  UINT32: 12,
  UINT64: 13,
};

function targetOf(call: OperatorCall): DType {
  if (call.version >= 6) return call.dtypeAttribute('to');
  const dtype = dtypeOfNumber(oldNames[call.text('to')] ?? 0);
  if (dtype === null) throw call.refuse('the data type has no dtype here');
  return dtype;
}

/**
 * f32 → f8e8m0 by its exponent (OCP MX v1.0): `up` and `down` choose the neighbour, `nearest`
 * rounds half up unless the exponent is zero. Infinity and NaN become NaN.
 */
function toScale(call: OperatorCall, x: Node): Node {
  const mode = call.text('round_mode', 'up');
  const bits = build.bitcast(build.cast(x, 'f32'), 'u32');
  const exponent = build.and(build.shiftRight(bits, 23), 0xff);
  const fraction = build.and(bits, 0x7fffff);
  const rounds = roundsUp(call, mode, exponent, fraction);
  const saturate = call.int('saturate', 1) !== 0;
  const highest = build.less(exponent, saturate ? 0xfe : 0xff);
  const increment = build.cast(build.and(rounds, highest), 'u32');
  const code = build.add(exponent, increment);
  return build.bitcast(build.cast(code, 'u8'), 'f8e8m0');
}

function roundsUp(call: OperatorCall, mode: string, exponent: Node, fraction: Node): Node {
  switch (mode) {
    case 'up':
      return build.less(0, fraction);
    case 'down':
      return build.less(fraction, 0);
    case 'nearest': {
      const half = build.equal(fraction, 0x400000);
      const above = build.less(0x400000, fraction);
      return build.or(above, build.and(half, build.less(0, exponent)));
    }
    default:
      throw call.refuse('unknown rounding mode');
  }
}

/** Element conversion as Cast defines it. */
export function castTo(call: OperatorCall, dtype: DType): Result {
  const value = call.value(0);
  if (value.kind === 'strings') {
    if (dtype === 'string') return value;
    return build.cast(build.constant(value.tensor), dtype);
  }
  const x = call.tensor(0);
  if (dtype === 'string') {
    const known = constantValue(build.cast(build.constant(call.needConstant(0)), 'string'));
    if (known === undefined) throw call.refuse('numbers become text only before the run');
    return { kind: 'strings', tensor: known };
  }
  if (dtype === 'f8e8m0' && x.dtype !== 'f8e8m0') return toScale(call, x);
  const { bits } = dtypeFacts[dtype];
  if (!isFloat(dtype)) {
    // Out of range is undefined; the reference clamped four bits before version 24, and wraps now.
    return build.cast(x, dtype, { saturate: isFloat(x.dtype) && bits === 4 && call.version < 24 });
  }
  if (dtype === 'f4e2m1' && call.version < 24 && isFloat(x.dtype)) {
    // NaN has no code: the largest value before version 24, zero since.
    return build.cast(build.select(build.isNaN(x), Number.POSITIVE_INFINITY, x), dtype);
  }
  return build.cast(x, dtype, { saturate: bits <= 8 && call.int('saturate', 1) !== 0 });
}

/** Bools are stored as one byte, 0 or 1. */
function bitCast(x: Node, dtype: DType): Node {
  if (x.dtype === dtype) return x;
  if (x.dtype === 'bool') return build.bitcast(build.cast(x, 'u8'), dtype);
  if (dtype === 'bool') return build.notEqual(build.bitcast(x, 'u8'), 0);
  return build.bitcast(x, dtype);
}

export const castOperators: OperatorTable = {
  Cast: {
    versions: [1, 6, 9, 13, 19, 21, 23, 24, 25],
    import: (call) => castTo(call, targetOf(call)),
  },
  CastLike: {
    versions: [15, 19, 21, 23, 24, 25],
    import: (call) => {
      const like = call.value(1);
      return castTo(call, like.kind === 'strings' ? 'string' : call.tensor(1).dtype);
    },
  },
  BitCast: {
    versions: [26],
    import: (call) => bitCast(call.tensor(0), call.dtypeAttribute('to')),
  },
};
