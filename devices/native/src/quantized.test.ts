/** Constant weights of a few bits: read as bytes, scaled in groups, against plain arithmetic. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile, type HostTensor, hostTensor, load } from '@open-claw/core';
import * as core from '@open-claw/core/internal';
import { afterAll, describe, expect, it } from 'vitest';
import { compilersOnPath } from './compiler.js';
import { nativeDevice } from './index.js';

const folder = mkdtempSync(join(tmpdir(), 'claw-native-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const missing = compilersOnPath().length === 0;
if (missing) console.warn('skipped: gcc or clang not found: install build-essential');

let state = 3;
const random = (): number => {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return state / 2 ** 31;
};
const floats = (count: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: count }, random);
const bytes = (count: number): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: count }, () => Math.floor((random() + 1) * 128));

const k = 96;
const n = 1100;
const block = 32;
const blocks = k / block;

async function run(graph: core.Graph, inputs: readonly HostTensor[]) {
  const plugin = nativeDevice({ cache: folder, threads: 2 });
  const [found] = await plugin.probe();
  const { target } = found as { readonly target: core.Target };
  const device = await plugin.open('native');
  const program = compile(graph, target, plugin.language);
  const executable = await load(program, { id: 'native', device, plugin, target } as never);
  const [output] = await executable.run(inputs);
  await executable.dispose();
  await device.close();
  return { output: output as HostTensor, text: program.source?.text ?? '' };
}

/** Greatest error in units of Σ|x·w|. */
function errorOf(x: HostTensor, weight: (column: number, depth: number) => number, y: HostTensor) {
  let worst = 0;
  for (let row = 0; row < Number(x.shape[0]); row++) {
    for (let column = 0; column < n; column++) {
      let [sum, size] = [0, 0];
      for (let depth = 0; depth < k; depth++) {
        const term = Number(x.data[row * k + depth]) * weight(column, depth);
        sum += term;
        size += Math.abs(term);
      }
      worst = Math.max(worst, Math.abs(Number(y.data[row * n + column]) - sum) / size);
    }
  }
  return worst;
}

describe.skipIf(missing)('weights', () => {
  it.each([
    [8, 1, false],
    [8, 3, false],
    [8, 2, true],
    [8, 9, false],
    [4, 1, false],
    [4, 4, true],
    [4, 40, false],
  ])('of %i bits times %i rows, zero points: %s', async (bits, rows, hasZeros) => {
    const packed = bytes((n * k * bits) / 8);
    const scales = floats(n * blocks);
    const zeros = bytes(n * Math.ceil((blocks * bits) / 8));
    const x = hostTensor('f32', [rows, k], floats(rows * k));
    const given = core.input('x', x);
    const perRow = Math.ceil((blocks * bits) / 8);
    const weights = hostTensor('u8', [n, blocks, (block * bits) / 8], packed);
    const zeroPoints = core.constant(hostTensor('u8', [n * perRow], zeros));
    const output = core.matMulNBits(
      given,
      core.constant(weights),
      core.constant(hostTensor('f32', [n * blocks], scales)),
      { bits, block, n, k, ...(hasZeros ? { zeroPoints } : {}) },
    );
    const { output: got, text } = await run(core.graphOf([given], [output]), [x]);
    expect(text.includes('k0_levels')).toBe(rows <= 4);
    expect(text.includes('k0_zeros')).toBe(rows <= 4 && hasZeros);
    const code = (from: Uint8Array, at: number): number =>
      bits === 8 ? (from[at] as number) : ((from[at >> 1] as number) >> (4 * (at & 1))) & 15;
    const weight = (column: number, depth: number): number => {
      const number = Math.floor(depth / block);
      const row = zeros.subarray(column * perRow, (column + 1) * perRow);
      const zero = hasZeros ? code(row, number) : 2 ** (bits - 1);
      const scale = scales[column * blocks + number] as number;
      return (code(packed, column * k + depth) - zero) * scale;
    };
    expect(errorOf(x, weight, got)).toBeLessThan(2 ** -19);
  });

  it('of 4 bits with zero points between the levels', async () => {
    const [packed, scales, zeros] = [bytes((n * k) / 2), floats(n * blocks), floats(n * blocks)];
    const x = hostTensor('f32', [2, k], floats(2 * k));
    const given = core.input('x', x);
    const weights = hostTensor('u8', [n, blocks, block / 2], packed);
    const zeroPoints = core.constant(hostTensor('f32', [n, blocks], zeros));
    const output = core.matMulNBits(
      given,
      core.constant(weights),
      core.constant(hostTensor('f32', [n * blocks], scales)),
      { bits: 4, block, n, k, zeroPoints },
    );
    const { output: got, text } = await run(core.graphOf([given], [output]), [x]);
    expect(text).toContain('k0_zeros');
    const weight = (column: number, depth: number): number => {
      const at = column * k + depth;
      const code = ((packed[at >> 1] as number) >> (4 * (at & 1))) & 15;
      const number = column * blocks + Math.floor(depth / block);
      return (code - (zeros[number] as number)) * (scales[number] as number);
    };
    expect(errorOf(x, weight, got)).toBeLessThan(2 ** -19);
  });

  it('dequantized by one scale for a column', async () => {
    const codes = Int8Array.from(bytes(k * n), (byte) => byte - 128);
    const scales = floats(n);
    const x = hostTensor('f32', [1, k], floats(k));
    const given = core.input('x', x);
    const levels = core.cast(core.constant(hostTensor('i8', [k, n], codes)), 'f32');
    const factor = core.constant(hostTensor('f32', [1, n], scales));
    const output = core.matmul(given, core.multiply(levels, factor));
    const { output: got, text } = await run(core.graphOf([given], [output]), [x]);
    expect(text).toContain('k0_levels');
    const weight = (column: number, depth: number): number =>
      (codes[depth * n + column] as number) * (scales[column] as number);
    expect(errorOf(x, weight, got)).toBeLessThan(2 ** -19);
  });
});
