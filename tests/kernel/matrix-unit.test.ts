/** Contractions on a pretended matrix unit, against the interpreter; memory is checked. */
import { compile, type HostTensor, hostTensor, load, type Target } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { plugin } from '@open-claw/device-template';
import { describe, expect, it } from 'vitest';
import { templateTarget } from '../../devices/template/src/target.js';
import { seededTensors } from './seeded.js';

const unit = (name: string, left: core.DType, right: core.DType, accumulate: core.DType) => {
  const side = left === 'bf16' ? 2 : 4;
  const shape = { m: 4, n: 4, k: 4 * side, interleave: side };
  return { name, left, right, accumulate, operands: 'global' as const, ...shape };
};

const target: Target = {
  ...templateTarget,
  matrixUnits: [unit('bf16', 'bf16', 'bf16', 'f32'), unit('bytes', 'u8', 'i8', 'i32')],
};

const f32 = seededTensors();

async function run(
  graph: core.Graph,
  inputs: readonly HostTensor[],
  precision: 'highest' | 'high' | 'fast' = 'highest',
): Promise<{ readonly output: HostTensor; readonly usesUnit: boolean }> {
  const device = await plugin.open('template:0');
  const program = compile(graph, target, plugin.language, { precision });
  const usesUnit = program.source?.text?.includes('k0_pack') === true;
  const executable = await load(program, { id: 'template:0', device, plugin, target } as never);
  const [output] = await executable.run(inputs);
  await device.close();
  return { output: output as HostTensor, usesUnit };
}

function product(
  a: HostTensor,
  b: HostTensor,
  after: (x: core.Node) => core.Node = (x) => x,
): core.Graph {
  const [x, y] = [a, b].map(({ dtype, shape }) => core.input('x', { dtype, shape })) as [
    core.NodeOf<'input'>,
    core.NodeOf<'input'>,
  ];
  return core.graphOf([x, y], [after(core.matmul(x, y))]);
}

/** Greatest error in units of Σ|a·b|, and how many results differ in being finite. */
function errorOf(a: HostTensor, b: HostTensor, c: HostTensor): number {
  const [m = 0, k = 0] = a.shape as number[];
  const n = b.shape[1] as number;
  let worst = 0;
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let [sum, size] = [0, 0];
      for (let d = 0; d < k; d++) {
        const term = Number(a.data[i * k + d]) * Number(b.data[d * n + j]);
        sum += term;
        size += Math.abs(term);
      }
      const got = Number(c.data[i * n + j]);
      const wanted = Math.fround(sum);
      if (Object.is(got, wanted) || (Number.isNaN(got) && Number.isNaN(wanted))) continue;
      worst = Math.max(worst, Number.isFinite(got) ? Math.abs(got - sum) / size : Infinity);
    }
  }
  return worst;
}

describe('f32 on bf16 tiles', () => {
  it.each([
    [16, 16, 16],
    [18, 23, 19],
    [5, 70, 90],
    [67, 33, 9],
  ])('%i × %i × %i at each precision', async (m, k, n) => {
    const [a, b] = [f32([m, k]), f32([k, n])];
    for (const [precision, bound] of [
      ['highest', 2 ** -21],
      ['high', 2 ** -14],
      ['fast', 2 ** -7],
    ] as const) {
      const { output, usesUnit } = await run(product(a, b), [a, b], precision);
      expect(usesUnit).toBe(true);
      const error = errorOf(a, b, output);
      expect(error).toBeLessThan(bound);
      if (precision !== 'highest') expect(error).toBeGreaterThan(bound / 2 ** 9);
    }
  });

  it('walks a long depth in blocks', async () => {
    const [a, b] = [f32([8, 1100]), f32([1100, 9])];
    const { output, usesUnit } = await run(product(a, b), [a, b]);
    expect(usesUnit).toBe(true);
    expect(errorOf(a, b, output)).toBeLessThan(2 ** -21);
  });

  it('applies what follows', async () => {
    const [a, b] = [f32([17, 16]), f32([16, 19])];
    const half = (x: core.Node): core.Node => core.multiply(x, core.scalar('f32', 0.5));
    const { output } = await run(product(a, b, half), [a, b]);
    const doubled = { ...output, data: (output.data as Float32Array).map((x) => x * 2) };
    expect(errorOf(a, b, doubled)).toBeLessThan(2 ** -21);
  });

  it('stays within its rows in plain code', async () => {
    // Tiles of 4 rows would be even for all of them, but not for a task's.
    const [a, b] = [f32([300, 16]), f32([16, 9])];
    (a.data as Float32Array)[300 * 16 - 1] = 1e-40;
    const { output, usesUnit } = await run(product(a, b), [a, b]);
    expect(usesUnit).toBe(true);
    expect(errorOf(a, b, output)).toBeLessThan(2 ** -21);
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
    const [a, b] = [f32([24, 24], scale), f32([24, 24])];
    (a.data as Float32Array)[24 * 20 + 5] = value;
    const { output } = await run(product(a, b), [a, b]);
    expect(errorOf(a, b, output)).toBeLessThan(2 ** -20);
  });
});

describe('bytes', () => {
  it.each([
    [16, 32, 16],
    [9, 30, 71],
  ])('%i × %i × %i, with a zero point', async (m, k, n) => {
    const a = hostTensor(
      'u8',
      [m, k],
      Uint8Array.from(f32([m * k]).data as Float32Array, (v) => (v + 1) * 127),
    );
    const b = hostTensor(
      'i8',
      [k, n],
      Int8Array.from(f32([k * n]).data as Float32Array, (v) => v * 128),
    );
    const [x, y] = [core.input('a', a), core.input('b', b)];
    const output = core.matmul(core.cast(x, 'i32'), core.cast(y, 'i32'));
    const { output: got, usesUnit } = await run(core.graphOf([x, y], [output]), [a, b]);
    expect(usesUnit).toBe(true);
    expect(errorOf(a, b, got)).toBe(0);
  });
});
