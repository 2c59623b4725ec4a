/** Losses of classes: NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss. */
import type { OperatorCall } from './context.js';
import { build, type Node } from './core.js';
import type { OperatorTable } from './registry.js';

type Options = NonNullable<Parameters<typeof build.negativeLogLikelihood>[2]>;

function optionsOf(call: OperatorCall): Options {
  const reduction = call.text('reduction', 'mean');
  if (reduction !== 'none' && reduction !== 'sum' && reduction !== 'mean') {
    throw call.refuse('unknown reduction');
  }
  const weights = call.optionalTensor(2);
  const ignore = call.hasAttribute('ignore_index') ? call.int('ignore_index') : undefined;
  return {
    reduction,
    ...(weights === undefined ? {} : { weights }),
    ...(ignore === undefined ? {} : { ignore }),
  };
}

/** Computed wide, so that narrow floats are rounded once. */
function wideLogits(call: OperatorCall): Node {
  const x = call.tensor(0);
  return build.cast(x, build.accumulateType(x.dtype));
}

function likelihood(call: OperatorCall): Node {
  const loss = build.negativeLogLikelihood(wideLogits(call), call.tensor(1), optionsOf(call));
  return build.cast(loss, call.tensor(0).dtype);
}

function crossEntropy(call: OperatorCall): readonly Node[] {
  const both = build.crossEntropy(wideLogits(call), call.tensor(1), optionsOf(call));
  return both.map((value) => build.cast(value, call.tensor(0).dtype));
}

export const lossOperators: OperatorTable = {
  NegativeLogLikelihoodLoss: { versions: [12, 13, 22], import: likelihood },
  SoftmaxCrossEntropyLoss: { versions: [12, 13], import: crossEntropy },
};
