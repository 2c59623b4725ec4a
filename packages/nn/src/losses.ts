/** Losses: means over the batch, as scalars. */
import type { Tensor } from '@open-claw/core';

/** Of logits [N, C, …] and integer labels [N, …]. */
export const crossEntropy = (
  logits: Tensor,
  labels: Tensor,
  options: { readonly ignore?: number } = {},
): Tensor => logits.crossEntropy(labels, options);

/** Mean of the squared difference. */
export const mse = (prediction: Tensor, target: Tensor): Tensor =>
  prediction.sub(target).square().mean();

/** Share of rows whose largest logit is at the label. */
export const accuracy = (logits: Tensor, labels: Tensor): Tensor =>
  logits.argmax(1).eq(labels.to('i64')).mean();
