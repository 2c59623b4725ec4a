/** Normalizations as composites, computed in at least f32. */
import type { DType } from '../base/dtype.js';
import { floorDivide, product, type Size } from '../base/expression.js';
import {
  absolute,
  add,
  cast,
  divide,
  equal,
  multiply,
  power,
  reciprocal,
  select,
  square,
  squareRoot,
  subtract,
} from './build-elementwise.js';
import { mean, sum } from './build-reductions.js';
import { composite, type Parameters } from './build-regions.js';
import { normalizeAxis, range, reshape } from './build-views.js';
import type { Node } from './node.js';
import { accumulateType } from './ops.js';
import { shapeError } from './rule.js';

type Body = (values: readonly (Node | undefined)[]) => readonly Node[];

/** A composite whose absent inputs reach the body as undefined, and floats as f32 or f64. */
function normalization(
  name: string,
  parameters: Parameters,
  inputs: readonly (Node | undefined)[],
  body: Body,
): Node[] {
  const present = inputs.filter((value) => value !== undefined);
  const dtype = (inputs[0] as Node).dtype;
  const wide: DType = accumulateType(dtype);
  return composite(name, parameters, present, (values) => {
    const rest = [...values];
    const given = inputs.map((value) =>
      value === undefined ? undefined : cast(rest.shift() as Node, wide),
    );
    const [first, ...others] = body(given);
    return [cast(first as Node, dtype), ...others];
  });
}

function scaled(x: Node, scale: Node | undefined, bias: Node | undefined): Node {
  const product = scale === undefined ? x : multiply(x, scale);
  return bias === undefined ? product : add(product, bias);
}

/** Values [C] shaped to multiply x[N, C, …]. */
function perChannel(values: Node | undefined, x: Node): Node | undefined {
  if (values === undefined) return undefined;
  return reshape(values, [values.shape[0] as Size, ...range(x.shape.length - 2).map(() => 1)]);
}

interface Moments {
  readonly centered: Node;
  readonly mean: Node;
  readonly variance: Node;
}

function momentsOver(x: Node, axes: readonly number[]): Moments {
  const center = mean(x, axes, { keep: true });
  const centered = subtract(x, center);
  return { centered, mean: center, variance: mean(square(centered), axes, { keep: true }) };
}

const inverseDeviation = (variance: Node, epsilon: number): Node =>
  reciprocal(squareRoot(add(variance, epsilon)));

export interface NormalizationOptions {
  readonly scale?: Node;
  readonly bias?: Node;
  readonly epsilon?: number;
}

export interface AxisOptions extends NormalizationOptions {
  /** First of the axes that are normalized together, up to the last. */
  readonly axis?: number;
}

/** [result, mean, 1 / deviation]: the latter with the normalized axes as 1, in f32 or f64. */
export function layerNormalizationWithStatistics(
  x: Node,
  options: AxisOptions = {},
): [result: Node, mean: Node, inverseDeviation: Node] {
  const { scale, bias, epsilon = 1e-5 } = options;
  const rank = x.shape.length;
  const axis = normalizeAxis('layerNormalization', options.axis ?? -1, rank);
  const axes = range(rank).slice(axis);
  const parameters = { axis, epsilon, scale: scale !== undefined, bias: bias !== undefined };
  return normalization('layerNormalization', parameters, [x, scale, bias], ([v, s, b]) => {
    const { centered, mean: center, variance } = momentsOver(v as Node, axes);
    const inverse = inverseDeviation(variance, epsilon);
    return [scaled(multiply(centered, inverse), s, b), center, inverse];
  }) as [Node, Node, Node];
}

/** (x − mean) / √(variance + ε) · scale + bias over the last axes. Ba et al., 2016. */
export function layerNormalization(x: Node, options: AxisOptions = {}): Node {
  return layerNormalizationWithStatistics(x, options)[0];
}

/** x / √(mean(x²) + ε) · scale over the last axes. Zhang and Sennrich, 2019. */
export function rmsNormalization(x: Node, options: AxisOptions = {}): Node {
  const { scale, bias, epsilon = 1e-5 } = options;
  const rank = x.shape.length;
  const axis = normalizeAxis('rmsNormalization', options.axis ?? -1, rank);
  const axes = range(rank).slice(axis);
  const parameters = { axis, epsilon, scale: scale !== undefined, bias: bias !== undefined };
  return normalization('rmsNormalization', parameters, [x, scale, bias], ([v, s, b]) => {
    const inverse = inverseDeviation(mean(square(v as Node), axes, { keep: true }), epsilon);
    return [scaled(multiply(v as Node, inverse), s, b)];
  })[0] as Node;
}

