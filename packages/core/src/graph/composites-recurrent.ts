/** Recurrent layers of one direction as composites around a loop over time. */

import { refused } from '../base/errors.js';
import { type Size, subtract as subtractSizes } from '../base/expression.js';
import {
  add,
  cast,
  greater,
  less,
  maximum,
  minimum,
  multiply,
  select,
  subtract,
  tanh,
} from './build-elementwise.js';
import { contract } from './build-reductions.js';
import { composite, loop, type Parameters } from './build-regions.js';
import { scalar, size } from './build-sources.js';
import { broadcastTo, flip, range, reshape, sliceAxis, unsqueeze } from './build-views.js';
import {
  elu,
  hardSigmoid,
  leakyRelu,
  relu,
  sigmoid,
  softplus,
  softsign,
} from './composites-activation.js';
import type { Node } from './node.js';
import { accumulateType } from './ops.js';
import { shapeError } from './rule.js';

export interface GateActivation {
  readonly name:
    | 'sigmoid'
    | 'tanh'
    | 'relu'
    | 'affine'
    | 'leakyRelu'
    | 'thresholdedRelu'
    | 'scaledTanh'
    | 'hardSigmoid'
    | 'elu'
    | 'softsign'
    | 'softplus';
  readonly alpha?: number;
  readonly beta?: number;
}

function activate({ name, alpha, beta }: GateActivation, x: Node): Node {
  switch (name) {
    case 'sigmoid':
      return sigmoid(x);
    case 'tanh':
      return tanh(x);
    case 'relu':
      return relu(x);
    case 'affine':
      return add(multiply(x, alpha ?? 1), beta ?? 0);
    case 'leakyRelu':
      return leakyRelu(x, alpha ?? 0.01);
    case 'thresholdedRelu':
      return select(greater(x, alpha ?? 1), x, 0);
    case 'scaledTanh':
      return multiply(tanh(multiply(x, beta ?? 1)), alpha ?? 1);
    case 'hardSigmoid':
      return hardSigmoid(x, alpha ?? 0.2, beta ?? 0.5);
    case 'elu':
      return elu(x, alpha ?? 1);
    case 'softsign':
      return softsign(x);
    case 'softplus':
      return softplus(x);
    default:
      throw refused(String(name), 'no such activation of a recurrent layer');
  }
}

export interface RecurrentArguments {
  /** [time, batch, input] */
  readonly x: Node;
  /** [gates·H, input] */
  readonly weights: Node;
  /** [gates·H, H] */
  readonly recurrence: Node;
  /** [gates·H], added to x·weights. */
  readonly bias?: Node;
  /** [gates·H], added to h·recurrence. */
  readonly recurrentBias?: Node;
  /** [batch, H]; zeros where absent. */
  readonly hidden?: Node;
  /** Integer [batch]: steps of each sample; later ones give zeros and keep the state. */
  readonly lengths?: Node;
  /** From the last step to the first; results stay in the order of time. */
  readonly reverse?: boolean;
  readonly activations?: readonly GateActivation[];
  /** Gate inputs are kept within ± this. */
  readonly clip?: number;
}

type Named = Readonly<Record<string, Node | undefined>>;
type Step = (gates: Node, state: readonly Node[], given: Named) => readonly Node[];

interface Plan {
  readonly name: string;
  readonly parameters: Parameters;
  /** Values used inside the loop, by name. */
  readonly given: Named;
  readonly states: readonly (Node | undefined)[];
  readonly step: Step;
}

function describe(activations: readonly GateActivation[]): string {
  return activations.map((a) => `${a.name}(${a.alpha ?? ''},${a.beta ?? ''})`).join(' ');
}

/** x·weightsᵀ with the last axis of both contracted. */
const project = (x: Node, weights: Node): Node =>
  contract(x, weights, { contracted: [[x.shape.length - 1, 1]] });

