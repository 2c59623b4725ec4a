/**
 * Random tensors from counter-based bits (Philox): a key gives the same numbers on every device.
 * The key is data, not part of the program, so another seed runs the same kernels.
 */
import type { DType } from '../base/dtype.js';
import * as b from '../graph/build.js';
import * as c from '../graph/composites.js';
import type { Node } from '../graph/node.js';
import { known, nodeOf } from './handle.js';
import { Tensor } from './tensor.js';
import { atUserLine } from './where.js';

export interface RandomOptions {
  readonly dtype?: DType;
  /** The next one of a sequence where neither seed nor key is given; see `manualSeed`. */
  readonly seed?: number;
  /** u32[2]; inside of `jit` a key must come as an argument to give new numbers at every call. */
  readonly key?: Tensor;
}

let sequence = 0;
let position = 0;

/** Starts the sequence of seeds that calls without a seed take; it starts at 0 by itself. */
export function manualSeed(seed: number): void {
  sequence = seed;
  position = 0;
}

function keyNode(seed: number, stream: number): Node {
  return known({ dtype: 'u32', shape: [2], data: Uint32Array.of(seed >>> 0, stream >>> 0) });
}

/** A key: u32[2]. Different streams of a seed are independent. */
export const randomKey = (seed: number, stream = 0): Tensor => new Tensor(keyNode(seed, stream));

function keyOf({ seed, key }: RandomOptions): Node {
  if (key !== undefined) return nodeOf(key);
  return seed === undefined ? keyNode(sequence, ++position) : keyNode(seed, 0);
}

/** Normal with mean 0 and deviation 1. */
export function randn(shape: readonly number[], options: RandomOptions = {}): Tensor {
  return atUserLine(() => new Tensor(c.randomNormal(keyOf(options), shape, options.dtype)));
}

/** Uniform in [0, 1). */
export function rand(shape: readonly number[], options: RandomOptions = {}): Tensor {
  return uniform(shape, 0, 1, options);
}

/** Uniform in [low, high). */
export function uniform(
  shape: readonly number[],
  low: number,
  high: number,
  options: RandomOptions = {},
): Tensor {
  const { dtype = 'f32' } = options;
  return atUserLine(() => new Tensor(c.randomUniform(keyOf(options), shape, dtype, low, high)));
}

/** u32 random bits. */
export function randomBits(shape: readonly number[], options: RandomOptions = {}): Tensor {
  return atUserLine(() => new Tensor(b.randomBits(keyOf(options), shape)));
}

/** The numbers 0 … count − 1 in random order (i64). */
export function permutation(count: number, options: RandomOptions = {}): Tensor {
  return randomBits([count], options).argsort();
}
