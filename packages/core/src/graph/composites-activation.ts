/** Activations as composites; narrow floats are computed in f32 and rounded once. */
import {
  absolute,
  add,
  atanh,
  between,
  divide,
  erf,
  exp,
  greater,
  greaterEqual,
  inSingle,
  less,
  lessEqual,
  maximum,
  minimum,
  multiply,
  negate,
  select,
  subtract,
  tanh,
} from './build-elementwise.js';
import { composite, type Parameters } from './build-regions.js';
import type { Node } from './node.js';

/** A composite of one input and one result, computed in at least f32. */
function activation(name: string, parameters: Parameters, x: Node, body: (x: Node) => Node): Node {
  const [result] = composite(name, parameters, [x], ([value]) => [inSingle(value as Node, body)]);
  return result as Node;
}

/** ln(1 + e) for 0 ≤ e ≤ 1 without losing small e: 2·atanh(e / (2 + e)). */
const logOnePlus = (e: Node): Node => multiply(2, atanh(divide(e, add(e, 2))));

/** eˣ − 1 for x ≤ 0 without losing small x: 2t / (1 − t), t = tanh(x / 2). */
function expMinusOne(x: Node): Node {
  const t = tanh(multiply(x, 0.5));
  return divide(multiply(t, 2), subtract(1, t));
}

/** min(x, 0) whose derivative at 0 is that of the branch that is used. */
const negativePart = (x: Node): Node => select(greater(x, 0), 0, x);

/** 1 / (1 + e⁻ˣ), without overflow on either side. */
export function sigmoidBody(x: Node): Node {
  const positive = greaterEqual(x, 0);
  const e = exp(select(positive, negate(x), x));
  return divide(select(positive, 1, e), add(e, 1));
}

/** ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|). */
export function softplusBody(x: Node): Node {
  const positive = greaterEqual(x, 0);
  const e = exp(select(positive, negate(x), x));
  return add(select(positive, x, 0), logOnePlus(e));
}

export const sigmoid = (x: Node): Node => activation('sigmoid', {}, x, sigmoidBody);

export const logSigmoid = (x: Node): Node =>
  activation('logSigmoid', {}, x, (v) => negate(softplusBody(negate(v))));

/** max(x, 0) with derivative 0 at 0; integers too. */
export const relu = (x: Node): Node =>
  activation('relu', {}, x, (v) => select(lessEqual(v, 0), 0, v));

export const leakyRelu = (x: Node, alpha = 0.01): Node =>
  activation('leakyRelu', { alpha }, x, (v) => select(less(v, 0), multiply(v, alpha), v));

export const elu = (x: Node, alpha = 1): Node =>
  activation('elu', { alpha }, x, (v) =>
    select(greater(v, 0), v, multiply(expMinusOne(negativePart(v)), alpha)),
  );

/** Klambauer et al., Self-Normalizing Neural Networks, 2017. */
export const selu = (x: Node, alpha = 1.6732632423543772, gamma = 1.0507009873554805): Node =>
  activation('selu', { alpha, gamma }, x, (v) =>
    multiply(select(greater(v, 0), v, multiply(expMinusOne(negativePart(v)), alpha)), gamma),
  );

export const celu = (x: Node, alpha = 1): Node =>
  activation('celu', { alpha }, x, (v) =>
    select(greater(v, 0), v, multiply(expMinusOne(divide(negativePart(v), alpha)), alpha)),
  );

export const softplus = (x: Node): Node => activation('softplus', {}, x, softplusBody);

export const softsign = (x: Node): Node =>
  activation('softsign', {}, x, (v) => divide(v, add(absolute(v), 1)));

/** Hendrycks and Gimpel 2016: x·Φ(x), exactly by erf, or by the tanh approximation. */
export function gelu(x: Node, approximation: 'erf' | 'tanh' = 'erf'): Node {
  return activation('gelu', { approximation }, x, (v) => {
    if (approximation === 'erf') {
      return multiply(multiply(v, 0.5), add(erf(multiply(v, Math.SQRT1_2)), 1));
    }
    const cubed = multiply(multiply(v, v), v);
    const inner = multiply(add(v, multiply(cubed, 0.044715)), Math.sqrt(2 / Math.PI));
    return multiply(multiply(v, 0.5), add(tanh(inner), 1));
  });
}

/** x·σ(alpha·x); alpha 1 is SiLU. */
export const swish = (x: Node, alpha = 1): Node =>
  activation('swish', { alpha }, x, (v) =>
    multiply(v, sigmoidBody(alpha === 1 ? v : multiply(v, alpha))),
  );

export const silu = (x: Node): Node => swish(x, 1);

export const mish = (x: Node): Node =>
  activation('mish', {}, x, (v) => multiply(v, tanh(softplusBody(v))));

const hardSigmoidBody = (x: Node, alpha: number, beta: number): Node =>
  minimum(maximum(add(multiply(x, alpha), beta), 0), 1);

export const hardSigmoid = (x: Node, alpha = 0.2, beta = 0.5): Node =>
  activation('hardSigmoid', { alpha, beta }, x, (v) => hardSigmoidBody(v, alpha, beta));

export const hardSwish = (x: Node): Node =>
  activation('hardSwish', {}, x, (v) => multiply(v, hardSigmoidBody(v, 1 / 6, 0.5)));

/** Between bounds that may be absent. */
export const clip = between;
