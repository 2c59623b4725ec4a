/** Questions that rewriting rules ask about nodes. */
import { type DType, dtypeFacts, integerRange, isFloat, isInteger } from '../base/dtype.js';
import type { Size } from '../base/expression.js';
import { type HostTensor, type HostValue, readElement } from '../base/host-tensor.js';
import { sameShape } from './build-views.js';
import { isOp, type Node } from './node.js';

/** A rule gives what shall stand for a node, or undefined where it does not apply. */
export type Rule = (node: Node) => Node | undefined;

export const inputOf = (node: Node, i: number): Node => node.inputs[i] as Node;

export function tensorOf(node: Node): HostTensor | undefined {
  return node.op === 'constant' ? node.attributes.tensor : undefined;
}

/** The node below views that do not change which values occur. */
function belowViews(node: Node): Node {
  let current = node;
  for (;;) {
    switch (current.op) {
      case 'reshape':
      case 'permute':
      case 'expand':
      case 'flip':
        current = inputOf(current, 0);
        break;
      default:
        return current;
    }
  }
}

const fewElements = 64;

/** The value that every element of a constant (seen through views) has. */
export function uniformValue(node: Node): HostValue | undefined {
  const tensor = tensorOf(belowViews(node));
  if (tensor === undefined || tensor.data.length === 0 || tensor.data.length > fewElements) {
    return undefined;
  }
  const value = readElement(tensor, 0);
  for (let i = 1; i < tensor.data.length; i++) {
    if (!Object.is(readElement(tensor, i), value)) return undefined;
  }
  return value;
}

/** Whether every element is this number; 0 and −0 differ. */
export function isUniform(node: Node, wanted: number): boolean {
  const value = uniformValue(node);
  if (typeof value === 'bigint') return value === BigInt(wanted);
  return Object.is(value, wanted);
}

/** Whether every value of `from` is a value of `to`. */
export function holdsExactly(from: DType, to: DType): boolean {
  if (from === to) return true;
  if (from === 'string' || to === 'string' || to === 'bool') return false;
  if (from === 'bool') return to !== 'f8e8m0';
  const [a, b] = [dtypeFacts[from].float, dtypeFacts[to].float];
  if (isInteger(from) && isInteger(to)) {
    const [[low, high], [least, most]] = [integerRange(from), integerRange(to)];
    return low >= least && high <= most;
  }
  if (isInteger(from) && b !== undefined) {
    return (to === 'f64' || to === 'f32') && dtypeFacts[from].bits <= b.mantissaBits + 1;
  }
  if (a === undefined || b === undefined || !isFloat(to)) return false;
  const wide = to === 'f64' || to === 'f32';
  return wide && a.mantissaBits <= b.mantissaBits && a.exponentBits <= b.exponentBits;
}

/** A reduction whose result was expanded back over the reduced axes: what is reduced, and how. */
export interface KeptReduction {
  readonly kind: 'sum' | 'product' | 'minimum' | 'maximum';
  readonly x: Node;
  readonly axes: readonly number[];
}

/** Matches reduce → reshape (axes kept as 1); `shape` is that of the reduced value. */
export function keptReduction(node: Node): KeptReduction | undefined {
  const reduced = isOp(node, 'reshape') ? inputOf(node, 0) : node;
  if (!isOp(reduced, 'reduce')) return undefined;
  const x = inputOf(reduced, 0);
  const { axes, kind } = reduced.attributes;
  const kept = x.shape.map((size, axis): Size => (axes.includes(axis) ? 1 : size));
  return sameShape(node.shape, kept) ? { kind, x, axes } : undefined;
}

/** The value under an expand, or the node itself. */
export const unexpanded = (node: Node): Node => (isOp(node, 'expand') ? inputOf(node, 0) : node);
