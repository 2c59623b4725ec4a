/** The small models that the pages speak of. */
import { hostTensor } from '@open-claw/core/internal';
import { buildModel, buildNode, buildValue, tensorProto, writeModel } from '@open-claw/formats';

/** y = relu(x · weight + bias), x: f32[batch, 3]. */
export function exampleModel(): Uint8Array {
  const weight = hostTensor('f32', [3, 2], [1, 0, 0, 1, -1, 1]);
  const bias = hostTensor('f32', [2], [0.5, -1]);
  return writeModel(
    buildModel({
      nodes: [buildNode('Gemm', ['x', 'weight', 'bias'], ['h']), buildNode('Relu', ['h'], ['y'])],
      inputs: [buildValue('x', ['batch', 3])],
      outputs: [buildValue('y', ['batch', 2])],
      initializers: [tensorProto('weight', weight), tensorProto('bias', bias)],
    }),
  );
}

/** next is cache: f32[3, 2] with row: f32[1, 2] at the index in at: i64[1, 1]. */
export function cacheModel(): Uint8Array {
  return writeModel(
    buildModel({
      nodes: [buildNode('ScatterND', ['cache', 'at', 'row'], ['next'])],
      inputs: [buildValue('cache', [3, 2]), buildValue('at', [1, 1], 7), buildValue('row', [1, 2])],
      outputs: [buildValue('next', [3, 2])],
    }),
  );
}
