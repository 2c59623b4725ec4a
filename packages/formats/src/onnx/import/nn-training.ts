/** Optimizers and Gradient of ai.onnx.preview.training. */
import type { OperatorCall } from './context.js';
import { build, type Node } from './core.js';
import type { OperatorTable } from './registry.js';

/** The optimized tensors come as lists: all values, all gradients, then lists of states. */
function listsOf(call: OperatorCall, count: number): readonly (readonly Node[])[] {
  const all = call.tensors(2);
  if (all.length % count !== 0) throw call.refuse(`${all.length} tensors in ${count} lists`);
  const each = all.length / count;
  return Array.from({ length: count }, (_, i) => all.slice(i * each, (i + 1) * each));
}

const scalarAs = (x: Node, like: Node): Node => build.cast(build.reshape(x, []), like.dtype);

/** The gradient of the loss with the norm of the values added. */
function regularized(call: OperatorCall, x: Node, gradient: Node): Node {
  const factor = call.float('norm_coefficient', 0);
  return factor === 0 ? gradient : build.add(build.multiply(x, factor), gradient);
}

/** Results of all tensors, state by state. */
function update(
  call: OperatorCall,
  count: number,
  step: (rate: Node, time: Node, values: readonly Node[]) => readonly Node[],
): readonly Node[] {
  const lists = listsOf(call, count);
  const results = (lists[0] as readonly Node[]).map((x, i) =>
    step(
      scalarAs(call.tensor(0), x),
      scalarAs(call.tensor(1), x),
      lists.map((list) => list[i] as Node),
    ),
  );
  return Array.from({ length: count - 1 }, (_, at) =>
    results.map((each) => each[at] as Node),
  ).flat();
}

function adagrad(call: OperatorCall): readonly Node[] {
  return update(call, 3, (rate, time, values) => {
    const [x, given, squares] = values as [Node, Node, Node];
    const decay = build.add(build.multiply(time, call.float('decay_factor', 0)), 1);
    const gradient = regularized(call, x, given);
    const total = build.add(squares, build.square(gradient));
    const by = build.add(build.squareRoot(total), call.float('epsilon', 0));
    const move = build.divide(build.multiply(build.divide(rate, decay), gradient), by);
    return [build.subtract(x, move), total];
  });
}

/** Kingma and Ba, 2014, with the bias corrections in the rate. */
function adam(call: OperatorCall): readonly Node[] {
  const [alpha, beta] = [call.float('alpha', 0.9), call.float('beta', 0.999)];
  return update(call, 4, (rate, time, values) => {
    const [x, given, mean, squares] = values as [Node, Node, Node, Node];
    const gradient = regularized(call, x, given);
    const blend = (old: Node, own: Node, factor: number): Node =>
      build.add(build.multiply(old, factor), build.multiply(own, 1 - factor));
    const nextMean = blend(mean, gradient, alpha);
    const nextSquares = blend(squares, build.square(gradient), beta);
    const by = build.add(build.squareRoot(nextSquares), call.float('epsilon', 0));
    const rest = (factor: number): Node =>
      build.subtract(1, build.power(build.scalar(x.dtype, factor), time));
    const corrected = build.divide(build.multiply(rate, build.squareRoot(rest(beta))), rest(alpha));
    const adjusted = build.select(build.less(0, time), corrected, rate);
    const moved = build.subtract(x, build.divide(build.multiply(adjusted, nextMean), by));
    const after = call.float('norm_coefficient_post', 0);
    const result = after === 0 ? moved : build.multiply(moved, 1 - after);
    return [result, nextMean, nextSquares];
  });
}

function momentum(call: OperatorCall): readonly Node[] {
  const [alpha, beta] = [call.float('alpha'), call.float('beta')];
  const mode = call.text('mode');
  if (mode !== 'standard' && mode !== 'nesterov') throw call.refuse('unknown mode');
  return update(call, 3, (rate, time, values) => {
    const [x, given, speed] = values as [Node, Node, Node];
    const gradient = regularized(call, x, given);
    const fresh = build.multiply(
      build.select(build.less(0, time), beta, build.scalar(x.dtype, 1)),
      gradient,
    );
    const next = build.add(build.multiply(speed, alpha), fresh);
    const move = mode === 'standard' ? next : build.add(gradient, build.multiply(next, alpha));
    return [build.subtract(x, build.multiply(rate, move)), next];
  });
}

/** Derivatives of the value named y of the graph around by the inputs that xs names. */
function gradient(call: OperatorCall): readonly Node[] {
  const names = call.texts('xs');
  const y = call.named(call.text('y'));
  if (y === undefined || y.kind !== 'tensor') throw call.refuse('y names no tensor');
  const wrt = names.map((_, i) => call.tensor(i));
  return build.gradient([y.node], wrt);
}

export const trainingOperators: OperatorTable = {
  'ai.onnx.preview.training::Adagrad': { versions: [1], import: adagrad },
  'ai.onnx.preview.training::Adam': { versions: [1], import: adam },
  'ai.onnx.preview.training::Momentum': { versions: [1], import: momentum },
  'ai.onnx.preview.training::Gradient': { versions: [1], import: gradient },
};
