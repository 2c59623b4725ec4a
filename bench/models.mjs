/** ONNX models of the fixed cases: the same bytes for OpenCLAW and for engines that read ONNX. */
import { buildModel, buildNode, buildValue, tensorProto, writeModel } from '@open-claw/formats';
import { causalMask, decoderWeights, quantize, quantizedBlock } from './data.mjs';

/** @typedef {import('@open-claw/formats').AttributeProto} Attribute */

/** @type {Readonly<Record<string, number>>} */
const typeNumbers = { f32: 1, u8: 2, i8: 3, i32: 6, i64: 7, f16: 10, bf16: 16 };

/** @param {string} name @param {number} value @returns {Attribute} */
const integer = (name, value) => ({ name, kind: 'int', value: BigInt(value) });
/** @param {string} name @param {readonly number[]} values @returns {Attribute} */
const integers = (name, values) => ({ name, kind: 'ints', value: values.map(BigInt) });
/** @param {string} name @param {number} value @returns {Attribute} */
const float = (name, value) => ({ name, kind: 'float', value });
/** @param {string} name @param {string} value @returns {Attribute} */
const text = (name, value) => ({ name, kind: 'string', value });

const contributed = 'com.microsoft';

/** Collects nodes and constants; names are numbers. */
class Writer {
  /** @type {import('@open-claw/formats').NodeProto[]} */ nodes = [];
  /** @type {import('@open-claw/formats').ValueInfo[]} */ inputs = [];
  /** @type {import('@open-claw/formats').ValueInfo[]} */ outputs = [];
  /** @type {import('@open-claw/formats').TensorProto[]} */ initializers = [];
  count = 0;

  /** @param {string} name @param {readonly number[]} shape @param {string} [dtype] */
  input(name, shape, dtype = 'f32') {
    this.inputs.push(buildValue(name, shape, typeNumbers[dtype]));
    return name;
  }

  /** @param {string} name @param {readonly number[]} shape @param {string} [dtype] */
  output(name, shape, dtype = 'f32') {
    this.outputs.push(buildValue(name, shape, typeNumbers[dtype]));
    return name;
  }

  /**
   * @param {import('@open-claw/core').HostTensor['data']} data
   * @param {readonly number[]} shape
   * @param {import('@open-claw/core').DType} [dtype]
   */
  constant(data, shape, dtype = 'f32') {
    const name = `c${this.count++}`;
    this.initializers.push(tensorProto(name, { dtype, shape, data }));
    return name;
  }

  /** @param {readonly number[]} values */
  indices(values) {
    return this.constant(BigInt64Array.from(values, BigInt), [values.length], 'i64');
  }

  /** @param {number} value */
  scalar(value) {
    return this.constant(Float32Array.of(value), []);
  }

  /**
   * @param {string} op
   * @param {readonly string[]} inputs
   * @param {readonly Attribute[]} [attributes]
   * @param {{ outputs?: readonly string[], domain?: string }} [more]
   * @returns {string} the first output
   */
  node(op, inputs, attributes = [], { outputs, domain = '' } = {}) {
    const names = outputs ?? [`t${this.count++}`];
    this.nodes.push(
      buildNode(op, inputs, names, attributes, { domain, name: `${op}${this.count++}` }),
    );
    return /** @type {string} */ (names[0]);
  }

  bytes() {
    const { nodes, inputs, outputs, initializers } = this;
    const domains = nodes.some(({ domain }) => domain === contributed)
      ? [{ domain: contributed, version: 1 }]
      : [];
    const opsetImport = [{ domain: '', version: 20 }, ...domains];
    return writeModel(buildModel({ nodes, inputs, outputs, initializers }, { opsetImport }));
  }
}

const result = { outputs: ['y'] };

/** @param {number} n @param {'f32' | 'bf16'} [dtype] both operands are inputs */
export function matmulModel(n, dtype = 'f32') {
  const w = new Writer();
  const [a, b] = ['a', 'b']
    .map((name) => w.input(name, [n, n]))
    .map((name) => (dtype === 'f32' ? name : w.node('Cast', [name], [integer('to', 16)])));
  const operands = [/** @type {string} */ (a), /** @type {string} */ (b)];
  if (dtype === 'f32') w.node('MatMul', operands, [], result);
  else w.node('Cast', [w.node('MatMul', operands)], [integer('to', 1)], result);
  w.output('y', [n, n]);
  return w.bytes();
}

/**
 * u8 × s8 → s32 with a zero point of 128.
 * @param {number} n
 * @param {Int8Array<ArrayBuffer>} right
 */
