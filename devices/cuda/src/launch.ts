/** How a launch is said: groups over the axes of a grid, and parameters as an array of pointers. */
import { failure, tooLarge } from '@open-claw/core/device';
import type { Dims } from './calls.js';

const exactGrid = 2 ** 31 - 1;

/**
 * Groups of a launch: exactly as many as tasks along x where the target's x takes them all, else
 * at least as many over three axes, as the printers of this family expect.
 */
export function groupsOf(tasks: number, maxGrid: readonly [number, number, number]): Dims {
  const [x, y, z] = maxGrid;
  if (x >= exactGrid) {
    if (tasks > x) throw tooLarge('grid', tasks, x);
    return { x: tasks, y: 1, z: 1 };
  }
  if (tasks > x * y * z) throw tooLarge('grid', tasks, x * y * z);
  const across = Math.min(tasks, x);
  const down = Math.min(Math.ceil(tasks / across), y);
  return { x: across, y: down, z: Math.ceil(tasks / (across * down)) };
}

/** A parameter of a kernel: an address or an integer of 4 or 8 bytes. */
export type Parameter =
  | { readonly kind: 'address'; readonly value: bigint }
  | { readonly kind: 'i32' | 'i64'; readonly value: number };

/** Parameters in one block: pointers to values, ended by NULL, then the values in 8 bytes each. */
export function packParameters(
  parameters: readonly Parameter[],
  addressOf: (array: BigUint64Array) => bigint,
): BigUint64Array {
  const count = parameters.length;
  const block = new BigUint64Array(new ArrayBuffer(8 * (2 * count + 1)));
  const start = addressOf(block) + BigInt(8 * (count + 1));
  for (const [i, { kind, value }] of parameters.entries()) {
    if (kind === 'i32' && value !== Math.trunc(value) + 0) throw wrongSize(value);
    if (kind === 'i32' && (value > 2 ** 31 - 1 || value < -(2 ** 31))) throw wrongSize(value);
    block[i] = start + BigInt(8 * i);
    block[count + 1 + i] = BigInt.asUintN(64, BigInt(value));
  }
  return block;
}

const wrongSize = (value: number) =>
  failure('OC-DEVICE-03', { reason: `the size ${value} is no 32-bit integer` });
