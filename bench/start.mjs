/**
 * A whole process: import an engine, multiply two 8 × 8 matrices, read one number, end.
 * Usage: node bench/start.mjs ENGINE [PEERS] [MODEL]   (`node` as the engine: nothing at all)
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';

const [, , engine = 'node', peers = '', model = ''] = process.argv;
const values = Float32Array.from({ length: 64 }, (_, i) => (i % 7) - 3);

/** @type {Readonly<Record<string, () => Promise<ArrayLike<number>>>>} */
const engines = {
  node: async () => Float32Array.of(0, 0, 0, 0, 0, 2),

  async openclaw() {
    const { tensor } = await import('@open-claw/openclaw');
    const x = tensor(values).reshape(8, 8);
    return /** @type {Float32Array} */ (await x.matmul(x).data());
  },

  'onnxruntime-node': () => withOnnx('onnxruntime-node'),
  'onnxruntime-web': () => withOnnx('onnxruntime-web'),

  async 'jax-js'() {
    const { addressIn } = await import('./engines/engine.mjs');
    const { numpy, jit } = await import(addressIn(peers, '@jax-js/jax'));
    const [a, b] = [values, values].map((data) => numpy.array(data).reshape([8, 8]));
    return jit((/** @type {any} */ x, /** @type {any} */ y) => numpy.matmul(x, y))(a, b).data();
  },

  async 'tfjs-wasm'() {
    const load = createRequire(join(peers, 'here.js'));
    const tf = load('@tensorflow/tfjs');
    load('@tensorflow/tfjs-backend-wasm');
    await tf.setBackend('wasm');
    const [a, b] = [values, values].map((data) => tf.tensor(data, [8, 8]));
    return tf.matMul(a, b).data();
  },
};

/** @param {string} name */
async function withOnnx(name) {
  const ort = createRequire(join(peers, 'here.js'))(name);
  const { readFileSync } = await import('node:fs');
  const session = await ort.InferenceSession.create(readFileSync(model), { intraOpNumThreads: 1 });
  const [a, b] = [values, values].map((data) => new ort.Tensor('float32', data, [8, 8]));
  return (await session.run({ a, b })).y.data;
}

const started = performance.now();
const output = await engines[engine]?.();
let expected = 0;
for (let k = 0; k < 8; k++) expected += (values[k] ?? 0) * (values[8 * k + 5] ?? 0);
const isRight = engine === 'node' || Math.abs((output?.[5] ?? Number.NaN) - expected) < 1e-4;
process.stdout.write(`${JSON.stringify({ isRight, insideMs: performance.now() - started })}\n`);
process.exit(isRight ? 0 : 1);
