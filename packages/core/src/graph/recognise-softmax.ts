/** Finds softmax in exp, sum and divide. */
import { softmax } from './composites-softmax.js';
import type { Node } from './node.js';
import {
  inputOf,
  type KeptReduction,
  keptReduction,
  type Rule,
  unexpanded,
} from './simplify-match.js';

/** A reduction kept and expanded back over its axes. */
export const spreadReduction = (node: Node): KeptReduction | undefined =>
  keptReduction(unexpanded(node));

/** The maximum of exp(x − max x): no such value is above 1, and one of those it is over is 1. */
export function maximumBelow(node: Node): KeptReduction | undefined {
  const shifted = node.op === 'exp' ? inputOf(node, 0) : undefined;
  if (shifted?.op !== 'subtract') return undefined;
  const top = spreadReduction(inputOf(shifted, 1));
  return top?.kind === 'maximum' && top.x === inputOf(shifted, 0) ? top : undefined;
}

/** The maximum of exp(x − max x) / Σ exp(x − max x). */
export function maximumOfShares(node: Node): KeptReduction | undefined {
  if (node.op !== 'divide') return undefined;
  const [e, below] = [inputOf(node, 0), spreadReduction(inputOf(node, 1))];
  if (below?.kind !== 'sum' || below.x !== e) return undefined;
  const top = maximumBelow(e);
  return top?.axes.join() === below.axes.join() ? top : undefined;
}

/** exp(x − max x) / Σ exp(x − max x) along one axis. */
export const softmaxOf: Rule = (node) => {
  const top = maximumOfShares(node);
  return top?.axes.length === 1 ? softmax(top.x, top.axes[0]) : undefined;
};
