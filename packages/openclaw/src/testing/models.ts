/** Small models for tests, made by the writer of the formats package. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  buildModel,
  buildNode,
  buildValue,
  type ModelProto,
  tensorProto,
  writeModel,
} from '@open-claw/formats';

/** z = relu(x · w) for x of any number of rows; w is [[1, 2], [3, 4], [5, −6]]. */
export const denseModel = (batch: number | string | null = 'batch'): ModelProto =>
  buildModel({
    nodes: [buildNode('MatMul', ['x', 'w'], ['y']), buildNode('Relu', ['y'], ['z'])],
    inputs: [buildValue('x', [batch, 3])],
    outputs: [buildValue('z', [batch, 2])],
    initializers: [
      tensorProto('w', {
        dtype: 'f32',
        shape: [3, 2],
        data: Float32Array.of(1, 2, 3, 4, 5, -6),
      }),
    ],
  });

/** y = reshape(x, s): its rank follows from the value of s. */
export const reshapeModel = (): ModelProto =>
  buildModel({
    nodes: [buildNode('Reshape', ['x', 's'], ['y'])],
    inputs: [buildValue('x', ['n', 6]), buildValue('s', ['rank'], 7)],
    outputs: [buildValue('y', null)],
  });

/** Two operators that nothing knows. */
export const unknownModel = (): ModelProto =>
  buildModel({
    nodes: [
      buildNode('MatMul', ['x', 'x'], ['a']),
      buildNode('NoSuchOperator', ['a'], ['b'], [], { name: 'first\u001b[31m' }),
      buildNode('AlsoNone', ['b'], ['y'], [], { name: 'second' }),
    ],
    inputs: [buildValue('x', [2, 2])],
    outputs: [buildValue('y', [2, 2])],
  });

/** A folder of its own with the models as files. */
export function modelFolder(models: Readonly<Record<string, ModelProto>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'claw-cli-'));
  for (const [name, model] of Object.entries(models)) {
    writeFileSync(join(folder, name), writeModel(model));
  }
  return folder;
}
