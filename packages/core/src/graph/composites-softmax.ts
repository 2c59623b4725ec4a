/** Softmax and what is made from it: log-softmax, log-sum-exp, cross entropy. */
import type { DType } from '../base/dtype.js';
import {
  add,
  cast,
  divide,
  equal,
  exp,
  inSingle,
  isInfinite,
  log,
  multiply,
  negate,
  notEqual,
  select,
  subtract,
} from './build-elementwise.js';
import { gather } from './build-indexed.js';
import { maximumOver, sum } from './build-reductions.js';
import { composite } from './build-regions.js';
import { iota, scalar } from './build-sources.js';
import { broadcastTo, normalizeAxis, range, unsqueeze } from './build-views.js';
import type { Node } from './node.js';

/** exp(x − max) and x − max along one axis. */
function shifted(x: Node, axis: number): Node {
  return subtract(x, maximumOver(x, [axis], { keep: true }));
}

export function softmaxBody(x: Node, axis: number): Node {
  const e = exp(shifted(x, axis));
  return divide(e, sum(e, [axis], { keep: true }));
}

/** eˣ / Σ eˣ along an axis. */
export function softmax(x: Node, axis = -1): Node {
  const at = normalizeAxis('softmax', axis, x.shape.length);
  const body = ([v]: readonly Node[]) => [inSingle(v as Node, (w) => softmaxBody(w, at))];
  return composite('softmax', { axis: at }, [x], body)[0] as Node;
}

function logSoftmaxBody(x: Node, axis: number): Node {
  const d = shifted(x, axis);
  return subtract(d, log(sum(exp(d), [axis], { keep: true })));
}

/** ln softmax(x) without underflow. */
export function logSoftmax(x: Node, axis = -1): Node {
  const at = normalizeAxis('logSoftmax', axis, x.shape.length);
  const body = ([v]: readonly Node[]) => [inSingle(v as Node, (w) => logSoftmaxBody(w, at))];
  return composite('logSoftmax', { axis: at }, [x], body)[0] as Node;
}

/** ln Σ eˣ over axes (all when undefined). */
export function logSumExp(
  x: Node,
  axes?: readonly number[],
  options: { readonly keep?: boolean } = {},
): Node {
  const rank = x.shape.length;
  const places = (axes ?? range(rank)).map((axis) => normalizeAxis('logSumExp', axis, rank));
  const keep = options.keep ?? false;
  const body = (v: Node): Node => {
    const top = maximumOver(v, places, { keep: true });
    const base = select(isInfinite(top), 0, top);
    const total = log(sum(exp(subtract(v, base)), places, { keep }));
    // Removing the reduced axes of the maximum by one more reduction keeps sizes symbolic.
    return add(total, keep ? base : maximumOver(base, places));
  };
  const build = ([v]: readonly Node[]) => [inSingle(v as Node, body)];
  return composite('logSumExp', { axes: places, keep }, [x], build)[0] as Node;
}

export interface LossOptions {
  /** One weight per class. */
  readonly weights?: Node;
  /** Labels of this value count nothing. */
  readonly ignore?: number;
  /** Mean divides by the sum of the weights that counted. */
  readonly reduction?: 'none' | 'sum' | 'mean';
}

function lossBody(
  logs: Node,
  labels: Node,
  weights: Node | undefined,
  ignore: number | undefined,
  reduction: 'none' | 'sum' | 'mean',
): Node {
  const dtype: DType = logs.dtype;
  const classes = unsqueeze(labels, [1]);
  const hit = equal(classes, iota({ dtype: labels.dtype, shape: classShape(logs) }, 1));
  const picked = negate(sum(select(hit, logs, 0), [1]));
  const counts = ignore === undefined ? undefined : notEqual(labels, ignore);
  const known = counts === undefined ? labels : select(counts, labels, 0);
  const full = broadcastTo(scalar(dtype, 1), labels.shape);
  const weight = weights === undefined ? full : cast(gather(weights, known, 0), dtype);
  const used = counts === undefined ? weight : select(counts, weight, 0);
  const loss = multiply(picked, used);
  if (reduction === 'none') return loss;
  const total = sum(loss);
  return reduction === 'sum' ? total : divide(total, sum(used));
}

const classShape = (logs: Node) => logs.shape.map((size, axis) => (axis === 1 ? size : 1));

/**
 * Negative log likelihood of integer labels [N, …] under log probabilities [N, C, …].
 */
export function negativeLogLikelihood(logs: Node, labels: Node, options: LossOptions = {}): Node {
  const { weights, ignore, reduction = 'mean' } = options;
  const parameters = ignore === undefined ? { reduction } : { reduction, ignore };
  const inputs = weights === undefined ? [logs, labels] : [logs, labels, weights];
  return composite('negativeLogLikelihood', parameters, inputs, ([l, y, w]) => [
    inSingle(l as Node, (v) => lossBody(v, y as Node, w, ignore, reduction)),
  ])[0] as Node;
}

/** Cross entropy of logits [N, C, …] and labels [N, …]: [loss, log probabilities]. */
export function crossEntropy(
  logits: Node,
  labels: Node,
  options: LossOptions = {},
): [loss: Node, logProbabilities: Node] {
  const logs = logSoftmax(logits, 1);
  return [negativeLogLikelihood(logs, labels, options), logs];
}
