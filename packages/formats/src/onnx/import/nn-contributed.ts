/** Operators of com.microsoft that files of quantized language models hold. */
import type { OperatorCall } from './context.js';
import { build, type Node, type Size } from './core.js';
import type { OperatorTable } from './registry.js';

interface Packing {
  readonly n: number;
  readonly k: number;
  readonly bits: number;
  readonly block: number;
  /** Blocks of one row of weights. */
  readonly blocks: number;
}

function packingOf(call: OperatorCall): Packing {
  const [n, k, bits] = [call.int('N'), call.int('K'), call.int('bits', 4)];
  const block = call.int('block_size');
  if (n < 1 || k < 1) throw call.refuse(`weights of ${n} × ${k}`);
  if (![2, 4, 8].includes(bits)) throw call.refuse(`weights of ${bits} bits`);
  if (block < 16 || block > 2 ** 20 || !Number.isInteger(Math.log2(block))) {
    throw call.refuse(`blocks of ${block}: a power of two from 16 is needed`);
  }
  if (call.int('weight_prepacked', 0) !== 0) {
    throw call.refuse('weights packed for another program (weight_prepacked)');
  }
  return { n, k, bits, block, blocks: Math.ceil(k / block) };
}

/** Refuses a tensor of another type or with another number of elements. */
function checked(
  call: OperatorCall,
  what: string,
  x: Node,
  count: number,
  dtypes: readonly string[],
): Node {
  if (!dtypes.includes(x.dtype)) throw call.refuse(`${what} of ${x.dtype}`);
  const sizes = x.shape.map((extent) => call.staticSize(extent, `a size of the ${what}`));
  const held = sizes.reduce((all, extent) => all * extent, 1);
  if (held !== count) throw call.refuse(`${what}: ${held} elements where ${count} are needed`);
  return x;
}

/**
 * A[…, K] · W[N, K]ᵀ + bias, W = (code − zero point) · scale in blocks along K. `accuracy_level` is
 * the least that is asked of the computation: sums are at least f32 here, which satisfies all.
 */
function matMulNBits(call: OperatorCall): Node {
  const packing = packingOf(call);
  const { n, k, bits, block, blocks } = packing;
  const a = call.tensor(0);
  if (!['f32', 'f16', 'bf16'].includes(a.dtype)) throw call.refuse(`input of ${a.dtype}`);
  if (a.shape.length === 0) throw call.refuse('input of rank 0');
  call.require('equal', a.shape.at(-1) as Size, k, 'MatMulNBits: K');
  const level = call.int('accuracy_level', 0);
  if (level < 0 || level > 4) throw call.refuse(`accuracy_level ${level}`);
  if (call.has(4)) throw call.refuse('an order of the rows of weights (g_idx)');
  const floats = [...new Set([a.dtype, 'f32'])];
  const codes = checked(call, 'weights', call.tensor(1), (n * blocks * block * bits) / 8, ['u8']);
  const scales = checked(call, 'scales', call.tensor(2), n * blocks, floats);
  const zeros = call.optionalTensor(3);
  const bias = call.optionalTensor(5);
  return build.matMulNBits(a, codes, scales, {
    bits,
    block,
    n,
    k,
    ...(zeros === undefined ? {} : { zeroPoints: zeroPointsOf(call, zeros, packing) }),
    ...(bias === undefined ? {} : { bias: checked(call, 'bias', bias, n, [a.dtype]) }),
  });
}

/** Packed like the weights, rows begin at whole bytes; or one number a block. */
function zeroPointsOf(call: OperatorCall, zeros: Node, { n, bits, blocks }: Packing): Node {
  const isPacked = zeros.dtype === 'u8';
  const count = isPacked ? n * Math.ceil((blocks * bits) / 8) : n * blocks;
  return checked(call, 'zero points', zeros, count, ['u8', 'f32', 'f16', 'bf16']);
}

export const contributedOperators: OperatorTable = {
  'com.microsoft::MatMulNBits': { versions: [1], import: matMulNBits },
};
