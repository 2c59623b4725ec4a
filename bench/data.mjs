/** Numbers of the fixed cases: seeded, uniform, never zeros, the same in every process. */

/**
 * Uniform in [low, high) by xorshift32.
 * @param {number} count
 * @param {number} seed
 * @param {number} [low]
 * @param {number} [high]
 * @returns {Float32Array<ArrayBuffer>}
 */
export function uniform(count, seed, low = -1, high = 1) {
  const values = new Float32Array(count);
  const scale = (high - low) / 2 ** 32;
  let state = Math.imul(seed, 0x9e3779b1) >>> 0 || 1;
  for (let i = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[i] = low + (state >>> 0) * scale;
  }
  return values;
}

/**
 * At most `most` distinct positions below `count`, both ends among them.
 * @param {number} count
 * @param {number} most
 * @returns {number[]}
 */
export function positions(count, most) {
  if (count <= most) return Array.from({ length: count }, (_, i) => i);
  const inner = uniform(most - 2, 7, 0, count);
  return [...new Set([0, count - 1, ...Array.from(inner, (at) => Math.floor(at))])];
}

/** @param {readonly number[]} shape */
export const countOf = (shape) => shape.reduce((product, size) => product * size, 1);

/** @param {number} x */
export const geluTanh = (x) =>
  0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));

/**
 * Causal mask of a square of scores: 0 on and below the diagonal, −1e30 above.
 * @param {number} size
 */
export function causalMask(size) {
  const mask = new Float32Array(size * size);
  for (let row = 0; row < size; row++) mask.fill(-1e30, row * size + row + 1, (row + 1) * size);
  return mask;
}

/**
 * @typedef {object} Block weights of one layer, matrices stored [in, out]
 * @property {Float32Array<ArrayBuffer>} gain1
 * @property {Float32Array<ArrayBuffer>} bias1
 * @property {Float32Array<ArrayBuffer>} qkv
 * @property {Float32Array<ArrayBuffer>} qkvBias
 * @property {Float32Array<ArrayBuffer>} out
 * @property {Float32Array<ArrayBuffer>} outBias
 * @property {Float32Array<ArrayBuffer>} gain2
 * @property {Float32Array<ArrayBuffer>} bias2
 * @property {Float32Array<ArrayBuffer>} up
 * @property {Float32Array<ArrayBuffer>} upBias
 * @property {Float32Array<ArrayBuffer>} down
 * @property {Float32Array<ArrayBuffer>} downBias
 */

/**
 * @typedef {object} Decoder
 * @property {number} layers
 * @property {number} width
 * @property {number} heads
 * @property {number} rows queries of one call
 * @property {number} past rows of the key and value caches; 0 without
 * @property {number} seed
 * @property {number} bits of the weights: 32, 8 or 4
 */

/**
 * @param {Decoder} decoder
 * @returns {Block[]}
 */
export function decoderWeights({ layers, width, seed }) {
  const matrix = (
    /** @type {number} */ rows,
    /** @type {number} */ columns,
    /** @type {number} */ at,
  ) => {
    const limit = Math.sqrt(3 / rows);
    return uniform(rows * columns, at, -limit, limit);
  };
  return Array.from({ length: layers }, (_, layer) => {
    const at = seed + layer * 20;
    const small = (/** @type {number} */ size, /** @type {number} */ i) =>
      uniform(size, at + i, -0.1, 0.1);
    return {
      gain1: uniform(width, at, 0.8, 1.2),
      bias1: small(width, 1),
      qkv: matrix(width, 3 * width, at + 2),
      qkvBias: small(3 * width, 3),
      out: matrix(width, width, at + 4),
      outBias: small(width, 5),
      gain2: uniform(width, at + 6, 0.8, 1.2),
      bias2: small(width, 7),
      up: matrix(width, 4 * width, at + 8),
      upBias: small(4 * width, 9),
      down: matrix(4 * width, width, at + 10),
      downBias: small(width, 11),
    };
  });
}

/** Elements of a row of weights that share one scale. */
export const quantizedBlock = 32;

/**
 * Symmetric quantisation of the columns of a matrix [rows, columns], in blocks along the rows:
 * codes with the middle as their zero, [columns, rows], and scales [columns, rows / block].
 * @param {Float32Array} matrix
 * @param {number} rows
 * @param {number} columns
 * @param {number} bits
 */
export function quantize(matrix, rows, columns, bits) {
  const middle = 2 ** (bits - 1);
  const blocks = rows / quantizedBlock;
  const codes = new Uint8Array(rows * columns);
  const scales = new Float32Array(columns * blocks);
  for (let column = 0; column < columns; column++) {
    for (let block = 0; block < blocks; block++) {
      let most = 0;
      const first = block * quantizedBlock;
      for (let row = first; row < first + quantizedBlock; row++) {
        most = Math.max(most, Math.abs(matrix[row * columns + column] ?? 0));
      }
      const scale = Math.fround(most / (middle - 1)) || 1;
      scales[column * blocks + block] = scale;
      for (let row = first; row < first + quantizedBlock; row++) {
        const code = Math.round((matrix[row * columns + column] ?? 0) / scale) + middle;
        codes[column * rows + row] = code;
      }
    }
  }
  return { codes, scales, middle };
}