/** Runs a cell over time: [all outputs [time, batch, H], final states…]. */
function recurrent(options: RecurrentArguments, plan: Plan): Node[] {
  const { x, weights, bias, lengths, reverse = false } = options;
  const [steps, batch] = x.shape;
  const total = options.recurrence.shape[0];
  const width = options.recurrence.shape[1];
  if (steps === undefined || batch === undefined || width === undefined || total === undefined) {
    throw shapeError(plan.name, 'x is [time, batch, input], recurrence [gates·H, H]');
  }
  const names = Object.keys(plan.given).filter((name) => plan.given[name] !== undefined);
  const optional = { bias, lengths };
  const outer = (['bias', 'lengths'] as const).filter((name) => optional[name] !== undefined);
  const states = plan.states.map((state) => state !== undefined);
  const inputs = [
    x,
    weights,
    ...outer.map((name) => optional[name] as Node),
    ...names.map((name) => plan.given[name] as Node),
    ...plan.states.filter((state) => state !== undefined),
  ];
  const parameters = {
    ...plan.parameters,
    reverse,
    given: [...outer, ...names, ...states.map((known) => (known ? 'state' : 'zero'))].join(' '),
  };
  return composite(plan.name, parameters, inputs, (values) => {
    const rest = [...values];
    const dtype = x.dtype;
    const wide = accumulateType(dtype);
    const take = (): Node => rest.shift() as Node;
    const series = cast(take(), wide);
    const projected = project(series, cast(take(), wide));
    const found: Record<string, Node> = {};
    for (const name of outer) found[name] = take();
    for (const name of names) found[name] = cast(take(), wide);
    const shifted =
      found['bias'] === undefined ? projected : add(projected, cast(found['bias'], wide));
    const zero = broadcastTo(scalar(wide, 0), [batch, width]);
    const start = states.map((known) => (known ? cast(take(), wide) : zero));
    const limit = found['lengths'] === undefined ? [] : [cast(found['lengths'], 'i64')];
    const results = loop({
      trip: steps,
      carried: start,
      invariants: [shifted, ...limit, ...names.map((name) => found[name] as Node)],
      body: (state, invariants, iteration) => {
        const at = reverse ? subtractSizes(subtractSizes(steps, 1), iteration) : iteration;
        const [all, ...others] = invariants as [Node, ...Node[]];
        const ends = limit.length === 0 ? undefined : (others.shift() as Node);
        const gates = reshape(sliceAxis(all, 0, at, 1), all.shape.slice(1));
        const given = Object.fromEntries(names.map((name, i) => [name, others[i]]));
        const next = plan.step(gates, state, given);
        return masked(state, next, ends, at);
      },
    });
    const count = start.length;
    const [stacked] = results.slice(count);
    const inTime = reverse ? flip(stacked as Node, [0]) : (stacked as Node);
    return [inTime, ...results.slice(0, count)].map((value) => cast(value, dtype));
  });
}

/** Past the end of a sample its state stays and its output is zero. */
function masked(
  state: readonly Node[],
  next: readonly Node[],
  ends: Node | undefined,
  at: Size,
): { readonly carried: readonly Node[]; readonly stacked: readonly Node[] } {
  if (ends === undefined) return { carried: next, stacked: [next[0] as Node] };
  const live = unsqueeze(less(broadcastTo(size(at), ends.shape), ends), [1]);
  return {
    carried: next.map((value, i) => select(live, value, state[i] as Node)),
    stacked: [select(live, next[0] as Node, 0)],
  };
}

/** Part `index` of `count` equal parts of the last axis. */
function gate(x: Node, index: number, width: Size, axis = x.shape.length - 1): Node {
  const starts = range(index).reduce<Size>(
    (start) => subtractSizes(start, subtractSizes(0, width)),
    0,
  );
  return sliceAxis(x, axis, starts, width);
}

const clipped = (x: Node, limit: number | undefined): Node =>
  limit === undefined ? x : minimum(maximum(x, -limit), limit);

const withBias = (x: Node, bias: Node | undefined): Node => (bias === undefined ? x : add(x, bias));

const tanhGate: GateActivation = { name: 'tanh' };
const sigmoidGate: GateActivation = { name: 'sigmoid' };