export function integerMatmulModel(n, right) {
  const w = new Writer();
  const zero = w.constant(Uint8Array.of(128), [], 'u8');
  w.node(
    'MatMulInteger',
    [w.input('a', [n, n], 'u8'), w.constant(right, [n, n], 'i8'), zero],
    [],
    result,
  );
  w.output('y', [n, n], 'i32');
  return w.bytes();
}

/** gelu(x · 1.25 + 0.5) − 0.25. @param {number} count */
export function chainModel(count) {
  const w = new Writer();
  const x = w.node('Add', [w.node('Mul', [w.input('x', [count]), w.scalar(1.25)]), w.scalar(0.5)]);
  w.node('Add', [w.node('Gelu', [x], [text('approximate', 'tanh')]), w.scalar(-0.25)], [], result);
  w.output('y', [count]);
  return w.bytes();
}

/** @param {number} count */
export function addModel(count) {
  const w = new Writer();
  w.node('Add', [w.input('a', [count]), w.input('b', [count])], [], result);
  w.output('y', [count]);
  return w.bytes();
}

/** @param {readonly number[]} shape */
export function softmaxModel(shape) {
  const w = new Writer();
  w.node('Softmax', [w.input('x', shape)], [integer('axis', -1)], result);
  w.output('y', shape);
  return w.bytes();
}

/**
 * @param {readonly [number, number]} shape
 * @param {Float32Array<ArrayBuffer>} gain
 * @param {Float32Array<ArrayBuffer>} bias
 */
export function layerNormModel(shape, gain, bias) {
  const w = new Writer();
  const size = [shape[1]];
  const inputs = [w.input('x', shape), w.constant(gain, size), w.constant(bias, size)];
  w.node('LayerNormalization', inputs, [integer('axis', -1), float('epsilon', 1e-5)], result);
  w.output('y', shape);
  return w.bytes();
}

/** @param {number} batch @param {Float32Array<ArrayBuffer>} weight 64 × 64 × 3 × 3 */
export function convolutionModel(batch, weight) {
  const w = new Writer();
  const shape = [batch, 64, 56, 56];
  const attributes = [integers('kernel_shape', [3, 3]), integers('pads', [1, 1, 1, 1])];
  w.node('Conv', [w.input('x', shape), w.constant(weight, [64, 64, 3, 3])], attributes, result);
  w.output('y', shape);
  return w.bytes();
}

/**
 * The plain graph of products and softmax.
 * @param {number} heads
 * @param {number} rows
 * @param {number} size
 */
export function attentionModel(heads, rows, size) {
  const w = new Writer();
  const shape = [1, heads, rows, size];
  const [q, k, v] = ['q', 'k', 'v'].map((name) => w.input(name, shape));
  const turned = w.node('Transpose', [/** @type {string} */ (k)], [integers('perm', [0, 1, 3, 2])]);
  const scores = w.node('MatMul', [/** @type {string} */ (q), turned]);
  const scaled = w.node('Mul', [scores, w.scalar(1 / Math.sqrt(size))]);
  const masked = w.node('Add', [scaled, w.constant(causalMask(rows), [1, 1, rows, rows])]);
  const weights = w.node('Softmax', [masked], [integer('axis', -1)]);
  w.node('MatMul', [weights, /** @type {string} */ (v)], [], result);
  w.output('y', shape);
  return w.bytes();
}

/** @param {'sum' | 'cumsum' | 'sort'} what @param {number} count */
export function lineModel(what, count) {
  const w = new Writer();
  const x = w.input('x', [count]);
  if (what === 'sum') w.node('ReduceSum', [x], [integer('keepdims', 0)], result);
  else if (what === 'cumsum')
    w.node('CumSum', [x, w.constant(BigInt64Array.of(0n), [], 'i64')], [], result);
  else {
    // ONNX has no sort: all of the smallest, in order.
    const attributes = [integer('largest', 0), integer('sorted', 1)];
    w.node('TopK', [x, w.indices([count])], attributes, { outputs: ['y', 'i'] });
    w.output('i', [count], 'i64');
  }
  w.output('y', what === 'sum' ? [] : [count]);
  return w.bytes();
}

/**
 * Pre-normalised decoder layers with a causal mask, or with caches of keys and values.
 * @param {import('./data.mjs').Decoder} decoder
 */
