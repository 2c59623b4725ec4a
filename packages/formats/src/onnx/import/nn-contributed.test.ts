/** Products with weights of few bits against weights dequantized by hand in float64. */
import { describe, expect, it } from 'vitest';
import { buildModel, buildNode, buildValue } from '../build.js';
import type { AttributeProto, ModelProto } from '../model.js';
import type { OnnxValue } from '../read-data.js';
import { numberOfDtype } from '../read-tensor.js';
import { tensorProto } from '../write.js';
import { type HostTensor, hostTensor, interpret, valuesOf } from './core.js';
import { analyzeModel, importModel } from './import.js';
import { buildOutput, flattenInputs } from './suite-values.js';

/** xorshift32, in [−1, 1). */
function noise(seed: number): () => number {
  let state = seed * 2654435761 + 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state | 0) / 2 ** 31;
  };
}

interface Layer {
  readonly bits: number;
  readonly block: number;
  readonly n: number;
  readonly k: number;
  readonly rows: readonly number[];
  readonly zeros?: 'packed' | 'float';
  readonly bias?: boolean;
  readonly dtype?: 'f32' | 'f16';
}

interface Parts {
  readonly tensors: Readonly<Record<string, HostTensor>>;
  readonly inputs: readonly string[];
  readonly attributes: readonly AttributeProto[];
}

const int = (name: string, value: number): AttributeProto => ({
  name,
  kind: 'int',
  value: BigInt(value),
});

/** Codes of a row one after another, low bits first, every row from a whole byte. */
function pack(rows: readonly (readonly number[])[], bits: number): number[] {
  return rows.flatMap((row) => {
    const bytes = new Array<number>(Math.ceil((row.length * bits) / 8)).fill(0);
    row.forEach((code, i) => {
      bytes[Math.floor((i * bits) / 8)]! |= code << ((i * bits) % 8);
    });
    return bytes;
  });
}

/** A layer's tensors, and the weights that they stand for. */
function makeLayer(layer: Layer) {
  const { bits, block, n, k, rows, zeros, bias = false, dtype = 'f32' } = layer;
  const next = noise(bits * 1000 + block + k);
  const blocks = Math.ceil(k / block);
  const code = (): number => Math.floor(((next() + 1) / 2) * 2 ** bits);
  const table = <T>(height: number, width: number, of: () => T): T[][] =>
    Array.from({ length: height }, () => Array.from({ length: width }, of));
  const codes = table(n, blocks * block, code);
  const scales = table(n, blocks, () => Math.round(next() * 64) / 256);
  const zeroCodes = table(n, blocks, code);
  const zeroFloats = table(n, blocks, () => Math.round(next() * 64) / 8);
  const shift = Array.from({ length: n }, () => Math.round(next() * 64) / 8);
  const count = rows.reduce((all, extent) => all * extent, 1);
  const a = Array.from({ length: count * k }, () => Math.round(next() * 1024) / 1024);
  const floats = (shape: readonly number[], values: readonly number[]) =>
    hostTensor(dtype, shape, values);
  const tensors: Record<string, HostTensor> = {
    b: hostTensor('u8', [n, blocks, (block * bits) / 8], pack(codes, bits)),
    scales: floats([n * blocks], scales.flat()),
  };
  const inputs = ['a', 'b', 'scales', '', '', ''];
  if (zeros === 'packed') {
    const packed = pack(zeroCodes, bits);
    tensors.zeros = hostTensor('u8', [packed.length], packed);
  } else if (zeros === 'float') tensors.zeros = floats([n, blocks], zeroFloats.flat());
  if (zeros !== undefined) inputs[3] = 'zeros';
  if (bias) {
    tensors.bias = floats([n], shift);
    inputs[5] = 'bias';
  }
  const parts: Parts = {
    tensors,
    inputs,
    attributes: [int('N', n), int('K', k), int('bits', bits), int('block_size', block)],
  };
  const expected = Array.from({ length: count * n }, (_, at) => {
    const [row, column] = [Math.floor(at / n), at % n];
    let sum = bias ? shift[column]! : 0;
    for (let depth = 0; depth < k; depth++) {
      const group = Math.floor(depth / block);
      const of = { packed: zeroCodes, float: zeroFloats } as const;
      const zero = zeros === undefined ? 2 ** (bits - 1) : of[zeros][column]![group]!;
      sum += a[row * k + depth]! * (codes[column]![depth]! - zero) * scales[column]![group]!;
    }
    return sum;
  });
  return { parts, given: floats([...rows, k], a), expected };
}

function modelOf({ tensors, inputs, attributes }: Parts, given: HostTensor): ModelProto {
  return buildModel(
    {
      inputs: [buildValue('a', given.shape, numberOfDtype(given.dtype))],
      initializers: Object.entries(tensors).map(([name, tensor]) => tensorProto(name, tensor)),
      nodes: [buildNode('MatMulNBits', inputs, ['y'], attributes, { domain: 'com.microsoft' })],
      outputs: [buildValue('y', null)],
    },
    {
      opsetImport: [
        { domain: '', version: 21 },
        { domain: 'com.microsoft', version: 1 },
      ],
    },
  );
}

