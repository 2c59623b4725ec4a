/** Layers that multiply by weights: Linear, Conv2d, Embedding. */
import { type ConvolveOptions, type PerAxis, type Tensor, zeros } from '@open-claw/core';
import { heNormal, type Initializer, normal } from './initializers.js';
import type { Layer, Seeds } from './layer.js';

export interface LinearParameters {
  /** [in, out] */
  readonly weight: Tensor;
  /** [out] */
  readonly bias?: Tensor;
}

export interface LinearOptions {
  readonly bias?: boolean;
  readonly initializer?: Initializer;
}

/** x[…, in] · weight + bias. */
export class Linear implements Layer<LinearParameters> {
  private readonly inputs: number;
  private readonly outputs: number;
  private readonly options: LinearOptions;

  constructor(inputs: number, outputs: number, options: LinearOptions = {}) {
    this.inputs = inputs;
    this.outputs = outputs;
    this.options = options;
  }

  init(seeds: Seeds): LinearParameters {
    const { inputs, outputs } = this;
    const { bias = true, initializer = heNormal } = this.options;
    const weight = initializer([inputs, outputs], { inputs, outputs }, seeds.next());
    return bias ? { weight, bias: zeros([outputs]) } : { weight };
  }

  apply({ weight, bias }: LinearParameters, x: Tensor): Tensor {
    const product = x.matmul(weight);
    return bias === undefined ? product : product.add(bias);
  }
}

export interface Conv2dOptions extends Pick<ConvolveOptions, 'stride' | 'padding' | 'dilation'> {
  readonly groups?: number;
  readonly bias?: boolean;
  readonly initializer?: Initializer;
}

/** Convolution of x[N, in, H, W] with weight[out, in/groups, kernel, kernel]. */
export class Conv2d implements Layer<LinearParameters> {
  private readonly inputs: number;
  private readonly outputs: number;
  private readonly kernel: readonly number[];
  private readonly options: Conv2dOptions;

  constructor(inputs: number, outputs: number, kernel: PerAxis, options: Conv2dOptions = {}) {
    this.inputs = inputs;
    this.outputs = outputs;
    this.kernel = typeof kernel === 'number' ? [kernel, kernel] : kernel;
    this.options = options;
  }

  init(seeds: Seeds): LinearParameters {
    const { inputs, outputs, kernel } = this;
    const { groups = 1, bias = true, initializer = heNormal } = this.options;
    const area = kernel.reduce((total, size) => total * size, 1);
    const fan = { inputs: (inputs / groups) * area, outputs: (outputs / groups) * area };
    const weight = initializer([outputs, inputs / groups, ...kernel], fan, seeds.next());
    return bias ? { weight, bias: zeros([outputs]) } : { weight };
  }

  apply({ weight, bias }: LinearParameters, x: Tensor): Tensor {
    const { bias: _, initializer: __, ...options } = this.options;
    return x.conv2d(weight, bias === undefined ? options : { ...options, bias });
  }
}

/** Rows of a table by number: integers […] → […, width]. */
export class Embedding implements Layer<{ readonly weight: Tensor }> {
  private readonly count: number;
  private readonly width: number;
  private readonly initializer: Initializer;

  constructor(count: number, width: number, initializer: Initializer = normal(0.02)) {
    this.count = count;
    this.width = width;
    this.initializer = initializer;
  }

  init(seeds: Seeds): { readonly weight: Tensor } {
    const { count, width, initializer } = this;
    return {
      weight: initializer([count, width], { inputs: count, outputs: width }, seeds.next()),
    };
  }

  apply({ weight }: { readonly weight: Tensor }, x: Tensor): Tensor {
    return weight.take(x);
  }
}