export function decoderModel(decoder) {
  const { layers, width, heads, rows, past, bits } = decoder;
  const w = new Writer();
  const size = width / heads;
  const scale = w.scalar(1 / Math.sqrt(size));
  const apart = w.indices([1, rows, heads, size]);
  const together = w.indices([1, rows, width]);
  const thirds = w.indices([width, width, width]);
  const mask = rows > 1 ? w.constant(causalMask(rows), [1, 1, rows, rows]) : undefined;
  const axes = (/** @type {string} */ x, /** @type {readonly number[]} */ order) =>
    w.node('Transpose', [x], [integers('perm', order)]);
  const linear = (
    /** @type {string} */ x,
    /** @type {Float32Array<ArrayBuffer>} */ matrix,
    /** @type {Float32Array<ArrayBuffer>} */ bias,
    /** @type {number} */ from,
    /** @type {number} */ to,
  ) => {
    const product =
      bits === 32
        ? w.node('MatMul', [x, w.constant(matrix, [from, to])])
        : quantizedProduct(w, x, matrix, { from, to, bits });
    return w.node('Add', [product, w.constant(bias, [to])]);
  };
  const normalized = (
    /** @type {string} */ x,
    /** @type {Float32Array<ArrayBuffer>} */ gain,
    /** @type {Float32Array<ArrayBuffer>} */ bias,
  ) =>
    w.node(
      'LayerNormalization',
      [x, w.constant(gain, [width]), w.constant(bias, [width])],
      [integer('axis', -1), float('epsilon', 1e-5)],
    );
  let x = w.input('x', [1, rows, width]);
  for (const [layer, block] of decoderWeights(decoder).entries()) {
    const qkv = linear(
      normalized(x, block.gain1, block.bias1),
      block.qkv,
      block.qkvBias,
      width,
      3 * width,
    );
    const names = ['q', 'k', 'v'].map((part) => `${part}${layer}`);
    w.node('Split', [qkv, thirds], [integer('axis', -1)], { outputs: names });
    const [q, k, v] = names.map((name) => axes(w.node('Reshape', [name, apart]), [0, 2, 1, 3]));
    let [keys, values] = /** @type {[string, string]} */ ([k, v]);
    if (past > 0) {
      const cached = (/** @type {string} */ name, /** @type {string} */ fresh) => {
        const old = w.input(name, [1, heads, past, size]);
        w.node('Identity', [fresh], [], { outputs: [w.output(`new${name}`, [1, heads, 1, size])] });
        return w.node('Concat', [old, fresh], [integer('axis', 2)]);
      };
      [keys, values] = [cached(`keys${layer}`, keys), cached(`values${layer}`, values)];
    }
    const scores = w.node('MatMul', [/** @type {string} */ (q), axes(keys, [0, 1, 3, 2])]);
    const scaled = w.node('Mul', [scores, scale]);
    const masked = mask === undefined ? scaled : w.node('Add', [scaled, mask]);
    const mixed = w.node('MatMul', [w.node('Softmax', [masked], [integer('axis', -1)]), values]);
    const joined = w.node('Reshape', [axes(mixed, [0, 2, 1, 3]), together]);
    const middle = w.node('Add', [x, linear(joined, block.out, block.outBias, width, width)]);
    const wide = linear(
      normalized(middle, block.gain2, block.bias2),
      block.up,
      block.upBias,
      width,
      4 * width,
    );
    const active = w.node('Gelu', [wide], [text('approximate', 'tanh')]);
    const narrow = linear(active, block.down, block.downBias, 4 * width, width);
    x = w.node('Add', [middle, narrow], [], layer === layers - 1 ? result : {});
  }
  w.output('y', [1, rows, width]);
  return w.bytes();
}

/**
 * @param {Writer} w
 * @param {string} x
 * @param {Float32Array} matrix
 * @param {{ from: number, to: number, bits: number }} facts
 */
function quantizedProduct(w, x, matrix, { from, to, bits }) {
  const { codes, scales } = quantize(matrix, from, to, bits);
  const packed =
    bits === 8
      ? codes
      : Uint8Array.from(
          { length: codes.length / 2 },
          (_, i) => (codes[2 * i] ?? 0) | ((codes[2 * i + 1] ?? 0) << 4),
        );
  const blocks = from / quantizedBlock;
  const weights = w.constant(packed, [to, blocks, (quantizedBlock * bits) / 8], 'u8');
  const attributes = [
    integer('K', from),
    integer('N', to),
    integer('bits', bits),
    integer('block_size', quantizedBlock),
    integer('accuracy_level', 4),
  ];
  const inputs = [x, weights, w.constant(scales, [to * blocks])];
  return w.node('MatMulNBits', inputs, attributes, { domain: contributed });
}
