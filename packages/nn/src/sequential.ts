/** Layers one after the other; plain functions count as layers without parameters. */
import type { Tensor } from '@open-claw/core';
import type { AnyLayer, Layer, Mode, Seeds } from './layer.js';

export type Step = AnyLayer | ((x: Tensor) => Tensor);

/** Parameters of a step: none for a function. */
type ParametersOf<S> = S extends { init(seeds: Seeds): infer P } ? P : readonly [];

export type SequentialParameters<S extends readonly Step[]> = {
  readonly [Index in keyof S]: ParametersOf<S[Index]>;
};

export class Sequential<S extends readonly Step[]> implements Layer<SequentialParameters<S>> {
  private readonly steps: S;

  constructor(...steps: S) {
    this.steps = steps;
  }

  init(seeds: Seeds): SequentialParameters<S> {
    const made = this.steps.map((step) => (typeof step === 'function' ? [] : step.init(seeds)));
    return made as unknown as SequentialParameters<S>;
  }

  apply(parameters: SequentialParameters<S>, x: Tensor, mode?: Mode): Tensor {
    return this.steps.reduce<Tensor>((value, step, i) => {
      if (typeof step === 'function') return step(value);
      return step.apply(parameters[i] as never, value, mode);
    }, x);
  }
}
