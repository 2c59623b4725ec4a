/** Convolutions on a matrix unit, pretended and real, against the interpreter's float64. */
import { compile, type HostTensor, hostTensor, load, type Target } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { nativeDevice } from '@open-claw/device-native';
import { plugin as template } from '@open-claw/device-template';
import { describe, expect, it } from 'vitest';
import { seededTensors } from './seeded.js';
import { targets } from './targets.js';

type Precision = 'highest' | 'high' | 'fast';

const plain = targets.find(({ id }) => id === 'test/vector16') as Target;
const operands = { left: 'bf16', right: 'bf16', accumulate: 'f32', operands: 'global' } as const;
/** Four channels, four positions: blocks of both are many. */
const pretended: Target = {
  ...plain,
  id: 'test/unit',
  cores: 2,
  cacheBytes: [2048, 2 ** 18],
  spaces: [
    ...plain.spaces,
    { name: 'own', class: 'scratch', bytes: 2 ** 20, alignment: 64, copiesTo: [] },
  ],
  matrixUnits: [{ name: 'bf16', ...operands, m: 4, n: 4, k: 32, interleave: 2 }],
};

const f32 = seededTensors();

interface Convolution {
  readonly x: HostTensor;
  readonly w: HostTensor;
  readonly options: NonNullable<Parameters<typeof core.window>[3]>;
  readonly isFixed?: boolean;
  readonly precision?: Precision;
}

/** The convolution, plus 0.5 so that something follows. */
function graphOf({ x, w, options, isFixed = false }: Convolution): core.Graph {
  const a = core.input('x', { dtype: 'f32', shape: x.shape });
  const b = core.input('w', { dtype: 'f32', shape: w.shape });
  const weights = isFixed ? core.constant(w) : b;
  const sum = core.window('convolve', a, weights, options);
  return core.graphOf(isFixed ? [a] : [a, b], [core.add(sum, core.scalar('f32', 0.5))]);
}

const magnitudes = ({ dtype, shape, data }: HostTensor): HostTensor =>
  hostTensor(dtype, shape, Float32Array.from(data as Float32Array, Math.abs));

/** Greatest error in units of Σ|x·w| + 0.5; results that are not finite must be the same. */
function errorOf(made: Convolution, output: HostTensor): number {
  const graph = graphOf({ ...made, isFixed: false });
  const [wanted] = core.interpret(graph, [made.x, made.w]);
  const [size] = core.interpret(graph, [magnitudes(made.x), magnitudes(made.w)]);
  const [got, want, sizes] = [output, wanted, size].map((t) => (t as HostTensor).data) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  let worst = 0;
  for (let i = 0; i < want.length; i++) {
    const [a, b] = [got[i] as number, want[i] as number];
    if (Object.is(a, b) || (Number.isNaN(a) && Number.isNaN(b))) continue;
    const error = Math.abs(a - b) / Math.max(sizes[i] as number, 2 ** -149);
    worst = Math.max(worst, Number.isFinite(a) ? error : Number.POSITIVE_INFINITY);
  }
  return worst;
}

async function runPretended(made: Convolution): Promise<HostTensor> {
  const device = await template.open('template:0');
  const options = { precision: made.precision ?? 'highest' };
  const program = compile(graphOf(made), pretended, template.language, options);
  const opened = { id: 'template:0', device, plugin: template, target: pretended };
  const executable = await load(program, opened as never);
  const [output] = await executable.run(made.isFixed ? [made.x] : [made.x, made.w]);
  await device.close();
  return output as HostTensor;
}

const padded = (low: number, high = low) => [low, high] as const;

const cases: readonly (readonly [string, Convolution])[] = [
  [
    'rows that run on',
    { x: f32([2, 32, 9, 11]), w: f32([8, 32, 3, 3]), options: { padding: [padded(1), padded(1)] } },
  ],
  [
    'ragged channels and padding beyond the kernel',
    {
      x: f32([1, 61, 7, 6]),
      w: f32([11, 61, 3, 2]),
      options: { padding: [padded(4, 0), padded(3, 5)] },
      isFixed: true,
    },
  ],
  [
    'strides, dilation and groups',
    {
      x: f32([1, 64, 13, 17]),
      w: f32([16, 32, 3, 3]),
      options: {
        groups: 2,
        strides: [2, 2],
        kernelDilation: [1, 2],
        padding: [
          [1, 1],
          [2, 2],
        ],
      },
      isFixed: true,
    },
  ],
  ['one axis', { x: f32([2, 32, 70]), w: f32([9, 32, 5]), options: { padding: [padded(2)] } }],
  [
    'three axes, an input with holes',
    {
      x: f32([1, 32, 4, 5, 6]),
      w: f32([8, 32, 2, 2, 2]),
      options: { inputDilation: [1, 1, 2], strides: [1, 2, 1] },
    },
  ],
];

describe('convolutions on bf16 tiles', () => {
  it.each(cases)('%s, at each precision', async (_name, made) => {
    for (const [precision, bound] of [
      ['highest', 2 ** -21],
      ['high', 2 ** -14],
      ['fast', 2 ** -7],
    ] as const) {
      const error = errorOf(made, await runPretended({ ...made, precision }));
      expect(error).toBeLessThan(bound);
      if (precision !== 'highest') expect(error).toBeGreaterThan(bound / 2 ** 10);
    }
  });

  it.each([
    ['infinity', Infinity, 1],
    ['NaN', NaN, 1],
    ['a denormal', 1e-40, 1],
    ['one with a denormal part', 1e-33, 1],
    ['the greatest', 3.4e38, 1],
    ['small numbers', 0.5e-25, 1e-25],
    ['great numbers', 1e25, 1e25],
  ])('%s is done in plain code', async (_name, value, scale) => {
    // Great numbers are within what the unit takes: then less accuracy means less.
    const precisions = value === 1e25 ? (['highest'] as const) : (['highest', 'fast'] as const);
    for (const precision of precisions) {
      for (const isFixed of [true, false]) {
        const options = { padding: [padded(1), padded(1)] };
        const made = { x: f32([1, 32, 5, 4], scale), w: f32([10, 32, 3, 3]), options, isFixed };
        (made.x.data as Float32Array)[100] = value;
        expect(errorOf(made, await runPretended({ ...made, precision }))).toBeLessThan(2 ** -20);
      }
    }
  });
});

describe('convolutions on native/amx', () => {
  it('are as exact as plain code, whatever the numbers', { timeout: 60_000 }, async ({ skip }) => {
    const plugin = nativeDevice();
    const device = await plugin.open('native/amx').catch(() => undefined);
    const target = plugin.targets.find(({ id }) => id === 'native/amx');
    if (device === undefined || target === undefined) {
      return skip('needs a CPU with AMX, and gcc or clang (build-essential)');
    }
    const options = { padding: [padded(1), padded(1)] };
    const made = { x: f32([2, 64, 21, 19]), w: f32([40, 64, 3, 3]), options, isFixed: true };
    const program = compile(graphOf(made), target, plugin.language);
    expect(program.source?.text).toContain('tdpbf16ps');
    const executable = await load(program, { id: 'native/amx', device, plugin, target } as never);
    for (const value of [0, 1e-40, 1e30, Infinity, NaN]) {
      (made.x.data as Float32Array)[777] = value;
      const [output] = await executable.run([made.x]);
      expect(errorOf(made, output as HostTensor)).toBeLessThan(2 ** -20);
    }
    await executable.dispose();
    await device.close();
  });
});
