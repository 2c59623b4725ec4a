/** The fixed cases: a model, its inputs, its work and its expected result. */
import { geluTanh, uniform } from './data.mjs';
import * as models from './models.mjs';
import * as reference from './reference.mjs';

/** @typedef {import('@open-claw/core').HostTensor} HostTensor */
/** @typedef {Readonly<Record<string, HostTensor>>} Inputs */

/**
 * @typedef {object} Case
 * @property {string} name
 * @property {() => Uint8Array} model an ONNX file
 * @property {() => Uint8Array} [peerModel] where engines that read ONNX cannot run the model
 * @property {() => Inputs} inputs
 * @property {(inputs: Inputs) => reference.Reference} reference
 * @property {number} [flops]
 * @property {number} [bytes] that must move at least
 * @property {'flops' | 'copy' | 'read' | 'none'} limit what the work meets first
 * @property {readonly [string, string]} [operands] element types that a matrix unit would take
 * @property {number} [batch] calls that are timed as one sample
 * @property {string} [note]
 */

const line = 2 ** 24;

const vector = (/** @type {number} */ count, /** @type {Float32Array<ArrayBuffer>} */ data) =>
  tensor([count], data);

/**
 * @param {readonly number[]} shape
 * @param {Float32Array<ArrayBuffer>} data
 * @returns {HostTensor}
 */
const tensor = (shape, data) => ({ dtype: 'f32', shape, data });

/** @param {Inputs} inputs @param {string} name */
const numbers = (inputs, name) => /** @type {Float32Array} */ (inputs[name]?.data);

/** @param {number} n @returns {Inputs} */
const matrices = (n) => ({
  a: tensor([n, n], uniform(n * n, 1)),
  b: tensor([n, n], uniform(n * n, 2)),
});

/** Relative to the size of a sum of n products of numbers below one. @param {number} n */
const productTolerance = (n) => Math.sqrt(n) * 1e-5;

/** @param {number} n @returns {Case} */
const matmul = (n) => ({
  name: `matmul-${n}`,
  model: () => models.matmulModel(n),
  inputs: () => matrices(n),
  reference: (inputs) =>
    reference.product(numbers(inputs, 'a'), numbers(inputs, 'b'), n, productTolerance(n)),
  flops: 2 * n ** 3,
  limit: 'flops',
});

/** @type {Case} */
const halfMatmul = {
  name: 'matmul-1024-bf16',
  model: () => models.matmulModel(1024, 'bf16'),
  peerModel: () => models.matmulModel(1024),
  inputs: () => matrices(1024),
  // Two operands of 8 bits of precision each, and the result.
  reference: (inputs) =>
    reference.product(numbers(inputs, 'a'), numbers(inputs, 'b'), 1024, Math.sqrt(1024) * 1e-2),
  flops: 2 * 1024 ** 3,
  limit: 'flops',
  operands: ['bf16', 'bf16'],
  note: 'casts from f32 and back are inside; peers compute the f32 product',
};

const integerRight = () => Int8Array.from(uniform(1024 ** 2, 2), (x) => x * 127);

/** @type {Case} */
const integerMatmul = {
  name: 'matmul-1024-int8',
  model: () => models.integerMatmulModel(1024, integerRight()),
  inputs: () => ({
    a: {
      dtype: 'u8',
      shape: [1024, 1024],
      data: Uint8Array.from(uniform(1024 ** 2, 1), (x) => 128 + x * 127),
    },
  }),
  reference: (inputs) => reference.product(numbers(inputs, 'a'), integerRight(), 1024, 0, 128),
  flops: 2 * 1024 ** 3,
  limit: 'flops',
  operands: ['u8', 'i8'],
};

/** @type {Case} */
const chain = {
  name: 'gelu-chain-16m',
  model: () => models.chainModel(line),
  inputs: () => ({ x: vector(line, uniform(line, 3, -4, 4)) }),
  reference: (inputs) =>
    reference.elementwise(numbers(inputs, 'x'), (x) => geluTanh(x * 1.25 + 0.5) - 0.25, 1e-5),
  bytes: 8 * line,
  limit: 'copy',
};

/** @type {Case} */
const softmax = {
  name: 'softmax-4096x4096',
  model: () => models.softmaxModel([4096, 4096]),
  inputs: () => ({ x: tensor([4096, 4096], uniform(line, 4, -5, 5)) }),
  reference: (inputs) => reference.softmax(numbers(inputs, 'x'), [4096, 4096]),
  bytes: 8 * line,
  limit: 'copy',
};

const normGain = () => uniform(1024, 6, 0.5, 1.5);
const normBias = () => uniform(1024, 7);

/** @type {Case} */
const layerNorm = {
  name: 'layernorm-4096x1024',
  model: () => models.layerNormModel([4096, 1024], normGain(), normBias()),
  inputs: () => ({ x: tensor([4096, 1024], uniform(2 ** 22, 5, -2, 3)) }),
  reference: (inputs) =>
    reference.layerNorm(numbers(inputs, 'x'), [4096, 1024], normGain(), normBias()),
  bytes: 2 ** 25,
  limit: 'copy',
};

