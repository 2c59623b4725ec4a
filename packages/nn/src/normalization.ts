/** Layers that normalize: LayerNorm, RMSNorm, BatchNorm2d; and Dropout. */
import { ones, rand, type Tensor, zeros } from '@open-claw/core';
import type { Layer, Mode } from './layer.js';

export interface ScaleParameters {
  readonly scale: Tensor;
}

export interface ScaleBiasParameters extends ScaleParameters {
  readonly bias: Tensor;
}

/** Over the last axis of `width`. */
export class LayerNorm implements Layer<ScaleBiasParameters> {
  private readonly width: number;
  private readonly epsilon: number;

  constructor(width: number, { epsilon = 1e-5 }: { readonly epsilon?: number } = {}) {
    this.width = width;
    this.epsilon = epsilon;
  }

  init(): ScaleBiasParameters {
    return { scale: ones([this.width]), bias: zeros([this.width]) };
  }

  apply({ scale, bias }: ScaleBiasParameters, x: Tensor): Tensor {
    return x.layerNorm({ scale, bias, epsilon: this.epsilon });
  }
}

/** By the root of the mean square over the last axis of `width`. */
export class RMSNorm implements Layer<ScaleParameters> {
  private readonly width: number;
  private readonly epsilon: number;

  constructor(width: number, { epsilon = 1e-6 }: { readonly epsilon?: number } = {}) {
    this.width = width;
    this.epsilon = epsilon;
  }

  init(): ScaleParameters {
    return { scale: ones([this.width]) };
  }

  apply({ scale }: ScaleParameters, x: Tensor): Tensor {
    return x.rmsNorm({ scale, epsilon: this.epsilon });
  }
}

export interface BatchNormParameters extends ScaleBiasParameters {
  /** Running statistics: not trained, renewed by `Mode.updated`. */
  readonly mean: Tensor;
  readonly variance: Tensor;
}

/** Channels of x[N, C, H, W]: by the batch in training, by running statistics otherwise. */
export class BatchNorm2d implements Layer<BatchNormParameters> {
  private readonly channels: number;
  private readonly momentum: number;
  private readonly epsilon: number;

  constructor(
    channels: number,
    options: { readonly momentum?: number; readonly epsilon?: number } = {},
  ) {
    this.channels = channels;
    this.momentum = options.momentum ?? 0.1;
    this.epsilon = options.epsilon ?? 1e-5;
  }

  init(): BatchNormParameters {
    const { channels } = this;
    const [scale, variance] = [ones([channels]), ones([channels])];
    return { scale, bias: zeros([channels]), mean: zeros([channels]), variance };
  }

  apply(parameters: BatchNormParameters, x: Tensor, mode?: Mode): Tensor {
    const { scale, bias, mean, variance } = parameters;
    const { epsilon, momentum } = this;
    if (mode === undefined) {
      const factor = scale.mul(variance.add(epsilon).rsqrt());
      const shift = bias.sub(mean.mul(factor));
      return x.mul(factor.reshape(-1, 1, 1)).add(shift.reshape(-1, 1, 1));
    }
    const batch = x.batchNorm({ scale, bias, epsilon });
    const count = x.size / this.channels;
    const blend = (old: Tensor, now: Tensor): Tensor =>
      old.mul(1 - momentum).add(now.detach().mul(momentum));
    mode.change(parameters, {
      ...parameters,
      mean: blend(mean, batch.mean),
      // The running variance is the unbiased one.
      variance: blend(variance, batch.variance.mul(count / Math.max(count - 1, 1))),
    });
    return batch.result;
  }
}

/** In training, zeroes values with chance `rate` and scales the rest up. */
export class Dropout implements Layer<readonly []> {
  private readonly rate: number;

  constructor(rate: number) {
    this.rate = rate;
  }

  init(): readonly [] {
    return [];
  }

  apply(_parameters: readonly [], x: Tensor, mode?: Mode): Tensor {
    const key = mode?.nextKey();
    if (key === undefined || this.rate === 0) return x;
    return rand(x.shape, { key })
      .ge(this.rate)
      .where(x.div(1 - this.rate), 0);
  }
}
