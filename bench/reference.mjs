/** Expected results in float64, at all elements of small outputs and at chosen ones of large. */
import {
  countOf,
  decoderWeights,
  geluTanh,
  positions,
  quantize,
  quantizedBlock,
  uniform,
} from './data.mjs';

/**
 * @typedef {object} Reference
 * @property {readonly number[]} at positions in the first output
 * @property {Float64Array} values
 * @property {number} tolerance largest |difference| that is right
 */

/** @typedef {Readonly<Record<string, import('@open-claw/core').HostTensor>>} Numbers */

const numbersOf = (/** @type {Numbers} */ inputs, /** @type {string} */ name) =>
  /** @type {ArrayLike<number>} */ (inputs[name]?.data);
const at = (/** @type {ArrayLike<number>} */ values, /** @type {number} */ i) =>
  /** @type {number} */ (values[i]);

/**
 * @param {readonly number[]} chosen
 * @param {(position: number) => number} value
 * @param {number} tolerance
 * @returns {Reference}
 */
const sampled = (chosen, value, tolerance) => ({
  at: chosen,
  values: Float64Array.from(chosen, value),
  tolerance,
});

/**
 * @param {ArrayLike<number>} a
 * @param {ArrayLike<number>} b
 * @param {number} n
 * @param {number} tolerance
 * @param {number} [zero] subtracted from the left operand
 */
export function product(a, b, n, tolerance, zero = 0) {
  return sampled(
    positions(n * n, 128),
    (position) => {
      const [row, column] = [Math.floor(position / n), position % n];
      let sum = 0;
      for (let k = 0; k < n; k++) sum += (at(a, row * n + k) - zero) * at(b, k * n + column);
      return sum;
    },
    tolerance,
  );
}

/** @param {ArrayLike<number>} x @param {(x: number) => number} f @param {number} tolerance */
export const elementwise = (x, f, tolerance) =>
  sampled(positions(x.length, 4096), (position) => f(at(x, position)), tolerance);

/**
 * Whole rows, each by its own function of the row.
 * @param {ArrayLike<number>} x
 * @param {readonly [number, number]} shape
 * @param {(row: Float64Array) => ArrayLike<number>} f
 * @param {number} tolerance
 * @returns {Reference}
 */
function rowwise(x, [rows, columns], f, tolerance) {
  const chosen = positions(rows, 8);
  const values = chosen.flatMap((row) => {
    const numbers = Float64Array.from({ length: columns }, (_, i) => at(x, row * columns + i));
    return Array.from(f(numbers));
  });
  const where = chosen.flatMap((row) =>
    Array.from({ length: columns }, (_, i) => row * columns + i),
  );
  return { at: where, values: Float64Array.from(values), tolerance };
}

