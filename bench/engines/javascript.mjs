/** Plain loops over typed arrays, where one is what a programmer would write. */

/** @type {Readonly<Record<string, (x: Float32Array, y: Float32Array) => void>>} */
export const plainLoops = {
  'sum-16m': (x, y) => {
    let sum = 0;
    for (let i = 0; i < x.length; i++) sum += /** @type {number} */ (x[i]);
    y[0] = sum;
  },
  'cumsum-16m': (x, y) => {
    let sum = 0;
    for (let i = 0; i < x.length; i++) {
      sum += /** @type {number} */ (x[i]);
      y[i] = sum;
    }
  },
};

/**
 * @param {import('./engine.mjs').Setting} setting
 * @returns {Promise<import('./engine.mjs').Ready>}
 */
export async function prepare({ item }) {
  const loop = plainLoops[item.name];
  if (loop === undefined) throw new Error('this case is not written for it');
  const x = /** @type {Float32Array} */ (item.inputs()['x']?.data);
  const y = new Float32Array(item.name === 'sum-16m' ? 1 : x.length);
  return {
    run: async () => loop(x, y),
    output: async () => y,
  };
}
