/** Operators of neural networks where the ONNX suite leaves corners: against plain loops. */
import { describe, expect, it } from 'vitest';
import { buildModel, buildNode, buildValue } from '../build.js';
import type { AttributeProto, ByteText } from '../model.js';
import type { OnnxValue } from '../read-data.js';
import { numberOfDtype } from '../read-tensor.js';
import { tensorProto } from '../write.js';
import { build, elementCount, type HostTensor, hostTensor, interpret, valuesOf } from './core.js';
import { analyzeModel } from './import.js';
import { specializeModel } from './specialize.js';
import { buildOutput, flattenInputs } from './suite-values.js';

/** A linear congruential generator: numbers in [−1, 1). */
function noise(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

const filled = (shape: readonly number[], next: () => number): HostTensor =>
  hostTensor(
    'f32',
    shape,
    Array.from({ length: elementCount(shape) }, () => Math.fround(next())),
  );
const f32 = (shape: readonly number[], values: readonly number[]): HostTensor =>
  hostTensor('f32', shape, values);
const i64 = (shape: readonly number[], values: readonly number[]): HostTensor =>
  hostTensor('i64', shape, values.map(BigInt));

const int = (name: string, value: number): AttributeProto => ({
  name,
  kind: 'int',
  value: BigInt(value),
});
const float = (name: string, value: number): AttributeProto => ({ name, kind: 'float', value });
const ints = (name: string, values: readonly number[]): AttributeProto => ({
  name,
  kind: 'ints',
  value: values.map(BigInt),
});
const text = (name: string, value: ByteText): AttributeProto => ({ name, kind: 'string', value });
const texts = (name: string, value: readonly string[]): AttributeProto => ({
  name,
  kind: 'strings',
  value,
});

interface RunOptions {
  readonly attributes?: readonly AttributeProto[];
  readonly outputs?: number;
  readonly domain?: string;
  readonly opset?: number;
  /** Sizes of inputs are unknown to the importer. */
  readonly open?: boolean;
  /** Inputs that are initializers. */
  readonly constant?: readonly number[];
}

function modelOf(operator: string, inputs: readonly (HostTensor | null)[], options: RunOptions) {
  const { attributes = [], outputs = 1, domain = '', opset = 22, constant = [] } = options;
  const name = (i: number): string => (inputs[i] === null ? '' : `x${i}`);
  const given = inputs.flatMap((tensor, i) =>
    tensor === null || constant.includes(i) ? [] : [{ tensor, name: name(i) }],
  );
  const made = Array.from({ length: outputs }, (_, i) => `y${i}`);
  const model = buildModel(
    {
      inputs: given.map((each) => {
        const shape = options.open ? each.tensor.shape.map(() => null) : each.tensor.shape;
        return buildValue(each.name, shape, numberOfDtype(each.tensor.dtype));
      }),
      initializers: constant.map((i) => tensorProto(name(i), inputs[i] as HostTensor)),
      nodes: [
        buildNode(
          operator,
          inputs.map((_, i) => name(i)),
          made,
          attributes,
          { domain },
        ),
      ],
      outputs: made.map((each) => ({ ...buildValue(each, null), type: null })),
    },
    {
      opsetImport: [
        { domain: '', version: opset },
        { domain: 'ai.onnx.ml', version: 5 },
      ],
    },
  );
  const values = new Map<string, OnnxValue>(
    given.map((each) => [each.name, { kind: 'tensor', tensor: each.tensor }]),
  );
  return { model, values };
}

function run(
  operator: string,
  inputs: readonly (HostTensor | null)[],
  options: RunOptions = {},
): readonly (readonly number[])[] {
  const { model, values } = modelOf(operator, inputs, options);
  const imported = specializeModel(model, values);
  if (imported.refusals.length > 0) throw new Error(imported.refusals[0]?.reason);
  const results = interpret(imported.graph, flattenInputs(imported, values));
  return imported.outputs.map(({ slot }) => {
    const value = buildOutput(slot, results);
    if (value.kind !== 'tensor') throw new Error('not a tensor');
    return valuesOf(value.tensor).map(Number);
  });
}

function refusal(operator: string, inputs: readonly HostTensor[], options: RunOptions): string {
  const { model } = modelOf(operator, inputs, options);
  return analyzeModel(model)
    .refusals.map((each) => each.reason)
    .join('; ');
}

function expectClose(actual: readonly number[] | undefined, expected: readonly number[]): void {
  expect(actual?.length).toBe(expected.length);
  expected.forEach((value, i) => {
    expect(Math.abs((actual?.[i] as number) - value)).toBeLessThan(1e-5 * (1 + Math.abs(value)));
  });
}

describe('convolutions', () => {
  it('convolves with sizes that are not known before the run', () => {
    const next = noise(1);
    const [x, w] = [filled([2, 2, 5, 6], next), filled([3, 2, 3, 3], next)];
    const attributes = [text('auto_pad', 'SAME_LOWER'), ints('strides', [2, 2])];
    const [open] = run('Conv', [x, w], { attributes, open: true, constant: [1] });
    const [closed] = run('Conv', [x, w], { attributes });
    expect(open).toEqual(closed);
    expect(closed?.length).toBe(2 * 3 * 3 * 3);
  });

  it('scales a quantized convolution by channel and rounds half to even', () => {
    const x = hostTensor('u8', [1, 1, 3], [10, 20, 255]);
    const w = hostTensor('i8', [2, 1, 1], [3, -2]);
    const inputs = [
      x,
      f32([], [0.5]),
      hostTensor('u8', [], [5]),
      w,
      f32([2], [0.25, 1]),
      hostTensor('i8', [2], [1, 0]),
      f32([], [2]),
      hostTensor('u8', [], [100]),
      hostTensor('i32', [2], [2, -7]),
    ];
    const half = (v: number): number => {
      const low = Math.floor(v);
      if (v - low !== 0.5) return Math.round(v);
      return low % 2 === 0 ? low : low + 1;
    };
    const expected = [
      [2, 0.25, 2],
      [-2, 1, -7],
    ].flatMap(([weight, scale, bias]) =>
      [5, 15, 250].map((v) => {
        const real = ((v * (weight as number) + (bias as number)) * 0.5 * (scale as number)) / 2;
        return Math.min(255, Math.max(0, half(real) + 100));
      }),
    );
    expect(run('QLinearConv', inputs)[0]).toEqual(expected);
  });

  it('undoes strides in groups of channels as the sum over all pairs says', () => {
    const next = noise(2);
    const [x, w] = [filled([1, 4, 3], next), filled([4, 2, 3], next)];
    const attributes = [int('group', 2), ints('strides', [2]), ints('pads', [1, 0])];
    const expected = new Array<number>(4 * 6).fill(0);
    for (let c = 0; c < 4; c++) {
      for (let o = 0; o < 2; o++) {
        for (let i = 0; i < 3; i++) {
          for (let k = 0; k < 3; k++) {
            const at = 2 * i + k - 1;
            if (at < 0 || at >= 6) continue;
            const place = (Math.floor(c / 2) * 2 + o) * 6 + at;
            const product =
              Number(valuesOf(x)[c * 3 + i]) * Number(valuesOf(w)[(c * 2 + o) * 3 + k]);
            expected[place] = (expected[place] as number) + product;
          }
        }
      }
    }
    expectClose(run('ConvTranspose', [x, w], { attributes })[0], expected);
  });
});

describe('pooling', () => {
  it('numbers places column by column where the node says so', () => {
    const x = f32([1, 1, 2, 3], [1, 5, 2, 7, 3, 9]);
    const attributes = [ints('kernel_shape', [2, 2]), int('storage_order', 1)];
    const [values, places] = run('MaxPool', [x], { attributes, outputs: 2 });
    expect(values).toEqual([7, 9]);
    expect(places).toEqual([1, 5]);
  });

  it('leaves the padding out of means, also where sizes are not known', () => {
    const x = filled([1, 2, 7, 6], noise(3));
    const attributes = [
      ints('kernel_shape', [3, 2]),
      ints('strides', [2, 3]),
      ints('pads', [1, 0, 1, 1]),
      int('ceil_mode', 1),
    ];
    const [open] = run('AveragePool', [x], { attributes, open: true });
    expectClose(open, run('AveragePool', [x], { attributes })[0] ?? []);
    expect(open?.[0]).toBeCloseTo(
      [0, 1, 6, 7].reduce((sum, i) => sum + Number(valuesOf(x)[i]), 0) / 4,
      5,
    );
  });
});

describe('recurrent layers', () => {
  const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v));

  it('runs an LSTM backwards over samples of different lengths', () => {
    const next = noise(4);
    const [steps, batch, width, hidden] = [4, 2, 3, 2];
    const x = filled([steps, batch, width], next);
    const w = filled([1, 4 * hidden, width], next);
    const r = filled([1, 4 * hidden, hidden], next);
    const b = filled([1, 8 * hidden], next);
    const lengths = [4, 2];
    const inputs = [x, w, r, b, hostTensor('i32', [batch], lengths)];
    const attributes = [int('hidden_size', hidden), text('direction', 'reverse')];
    const [y, last] = run('LSTM', inputs, { attributes, outputs: 3 });
    const at = (tensor: HostTensor, i: number): number => Number(valuesOf(tensor)[i]);
    const expected = new Array<number>(steps * batch * hidden).fill(0);
    const state = new Array<number>(batch * hidden).fill(0);
    for (let n = 0; n < batch; n++) {
      let h = [0, 0];
      let c = [0, 0];
      for (let t = (lengths[n] as number) - 1; t >= 0; t--) {
        const gates = Array.from({ length: 4 * hidden }, (_, g) => {
          let sum = at(b, g) + at(b, 4 * hidden + g);
          for (let k = 0; k < width; k++)
            sum += at(x, (t * batch + n) * width + k) * at(w, g * width + k);
          for (let k = 0; k < hidden; k++) sum += (h[k] as number) * at(r, g * hidden + k);
          return sum;
        });
        const gate = (which: number, j: number): number => gates[which * hidden + j] as number;
        c = c.map(
          (old, j) => sigmoid(gate(2, j)) * old + sigmoid(gate(0, j)) * Math.tanh(gate(3, j)),
        );
        h = c.map((own, j) => sigmoid(gate(1, j)) * Math.tanh(own));
        h.forEach((value, j) => {
          expected[(t * batch + n) * hidden + j] = value;
        });
      }
      h.forEach((value, j) => {
        state[n * hidden + j] = value;
      });
    }
    expectClose(y, expected);
    expectClose(last, state);
  });

  it('gives each activation its own alpha', () => {
    const x = f32([1, 1, 1], [1]);
    const [w, r] = [f32([2, 1, 1], [-1, -1]), f32([2, 1, 1], [0, 0])];
    const attributes = [
      int('hidden_size', 1),
      text('direction', 'bidirectional'),
      texts('activations', ['LeakyRelu', 'Affine']),
      { name: 'activation_alpha', kind: 'floats', value: [0.5, 3] } as const,
      { name: 'activation_beta', kind: 'floats', value: [10] } as const,
    ];
    expect(run('RNN', [x, w, r], { attributes })[0]).toEqual([-0.5, 7]);
  });
});