/** @param {Float64Array} row */
function softmaxRow(row) {
  const most = row.reduce((a, b) => Math.max(a, b));
  const powers = row.map((value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((value) => value / sum);
}

/** @param {Float64Array} row @param {ArrayLike<number>} gain @param {ArrayLike<number>} bias */
function normalizedRow(row, gain, bias) {
  const mean = row.reduce((a, b) => a + b) / row.length;
  const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / row.length;
  const factor = 1 / Math.sqrt(variance + 1e-5);
  return row.map((value, i) => (value - mean) * factor * at(gain, i) + at(bias, i));
}

/** @param {ArrayLike<number>} x @param {readonly [number, number]} shape */
export const softmax = (x, shape) => rowwise(x, shape, softmaxRow, 1e-6);

/**
 * @param {ArrayLike<number>} x
 * @param {readonly [number, number]} shape
 * @param {ArrayLike<number>} gain
 * @param {ArrayLike<number>} bias
 */
export const layerNorm = (x, shape, gain, bias) =>
  rowwise(x, shape, (row) => normalizedRow(row, gain, bias), 1e-4);

/**
 * 3 × 3 over 64 channels of 56 × 56, padded by one.
 * @param {ArrayLike<number>} x
 * @param {ArrayLike<number>} weight
 * @param {number} batch
 */
export function convolution(x, weight, batch) {
  const [channels, size] = [64, 56];
  const pixels = size * size;
  return sampled(
    positions(countOf([batch, channels, pixels]), 256),
    (position) => {
      const [image, out] = [
        Math.floor(position / pixels / channels),
        Math.floor(position / pixels) % channels,
      ];
      const [y, x0] = [Math.floor((position % pixels) / size), position % size];
      let sum = 0;
      for (let c = 0; c < channels; c++) {
        for (let tap = 0; tap < 9; tap++) {
          const [row, column] = [y + Math.floor(tap / 3) - 1, x0 + (tap % 3) - 1];
          if (row < 0 || row >= size || column < 0 || column >= size) continue;
          const value = at(x, (image * channels + c) * pixels + row * size + column);
          sum += value * at(weight, (out * channels + c) * 9 + tap);
        }
      }
      return sum;
    },
    1e-3,
  );
}

/**
 * @param {Numbers} inputs
 * @param {number} heads
 * @param {number} rows
 * @param {number} size
 * @returns {Reference}
 */
export function causalAttention(inputs, heads, rows, size) {
  const [q, k, v] = ['q', 'k', 'v'].map((name) => numbersOf(inputs, name));
  const chosen = positions(heads * rows, 48);
  const values = chosen.flatMap((position) => {
    const [head, row] = [Math.floor(position / rows), position % rows];
    const dot = (/** @type {number} */ other) => {
      let sum = 0;
      for (let i = 0; i < size; i++) {
        sum += at(q ?? [], position * size + i) * at(k ?? [], (head * rows + other) * size + i);
      }
      return sum / Math.sqrt(size);
    };
    const weights = softmaxRow(Float64Array.from({ length: row + 1 }, (_, other) => dot(other)));
    return Array.from({ length: size }, (_, i) =>
      weights.reduce((sum, w, other) => sum + w * at(v ?? [], (head * rows + other) * size + i), 0),
    );
  });
  const where = chosen.flatMap((position) =>
    Array.from({ length: size }, (_, i) => position * size + i),
  );
  return { at: where, values: Float64Array.from(values), tolerance: 1e-4 };
}

/** @param {ArrayLike<number>} x @returns {Reference} */
export function sum(x) {
  let total = 0;
  for (let i = 0; i < x.length; i++) total += at(x, i);
  return { at: [0], values: Float64Array.of(total), tolerance: Math.abs(total) * 1e-5 };
}

/** @param {ArrayLike<number>} x @returns {Reference} */
export function cumulativeSum(x) {
  const chosen = positions(x.length, 4096).sort((a, b) => a - b);
  const values = new Float64Array(chosen.length);
  let [total, next] = [0, 0];
  for (const [i, position] of chosen.entries()) {
    for (; next <= position; next++) total += at(x, next);
    values[i] = total;
  }
  return { at: chosen, values, tolerance: Math.abs(total) * 1e-5 };
}

/** @param {Float32Array} x @returns {Reference} */
export function sorted(x) {
  const values = Float64Array.from(x).sort();
  return { at: Array.from(values.keys()), values, tolerance: 0 };
}

/**
 * rows × inner times inner × columns plus a bias, in float64.
 * @param {Float64Array} x
 * @param {ArrayLike<number>} matrix
 * @param {ArrayLike<number>} bias
 */
function linear(x, matrix, bias) {
  const columns = bias.length;
  const inner = matrix.length / columns;
  const rows = x.length / inner;
  const y = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const line = y.subarray(row * columns, (row + 1) * columns);
    for (let j = 0; j < columns; j++) line[j] = at(bias, j);
    for (let k = 0; k < inner; k++) {
      const factor = at(x, row * inner + k);
      const start = k * columns;
      for (let j = 0; j < columns; j++) line[j] = at(line, j) + factor * at(matrix, start + j);
    }
  }
  return y;
}

/**
 * The matrix that the codes stand for.
 * @param {Float32Array} matrix
 * @param {number} columns
 * @param {number} bits
 */
function dequantized(matrix, columns, bits) {
  if (bits === 32) return matrix;
  const rows = matrix.length / columns;
  const { codes, scales, middle } = quantize(matrix, rows, columns, bits);
  const blocks = rows / quantizedBlock;
  return Float64Array.from(matrix, (_, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    const scale = at(scales, column * blocks + Math.floor(row / quantizedBlock));
    return (at(codes, column * rows + row) - middle) * scale;
  });
}

/**
 * All of the output.
 * @param {import('./data.mjs').Decoder} decoder
 * @param {Numbers} inputs
 * @returns {Reference}
 */
export function decoder(decoder, inputs) {
  const { width, heads, rows, past, bits } = decoder;
  const size = width / heads;
  const normalize = (
    /** @type {Float64Array} */ x,
    /** @type {Float32Array} */ gain,
    /** @type {Float32Array} */ bias,
  ) => {
    const y = new Float64Array(x.length);
    for (let start = 0; start < x.length; start += width) {
      y.set(normalizedRow(x.subarray(start, start + width), gain, bias), start);
    }
    return y;
  };
  const project = (
    /** @type {Float64Array} */ x,
    /** @type {Float32Array} */ matrix,
    /** @type {Float32Array} */ bias,
  ) => linear(x, dequantized(matrix, bias.length, bits), bias);
  let x = Float64Array.from(numbersOf(inputs, 'x'));
  for (const [layer, block] of decoderWeights(decoder).entries()) {
    const qkv = project(normalize(x, block.gain1, block.bias1), block.qkv, block.qkvBias);
    const caches = {
      keys: numbersOf(inputs, `keys${layer}`),
      values: numbersOf(inputs, `values${layer}`),
    };
    const part = (
      /** @type {ArrayLike<number> | undefined} */ cache,
      /** @type {number} */ which,
      /** @type {number} */ head,
      /** @type {number} */ row,
      /** @type {number} */ i,
    ) =>
      row < past
        ? at(cache ?? [], (head * past + row) * size + i)
        : at(qkv, (row - past) * 3 * width + which * width + head * size + i);
    const mixed = new Float64Array(rows * width);
    for (let head = 0; head < heads; head++) {
      for (let row = 0; row < rows; row++) {
        const query = qkv.subarray(row * 3 * width + head * size);
        const scores = Float64Array.from({ length: past + row + 1 }, (_, other) => {
          let sum = 0;
          for (let i = 0; i < size; i++) sum += at(query, i) * part(caches.keys, 1, head, other, i);
          return sum / Math.sqrt(size);
        });
        const weights = softmaxRow(scores);
        for (let i = 0; i < size; i++) {
          let sum = 0;
          for (let other = 0; other < weights.length; other++) {
            sum += at(weights, other) * part(caches.values, 2, head, other, i);
          }
          mixed[row * width + head * size + i] = sum;
        }
      }
    }
    const middle = project(mixed, block.out, block.outBias).map((value, i) => value + at(x, i));
    const wide = project(normalize(middle, block.gain2, block.bias2), block.up, block.upBias);
    const narrow = project(wide.map(geluTanh), block.down, block.downBias);
    x = narrow.map((value, i) => value + at(middle, i));
  }
  const tolerance = { 32: 2e-3, 8: 0.5, 4: 2 }[bits] ?? 2e-3;
  return { at: Array.from(x.keys()), values: x, tolerance };
}

/** Values for the caches of keys and values. @param {import('./data.mjs').Decoder} decoder */
export function cacheInputs({ layers, heads, past, width }) {
  const shape = [1, heads, past, width / heads];
  return Object.fromEntries(
    Array.from({ length: past > 0 ? layers : 0 }, (_, layer) =>
      [`keys${layer}`, `values${layer}`].map((name, i) => {
        const data = uniform(past * width, 5000 + 1000 * i + layer);
        return /** @type {const} */ ([name, { dtype: 'f32', shape, data }]);
      }),
    ).flat(),
  );
}
