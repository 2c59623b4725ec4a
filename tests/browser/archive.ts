/** A small archive of ONNX backend cases: one that stores the right answer, one that does not. */
import { Buffer } from 'node:buffer';
import { gzipSync } from 'node:zlib';
import { hostTensor } from '@open-claw/core/internal';
import {
  buildModel,
  buildNode,
  buildValue,
  tensorProto,
  writeModel,
  writeTensor,
} from '@open-claw/formats';

const block = 512;

/** A file as its header and its content, both in whole blocks. */
function entry(path: string, content: Uint8Array): Buffer {
  const header = Buffer.alloc(block);
  header.write(path, 0);
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('        0', 148);
  header.write('ustar\u000000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const padding = Buffer.alloc((block - (content.length % block)) % block);
  return Buffer.concat([header, content, padding]);
}

const vector = (...values: readonly number[]): Uint8Array =>
  writeTensor(tensorProto('', hostTensor('f32', [values.length], values)));

function files(name: string, answer: Uint8Array): readonly Buffer[] {
  const model = buildModel({
    inputs: [buildValue('x', [2])],
    nodes: [buildNode('Abs', ['x'], ['y'])],
    outputs: [buildValue('y', [2])],
  });
  const data = `suite/node/${name}/test_data_set_0`;
  return [
    entry(`suite/node/${name}/model.onnx`, writeModel(model)),
    entry(`${data}/input_0.pb`, vector(1, -2)),
    entry(`${data}/output_0.pb`, answer),
  ];
}

/** The cases `node/test_right` and `node/test_wrong`, as a .tar.gz. */
export function caseArchive(): Uint8Array {
  const end = Buffer.alloc(2 * block);
  const all = [...files('test_right', vector(1, 2)), ...files('test_wrong', vector(1, 3)), end];
  return gzipSync(Buffer.concat(all));
}