export const convolutionWeight = () => uniform(64 * 64 * 9, 9);

/** @param {number} batch @returns {Case} */
const convolution = (batch) => ({
  name: `conv-64x56x56-b${batch}`,
  model: () => models.convolutionModel(batch, convolutionWeight()),
  inputs: () => ({ x: tensor([batch, 64, 56, 56], uniform(batch * 64 * 56 * 56, 8)) }),
  reference: (inputs) => reference.convolution(numbers(inputs, 'x'), convolutionWeight(), batch),
  flops: 2 * batch * 64 * 64 * 9 * 56 * 56,
  limit: 'flops',
});

/** @type {Case} */
const attention = {
  name: 'attention-16x512x64',
  model: () => models.attentionModel(16, 512, 64),
  inputs: () =>
    Object.fromEntries(
      ['q', 'k', 'v'].map((name, i) => [
        name,
        tensor([1, 16, 512, 64], uniform(16 * 512 * 64, 10 + i)),
      ]),
    ),
  reference: (inputs) => reference.causalAttention(inputs, 16, 512, 64),
  flops: (4 * 16 * 512 * 512 * 64) / 2,
  limit: 'flops',
  note: 'the causal half is counted',
};

const wholeTransformer = {
  layers: 6,
  width: 512,
  heads: 8,
  rows: 256,
  past: 0,
  seed: 1000,
  bits: 32,
};

/** @type {Case} */
const transformer = {
  name: 'transformer-6x512',
  model: () => models.decoderModel(wholeTransformer),
  inputs: () => ({ x: tensor([1, 256, 512], uniform(256 * 512, 21)) }),
  reference: (inputs) => reference.decoder(wholeTransformer, inputs),
  flops: 6 * (2 * 256 * 12 * 512 ** 2 + (4 * 256 * 256 * 512) / 2),
  limit: 'flops',
};

/** @param {number} bits @returns {Case} */
const decode = (bits) => {
  const facts = { layers: 12, width: 768, heads: 12, rows: 1, past: 511, seed: 3000, bits };
  const perWeight = bits === 32 ? 4 : bits / 8 + 4 / 32;
  return {
    name: `decode-12x768-${bits === 32 ? 'f32' : `${bits}bit`}`,
    model: () => models.decoderModel(facts),
    inputs: () => ({
      x: tensor([1, 1, 768], uniform(768, 22)),
      ...reference.cacheInputs(facts),
    }),
    reference: (inputs) => reference.decoder(facts, inputs),
    flops: 12 * (2 * 12 * 768 ** 2 + 4 * 512 * 768),
    bytes: 12 * (12 * 768 ** 2 * perWeight + 8 * 512 * 768),
    limit: 'read',
  };
};

/** @type {Case} */
const sum = {
  name: 'sum-16m',
  model: () => models.lineModel('sum', line),
  inputs: () => ({ x: vector(line, uniform(line, 60, 0, 1)) }),
  reference: (inputs) => reference.sum(numbers(inputs, 'x')),
  bytes: 4 * line,
  limit: 'read',
};

/** @type {Case} */
const cumulativeSum = {
  name: 'cumsum-16m',
  model: () => models.lineModel('cumsum', line),
  inputs: () => ({ x: vector(line, uniform(line, 61, 0, 1)) }),
  reference: (inputs) => reference.cumulativeSum(numbers(inputs, 'x')),
  bytes: 8 * line,
  limit: 'copy',
};

/** @type {Case} */
const sort = {
  name: 'sort-1m',
  model: () => models.lineModel('sort', 2 ** 20),
  inputs: () => ({ x: vector(2 ** 20, uniform(2 ** 20, 62)) }),
  reference: (inputs) => reference.sorted(numbers(inputs, 'x')),
  bytes: 2 ** 23,
  limit: 'none',
  note: 'ONNX has no sort: TopK of all, with indices; others sort without',
};

/** @type {Case} */
const add = {
  name: 'add-16',
  model: () => models.addModel(16),
  inputs: () => ({ a: vector(16, uniform(16, 70)), b: vector(16, uniform(16, 71)) }),
  reference: (inputs) => {
    const b = numbers(inputs, 'b');
    const values = Float64Array.from(numbers(inputs, 'a'), (a, i) => a + (b[i] ?? 0));
    return { at: Array.from(values.keys()), values, tolerance: 1e-6 };
  },
  limit: 'none',
  batch: 100,
  note: 'one awaited call',
};

/** @type {readonly Case[]} */
export const cases = [
  ...[256, 512, 1024, 2048].map(matmul),
  halfMatmul,
  integerMatmul,
  chain,
  softmax,
  layerNorm,
  convolution(1),
  convolution(8),
  attention,
  transformer,
  ...[32, 8, 4].map(decode),
  sum,
  cumulativeSum,
  sort,
  add,
];
