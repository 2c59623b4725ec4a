/** jax-js: resident arrays, jitted functions, the result computed and not read back. */
import { convolutionWeight } from '../cases.mjs';
import { uniform } from '../data.mjs';
import { addressIn } from './engine.mjs';
import { provideWorkers } from './workers.mjs';

/**
 * @param {import('./engine.mjs').Setting} setting
 * @returns {Promise<import('./engine.mjs').Ready>}
 */
export async function prepare({ item, threads, peers }) {
  // The library looks for Web Workers, which Node has not.
  if (threads > 1) provideWorkers(threads);
  const jax = await import(addressIn(peers, '@jax-js/jax'));
  const { numpy: np, nn, lax, jit, tree } = jax;
  const inputs = item.inputs();
  const array = (/** @type {ArrayLike<number>} */ data, /** @type {readonly number[]} */ shape) =>
    np.array(data).reshape(shape);
  const constants = constantsOf(item.name).map(({ data, shape }) => array(data, shape));
  const given = Object.values(inputs).map(({ data, shape }) =>
    array(/** @type {ArrayLike<number>} */ (data), shape),
  );
  const f = programOf(item.name, np, nn, lax);
  if (f === undefined) throw new Error('this case is not written for it');
  const program = jit(f);
  const all = [...given, ...constants];
  await jax.blockUntilReady(all);
  /** @type {any} */
  let result;
  return {
    async run() {
      if (result !== undefined) tree.dispose(result);
      result = program(...tree.ref(all));
      await jax.blockUntilReady(result);
    },
    output: () => result.ref.data(),
  };
}

/** @param {string} name */
function constantsOf(name) {
  if (name.startsWith('conv-')) return [{ data: convolutionWeight(), shape: [64, 64, 3, 3] }];
  if (name !== 'layernorm-4096x1024') return [];
  return [uniform(1024, 6, 0.5, 1.5), uniform(1024, 7)].map((data) => ({ data, shape: [1024] }));
}

/**
 * @param {string} name
 * @param {any} np
 * @param {any} nn
 * @param {any} lax
 * @returns {((...arrays: any[]) => any) | undefined}
 */
function programOf(name, np, nn, lax) {
  if (/^matmul-\d+(-bf16)?$/.test(name)) return (a, b) => np.matmul(a, b);
  if (name.startsWith('conv-')) return (x, w) => lax.conv(x, w, [1, 1], 'SAME');
  switch (name) {
    case 'gelu-chain-16m':
      return (x) => nn.gelu(x.mul(1.25).add(0.5)).add(-0.25);
    case 'softmax-4096x4096':
      return (x) => nn.softmax(x, -1);
    case 'layernorm-4096x1024':
      return (x, gain, bias) => nn.standardize(x, -1).mul(gain).add(bias);
    case 'attention-16x512x64':
      return (q, k, v) => {
        const scores = np.matmul(q, np.swapaxes(k, -1, -2)).mul(1 / 8);
        const mask = np
          .tril(np.ones([512, 512]))
          .sub(1)
          .mul(1e30);
        return np.matmul(nn.softmax(scores.add(mask), -1), v);
      };
    case 'sum-16m':
      return (x) => np.sum(x);
    case 'cumsum-16m':
      return (x) => np.cumsum(x);
    case 'sort-1m':
      return (x) => np.sort(x);
    case 'add-16':
      return (a, b) => np.add(a, b);
    default:
      return undefined;
  }
}
