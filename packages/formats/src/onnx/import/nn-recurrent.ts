/** RNN, GRU and LSTM: both directions and layouts, in terms of core's layers of one direction. */
import type { OperatorCall } from './context.js';
import { build, type Node, type Size } from './core.js';
import type { OperatorTable } from './registry.js';

type Activation = NonNullable<Parameters<typeof build.rnn>[0]['activations']>[number];

interface Kind {
  /** Place in the file of each gate in the order of core's layers. */
  readonly gates: readonly number[];
  readonly defaults: readonly string[];
}

const kinds: Readonly<Record<string, Kind>> = {
  RNN: { gates: [0], defaults: ['Tanh'] },
  // Files: update, reset, hidden.
  GRU: { gates: [1, 0, 2], defaults: ['Sigmoid', 'Tanh'] },
  // Files: input, output, forget, cell.
  LSTM: { gates: [0, 2, 3, 1], defaults: ['Sigmoid', 'Tanh', 'Tanh'] },
};

interface Takes {
  readonly name: Activation['name'];
  readonly alpha?: number;
  readonly beta?: number;
}

/** Activations with the values that they take where the node gives none. */
const activations: Readonly<Record<string, Takes>> = {
  relu: { name: 'relu' },
  tanh: { name: 'tanh' },
  sigmoid: { name: 'sigmoid' },
  softsign: { name: 'softsign' },
  softplus: { name: 'softplus' },
  affine: { name: 'affine', alpha: 1, beta: 0 },
  leakyrelu: { name: 'leakyRelu', alpha: 0.01 },
  thresholdedrelu: { name: 'thresholdedRelu', alpha: 1 },
  scaledtanh: { name: 'scaledTanh', alpha: 1, beta: 1 },
  hardsigmoid: { name: 'hardSigmoid', alpha: 0.2, beta: 0.5 },
  elu: { name: 'elu', alpha: 1 },
};

/** All directions' activations; alphas and betas go to those that take them, in order. */
function activationsOf(
  call: OperatorCall,
  kind: Kind,
  directions: number,
): readonly (readonly Activation[])[] {
  const usual = Array.from({ length: directions }, () => kind.defaults).flat();
  const names = call.texts('activations', usual);
  if (names.length !== usual.length) throw call.refuse(`${names.length} activations`);
  const [alphas, betas] = [
    [...call.floats('activation_alpha', [])],
    [...call.floats('activation_beta', [])],
  ];
  const all = names.map((name): Activation => {
    const takes = activations[name.toLowerCase()];
    if (takes === undefined) throw call.refuse('unknown activation');
    const alpha = takes.alpha === undefined ? undefined : (alphas.shift() ?? takes.alpha);
    const beta = takes.beta === undefined ? undefined : (betas.shift() ?? takes.beta);
    return {
      name: takes.name,
      ...(alpha === undefined ? {} : { alpha }),
      ...(beta === undefined ? {} : { beta }),
    };
  });
  const each = kind.defaults.length;
  return Array.from({ length: directions }, (_, i) => all.slice(i * each, (i + 1) * each));
}

/** Blocks of `width` rows in another order. */
function reorder(x: Node, order: readonly number[], width: Size): Node {
  if (order.every((from, to) => from === to)) return x;
  const rest = x.shape.slice(1);
  const blocks = build.reshape(x, [order.length, width, ...rest]);
  const turned = build.gather(blocks, build.constantOf('i64', [order.length], order.map(BigInt)));
  return build.reshape(turned, x.shape);
}

interface Direction {
  readonly call: OperatorCall;
  readonly kind: Kind;
  readonly index: number;
  readonly reverse: boolean;
  readonly activations: readonly Activation[];
  /** Input in the order time, batch, feature. */
  readonly x: Node;
  readonly layout: number;
}

/** [outputs [time, batch, H], last states [batch, H]…]. */
function runDirection(direction: Direction): readonly Node[] {
  const { call, kind, index, layout } = direction;
  const pick = (x: Node, axis = 0): Node =>
    build.reshape(build.sliceAxis(x, axis, index, 1), x.shape.toSpliced(axis, 1));
  const raw = pick(call.tensor(2));
  const width = raw.shape[1] as Size;
  const count = kind.gates.length;
  const inOrder = (x: Node): Node => reorder(x, kind.gates, width);
  const bias = call.optionalTensor(3);
  const halves =
    bias && build.split(pick(bias), 0, [raw.shape[0] as Size, raw.shape[0] as Size]).map(inOrder);
  const state = (at: number): Node | undefined => {
    const given = call.optionalTensor(at);
    return given && pick(given, layout === 1 ? 1 : 0);
  };
  const [hidden, cell, lengths] = [
    state(5),
    count === 4 ? state(6) : undefined,
    call.optionalTensor(4),
  ];
  const options = {
    x: direction.x,
    weights: inOrder(pick(call.tensor(1))),
    recurrence: inOrder(raw),
    ...(halves === undefined ? {} : { bias: halves[0] as Node, recurrentBias: halves[1] as Node }),
    ...(hidden === undefined ? {} : { hidden }),
    ...(lengths === undefined ? {} : { lengths }),
    ...(call.hasAttribute('clip') ? { clip: call.float('clip') } : {}),
    reverse: direction.reverse,
    activations: direction.activations,
  };
  if (count === 1) return build.rnn(options);
  if (count === 3) {
    const linear = call.int('linear_before_reset', 0) !== 0;
    return build.gru({ ...options, linearBeforeReset: linear });
  }
  const holes = call.optionalTensor(7);
  return build.lstm({
    ...options,
    ...(cell === undefined ? {} : { cell }),
    // Files: input, output, forget; core: input, forget, output.
    ...(holes === undefined ? {} : { peephole: reorder(pick(holes), [0, 2, 1], width) }),
    coupled: call.int('input_forget', 0) !== 0,
  });
}

function recurrent(call: OperatorCall): readonly Node[] {
  const kind = kinds[call.operator] as Kind;
  const layout = call.int('layout', 0);
  const way = call.text('direction', 'forward').toLowerCase();
  if (!['forward', 'reverse', 'bidirectional'].includes(way))
    throw call.refuse('unknown direction');
  const count = way === 'bidirectional' ? 2 : 1;
  const given = call.tensor(0);
  const x = layout === 1 ? build.permute(given, [1, 0, 2]) : given;
  const all = activationsOf(call, kind, count);
  const runs = all.map((activation, index) =>
    runDirection({
      call,
      kind,
      index,
      layout,
      x,
      reverse: way === 'reverse' || index === 1,
      activations: activation,
    }),
  );
  const together = (at: number, axis: number): Node =>
    build.stack(
      runs.map((run) => run[at] as Node),
      axis,
    );
  // [time, directions, batch, H] and [directions, batch, H], or with the batch first.
  const outputs = together(0, 1);
  const y = layout === 1 ? build.permute(outputs, [2, 0, 1, 3]) : outputs;
  const states = (runs[0] as readonly Node[]).slice(1).map((_, i) => together(i + 1, layout));
  return [y, ...states];
}

export const recurrentOperators: OperatorTable = {
  RNN: { versions: [1, 7, 14, 22], import: recurrent },
  GRU: { versions: [1, 3, 7, 14, 22], import: recurrent },
  LSTM: { versions: [1, 7, 14, 22], import: recurrent },
};
