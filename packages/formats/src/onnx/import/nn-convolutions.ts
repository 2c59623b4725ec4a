/** Conv, ConvTranspose, their integer and quantized forms, CausalConvWithState and Col2Im. */
import type { OperatorCall } from './context.js';
import { build, type Node, type Size, size } from './core.js';
import { positionAlong } from './lookups.js';
import { centered } from './nn-matmul.js';
import { alignedParameter, quantize } from './nn-quantized.js';
import { explicitPads, kernelOf, paddingOf, splitPads, stepsOf, windowOf } from './nn-windows.js';
import type { OperatorTable } from './registry.js';

/** Values [C] shaped to meet x[N, C, …]. */
const perChannel = (values: Node, x: Node): Node =>
  build.reshape(values, [
    values.shape[0] as Size,
    ...Array<number>(Math.max(x.shape.length - 2, 0)).fill(1),
  ]);

function withBias(x: Node, bias: Node | undefined): Node {
  return bias === undefined ? x : build.add(x, build.cast(perChannel(bias, x), x.dtype));
}

/** x[N, C, …] with weights [O, C/groups, …], as the node's attributes say. */
function convolve(call: OperatorCall, x: Node, weights: Node): Node {
  const window = windowOf(call, x, weights);
  const groups = call.int('group', 1);
  const [, inner] = weights.shape as [Size, Size];
  call.require('equal', x.shape[1] as Size, size.multiply(inner, groups), 'Conv: channels');
  return build.window('convolve', x, weights, {
    strides: window.strides,
    padding: paddingOf(window),
    kernelDilation: window.dilations,
    groups,
  });
}

const convolution = (call: OperatorCall): Node =>
  withBias(convolve(call, call.tensor(0), call.tensor(1)), call.optionalTensor(2));

/** Padding of the transposed convolution and what is added after it. */
function transposedPads(
  call: OperatorCall,
  space: readonly Size[],
  reach: readonly number[],
  strides: readonly number[],
): readonly (readonly [Size, Size])[] {
  const count = space.length;
  const auto = call.text('auto_pad', 'NOTSET');
  const added = call.ints('output_padding', Array<number>(count).fill(0));
  const explicit = explicitPads(call, count);
  const shape = call.hasAttribute('output_shape')
    ? call.ints('output_shape').slice(-count)
    : undefined;
  const same = auto === 'SAME_UPPER' || auto === 'SAME_LOWER';
  return space.map((extent, i): readonly [Size, Size] => {
    const stride = strides[i] as number;
    const extra = added[i] as number;
    const full = size.add(
      size.multiply(size.subtract(extent, 1), stride),
      reach[i] as number,
      extra,
    );
    const asked = shape?.[i] ?? (same ? size.multiply(extent, stride) : undefined);
    const [before, after] =
      asked === undefined
        ? auto === 'VALID'
          ? [0, 0]
          : (explicit[i] as [number, number])
        : splitPads(size.subtract(full, asked), auto === 'SAME_UPPER');
    const edge = (reach[i] as number) - 1;
    return [size.subtract(edge, before), size.add(size.subtract(edge, after), extra)];
  });
}

/** Weights [C, O/groups, …] as those of the convolution that undoes strides: [O, C/groups, …]. */
function transposedWeights(weights: Node, groups: number): Node {
  const [channels, outputs, ...kernel] = weights.shape as [Size, Size, ...Size[]];
  const inner = size.floorDivide(channels, groups);
  const split = build.reshape(weights, [groups, inner, outputs, ...kernel]);
  const axes = kernel.map((_, i) => i + 3);
  const turned = build.permute(split, [0, 2, 1, ...axes]);
  const flat = build.reshape(turned, [size.multiply(outputs, groups), inner, ...kernel]);
  return build.flip(
    flat,
    kernel.map((_, i) => i + 2),
  );
}

function transposedConvolution(call: OperatorCall): Node {
  const [x, weights] = [call.tensor(0), call.tensor(1)];
  const space = x.shape.slice(2);
  const kernel = kernelOf(call, weights, space.length);
  const { strides, dilations } = stepsOf(call, space.length);
  const groups = call.int('group', 1);
  const reach = kernel.map((extent, i) => (extent - 1) * (dilations[i] as number) + 1);
  const result = build.window('convolve', x, transposedWeights(weights, groups), {
    padding: transposedPads(call, space, reach, strides),
    kernelDilation: dilations,
    inputDilation: strides,
    groups,
  });
  return withBias(result, call.optionalTensor(2));
}

