/** What a rule of differentiation sees, and the pieces that rules share. */
import { product, type Size } from '../base/expression.js';
import {
  add,
  broadcastTo,
  iota,
  multiply,
  permute,
  range,
  reshape,
  scalar,
  scatter,
  size,
} from './build.js';
import type { Node, NodeOf, OpName, TensorType } from './node.js';

export interface PullbackContext {
  /** Derivatives of the results; undefined is zero. */
  readonly seeds: readonly (Node | undefined)[];
  /** Whether the derivative of input i is wanted; others may be left undefined. */
  readonly needs: (input: number) => boolean;
  /** Derivatives through other nodes; undefined is zero. */
  readonly pullback: (
    outputs: readonly Node[],
    wrt: readonly Node[],
    seeds: readonly (Node | undefined)[],
  ) => (Node | undefined)[];
}

/** Derivatives of the inputs, from the derivative of the first result (or all in `context`). */
export type Pullback<O extends OpName> = (
  node: NodeOf<O>,
  seed: Node,
  context: PullbackContext,
) => readonly (Node | undefined)[];

export const zeros = ({ dtype, shape }: TensorType): Node => broadcastTo(scalar(dtype, 0), shape);
export const ones = ({ dtype, shape }: TensorType): Node => broadcastTo(scalar(dtype, 1), shape);

/** The node as the union that builders take. */
export const asNode = <O extends OpName>(node: NodeOf<O>): Node => node as unknown as Node;

/** Input i of a node. */
export const inputOf = <O extends OpName>(node: NodeOf<O>, i: number): Node => node.inputs[i]!;

/** Puts `axis` first. */
export const axisFirst = (x: Node, axis: number): Node =>
  permute(x, [axis, ...range(x.shape.length).filter((other) => other !== axis)]);

/** Undoes axisFirst. */
export function axisBack(x: Node, axis: number): Node {
  const others = range(x.shape.length - 1).map((i) => i + 1);
  return permute(x, others.toSpliced(axis, 0, 0));
}

const flat = (x: Node): Node => reshape(x, [product(x.shape)]);

/**
 * Puts updates at indices along `axis`, other coordinates as they stand; `kind` says what happens
 * where two meet. updates and indices (i64) have one shape; the result has zeros elsewhere.
 */
export function scatterAlong(
  kind: 'replace' | 'sum',
  updates: Node,
  indices: Node,
  axis: number,
  shape: readonly Size[],
): Node {
  let place = scalar('i64', 0);
  shape.forEach((extent, i) => {
    const type = { dtype: 'i64', shape: updates.shape } as const;
    place = add(multiply(place, size(extent)), i === axis ? indices : iota(type, i));
  });
  const target = flat(zeros({ dtype: updates.dtype, shape }));
  return reshape(scatter(kind, target, flat(place), flat(updates)), shape);
}
