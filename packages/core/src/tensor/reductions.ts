/** Methods that reduce, accumulate along an axis, sort or normalize. */
import { isFloat } from '../base/dtype.js';
import * as b from '../graph/build.js';
import * as c from '../graph/composites.js';
import type { Node } from '../graph/node.js';
import { dtypeError } from '../graph/rule.js';
import { nodeOf } from './handle.js';
import { type Axes, axesOf, ShapedTensor } from './views.js';

export interface ReduceAxes {
  /** Keeps reduced axes as size 1. */
  readonly keepDims?: boolean;
}

export interface VarianceOptions extends ReduceAxes {
  /** Divides by count − correction: 0 as NumPy, 1 as PyTorch. */
  readonly correction?: number;
}

type Over = (x: Node, axes?: readonly number[], options?: { readonly keep?: boolean }) => Node;

const keepOf = ({ keepDims = false }: ReduceAxes): { readonly keep: boolean } => ({
  keep: keepDims,
});

function varianceNode(x: Node, axes: Axes | undefined, options: VarianceOptions): Node {
  if (!isFloat(x.dtype)) throw dtypeError('var', x.dtype, 'floats only');
  const over = axesOf(axes);
  const centered = b.subtract(x, b.mean(x, over, { keep: true }));
  const { correction = 0 } = options;
  if (correction === 0) return b.mean(b.square(centered), over, keepOf(options));
  const count = (b.countOver(x, over) as number) - correction;
  return b.divide(b.sum(b.square(centered), over, keepOf(options)), count);
}

export class ReducibleTensor extends ShapedTensor {
  private over(build: Over, axes: Axes | undefined, options: ReduceAxes): this {
    return this.unary((x) => build(x, axesOf(axes), keepOf(options)));
  }

  /** Over axes, all of them when undefined; bool is counted as i64. */
  sum(axes?: Axes, options: ReduceAxes = {}): this {
    return this.over(
      (x, over, keep) => b.sum(x.dtype === 'bool' ? b.cast(x, 'i64') : x, over, keep),
      axes,
      options,
    );
  }
  /** Integers and bools are averaged as f32. */
  mean(axes?: Axes, options: ReduceAxes = {}): this {
    return this.over(
      (x, over, keep) => b.mean(isFloat(x.dtype) ? x : b.cast(x, 'f32'), over, keep),
      axes,
      options,
    );
  }
  prod(axes?: Axes, options: ReduceAxes = {}): this {
    return this.over(b.productOver, axes, options);
  }
  max(axes?: Axes, options: ReduceAxes = {}): this {
    return this.over(b.maximumOver, axes, options);
  }
  min(axes?: Axes, options: ReduceAxes = {}): this {
    return this.over(b.minimumOver, axes, options);
  }
  /** Whether all are true. */
  all(axes?: Axes, options: ReduceAxes = {}): this {
    return this.over(
      (x, over, keep) => b.equal(b.minimumOver(b.cast(x, 'u8'), over, keep), 1),
      axes,
      options,
    );
  }
  /** Whether one is true. */
  any(axes?: Axes, options: ReduceAxes = {}): this {
    return this.over(
      (x, over, keep) => b.equal(b.maximumOver(b.cast(x, 'u8'), over, keep), 1),
      axes,
      options,
    );
  }
  var(axes?: Axes, options: VarianceOptions = {}): this {
    return this.unary((x) => varianceNode(x, axes, options));
  }
  std(axes?: Axes, options: VarianceOptions = {}): this {
    return this.unary((x) => b.squareRoot(varianceNode(x, axes, options)));
  }
  /** ln Σ eˣ without overflow. */
  logSumExp(axes?: Axes, options: ReduceAxes = {}): this {
    return this.over(c.logSumExp, axes, options);
  }
  /** Index (i64) of the largest along an axis, the first of equals. */
  argmax(axis = -1, options: ReduceAxes = {}): this {
    return this.unary((x) => c.argMax(x, axis, keepOf(options)));
  }
  argmin(axis = -1, options: ReduceAxes = {}): this {
    return this.unary((x) => c.argMin(x, axis, keepOf(options)));
  }

  softmax(axis = -1): this {
    return this.unary((x) => c.softmax(x, axis));
  }
  logSoftmax(axis = -1): this {
    return this.unary((x) => c.logSoftmax(x, axis));
  }
  cumsum(axis = -1): this {
    return this.unary((x) => b.cumulate('sum', x, axis));
  }
  cumprod(axis = -1): this {
    return this.unary((x) => b.cumulate('product', x, axis));
  }
  cummax(axis = -1): this {
    return this.unary((x) => b.cumulate('maximum', x, axis));
  }
  cummin(axis = -1): this {
    return this.unary((x) => b.cumulate('minimum', x, axis));
  }

  /** Sorted values and their places (i64); stable, NaN last. */
  sort(axis = -1, options: { readonly descending?: boolean } = {}): [values: this, indices: this] {
    return this.pair((x) => {
      const at = b.normalizeAxis('sort', axis, x.shape.length);
      const line = b.iota({ dtype: 'i64', shape: x.shape }, at);
      return b.sort(x, [line], { axis: at, ...options }) as [Node, Node];
    });
  }
  argsort(axis = -1, options: { readonly descending?: boolean } = {}): this {
    return this.sort(axis, options)[1];
  }
  /** The k largest (or smallest) along an axis, sorted, and their places (i64). */
  topk(
    k: number,
    axis = -1,
    options: { readonly largest?: boolean } = {},
  ): [values: this, indices: this] {
    return this.pair((x) => c.topK(x, k, { axis, ...options }));
  }

  private pair(build: (x: Node) => readonly [Node, Node]): [this, this] {
    let made: readonly [Node, Node] | undefined;
    const first = this.unary((x) => {
      made = build(x);
      return made[0];
    });
    return [first, this.derive(() => (made as readonly [Node, Node])[1])];
  }

  /** Over the last axes from `axis`, then · scale + bias. */
  layerNorm(options: NormOptions<this> = {}): this {
    return this.unary((x) => c.layerNormalization(x, normOptions(options)));
  }
  rmsNorm(options: NormOptions<this> = {}): this {
    return this.unary((x) => c.rmsNormalization(x, normOptions(options)));
  }
}

export interface NormOptions<T> {
  readonly axis?: number;
  readonly scale?: T;
  readonly bias?: T;
  readonly epsilon?: number;
}

function normOptions(options: NormOptions<ShapedTensor>): c.AxisOptions {
  const { axis = -1, scale, bias, epsilon = 1e-5 } = options;
  return {
    axis,
    epsilon,
    ...(scale === undefined ? {} : { scale: nodeOf(scale) }),
    ...(bias === undefined ? {} : { bias: nodeOf(bias) }),
  };
}
