/** ONNX Runtime, on Node or as WebAssembly: the same model file, outputs allocated before. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** @type {Readonly<Record<string, string>>} */
const typeNames = { f32: 'float32', u8: 'uint8', i8: 'int8', i32: 'int32', i64: 'int64' };

/**
 * @param {import('./engine.mjs').Setting} setting
 * @param {'onnxruntime-node' | 'onnxruntime-web'} name
 * @returns {Promise<import('./engine.mjs').Ready>}
 */
export async function prepare({ item, modelPath, threads, peers }, name) {
  const engine = createRequire(join(peers, 'here.js'))(name);
  if (name === 'onnxruntime-web') engine.env.wasm.numThreads = threads;
  const options = { intraOpNumThreads: threads, interOpNumThreads: 1 };
  const model = name === 'onnxruntime-web' ? new Uint8Array(readFileSync(modelPath)) : modelPath;
  const session = await engine.InferenceSession.create(model, options);
  const feeds = Object.fromEntries(
    Object.entries(item.inputs()).map(([key, { dtype, shape, data }]) => [
      key,
      new engine.Tensor(typeNames[dtype], data, shape),
    ]),
  );
  /** @type {Readonly<Record<string, { data: ArrayLike<number> }>> | undefined} */
  let outputs;
  return {
    async run() {
      outputs =
        outputs === undefined ? await session.run(feeds) : await session.run(feeds, outputs);
    },
    async output() {
      return /** @type {ArrayLike<number>} */ (outputs?.['y']?.data);
    },
  };
}