describe('resizing and sampling', () => {
  it('gives the same for sizes known before and at the run', () => {
    const x = filled([1, 2, 5, 4], noise(5));
    const scales = f32([4], [1, 1, 1.5, 2]);
    for (const mode of ['nearest', 'linear', 'cubic']) {
      const attributes = [text('mode', mode)];
      const inputs = [x, null, scales];
      const [open] = run('Resize', inputs, { attributes, open: true, constant: [2] });
      expectClose(open, run('Resize', inputs, { attributes, constant: [2] })[0] ?? []);
      expect(open?.length).toBe(2 * 7 * 8);
    }
  });
});

describe('signals', () => {
  it('transforms twelve points as the sum over all of them says', () => {
    const x = filled([1, 12, 2], noise(6));
    const values = valuesOf(x).map(Number);
    const expected = Array.from({ length: 12 }, (_, k) => {
      let [real, imaginary] = [0, 0];
      for (let n = 0; n < 12; n++) {
        const angle = (-2 * Math.PI * k * n) / 12;
        const [a, b] = [values[2 * n] as number, values[2 * n + 1] as number];
        real += a * Math.cos(angle) - b * Math.sin(angle);
        imaginary += a * Math.sin(angle) + b * Math.cos(angle);
      }
      return [real, imaginary];
    }).flat();
    expectClose(run('DFT', [x, null, i64([], [1])], { constant: [2] })[0], expected);
  });

  it('gives back a real signal of odd length from half of its spectrum', () => {
    const x = filled([1, 7, 1], noise(7));
    const forward = run('DFT', [x], { attributes: [int('onesided', 1)] })[0] as number[];
    const spectrum = f32([1, 4, 2], forward);
    const attributes = [int('onesided', 1), int('inverse', 1)];
    const [back] = run('DFT', [spectrum, i64([], [7])], { attributes, constant: [1] });
    expectClose(back, valuesOf(x).map(Number));
  });

  it.each([
    ['DFT', [filled([1, 7, 1], noise(9))], {}],
    ['DFT', [filled([1, 7, 1], noise(9))], { open: true }],
    [
      'STFT',
      [filled([1, 9, 1], noise(9)), i64([], [2]), f32([4], [1, 2, 2, 1])],
      { constant: [1] },
    ],
    ['HannWindow', [i64([], [10])], {}],
    ['BlackmanWindow', [i64([], [10])], { constant: [0] }],
  ])('%s of f32 needs no f64, which not every chip has (case %#)', (operator, inputs, options) => {
    const { model, values } = modelOf(operator, inputs, options);
    const { graph, refusals } = specializeModel(model, values);
    expect(refusals).toEqual([]);
    const text = build.printGraph(graph);
    expect(text).toContain('f32');
    expect(text).not.toContain('f64');
  });
});

