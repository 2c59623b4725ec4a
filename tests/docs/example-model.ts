/** The small model that the pages speak of: y = relu(x · weight + bias), x: f32[batch, 3]. */
import { hostTensor } from '@open-claw/core/internal';
import { buildModel, buildNode, buildValue, tensorProto, writeModel } from '@open-claw/formats';

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
