/**
 * Philox4x32-10 bits: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011. Element i is word i mod 4 of the block with counter i div 4, so any cut of the tensor
 * into tasks gives the same bits.
 */
import {
  add,
  ceilDivide,
  type Expression,
  multiply,
  product,
  provablyAtLeast,
  subtract,
} from '../base/expression.js';
import type { Target } from '../base/target.js';
import type { Node, NodeOf } from '../graph/node.js';
import type { KernelStep } from '../schedule/step.js';
import type { KernelBuilder, Value } from './builder.js';
import { KernelFrame, type KernelNames } from './frame.js';
import type { LoweredKernel } from './lowered.js';
import { Bindings, writeTasks } from './nest.js';
import { loadElement, storeElement } from './sequential.js';

const multipliers = [0xd2511f53, 0xcd9e8d57] as const;
const weyl = [0x9e3779b9, 0xbb67ae85] as const;
const rounds = 10;

/** High and low words of a 32 × 32 bit product. */
function wideProduct(b: KernelBuilder, a: Value, factor: number): readonly [Value, Value] {
  const wide = b.multiply(b.convert(a, 'u64'), b.literal('u64', BigInt(factor)));
  const high = b.binary('shiftRight', wide, b.literal('u64', 32n));
  return [b.convert(high, 'u32'), b.convert(wide, 'u32')];
}

function philox(
  b: KernelBuilder,
  counter: readonly Value[],
  key: readonly [Value, Value],
): Value[] {
  let [c0, c1, c2, c3] = counter as [Value, Value, Value, Value];
  let [k0, k1] = key;
  for (let round = 0; round < rounds; round++) {
    const [high0, low0] = wideProduct(b, c0, multipliers[0]);
    const [high1, low1] = wideProduct(b, c2, multipliers[1]);
    const next0 = b.binary('xor', b.binary('xor', high1, c1), k0);
    const next2 = b.binary('xor', b.binary('xor', high0, c3), k1);
    [c0, c1, c2, c3] = [next0, low1, next2, low0];
    k0 = b.add(k0, b.literal('u32', weyl[0]));
    k1 = b.add(k1, b.literal('u32', weyl[1]));
  }
  return [c0, c1, c2, c3];
}

export function lowerRandomBits(
  step: KernelStep,
  target: Target,
  names: KernelNames,
): readonly LoweredKernel[] {
  const node = step.anchor as NodeOf<'randomBits'>;
  const keyNode = node.inputs[0] as Node;
  const frame = new KernelFrame(step, target);
  const { builder: b } = frame;
  const from = frame.input(keyNode) as string;
  const to = frame.output(step.outputs[0] as Node);
  const key = [0, 1].map((i) => loadElement(b, from, keyNode, i)) as [Value, Value];
  const elements = product(node.shape);
  const blocks = ceilDivide(elements, 4);
  const zero = b.literal('u32', 0);
  const bindings = new Bindings();
  const axis = { name: 'i0', extent: blocks, reduced: false };
  const grid = writeTasks(b, [axis], 1024, bindings, () => {
    const block = bindings.get('i0') as Expression;
    const counter = b.convert(b.convert(b.scalar(block), 'i64'), 'u64');
    const low = b.convert(counter, 'u32');
    const high = b.convert(b.binary('shiftRight', counter, b.literal('u64', 32n)), 'u32');
    philox(b, [low, high, zero, zero], key).forEach((word, i) => {
      const position = add(multiply(block, 4), i);
      const store = (): void => storeElement(b, to, node, position, word);
      const inside = provablyAtLeast(subtract(elements, 1), position);
      if (inside) store();
      else b.if(b.less(b.scalar(position), b.scalar(elements)), store);
    });
  });
  return [frame.finish(names, { lanes: 1, group: 1, grid })];
}