/** h' = f(x·W + h·R + b): [outputs, last h]. */
export function rnn(options: RecurrentArguments): [outputs: Node, hidden: Node] {
  const [f = tanhGate] = options.activations ?? [];
  const { recurrence, recurrentBias, clip } = options;
  return recurrent(options, {
    name: 'rnn',
    parameters: { activations: describe([f]), clip: clip ?? 0 },
    given: { recurrence, recurrentBias },
    states: [options.hidden],
    step: (gates, [h], given) => {
      const turn = withBias(
        project(h as Node, given['recurrence'] as Node),
        given['recurrentBias'],
      );
      return [activate(f, clipped(add(gates, turn), clip))];
    },
  }) as [Node, Node];
}

export interface GruArguments extends RecurrentArguments {
  /** r ∘ (h·R + b) instead of (r ∘ h)·R + b. */
  readonly linearBeforeReset?: boolean;
}

/** Gates in the order reset, update, new: [outputs, last h]. Cho et al., 2014. */
export function gru(options: GruArguments): [outputs: Node, hidden: Node] {
  const [f = sigmoidGate, g = tanhGate] = options.activations ?? [];
  const { recurrence, recurrentBias, clip, linearBeforeReset = false } = options;
  const width = recurrence.shape[1] as Size;
  const step: Step = (gates, [state], given) => {
    const h = state as Node;
    const r = given['recurrence'] as Node;
    const b = given['recurrentBias'];
    const rows = (index: number): Node => gate(r, index, width, 0);
    const shift = (index: number): Node | undefined =>
      b === undefined ? undefined : gate(b, index, width);
    const turn = (index: number, from: Node): Node =>
      withBias(project(from, rows(index)), shift(index));
    const inputOf = (index: number): Node => gate(gates, index, width);
    const reset = activate(f, clipped(add(inputOf(0), turn(0, h)), clip));
    const keep = activate(f, clipped(add(inputOf(1), turn(1, h)), clip));
    const turned = linearBeforeReset ? multiply(reset, turn(2, h)) : turn(2, multiply(reset, h));
    const fresh = activate(g, clipped(add(inputOf(2), turned), clip));
    return [add(multiply(subtract(1, keep), fresh), multiply(keep, h))];
  };
  return recurrent(options, {
    name: 'gru',
    parameters: { activations: describe([f, g]), clip: clip ?? 0, linearBeforeReset },
    given: { recurrence, recurrentBias },
    states: [options.hidden],
    step,
  }) as [Node, Node];
}

export interface LstmArguments extends RecurrentArguments {
  /** [batch, H]; zeros where absent. */
  readonly cell?: Node;
  /** [3·H]: cell weights of the input, forget and output gates. */
  readonly peephole?: Node;
  /** The forget gate is 1 − input gate. */
  readonly coupled?: boolean;
}

/** Gates in the order input, forget, cell, output: [outputs, last h, last c]. */
export function lstm(options: LstmArguments): [outputs: Node, hidden: Node, cell: Node] {
  const [f = sigmoidGate, g = tanhGate, last = tanhGate] = options.activations ?? [];
  const { recurrence, recurrentBias, clip, peephole, coupled = false } = options;
  const width = recurrence.shape[1] as Size;
  const step: Step = (gates, [hidden, cell], given) => {
    const c = cell as Node;
    const turned = project(hidden as Node, given['recurrence'] as Node);
    const all = add(gates, withBias(turned, given['recurrentBias']));
    const holes = given['peephole'];
    const look = (x: Node, index: number, at: Node): Node =>
      holes === undefined ? x : add(x, multiply(gate(holes, index, width), at));
    const open = (index: number): Node => gate(all, index, width);
    const enter = activate(f, clipped(look(open(0), 0, c), clip));
    const keep = coupled ? subtract(1, enter) : activate(f, clipped(look(open(1), 1, c), clip));
    const fresh = activate(g, clipped(open(2), clip));
    const next = add(multiply(keep, c), multiply(enter, fresh));
    const leave = activate(f, clipped(look(open(3), 2, next), clip));
    return [multiply(leave, activate(last, next)), next];
  };
  return recurrent(options, {
    name: 'lstm',
    parameters: { activations: describe([f, g, last]), clip: clip ?? 0, coupled },
    given: { recurrence, recurrentBias, peephole },
    states: [options.hidden, options.cell],
    step,
  }) as [Node, Node, Node];
}
