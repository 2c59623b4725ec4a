/** Activations, and the softmax family with the flattening of its older versions. */
import type { OperatorCall } from './context.js';
import { build, isFloat, isInteger, type Node, type Size, size } from './core.js';
import { entriesOf, type OperatorTable } from './registry.js';

type Activation = (call: OperatorCall, x: Node) => Node;

/** A slope per element or, below version 7, one per channel. */
function parametricRelu(call: OperatorCall): Node {
  const [x, slope] = [call.tensor(0), call.tensor(1)];
  const perChannel = call.version < 7 && slope.shape.length === 1 && slope.shape[0] !== 1;
  const trailing = Math.max(x.shape.length - 2, 0);
  const aligned = perChannel
    ? build.reshape(slope, [slope.shape[0] as Size, ...Array<number>(trailing).fill(1)])
    : slope;
  const factor = build.broadcastTo(aligned, x.shape);
  return build.select(build.less(x, 0), build.multiply(x, factor), x);
}

/** Beyond ±λ the value moved by the bias towards zero, else zero. */
function shrink(call: OperatorCall): Node {
  const [bias, limit] = [call.float('bias', 0), call.float('lambd', 0.5)];
  const x = call.tensor(0);
  const wide = isFloat(x.dtype) ? build.accumulateType(x.dtype) : 'f64';
  const v = build.cast(x, wide);
  const above = build.select(build.greater(v, limit), build.subtract(v, bias), 0);
  return build.cast(build.select(build.less(v, -limit), build.add(v, bias), above), x.dtype);
}

const thresholded = (x: Node, alpha: number): Node =>
  build.inSingle(x, (v) => build.select(build.greater(v, alpha), v, 0));

function gelu(call: OperatorCall, x: Node): Node {
  const approximation = call.text('approximate', 'none');
  if (approximation === 'none') return build.gelu(x, 'erf');
  if (approximation === 'tanh') return build.gelu(x, 'tanh');
  throw call.refuse('unknown approximation');
}

/** The first version printed fewer digits of the constants. */
function selu(call: OperatorCall, x: Node): Node {
  const [alpha, gamma] =
    call.version < 6 ? [1.6732, 1.0507] : [1.6732631921768188, 1.0507010221481323];
  return build.selu(x, call.float('alpha', alpha), call.float('gamma', gamma));
}

const activations: Readonly<Record<string, Activation>> = {
  Relu: (_, x) => build.relu(x),
  LeakyRelu: (call, x) => build.leakyRelu(x, call.float('alpha', 0.01)),
  Elu: (call, x) => build.elu(x, call.float('alpha', 1)),
  Selu: selu,
  Celu: (call, x) => build.celu(x, call.float('alpha', 1)),
  Sigmoid: (_, x) => build.sigmoid(x),
  HardSigmoid: (call, x) => build.hardSigmoid(x, call.float('alpha', 0.2), call.float('beta', 0.5)),
  HardSwish: (_, x) => build.hardSwish(x),
  Softplus: (_, x) => build.softplus(x),
  Softsign: (_, x) => build.softsign(x),
  ThresholdedRelu: (call, x) => thresholded(x, call.float('alpha', 1)),
  Gelu: gelu,
  Mish: (_, x) => build.mish(x),
  Swish: (call, x) => build.swish(x, call.float('alpha', 1)),
};

const activationVersions: Readonly<Record<string, readonly number[]>> = {
  Relu: [1, 6, 13, 14],
  LeakyRelu: [1, 6, 16],
  Elu: [1, 6, 22],
  Selu: [1, 6, 22],
  Celu: [12, 28],
  Sigmoid: [1, 6, 13],
  HardSigmoid: [1, 6, 22],
  HardSwish: [14, 22],
  Softplus: [1, 22],
  Softsign: [1, 22],
  ThresholdedRelu: [10, 22],
  Gelu: [20],
  Mish: [18, 22],
  Swish: [24],
};

/** Before version 13 all axes from `axis` on count as one. */
function alongAxis(along: (x: Node, axis: number) => Node) {
  return (call: OperatorCall): Node => {
    const x = call.tensor(0);
    const rank = x.shape.length;
    const axis = call.axis(call.int('axis', call.version < 13 ? 1 : -1), rank);
    if (call.version >= 13 || axis === rank - 1) return along(x, axis);
    const rows = size.product(x.shape.slice(0, axis));
    const flat = build.reshape(x, [rows, size.product(x.shape.slice(axis))]);
    return build.reshape(along(flat, 1), x.shape);
  };
}

/** 1 at the first of the largest elements, 0 elsewhere. */
function hardmax(x: Node, axis: number): Node {
  const best = build.argMax(x, axis, { keep: true });
  const line = x.shape.map((extent, i): Size => (i === axis ? extent : 1));
  const hit = build.equal(best, build.iota({ dtype: 'i64', shape: line }, axis));
  return build.cast(hit, x.dtype);
}

/** swish(a) · b. */
function gatedLinearUnit(call: OperatorCall): Node {
  const gate = call.tensor(0);
  const wide = build.accumulateType(gate.dtype);
  const open = build.swish(build.cast(gate, wide), call.float('alpha', 1));
  return build.cast(build.multiply(open, build.cast(call.tensor(1), wide)), gate.dtype);
}

/** Integers are allowed by Relu alone. */
function activate(name: string): (call: OperatorCall) => Node {
  const compute = activations[name] as Activation;
  return (call) => {
    const x = call.tensor(0);
    if (isInteger(x.dtype) && name !== 'Relu') throw call.refuse(`${x.dtype} is no float type`);
    return compute(call, x);
  };
}

export const activationOperators: OperatorTable = {
  ...entriesOf(activationVersions, activate),
  PRelu: { versions: [1, 6, 7, 9, 16], import: parametricRelu },
  Shrink: { versions: [9], import: shrink },
  SwiGLU: { versions: [28], import: gatedLinearUnit },
  Softmax: { versions: [1, 11, 13], import: alongAxis(build.softmax) },
  LogSoftmax: { versions: [1, 11, 13], import: alongAxis(build.logSoftmax) },
  Hardmax: { versions: [1, 11, 13], import: alongAxis(hardmax) },
};
