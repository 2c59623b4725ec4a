/** How makers of random operations choose their operands. */
import { isFloat, isInteger } from '../base/dtype.js';
import type { Node, ReductionKind } from './node.js';
import type { Workshop } from './random-graph-chance.js';

export type Maker = (shop: Workshop) => Node | readonly Node[] | undefined;

export const sizesOf = (node: Node): number[] => [...node.shape] as number[];
export const float = (node: Node): boolean => isFloat(node.dtype);
export const numeric = (node: Node): boolean => isFloat(node.dtype) || isInteger(node.dtype);
export const atLeast =
  (rank: number) =>
  (node: Node): boolean =>
    node.shape.length >= rank;
export const both =
  (...tests: readonly ((node: Node) => boolean)[]) =>
  (node: Node): boolean =>
    tests.every((accepts) => accepts(node));
export const axisOf = ({ chance }: Workshop, node: Node): number => chance.below(node.shape.length);

/** A partner that broadcasts with x: equal, a scalar, or with some axes of size 1 or missing. */
export function partner(shop: Workshop, x: Node, range?: readonly [number, number]): Node {
  const { chance } = shop;
  const same = sizesOf(x);
  if (range === undefined && chance.below(2) === 0) {
    const fits = (node: Node): boolean =>
      node.dtype === x.dtype && String(node.shape) === String(x.shape);
    const other = shop.value(fits);
    if (fits(other)) return other;
  }
  const shape = same.map((extent) => (chance.below(4) === 0 ? 1 : extent));
  return shop.fresh(x.dtype, shape.slice(chance.below(same.length + 1)), range);
}

export const kinds: readonly ReductionKind[] = ['sum', 'product', 'minimum', 'maximum'];
