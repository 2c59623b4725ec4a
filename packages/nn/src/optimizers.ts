/** Optimizers as pure functions: (parameters, gradients, state) → [parameters, state]. */
import { mapTree, type Tensor, zeros, zerosLike, zipTrees } from '@open-claw/core';

export interface Optimizer<S> {
  init<P>(parameters: P): S & { readonly moments: readonly P[] };
  /** `rate` takes the place of the learning rate: a tensor, so that a change compiles nothing. */
  update<P>(
    parameters: P,
    gradients: P,
    state: S & { readonly moments: readonly P[] },
    rate?: Tensor,
  ): [parameters: P, state: S & { readonly moments: readonly P[] }];
}

/** Steps done so far, as f32. */
export interface StepCount {
  readonly step: Tensor;
}

export interface SgdOptions {
  readonly learningRate: number;
  readonly momentum?: number;
}

/** v ← momentum·v + g; p ← p − rate·v. */
export function sgd({ learningRate, momentum = 0 }: SgdOptions): Optimizer<StepCount> {
  return {
    init: (parameters) => ({
      step: zeros([]),
      moments: momentum === 0 ? [] : [mapTree(parameters, zerosLike)],
    }),
    update(parameters, gradients, { step, moments: [old] }, rate) {
      const velocity =
        old === undefined
          ? gradients
          : zipTrees([old, gradients], (v, g) => (v as Tensor).mul(momentum).add(g as Tensor));
      const next = zipTrees([parameters, velocity], (p, v) =>
        (p as Tensor).sub((v as Tensor).mul(rate ?? learningRate)),
      );
      return [next, { step: step.add(1), moments: old === undefined ? [] : [velocity] }];
    },
  };
}

export interface AdamOptions {
  readonly learningRate: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
}

export interface AdamWOptions extends AdamOptions {
  /** Pulls tensors of rank 2 and more towards zero: weights, not biases and scales. */
  readonly weightDecay?: number;
}

/** Kingma and Ba, 2015. */
export const adam = (options: AdamOptions): Optimizer<StepCount> =>
  adamW({ ...options, weightDecay: 0 });

/** Adam with decoupled decay. Loshchilov and Hutter, 2019. */
export function adamW(options: AdamWOptions): Optimizer<StepCount> {
  const { learningRate, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = options;
  const { weightDecay = 0.01 } = options;
  const blend =
    (beta: number) =>
    (old: Tensor, now: Tensor): Tensor =>
      old.mul(beta).add(now.mul(1 - beta));
  return {
    init: (parameters) => ({
      step: zeros([]),
      moments: [mapTree(parameters, zerosLike), mapTree(parameters, zerosLike)],
    }),
    update<P>(
      parameters: P,
      gradients: P,
      state: StepCount & { readonly moments: readonly P[] },
      rate?: Tensor,
    ) {
      const step = state.step.add(1);
      const [first, second] = state.moments as readonly [P, P];
      const mean = zipTrees<P>([first, gradients], (m, g) =>
        blend(beta1)(m as Tensor, g as Tensor),
      );
      const square = zipTrees<P>([second, gradients], (v, g) =>
        blend(beta2)(v as Tensor, (g as Tensor).square()),
      );
      const [less1, less2] = [beta1, beta2].map((beta) =>
        step.mul(Math.log(beta)).exp().neg().add(1),
      ) as [Tensor, Tensor];
      const next = zipTrees<P>([parameters, mean, square], (...leaves) => {
        const [p, m, v] = leaves as [Tensor, Tensor, Tensor];
        const change = m.div(less1).div(v.div(less2).sqrt().add(epsilon));
        const pulled = weightDecay > 0 && p.rank > 1 ? change.add(p.mul(weightDecay)) : change;
        return p.sub(pulled.mul(rate ?? learningRate));
      });
      return [next, { step, moments: [mean, square] }];
    },
  };
}