function run(model: ModelProto, given: HostTensor): HostTensor {
  const imported = importModel(model);
  const values = new Map<string, OnnxValue>([['a', { kind: 'tensor', tensor: given }]]);
  const results = interpret(imported.graph, flattenInputs(imported, values));
  const value = buildOutput(imported.outputs[0]!.slot, results);
  if (value.kind !== 'tensor') throw new Error('not a tensor');
  return value.tensor;
}

describe('MatMulNBits', () => {
  it.each<Layer>([
    { bits: 4, block: 16, n: 5, k: 32, rows: [1] },
    { bits: 4, block: 32, n: 7, k: 96, rows: [2, 3], zeros: 'packed', bias: true },
    { bits: 4, block: 64, n: 3, k: 100, rows: [2], zeros: 'packed' },
    { bits: 4, block: 128, n: 4, k: 160, rows: [1, 1], zeros: 'float' },
    { bits: 8, block: 16, n: 5, k: 40, rows: [3], zeros: 'packed' },
    { bits: 8, block: 256, n: 2, k: 256, rows: [1], bias: true },
    { bits: 2, block: 32, n: 6, k: 70, rows: [2], zeros: 'packed', bias: true },
    { bits: 4, block: 32, n: 5, k: 64, rows: [4], zeros: 'float', bias: true, dtype: 'f16' },
  ])('%o', (layer) => {
    const { parts, given, expected } = makeLayer(layer);
    const result = run(modelOf(parts, given), given);
    expect(result.shape).toEqual([...layer.rows, layer.n]);
    expect(result.dtype).toBe(layer.dtype ?? 'f32');
    const tolerance = (layer.dtype === 'f16' ? 2 ** -10 : 2 ** -20) * layer.k;
    valuesOf(result).forEach((value, i) => {
      expect(Math.abs(Number(value) - expected[i]!)).toBeLessThan(tolerance);
    });
  });

  const plain = (): { parts: Parts; given: HostTensor } =>
    makeLayer({ bits: 4, block: 32, n: 4, k: 64, rows: [2] });
  const reasonOf = (parts: Parts, given: HostTensor): string =>
    analyzeModel(modelOf(parts, given))
      .refusals.map(({ reason }) => reason)
      .join('; ');
  const changed = (...attributes: readonly AttributeProto[]): string => {
    const { parts, given } = plain();
    const names = attributes.map(({ name }) => name);
    const kept = parts.attributes.filter(({ name }) => !names.includes(name));
    return reasonOf({ ...parts, attributes: [...kept, ...attributes] }, given);
  };

  it('refuses attributes that no file may hold', () => {
    expect(changed(int('bits', 3))).toContain('weights of 3 bits');
    expect(changed(int('block_size', 24))).toContain('blocks of 24');
    expect(changed(int('block_size', 8))).toContain('blocks of 8');
    expect(changed(int('block_size', -32))).toContain('blocks of -32');
    expect(changed(int('N', 0))).toContain('weights of 0 × 64');
    expect(changed(int('N', 5))).toContain('weights: 128 elements where 160');
    expect(changed(int('N', 2 ** 52))).toContain('weights: 128 elements');
    expect(changed(int('K', 2 ** 52))).toContain('K: 64 ≠');
    expect(changed(int('K', 63))).toContain('K: 64 ≠ 63');
    expect(changed(int('accuracy_level', 5))).toContain('accuracy_level 5');
    expect(changed(int('weight_prepacked', 1))).toContain('weight_prepacked');
    expect(changed({ name: 'K', kind: 'float', value: 64 })).toContain('attribute K is of kind');
    expect(changed(int('accuracy_level', 4))).toBe('');
  });

  it('refuses operands of other types and sizes, and an order of rows', () => {
    const { parts, given } = plain();
    const swapped = (tensors: Readonly<Record<string, HostTensor>>, inputs = parts.inputs) =>
      reasonOf({ ...parts, inputs, tensors: { ...parts.tensors, ...tensors } }, given);
    const zeros = hostTensor('u8', [3], [1, 2, 3]);
    const order = hostTensor('i32', [64], new Array(64).fill(0));
    const withInput = (at: number, name: string) => parts.inputs.with(at, name);
    expect(swapped({ b: hostTensor('i8', [128], new Array(128).fill(0)) })).toContain('of i8');
    expect(swapped({ scales: hostTensor('f32', [7], new Array(7).fill(1)) })).toContain(
      'scales: 7 elements where 8',
    );
    expect(swapped({ zeros }, withInput(3, 'zeros'))).toContain('zero points: 3 elements');
    expect(swapped({ order }, withInput(4, 'order'))).toContain('g_idx');
    expect(swapped({ bias: zeros }, withInput(5, 'bias'))).toContain('bias of u8');
  });
});
