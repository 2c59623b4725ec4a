/**
 * Tensor: a lazy, immutable handle with the names of NumPy and PyTorch. Methods build a graph at
 * once and compute nothing; `data`, `array`, `item` and `realize` compute.
 */
import { failure } from '../base/errors.js';
import * as b from '../graph/build.js';
import * as c from '../graph/composites.js';
import type { Node } from '../graph/node.js';
import { printShape } from '../graph/rule.js';
import { nodeOf, type Scalar, TensorHandle } from './handle.js';
import { ReducibleTensor } from './reductions.js';
import { atUserLine } from './where.js';

/** One number for all space axes, or one per axis. */
export type PerAxis = number | readonly number[];

export interface WindowOptions {
  readonly stride?: PerAxis;
  /** The same before and after. */
  readonly padding?: PerAxis;
  readonly dilation?: PerAxis;
}

export interface ConvolveOptions extends WindowOptions {
  readonly groups?: number;
  /** One per output channel. */
  readonly bias?: Tensor;
}

export interface AttentionOptions {
  /** bool, true where a key may be seen. */
  readonly mask?: Tensor;
  readonly causal?: boolean;
  readonly scale?: number;
}

const perAxis = (value: PerAxis | undefined, axes: number, absent: number): readonly number[] =>
  typeof value === 'object' ? value : Array.from({ length: axes }, () => value ?? absent);

const spaceOf = (op: string, x: Node): number => {
  if (x.shape.length >= 3) return x.shape.length - 2;
  throw failure('OC-SHAPE-03', { op, reason: `rank ${x.shape.length}; it takes [N, C, …space]` });
};

function windowArguments(options: WindowOptions, axes: number): b.WindowArguments {
  return {
    strides: perAxis(options.stride, axes, 1),
    padding: perAxis(options.padding, axes, 0).map((size) => [size, size] as const),
    kernelDilation: perAxis(options.dilation, axes, 1),
  };
}

function pool(op: 'maximum' | 'sum', x: Node, kernel: PerAxis, options: WindowOptions): Node {
  const axes = spaceOf('pool', x);
  const size = perAxis(kernel, axes, 1);
  const given = { ...options, stride: options.stride ?? size };
  return b.window(op, x, undefined, { ...windowArguments(given, axes), kernel: size });
}

export class Tensor extends ReducibleTensor {
  /** NumPy's matmul: vectors are rows or columns, leading axes broadcast. */
  matmul(other: Tensor): Tensor {
    return this.unary((x) => {
      const right = nodeOf(other);
      const [inner, rows] = [x.shape.at(-1), right.shape.at(right.shape.length > 1 ? -2 : -1)];
      if (inner === rows) return b.matmul(x, right);
      const details = { left: printShape(x.shape), right: printShape(right.shape) };
      throw failure('OC-SHAPE-02', { op: 'matmul', ...details });
    });
  }
  /** Alias of `matmul` for two vectors or matrices. */
  dot(other: Tensor): Tensor {
    return this.matmul(other);
  }

  /** Convolution (as networks mean it) of x[N, C, …] with weights[O, C/groups, …kernel]. */
  convolve(weights: Tensor, options: ConvolveOptions = {}): Tensor {
    return this.unary((x) => {
      const axes = spaceOf('convolve', x);
      const { groups = 1, bias } = options;
      const made = b.window('convolve', x, nodeOf(weights), {
        ...windowArguments(options, axes),
        groups,
      });
      if (bias === undefined) return made;
      return b.add(made, b.reshape(nodeOf(bias), [bias.size, ...Array(axes).fill(1)]));
    });
  }
  /** `convolve` of x[N, C, H, W]. */
  conv2d(weights: Tensor, options: ConvolveOptions = {}): Tensor {
    return this.convolve(weights, options);
  }
  /** Largest of each window; windows do not overlap unless a stride is given. */
  maxPool(kernel: PerAxis, options: WindowOptions = {}): Tensor {
    return this.unary((x) => pool('maximum', x, kernel, options));
  }
  /** Mean of each window; padding counts as zeros. */
  avgPool(kernel: PerAxis, options: WindowOptions = {}): Tensor {
    return this.unary((x) => {
      const count = perAxis(kernel, spaceOf('avgPool', x), 1).reduce((all, size) => all * size, 1);
      return b.divide(pool('sum', x, kernel, options), count);
    });
  }

  /** Training form of batch normalization: result, mean[C] and variance[C] of this batch. */
  batchNorm(
    options: { readonly scale?: Tensor; readonly bias?: Tensor; readonly epsilon?: number } = {},
  ): { readonly result: Tensor; readonly mean: Tensor; readonly variance: Tensor } {
    const { scale, bias, epsilon = 1e-5 } = options;
    const [result, mean, variance] = atUserLine(() =>
      c.batchNormalizationTraining(nodeOf(this), {
        epsilon,
        ...(scale === undefined ? {} : { scale: nodeOf(scale) }),
        ...(bias === undefined ? {} : { bias: nodeOf(bias) }),
      }),
    );
    return {
      result: new Tensor(result),
      mean: new Tensor(mean),
      variance: new Tensor(variance),
    };
  }

  /** softmax(q·kᵀ·scale + masks)·v; this is q[batch, heads, queries, D]. */
  attention(keys: Tensor, values: Tensor, options: AttentionOptions = {}): Tensor {
    const { mask, causal, scale } = options;
    return this.unary((q) =>
      c.attention(q, nodeOf(keys), nodeOf(values), {
        ...(mask === undefined ? {} : { mask: nodeOf(mask) }),
        ...(causal === undefined ? {} : { causal }),
        ...(scale === undefined ? {} : { scale }),
      }),
    );
  }

  /** Mean cross entropy of logits [N, C, …] and integer labels [N, …]. */
  crossEntropy(labels: Tensor, options: CrossEntropyOptions = {}): Tensor {
    return this.unary((x) => c.crossEntropy(x, nodeOf(labels), options)[0]);
  }
}

export type CrossEntropyOptions = Pick<c.LossOptions, 'ignore' | 'reduction'>;

/** Joins along an axis. */
export function concat(tensors: readonly Tensor[], axis = 0): Tensor {
  return atUserLine(() => new Tensor(b.concat(tensors.map(nodeOf), axis)));
}

/** Joins along a new axis. */
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  return atUserLine(() => new Tensor(b.stack(tensors.map(nodeOf), axis)));
}

/** a where the condition holds, else b; all broadcast. */
export function where(condition: Tensor, a: Tensor | Scalar, other: Tensor | Scalar): Tensor {
  return condition.where(a, other);
}

export const isTensor = (value: unknown): value is Tensor => value instanceof TensorHandle;