function integerConvolution(call: OperatorCall): Node {
  const x = centered(call.tensor(0), call.optionalTensor(2), 1);
  return convolve(call, x, centered(call.tensor(1), call.optionalTensor(3), 0));
}

/** Inputs: x, its scale and zero point, w, …, those of the result, bias in i32. */
function quantizedConvolution(call: OperatorCall): Node {
  const [x, w] = [call.tensor(0), call.tensor(3)];
  const raw = convolve(call, centered(x, call.tensor(2), 1), centered(w, call.tensor(5), 0));
  const sum = withBias(raw, call.optionalTensor(8));
  const scales = build.cast(alignedParameter(call.tensor(4), sum, 1), 'f32');
  const input = build.cast(alignedParameter(call.tensor(1), sum, 1), 'f32');
  const real = build.multiply(build.cast(sum, 'f32'), build.multiply(scales, input));
  const [scale, zero] = [build.cast(call.tensor(6), 'f32'), call.tensor(7)];
  return quantize(real, scale, zero, 1, zero.dtype);
}

/** A depthwise convolution over what came before: [result, last inputs]. */
function causalConvolution(call: OperatorCall): readonly Node[] {
  const [x, weights] = [call.tensor(0), call.tensor(1)];
  const [batch, channels] = x.shape as [Size, Size];
  const before = size.subtract(weights.shape[2] as Size, 1);
  const past = call.optionalTensor(3);
  const state = past ?? build.broadcastTo(build.scalar(x.dtype, 0), [batch, channels, before]);
  const all = build.concat([state, x], 2);
  const groups = call.staticSize(channels, 'the number of channels');
  const raw = withBias(build.window('convolve', all, weights, { groups }), call.optionalTensor(2));
  const activation = call.text('activation', 'none');
  if (!['none', 'silu', 'swish'].includes(activation)) throw call.refuse('unknown activation');
  const result = activation === 'none' ? raw : build.silu(raw);
  return [result, build.sliceAxis(all, 2, x.shape[2] as Size, before)];
}

/** Sums of blocks [N, C·block, places] at their places in images [N, C, …image]. */
function columnsToImage(call: OperatorCall): Node {
  const x = call.tensor(0);
  const [image, block] = [call.sizes(1), call.needConstantInts(2)];
  const { strides, dilations } = stepsOf(call, image.length);
  const pads = explicitPads(call, image.length);
  const padded = image.map((extent, i) => size.add(extent, ...(pads[i] as [number, number])));
  const counts = padded.map((extent, i) => {
    const reach = ((block[i] as number) - 1) * (dilations[i] as number) + 1;
    return size.add(size.floorDivide(size.subtract(extent, reach), strides[i] as number), 1);
  });
  const [batch, width] = x.shape as [Size, Size];
  const each = block.reduce((all, n) => all * n, 1);
  const channels = size.floorDivide(width, each);
  const rows = size.multiply(batch, channels);
  const places = size.product(counts);
  const shape = [...block, ...counts];
  const at = padded.reduce<Node>(
    (all, extent, i) => {
      const inBlock = build.multiply(positionAlong(shape, i), BigInt(dilations[i] as number));
      const start = positionAlong(shape, image.length + i);
      const here = build.add(inBlock, build.multiply(start, BigInt(strides[i] as number)));
      return build.add(build.multiply(all, build.size(extent)), here);
    },
    build.scalar('i64', 0n),
  );
  const count = size.multiply(places, each);
  const indices = build.reshape(build.broadcastTo(at, shape), [count]);
  const updates = build.transpose(build.reshape(x, [rows, count]));
  const zeros = build.broadcastTo(build.scalar(x.dtype, 0), [size.product(padded), rows]);
  const sums = build.transpose(build.scatter('sum', zeros, indices, updates));
  const whole = build.reshape(sums, [batch, channels, ...padded]);
  return build.slice(whole, {
    starts: [0, 0, ...pads.map(([before]) => before)],
    sizes: [batch, channels, ...image],
  });
}

export const convolutionOperators: OperatorTable = {
  Conv: { versions: [1, 11, 22], import: convolution },
  ConvTranspose: { versions: [1, 11, 22], import: transposedConvolution },
  ConvInteger: { versions: [10], import: integerConvolution },
  QLinearConv: { versions: [10], import: quantizedConvolution },
  CausalConvWithState: { versions: [27], import: causalConvolution },
  Col2Im: { versions: [18], import: columnsToImage },
};
