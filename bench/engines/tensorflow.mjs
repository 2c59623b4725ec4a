/** TensorFlow.js on WebAssembly: resident tensors, the result not read back. One thread on Node. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { convolutionWeight } from '../cases.mjs';
import { causalMask, uniform } from '../data.mjs';

/**
 * @param {import('./engine.mjs').Setting} setting
 * @returns {Promise<import('./engine.mjs').Ready>}
 */
export async function prepare({ item, peers }) {
  const load = createRequire(join(peers, 'here.js'));
  const tf = load('@tensorflow/tfjs');
  load('@tensorflow/tfjs-backend-wasm');
  await tf.setBackend('wasm');
  await tf.ready();
  if (tf.getBackend() !== 'wasm') throw new Error('its WebAssembly does not start');
  const f = programOf(item.name, tf);
  if (f === undefined) throw new Error('this case is not written for it');
  const isImage = item.name.startsWith('conv-');
  const given = Object.values(item.inputs()).map(({ data, shape }) =>
    isImage
      ? turned(tf, /** @type {Float32Array} */ (data), shape, [0, 2, 3, 1])
      : tf.tensor(data, shape, 'float32'),
  );
  const all = [...given, ...constantsOf(item.name, tf)];
  /** @type {any} */
  let result;
  return {
    async run() {
      if (result !== undefined) tf.dispose(result);
      result = tf.tidy(() => f(...all));
    },
    // Images are compared in the order in which the others have them.
    output: () => (isImage ? tf.transpose(result, [0, 3, 1, 2]) : result).data(),
  };
}

/**
 * @param {any} tf
 * @param {Float32Array} data
 * @param {readonly number[]} shape
 * @param {number[]} order
 */
function turned(tf, data, shape, order) {
  const plain = tf.tensor(data, shape, 'float32');
  return tf.tidy(() => tf.transpose(plain, order));
}

/** @param {string} name @param {any} tf */
function constantsOf(name, tf) {
  if (name.startsWith('conv-')) {
    return [turned(tf, convolutionWeight(), [64, 64, 3, 3], [2, 3, 1, 0])];
  }
  if (name === 'attention-16x512x64') return [tf.tensor(causalMask(512), [1, 1, 512, 512])];
  if (name !== 'layernorm-4096x1024') return [];
  return [uniform(1024, 6, 0.5, 1.5), uniform(1024, 7)].map((data) => tf.tensor(data, [1024]));
}

/**
 * @param {string} name
 * @param {any} tf
 * @returns {((...tensors: any[]) => any) | undefined}
 */
function programOf(name, tf) {
  if (/^matmul-\d+(-bf16)?$/.test(name)) return (a, b) => tf.matMul(a, b);
  if (name.startsWith('conv-')) return (x, w) => tf.conv2d(x, w, 1, 'same');
  switch (name) {
    case 'gelu-chain-16m':
      return (x) => tf.add(gelu(tf, tf.add(tf.mul(x, 1.25), 0.5)), -0.25);
    case 'softmax-4096x4096':
      return (x) => tf.softmax(x, -1);
    case 'layernorm-4096x1024':
      return (x, gain, bias) => {
        const { mean, variance } = tf.moments(x, -1, true);
        const factor = tf.rsqrt(tf.add(variance, 1e-5));
        return tf.add(tf.mul(tf.mul(tf.sub(x, mean), factor), gain), bias);
      };
    case 'attention-16x512x64':
      return (q, k, v, mask) => {
        const scores = tf.mul(tf.matMul(q, k, false, true), 1 / 8);
        return tf.matMul(tf.softmax(tf.add(scores, mask), -1), v);
      };
    case 'sum-16m':
      return (x) => tf.sum(x);
    case 'cumsum-16m':
      return (x) => tf.cumsum(x);
    case 'sort-1m':
      // Only the largest first: of −x, turned back.
      return (x) => tf.neg(tf.topk(tf.neg(x), 2 ** 20, true).values);
    case 'add-16':
      return (a, b) => tf.add(a, b);
    default:
      return undefined;
  }
}

/** @param {any} tf @param {any} x */
function gelu(tf, x) {
  const cube = tf.mul(x, tf.mul(x, x));
  const inner = tf.mul(tf.add(x, tf.mul(cube, 0.044715)), Math.sqrt(2 / Math.PI));
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(inner), 1));
}
