/**
 * Random values and Dropout. Without a seed the key comes from the name of the node's result, so
 * that nodes differ from each other; every run of a program draws the same values.
 */
import type { OperatorCall } from './context.js';
import { build, type DType, isFloat, type Node, type Size } from './core.js';
import type { OperatorTable } from './registry.js';

/** FNV-1a, of 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
  return hash;
}

function keyOf(call: OperatorCall): Node {
  const own = hashOf(call.node.outputs[0] ?? '');
  const seed = call.attribute('seed');
  const number = seed?.kind === 'int' ? Number(seed.value) : seed && call.float('seed');
  const words =
    number === undefined
      ? [own, 0x9e3779b9]
      : [...new Uint32Array(new Float64Array([number]).buffer)];
  return build.constantOf('u32', [2], words);
}

const typeOf = (call: OperatorCall, fallback: DType): DType =>
  call.hasAttribute('dtype') ? call.dtypeAttribute('dtype') : fallback;

function draw(call: OperatorCall, shape: readonly Size[], dtype: DType): Node {
  if (!isFloat(dtype)) throw call.refuse(`random ${dtype}`);
  const key = keyOf(call);
  if (call.operator.startsWith('RandomUniform')) {
    return build.randomUniform(key, shape, dtype, call.float('low', 0), call.float('high', 1));
  }
  return build.randomNormal(key, shape, dtype, call.float('mean', 0), call.float('scale', 1));
}

const byShape = (call: OperatorCall): Node => draw(call, call.ints('shape'), typeOf(call, 'f32'));

const byExample = (call: OperatorCall): Node => {
  const like = call.tensor(0);
  return draw(call, like.shape, typeOf(call, like.dtype));
};

/** 1 with the probability that the input gives. */
function bernoulli(call: OperatorCall): Node {
  const chance = call.tensor(0);
  const wide = build.accumulateType(chance.dtype);
  const drawn = build.cast(build.randomUniform(keyOf(call), chance.shape, 'f32'), wide);
  const hit = build.less(drawn, build.cast(chance, wide));
  return build.cast(hit, typeOf(call, chance.dtype));
}

/** Classes by unnormalized log probabilities [batch, classes]: the largest with Gumbel noise. */
function multinomial(call: OperatorCall): Node {
  const logs = call.tensor(0);
  const [batch, classes] = logs.shape as [Size, Size];
  const shape = [batch, call.int('sample_size', 1), classes];
  // Strictly between 0 and 1, so that the noise is finite.
  const unit = build.randomUniform(keyOf(call), shape, 'f32', 2 ** -25, 1);
  const drawn = build.minimum(unit, 1 - 2 ** -24);
  const noise = build.negate(build.log(build.negate(build.log(drawn))));
  const scores = build.add(build.unsqueeze(build.cast(logs, 'f32'), [1]), noise);
  return build.cast(build.argMax(scores, 2), typeOf(call, 'i32'));
}

/** [result, mask of what is kept]. */
function dropout(call: OperatorCall): readonly Node[] {
  const x = call.tensor(0);
  const maskType: DType = call.version >= 10 ? 'bool' : x.dtype;
  const untouched = (): readonly Node[] => [
    x,
    build.broadcastTo(build.scalar(maskType, maskType === 'bool' ? true : 1), x.shape),
  ];
  if (call.version < 12) {
    const training = call.version < 7 && call.int('is_test', 0) === 0;
    if (training) throw call.refuse('training before version 12');
    return untouched();
  }
  if (!call.has(2) || call.needConstantInts(2)[0] === 0) return untouched();
  const ratio = call.optionalTensor(1);
  const [result, mask] = build.dropout(x, keyOf(call), ratio ?? 0.5);
  return [result, mask];
}

export const randomOperators: OperatorTable = {
  RandomUniform: { versions: [1, 22], import: byShape },
  RandomNormal: { versions: [1, 22], import: byShape },
  RandomUniformLike: { versions: [1, 22], import: byExample },
  RandomNormalLike: { versions: [1, 22], import: byExample },
  Bernoulli: { versions: [15, 22], import: bernoulli },
  Multinomial: { versions: [7, 22], import: multinomial },
  Dropout: { versions: [1, 6, 7, 10, 12, 13, 22], import: dropout },
};
