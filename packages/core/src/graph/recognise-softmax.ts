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

/** exp(x − max x) / Σ exp(x − max x). */
export const softmaxOf: Rule = (node) => {
  if (node.op !== 'divide') return undefined;
  const [e, below] = [inputOf(node, 0), spreadReduction(inputOf(node, 1))];
  if (e.op !== 'exp' || below?.kind !== 'sum' || below.x !== e) return undefined;
  const shifted = inputOf(e, 0);
  if (shifted.op !== 'subtract' || below.axes.length !== 1) return undefined;
  const x = inputOf(shifted, 0);
  const top = spreadReduction(inputOf(shifted, 1));
  const axis = below.axes[0] as number;
  const matches = top?.kind === 'maximum' && top.x === x && top.axes.join() === String(axis);
  return matches ? softmax(x, axis) : undefined;
};
