/** QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear: per tensor, per axis, in blocks. */
import type { OperatorCall } from './context.js';
import { build, type DType, isFloat, type Node, type Size, size } from './core.js';
import type { OperatorTable } from './registry.js';

/**
 * A scale or zero point shaped to meet x: one for all, one per place of an axis, or one tensor of
 * x's own rank, as it is or with each element repeated `block` times along the axis.
 */
export function alignedParameter(value: Node, x: Node, axis: number, block = 0): Node {
  const rank = x.shape.length;
  if (block === 0 && value.shape.every((extent) => extent === 1)) return build.reshape(value, []);
  if (block > 0 && value.shape.length === rank) {
    const counts = value.shape.toSpliced(axis + 1, 0, 1);
    const repeated = build.expand(build.reshape(value, counts), counts.with(axis + 1, block));
    const extent = size.multiply(value.shape[axis] as Size, block);
    const all = build.reshape(repeated, value.shape.with(axis, extent));
    return build.sliceAxis(all, axis, 0, x.shape[axis] as Size);
  }
  if (value.shape.length !== 1 || rank === 1) return value;
  return build.reshape(
    value,
    x.shape.map((_, i): Size => (i === axis ? (value.shape[0] as Size) : 1)),
  );
}

/** round(x / scale) + zero within an integer type; narrow floats add before they round. */
export function quantize(
  x: Node,
  scale: Node,
  zero: Node | undefined,
  axis: number,
  dtype: DType,
  options: {
    readonly block?: number;
    readonly saturate?: boolean;
    readonly precision?: DType;
  } = {},
): Node {
  const { block = 0, saturate = true } = options;
  const wide = options.precision ?? scale.dtype;
  const factor = build.cast(alignedParameter(scale, x, axis, block), wide);
  const ratio = build.divide(build.cast(x, wide), factor);
  const shift = zero === undefined ? undefined : alignedParameter(zero, x, axis, block);
  if (isFloat(dtype)) {
    const moved = shift === undefined ? ratio : build.add(ratio, build.cast(shift, wide));
    return build.cast(moved, dtype, { saturate: dtype === 'f4e2m1' ? false : saturate });
  }
  // Adding in f32 is exact wherever the sum is in range.
  const single: DType = wide === 'f64' ? 'f64' : 'f32';
  const level = build.cast(build.round(ratio), single);
  const moved = shift === undefined ? level : build.add(level, build.cast(shift, single));
  return build.cast(moved, dtype, { saturate: true });
}

interface Placing {
  readonly axis: number;
  readonly block: number;
}

/** The axis matters only where the scale is not one for all. */
function placingOf(call: OperatorCall, x: Node, scale: Node): Placing {
  const block = call.version >= 21 ? call.int('block_size', 0) : 0;
  const rank = x.shape.length;
  const scalar = scale.shape.every((extent) => extent === 1);
  if (block === 0 && scale.shape.length > 1 && !scalar) {
    throw call.refuse('a scale of several axes needs a block size');
  }
  if (call.version < 13 && !scalar) throw call.refuse('scales per axis begin with version 13');
  if (scalar && block === 0) return { axis: 0, block };
  return { axis: call.axis(call.int('axis', 1), rank), block };
}

function quantizeLinear(call: OperatorCall): Node {
  const [x, scale, zero] = [call.tensor(0), call.tensor(1), call.optionalTensor(2)];
  const { axis, block } = placingOf(call, x, scale);
  const asked = call.int('output_dtype', 0) === 0 ? undefined : call.dtypeAttribute('output_dtype');
  const precision = call.int('precision', 0) === 0 ? undefined : call.dtypeAttribute('precision');
  return quantize(x, scale, zero, axis, zero?.dtype ?? asked ?? 'u8', {
    block,
    saturate: call.int('saturate', 1) !== 0,
    ...(precision === undefined ? {} : { precision }),
  });
}

function dequantizeLinear(call: OperatorCall): Node {
  const [x, scale, zero] = [call.tensor(0), call.tensor(1), call.optionalTensor(2)];
  const { axis, block } = placingOf(call, x, scale);
  const dtype =
    call.int('output_dtype', 0) === 0 ? scale.dtype : call.dtypeAttribute('output_dtype');
  const wide = build.accumulateType(dtype);
  const middle: DType = isFloat(x.dtype) ? wide : 'i32';
  const level = build.cast(x, middle);
  const shift =
    zero === undefined ? undefined : build.cast(alignedParameter(zero, x, axis, block), middle);
  const moved = shift === undefined ? level : build.subtract(level, shift);
  const factor = build.cast(alignedParameter(scale, x, axis, block), wide);
  return build.cast(build.multiply(build.cast(moved, wide), factor), dtype);
}

/** Scale and zero point from the range of the data, which always contains 0. */
function dynamicQuantizeLinear(call: OperatorCall): readonly Node[] {
  const x = call.tensor(0);
  const low = build.minimum(build.minimumOver(x), 0);
  const high = build.maximum(build.maximumOver(x), 0);
  const scale = build.divide(build.subtract(high, low), 255);
  const middle = build.negate(build.divide(low, scale));
  const zero = build.cast(build.round(build.between(middle, 0, 255)), 'u8');
  return [quantize(x, scale, zero, 0, 'u8'), scale, zero];
}

export const quantizedOperators: OperatorTable = {
  QuantizeLinear: { versions: [10, 13, 19, 21, 23, 24, 25], import: quantizeLinear },
  DequantizeLinear: { versions: [10, 13, 19, 21, 23, 24, 25], import: dequantizeLinear },
  DynamicQuantizeLinear: { versions: [11], import: dynamicQuantizeLinear },
};
