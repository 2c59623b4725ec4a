/** First values of parameters. */
import { randn, type Tensor, uniform, zeros } from '@open-claw/core';

export type Initializer = (
  shape: readonly number[],
  fan: { readonly inputs: number; readonly outputs: number },
  key: Tensor,
) => Tensor;

/** Uniform of variance 2 / (in + out). Glorot and Bengio, 2010. */
export const glorotUniform: Initializer = (shape, { inputs, outputs }, key) => {
  const limit = Math.sqrt(6 / (inputs + outputs));
  return uniform(shape, -limit, limit, { key });
};

/** Normal of variance 2 / in, for relu. He et al., 2015. */
export const heNormal: Initializer = (shape, { inputs }, key) =>
  randn(shape, { key }).mul(Math.sqrt(2 / inputs));

/** Normal of variance 1 / in. LeCun et al., 1998. */
export const lecunNormal: Initializer = (shape, { inputs }, key) =>
  randn(shape, { key }).mul(Math.sqrt(1 / inputs));

export const normal =
  (deviation: number): Initializer =>
  (shape, _fan, key) =>
    randn(shape, { key }).mul(deviation);

export const zero: Initializer = (shape) => zeros(shape);