export interface BatchStatistics {
  readonly scale: Node;
  readonly bias: Node;
  readonly mean: Node;
  readonly variance: Node;
}

/**
 * x[N, C, …] with known statistics [C]. One multiplication and one addition per element, so that
 * constant statistics fold into two constants.
 */
export function batchNormalization(x: Node, given: BatchStatistics, epsilon = 1e-5): Node {
  const inputs = [x, given.scale, given.bias, given.mean, given.variance];
  return normalization('batchNormalization', { epsilon }, inputs, (values) => {
    const [v, scale, bias, center, variance] = values as readonly Node[] as [
      Node,
      Node,
      Node,
      Node,
      Node,
    ];
    const factor = multiply(scale, inverseDeviation(variance, epsilon));
    const shift = subtract(bias, multiply(center, factor));
    return [scaled(v, perChannel(factor, v), perChannel(shift, v))];
  })[0] as Node;
}

/** Normalizes by the batch's own statistics: [result, mean[C], variance[C] (biased)]. */
export function batchNormalizationTraining(
  x: Node,
  options: NormalizationOptions = {},
): [result: Node, mean: Node, variance: Node] {
  const { scale, bias, epsilon = 1e-5 } = options;
  const axes = range(x.shape.length).filter((axis) => axis !== 1);
  const parameters = { epsilon, scale: scale !== undefined, bias: bias !== undefined };
  return normalization('batchNormalizationTraining', parameters, [x, scale, bias], (values) => {
    const [v, s, b] = values;
    const moments = momentsOver(v as Node, axes);
    const normal = multiply(moments.centered, inverseDeviation(moments.variance, epsilon));
    const flat = (value: Node): Node => reshape(value, [x.shape[1] as Size]);
    return [
      scaled(normal, perChannel(s, normal), perChannel(b, normal)),
      flat(moments.mean),
      flat(moments.variance),
    ];
  }) as [Node, Node, Node];
}

/** Each channel of each sample by itself: x[N, C, …], scale and bias [C]. Ulyanov et al., 2016. */
export function instanceNormalization(x: Node, options: NormalizationOptions = {}): Node {
  const { scale, bias, epsilon = 1e-5 } = options;
  const axes = range(x.shape.length).slice(2);
  const parameters = { epsilon, scale: scale !== undefined, bias: bias !== undefined };
  return normalization('instanceNormalization', parameters, [x, scale, bias], ([v, s, b]) => {
    const { centered, variance } = momentsOver(v as Node, axes);
    const normal = multiply(centered, inverseDeviation(variance, epsilon));
    return [scaled(normal, perChannel(s, normal), perChannel(b, normal))];
  })[0] as Node;
}

/** Groups of channels of each sample: x[N, C, …], scale and bias [C]. Wu and He, 2018. */
export function groupNormalization(
  x: Node,
  groups: number,
  options: NormalizationOptions = {},
): Node {
  const { scale, bias, epsilon = 1e-5 } = options;
  const [batch, channels] = x.shape;
  if (batch === undefined || channels === undefined) {
    throw shapeError('groupNormalization', 'no axes N and C');
  }
  const parameters = { groups, epsilon, scale: scale !== undefined, bias: bias !== undefined };
  return normalization('groupNormalization', parameters, [x, scale, bias], ([v, s, b]) => {
    const value = v as Node;
    const each = product([floorDivide(channels, groups), ...value.shape.slice(2)]);
    const { centered, variance } = momentsOver(reshape(value, [batch, groups, each]), [2]);
    const normal = multiply(centered, inverseDeviation(variance, epsilon));
    const back = reshape(normal, value.shape);
    return [scaled(back, perChannel(s, back), perChannel(b, back))];
  })[0] as Node;
}

/** x / (Σ|x|ᵖ)^(1/p) along an axis; rows of zeros stay zero. */
export function lpNormalization(x: Node, axis = -1, p = 2): Node {
  const at = normalizeAxis('lpNormalization', axis, x.shape.length);
  return normalization('lpNormalization', { axis: at, p }, [x], ([v]) => {
    const value = v as Node;
    const norm = lpNorm(value, at, p);
    return [divide(value, select(equal(norm, 0), 1, norm))];
  })[0] as Node;
}

function lpNorm(x: Node, axis: number, p: number): Node {
  const over = (value: Node): Node => sum(value, [axis], { keep: true });
  if (p === 1) return over(absolute(x));
  if (p === 2) return squareRoot(over(square(x)));
  return power(over(power(absolute(x), p)), 1 / p);
}
