/** Normalizations: of batches, instances, groups, layers, channels and lines. */
import type { OperatorCall } from './context.js';
import { build, type Node, type Size } from './core.js';
import type { OperatorTable } from './registry.js';

const wideOf = (x: Node): Node => build.cast(x, build.accumulateType(x.dtype));

/** Known statistics, or those of the batch with running averages of them. */
function batchNormalization(call: OperatorCall): readonly Node[] {
  const x = call.tensor(0);
  const [scale, bias, mean, variance] = [1, 2, 3, 4].map((i) => call.tensor(i)) as [
    Node,
    Node,
    Node,
    Node,
  ];
  if (x.shape.length < 2) throw call.refuse(`an input of rank ${x.shape.length}`);
  if (call.version < 9 && call.int('spatial', 1) === 0) throw call.refuse('spatial = 0');
  const epsilon = call.float('epsilon', 1e-5);
  if (call.version < 14) {
    if (call.wants(1)) throw call.refuse('training before version 14');
    return [build.batchNormalization(x, { scale, bias, mean, variance }, epsilon)];
  }
  if (call.int('training_mode', 0) === 0) {
    return [build.batchNormalization(x, { scale, bias, mean, variance }, epsilon)];
  }
  const [y, ownMean, ownVariance] = build.batchNormalizationTraining(x, { scale, bias, epsilon });
  const momentum = call.float('momentum', 0.9);
  const running = (old: Node, own: Node): Node => {
    const kept = build.multiply(build.cast(old, own.dtype), momentum);
    return build.cast(build.add(kept, build.multiply(own, 1 - momentum)), old.dtype);
  };
  return [y, running(mean, ownMean), running(variance, ownVariance)];
}

function instanceNormalization(call: OperatorCall): Node {
  const [scale, bias] = [call.tensor(1), call.tensor(2)];
  const epsilon = call.float('epsilon', 1e-5);
  return build.instanceNormalization(call.tensor(0), { scale, bias, epsilon });
}

/** Version 18 has a scale per group, later ones have one per channel. */
function groupNormalization(call: OperatorCall): Node {
  const [x, scale, bias] = [call.tensor(0), call.tensor(1), call.tensor(2)];
  const groups = call.int('num_groups');
  const epsilon = call.float('epsilon', 1e-5);
  if (call.version >= 21) return build.groupNormalization(x, groups, { scale, bias, epsilon });
  const channels = call.staticSize(x.shape[1] as Size, 'the number of channels');
  if (channels % groups !== 0) throw call.refuse(`${channels} channels in ${groups} groups`);
  const each = channels / groups;
  const perChannel = (values: Node): Node =>
    build.reshape(build.expand(build.reshape(values, [groups, 1]), [groups, each]), [channels]);
  const given = { scale: perChannel(scale), bias: perChannel(bias), epsilon };
  return build.groupNormalization(x, groups, given);
}

function layerNormalization(call: OperatorCall): readonly Node[] {
  const x = call.tensor(0);
  const bias = call.optionalTensor(2);
  const [y, mean, deviation] = build.layerNormalizationWithStatistics(x, {
    axis: call.axis(call.int('axis', -1), x.shape.length),
    epsilon: call.float('epsilon', 1e-5),
    scale: call.tensor(1),
    ...(bias === undefined ? {} : { bias }),
  });
  const stash = call.dtypeAttribute('stash_type', 'f32');
  return [y, build.cast(mean, stash), build.cast(deviation, stash)];
}

function rmsNormalization(call: OperatorCall): Node {
  const x = call.tensor(0);
  return build.rmsNormalization(x, {
    axis: call.axis(call.int('axis', -1), x.shape.length),
    epsilon: call.float('epsilon', 1e-5),
    scale: call.tensor(1),
  });
}

/** (x − mean) / (deviation + 1e-9). */
function meanVarianceNormalization(call: OperatorCall): Node {
  const given = call.tensor(0);
  const x = wideOf(given);
  const axes = call.ints('axes', [0, 2, 3]).map((axis) => call.axis(axis, x.shape.length));
  const centered = build.subtract(x, build.mean(x, axes, { keep: true }));
  const variance = build.mean(build.square(centered), axes, { keep: true });
  const deviation = build.add(build.squareRoot(variance), 1e-9);
  return build.cast(build.divide(centered, deviation), given.dtype);
}

function lpNormalization(call: OperatorCall): Node {
  const x = call.tensor(0);
  const p = call.int('p', 2);
  if (p !== 1 && p !== 2) throw call.refuse(`norm ${p}`);
  return build.lpNormalization(x, call.axis(call.int('axis', -1), x.shape.length), p);
}

/** x / (k + α/size · Σ x² over neighbouring channels)^β. */
function localResponse(call: OperatorCall): Node {
  const given = call.tensor(0);
  const x = wideOf(given);
  const count = call.int('size');
  const [alpha, beta] = [call.float('alpha', 1e-4), call.float('beta', 0.75)];
  const [batch, channels, ...space] = x.shape as [Size, Size, ...Size[]];
  const flat = build.reshape(build.square(x), [batch, 1, channels, ...space]);
  const ones = space.map(() => 1);
  const before = Math.floor((count - 1) / 2);
  const sums = build.window('sum', flat, undefined, {
    kernel: [count, ...ones],
    padding: [[before, count - 1 - before], ...space.map(() => [0, 0] as const)],
  });
  const total = build.multiply(build.reshape(sums, x.shape), alpha / count);
  const divisor = build.power(build.add(total, call.float('bias', 1)), beta);
  return build.cast(build.divide(x, divisor), given.dtype);
}

export const normalizationOperators: OperatorTable = {
  BatchNormalization: { versions: [1, 6, 7, 9, 14, 15], import: batchNormalization },
  InstanceNormalization: { versions: [1, 6, 22], import: instanceNormalization },
  GroupNormalization: { versions: [18, 21], import: groupNormalization },
  LayerNormalization: { versions: [17], import: layerNormalization },
  RMSNormalization: { versions: [23], import: rmsNormalization },
  MeanVarianceNormalization: { versions: [9, 13], import: meanVarianceNormalization },
  LpNormalization: { versions: [1, 22], import: lpNormalization },
  LRN: { versions: [1, 13], import: localResponse },
};
