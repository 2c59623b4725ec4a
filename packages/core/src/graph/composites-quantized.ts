/** Matrix products with weights packed in few bits. */
import type { DType } from '../base/dtype.js';
import { refused } from '../base/errors.js';
import { add, cast, multiply, subtract } from './build-elementwise.js';
import { contract } from './build-reductions.js';
import { composite } from './build-regions.js';
import { reshape, sliceAxis, unpack } from './build-views.js';
import type { Node } from './node.js';
import { accumulateType } from './ops.js';

export interface NBitsOptions {
  readonly bits: number;
  /** Elements along K that share a scale. */
  readonly block: number;
  /** True sizes of the weights [N, K]. */
  readonly n: number;
  readonly k: number;
  /** Packed u8 [N, bytes] or one value per block in a float type; 2^(bits−1) where absent. */
  readonly zeroPoints?: Node;
  readonly bias?: Node;
}

const packedTypes: Readonly<Record<number, DType>> = { 2: 'u2', 4: 'u4', 8: 'u8' };

/** Weights [N, K] of `dtype` from b u8[N, blocks, block·bits/8] and scales [N·blocks]. */
function dequantized(
  b: Node,
  scales: Node,
  zeros: Node | undefined,
  options: NBitsOptions,
  dtype: DType,
): Node {
  const { bits, block, n, k } = options;
  const blocks = Math.ceil(k / block);
  const packed = packedTypes[bits] as DType;
  const codes = (x: Node): Node => (packed === 'u8' ? x : unpack(x, packed));
  const level = cast(reshape(codes(b), [n, blocks, block]), dtype);
  const zero = zeros === undefined ? 2 ** (bits - 1) : zeroLevels(zeros, options, codes, dtype);
  const scale = cast(reshape(scales, [n, blocks, 1]), dtype);
  const full = reshape(multiply(subtract(level, zero), scale), [n, blocks * block]);
  return sliceAxis(full, 1, 0, k);
}

function zeroLevels(
  zeros: Node,
  { block, n, k, bits }: NBitsOptions,
  codes: (x: Node) => Node,
  dtype: DType,
): Node {
  const blocks = Math.ceil(k / block);
  if (zeros.dtype !== 'u8') return cast(reshape(zeros, [n, blocks, 1]), dtype);
  const rows = reshape(zeros, [n, Math.ceil((blocks * bits) / 8)]);
  return cast(reshape(sliceAxis(codes(rows), 1, 0, blocks), [n, blocks, 1]), dtype);
}

/**
 * a[…, K] · weightsᵀ + bias with block-quantized weights: (code − zero)·scale, accumulated in at
 * least f32. Bits are 2, 4 or 8, low bits first.
 */
export function matMulNBits(a: Node, b: Node, scales: Node, options: NBitsOptions): Node {
  const { bits, block, n, k, zeroPoints, bias } = options;
  if (packedTypes[bits] === undefined) throw refused('matMulNBits', `${bits} bits`);
  const inputs = [a, b, scales];
  if (zeroPoints !== undefined) inputs.push(zeroPoints);
  if (bias !== undefined) inputs.push(bias);
  const parameters = {
    bits,
    block,
    n,
    k,
    zeroPoints: zeroPoints !== undefined,
    bias: bias !== undefined,
  };
  return composite('matMulNBits', parameters, inputs, (values) => {
    const [x, packed, scale, ...rest] = values as [Node, Node, Node, ...Node[]];
    const wide = accumulateType(x.dtype);
    const zeros = zeroPoints === undefined ? undefined : rest.shift();
    const weights = dequantized(packed, scale, zeros, options, wide);
    const product = contract(cast(x, wide), weights, {
      contracted: [[x.shape.length - 1, 1]],
    });
    const shift = rest.shift();
    const total = shift === undefined ? product : add(product, cast(shift, wide));
    return [cast(total, x.dtype)];
  })[0] as Node;
}