describe('other operators', () => {
  it('takes the diagonal and broadcasts the ellipsis in an equation', () => {
    const next = noise(8);
    const [a, b] = [filled([2, 3, 3], next), filled([1, 3, 4], next)];
    const [y] = run('Einsum', [a, b], { attributes: [text('equation', '...ii,...ij->...j')] });
    const expected = [0, 1].flatMap((n) =>
      [0, 1, 2, 3].map((j) =>
        [0, 1, 2].reduce(
          (sum, i) => sum + Number(valuesOf(a)[n * 9 + i * 4]) * Number(valuesOf(b)[i * 4 + j]),
          0,
        ),
      ),
    );
    expectClose(y, expected);
  });

  it('repeats scales over blocks, the last of them shorter', () => {
    const x = hostTensor('i8', [1, 5], [1, 2, 3, 4, 5]);
    const attributes = [int('axis', 1), int('block_size', 2)];
    const [y] = run('DequantizeLinear', [x, f32([1, 3], [1, 10, 100])], { attributes });
    expect(y).toEqual([1, 2, 30, 40, 500]);
  });

  it('exchanges rows for a determinant', () => {
    expectClose(run('Det', [f32([2, 2], [0, 2, 3, 4])])[0], [-6]);
    expectClose(run('Det', [f32([3, 3], [0, 0, 1, 0, 2, 5, 3, 1, 1])])[0], [-6]);
  });

  it('sends NaN where a tree says so', () => {
    const attributes: AttributeProto[] = [
      int('aggregate_function', 1),
      int('n_targets', 1),
      ints('leaf_targetids', [0, 0]),
      ints('nodes_featureids', [0]),
      ints('nodes_truenodeids', [0]),
      ints('nodes_falsenodeids', [1]),
      ints('nodes_trueleafs', [1]),
      ints('nodes_falseleafs', [1]),
      ints('tree_roots', [0]),
      { name: 'nodes_splits', kind: 'tensor', value: tensorProto('', f32([1], [2])) },
      { name: 'nodes_modes', kind: 'tensor', value: tensorProto('', hostTensor('u8', [1], [0])) },
      { name: 'leaf_weights', kind: 'tensor', value: tensorProto('', f32([2], [5, 9])) },
    ];
    const x = f32([3, 1], [1, 3, Number.NaN]);
    const options = { attributes, domain: 'ai.onnx.ml' };
    expect(run('TreeEnsemble', [x], options)[0]).toEqual([5, 9, 9]);
    const tracked = [...attributes, ints('nodes_missing_value_tracks_true', [1])];
    expect(run('TreeEnsemble', [x], { ...options, attributes: tracked })[0]).toEqual([5, 9, 5]);
  });

  it('draws values with the mean and deviation asked for, the same for a seed', () => {
    const attributes = [
      ints('shape', [4000]),
      float('mean', 3),
      float('scale', 2),
      float('seed', 7),
    ];
    const [y] = run('RandomNormal', [], { attributes }) as [readonly number[]];
    const mean = y.reduce((sum, v) => sum + v, 0) / y.length;
    const variance = y.reduce((sum, v) => sum + (v - mean) ** 2, 0) / y.length;
    expect(Math.abs(mean - 3)).toBeLessThan(0.2);
    expect(Math.abs(Math.sqrt(variance) - 2)).toBeLessThan(0.15);
    expect(run('RandomNormal', [], { attributes })[0]).toEqual(y);
  });

  it('draws classes by their probabilities', () => {
    const logs = f32([1, 3], [0, Math.log(3), -100]);
    const attributes = [int('sample_size', 2000), float('seed', 1)];
    const [y] = run('Multinomial', [logs], { attributes }) as [readonly number[]];
    const share = y.filter((each) => each === 1).length / y.length;
    expect(Math.abs(share - 0.75)).toBeLessThan(0.05);
    expect(y.includes(2)).toBe(false);
  });

  it('refuses with a reason what it does not import', () => {
    const x = f32([2, 3], [1, 2, 3, 4, 5, 6]);
    const one = f32([3], [1, 1, 1]);
    const norm = { attributes: [int('spatial', 0)], opset: 7 };
    expect(refusal('BatchNormalization', [x, one, one, one, one], norm)).toContain('spatial');
    expect(refusal('ImageDecoder', [x], {})).toContain('not supported');
    expect(refusal('Gelu', [x], { attributes: [text('approximate', 'other')] })).toContain(
      'approx',
    );
  });
});
