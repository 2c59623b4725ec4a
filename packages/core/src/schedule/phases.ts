/**
 * Convolutions over an input with gaps (transposed ones, and gradients of strided ones): of the d
 * phases of every output axis each meets its own part of the kernel only, so the phases become
 * output channels of one convolution without gaps, and lie side by side afterwards. Dumoulin and
 * Visin, "A guide to convolution arithmetic for deep learning", 2016, section 4; Shi et al.,
 * "Is the deconvolution layer the same as a convolutional layer?", 2016.
 */
import { multiply, type Size } from '../base/expression.js';
import { flip, pad, permute, reshape, slice, window } from '../graph/build.js';
import type { Graph, Node, NodeOf } from '../graph/node.js';
import { deepPass } from './open.js';

/** One spatial axis as phases. */
interface Phases {
  readonly count: number;
  /** Zeros before and after the kernel, so that its length is a multiple of the count. */
  readonly front: number;
  readonly back: number;
  /** Elements of the kernel that one phase meets. */
  readonly length: number;
  readonly padding: readonly [number, number];
  /** Outputs of one phase. */
  readonly outputs: number;
  /** Outputs before the first one that is wanted. */
  readonly skipped: number;
}

/**
 * Output o meets element k of the kernel where o + k − low is a multiple j·d of the gaps' distance,
 * at input j. With low = d·L + m and o = d·q + p these are k = d·t + m − p, at input q + t − L.
 */
function phasesOf(node: NodeOf<'window'>, axis: number): Phases | undefined {
  const { kernel, padding, inputDilation } = node.attributes;
  const [extent, outputs, taps] = [
    node.inputs[0]?.shape[axis + 2],
    node.shape[axis + 2],
    kernel[axis],
  ];
  const [before, after] = padding[axis] ?? [];
  if (typeof extent !== 'number' || typeof outputs !== 'number') return undefined;
  if (typeof taps !== 'number' || typeof before !== 'number') return undefined;
  if (typeof after !== 'number') return undefined;
  const count = inputDilation[axis] ?? 1;
  if (count === 1) {
    const padding = [before, after] as const;
    return { count, front: 0, back: 0, length: taps, padding, outputs, skipped: 0 };
  }
  if (before < 0) return undefined;
  const lacking = count - 1 - (before % count);
  const [shortest, whole] = [Math.ceil(taps / count), Math.ceil((taps + lacking) / count)];
  // Either the kernel begins with zeros, or the outputs with some that nobody wants.
  const skipped = shortest < whole ? lacking : 0;
  const front = lacking - skipped;
  const first = Math.floor((before + skipped) / count);
  const own = Math.ceil((outputs + skipped) / count);
  const last = own + shortest - 1 - extent - first;
  if (last < 0) return undefined;
  const back = shortest * count - taps - front;
  return {
    count,
    front,
    back,
    length: shortest,
    padding: [first, last],
    outputs: own,
    skipped,
  };
}

/** The convolution by phases; undefined where that is no less work or sizes are not known. */
function byPhases(node: NodeOf<'window'>): Node | undefined {
  const { kind, kernel, strides, kernelDilation, inputDilation } = node.attributes;
  const isPlain = [...strides, ...kernelDilation].every((step) => step === 1);
  if (kind !== 'convolve' || !isPlain || inputDilation.every((step) => step === 1))
    return undefined;
  const found = kernel.map((_, axis) => phasesOf(node, axis));
  const axes = found.filter((phases) => phases !== undefined);
  if (axes.length < found.length) return undefined;
  const work = (sizes: readonly number[]): number => sizes.reduce((all, size) => all * size, 1);
  const own = work(axes.map(({ length }) => length));
  if (own >= work(kernel as readonly number[])) return undefined;
  const [x, w] = node.inputs as [Node, Node];
  const { groups, accumulate } = node.attributes;
  const made = window('convolve', x, weightsOf(w, axes), {
    padding: axes.map(({ padding }) => padding),
    groups,
    accumulate,
  });
  return sideBySide(made, node, axes);
}

/** [O, C, …kernel] as [O · phases, C, …lengths]. */
function weightsOf(w: Node, axes: readonly Phases[]): Node {
  const [outputs = 1, inputs = 1] = w.shape;
  const long = pad(w, {
    before: [0, 0, ...axes.map(({ front }) => front)],
    after: [0, 0, ...axes.map(({ back }) => back)],
  });
  const apart = reshape(long, [outputs, inputs, ...axes.flatMap((a) => [a.length, a.count])]);
  const phaseAxes = axes.map((_, i) => 3 + 2 * i);
  const turned = permute(flip(apart, phaseAxes), [
    0,
    ...phaseAxes,
    1,
    ...phaseAxes.map((axis) => axis - 1),
  ]);
  const lengths = axes.map(({ length }) => length);
  return reshape(turned, [channelsOf(outputs, axes), inputs, ...lengths]);
}

const channelsOf = (outputs: Size, axes: readonly Phases[]): Size =>
  axes.reduce((all, { count }) => multiply(all, count), outputs);

/** [N, O · phases, …outputs] as the result of `node`. */
function sideBySide(made: Node, node: Node, axes: readonly Phases[]): Node {
  const [batch = 1, channels = 1] = node.shape;
  const [counts, outputs] = [axes.map(({ count }) => count), axes.map((a) => a.outputs)];
  const apart = reshape(made, [batch, channels, ...counts, ...outputs]);
  const order = axes.flatMap((_, i) => [2 + axes.length + i, 2 + i]);
  const joined = reshape(permute(apart, [0, 1, ...order]), [
    batch,
    channels,
    ...axes.map(({ count, outputs: each }) => count * each),
  ]);
  const starts = [0, 0, ...axes.map(({ skipped }) => skipped)];
  return slice(joined, { starts, sizes: node.shape });
}

const pass = deepPass(() => (node) => (node.op === 'window' ? byPhases(node) : undefined));

/** The graph with convolutions over gaps as convolutions of their phases. */
export const splitPhases = (graph: Graph): Graph => pass(graph);
