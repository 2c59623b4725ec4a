/** A small network of several kernels, for tests of what happens between them. */
import type { HostTensor } from '@open-claw/core';
import {
  expressions,
  type Graph,
  graphOf,
  hostTensor,
  input,
  matmul,
  type Node,
  tanh,
} from '@open-claw/core/internal';

const width = 6;
export const layers = 5;

/** tanh(… tanh(x · w₀) · w₁ …), x: f32[batch, 6]: a kernel per layer. */
export function layeredGraph(): Graph {
  const rows = expressions.variable('batch');
  const x = input('x', { dtype: 'f32', shape: [rows, width] });
  const weights = Array.from({ length: layers }, (_, i) =>
    input(`w${i}`, { dtype: 'f32', shape: [width, width] }),
  );
  const y = weights.reduce<Node>((h, w) => tanh(matmul(h, w)), x);
  return graphOf([x, ...weights], [y]);
}

const values = (count: number, seed: number): number[] =>
  Array.from({ length: count }, (_, i) => Math.sin(seed + 3 * i) / 2);

export const layeredInputs = (batch: number, seed: number): HostTensor[] => [
  hostTensor('f32', [batch, width], values(batch * width, seed)),
  ...Array.from({ length: layers }, (_, i) =>
    hostTensor('f32', [width, width], values(width * width, seed + i + 1)),
  ),
];

/** Whether the first outputs agree. */
export const isClose =
  ([expected]: readonly HostTensor[]) =>
  ([actual]: readonly HostTensor[]): boolean =>
    expected !== undefined &&
    actual?.shape.join() === expected.shape.join() &&
    Array.from(expected.data as Float32Array).every(
      (value, i) => Math.abs(Number(actual.data[i]) - value) < 1e-5,
    );

/** Runs with a fault on demand of a stub driver: the N-th call of a kind. */
export async function withFault<T>(fault: string, work: () => Promise<T>): Promise<T> {
  process.env['CLAW_STUB_FAULT'] = fault;
  try {
    return await work();
  } finally {
    delete process.env['CLAW_STUB_FAULT'];
  }
}
