/** What a layer is: a description that makes parameters and applies them; it holds no numbers. */
import { mapTree, randomKey, type Tensor, tensorsOf } from '@open-claw/core';

/** Parameters `P` are arrays and plain records of tensors: to be saved, mapped, differentiated. */
export interface Layer<P> {
  /** New parameters; equal seeds give equal numbers on every device. */
  init(seeds: Seeds): P;
  /** Pure: the same parameters, input and mode give the same result. */
  apply(parameters: P, x: Tensor, mode?: Mode): Tensor;
}

/** A layer of any kind of parameters, as lists of layers hold them. */
export interface AnyLayer {
  init(seeds: Seeds): unknown;
  apply(parameters: never, x: Tensor, mode?: Mode): Tensor;
}

/** Numbers the parameters of a model: each asks for a key of its own. */
export class Seeds {
  private readonly seed: number;
  private count = 0;

  constructor(seed: number) {
    this.seed = seed;
  }

  next(): Tensor {
    return randomKey(this.seed, ++this.count);
  }
}

/** New parameters of a layer for a seed. */
export const initialize = <P>(layer: { init(seeds: Seeds): P }, seed = 0): P =>
  layer.init(new Seeds(seed));

/**
 * How layers behave in training. One is made per step; layers that keep statistics leave the new
 * ones here, and `updated` puts them into the parameters.
 */
export class Mode {
  private readonly key: Tensor | undefined;
  private used = 0;
  private readonly changes = new Map<object, unknown>();

  /** `key` (u32[2]) is new in every step; without one dropout does nothing. */
  constructor(key?: Tensor) {
    this.key = key;
  }

  /** A key for one layer; undefined where none was given. */
  nextKey(): Tensor | undefined {
    this.used += 1;
    return this.key?.add(this.used);
  }

  /** Remembers what shall stand in the place of a layer's parameters. */
  change<P extends object>(parameters: P, next: P): void {
    this.changes.set(parameters, next);
  }

  /** The parameters with all changes. */
  updated<P>(parameters: P): P {
    return this.replace(parameters) as P;
  }

  private replace(tree: unknown): unknown {
    if (typeof tree !== 'object' || tree === null) return tree;
    const next = this.changes.get(tree);
    if (next !== undefined) return next;
    if (Array.isArray(tree)) return tree.map((member) => this.replace(member));
    if (Object.getPrototypeOf(tree) !== Object.prototype) return tree;
    const members = Object.entries(tree).map(([name, member]) => [name, this.replace(member)]);
    return Object.fromEntries(members);
  }
}

/** Number of values in parameters. */
export const parameterCount = (parameters: unknown): number =>
  tensorsOf(parameters).reduce((total, { size }) => total + size, 0);

/** Parameters in another dtype; integers stay. */
export const castParameters = <P>(parameters: P, dtype: 'f16' | 'bf16' | 'f32' | 'f64'): P =>
  mapTree(parameters, (leaf) => (/^[iu]|bool/.test(leaf.dtype) ? leaf : leaf.to(dtype)));
