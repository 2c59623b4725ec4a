/** Signals: DFT, STFT, window functions and the mel filter bank. */
import type { OperatorCall } from './context.js';
import { build, type DType, type Node, type Size, size } from './core.js';
import { foldConstant } from './fold.js';
import { positionAlong } from './lookups.js';
import type { OperatorTable } from './registry.js';

/** Above this many frequencies the matrix of all angles is too large. */
const lengthLimit = 8192;

interface Angles {
  readonly cosines: Node;
  readonly sines: Node;
}

/** The type that signals of a type are computed in: not every chip has f64. */
const computedIn = (dtype: DType): DType => (dtype === 'f64' ? 'f64' : 'f32');

/** What is known before the run is folded in f64, and rounded once. */
const anglesIn = (sizes: readonly Size[], dtype: DType): DType =>
  sizes.every((each) => typeof each === 'number') ? 'f64' : dtype;

/** cos and sin of 2π·k·n / length at [n, k], the number of turns exact. */
function anglesOf(points: Size, frequencies: Size, length: Size, dtype: DType): Angles {
  const shape = [points, frequencies];
  const turns = build.multiply(positionAlong(shape, 0), positionAlong(shape, 1));
  const inner = anglesIn([...shape, length], dtype);
  const rest = build.cast(build.remainder(turns, build.size(length)), inner);
  const angle = build.divide(
    build.multiply(rest, 2 * Math.PI),
    build.cast(build.size(length), inner),
  );
  const fold = (x: Node): Node => foldConstant(build.cast(x, dtype));
  return { cosines: fold(build.cos(angle)), sines: fold(build.sin(angle)) };
}

interface Transform {
  readonly length: Size;
  readonly inverse: boolean;
  readonly onesided: boolean;
}

/** x[…, n, 1 or 2], padded or cut to `points` along the axis before the last. */
function fit(x: Node, points: Size): Node {
  const axis = x.shape.length - 2;
  const own = x.shape[axis] as Size;
  if (size.equal(own, points)) return x;
  const missing = size.maximum(size.subtract(points, own), 0);
  const none = x.shape.map((): Size => 0);
  const longer = build.pad(x, { before: none, after: none.with(axis, missing) });
  return build.sliceAxis(longer, axis, 0, points);
}

/** The transform along the axis before the last. */
function transform(call: OperatorCall, given: Node, options: Transform): Node {
  const { length, inverse, onesided } = options;
  if (typeof length === 'number' && length > lengthLimit) {
    throw call.refuse(`a transform of ${length} points`);
  }
  const half = size.add(size.floorDivide(length, 2), 1);
  const back = inverse && onesided;
  const dtype = computedIn(given.dtype);
  const x = build.cast(fit(given, back ? half : length), dtype);
  const rank = x.shape.length;
  const side = (index: number): Node | undefined =>
    index < (x.shape[rank - 1] as number)
      ? build.squeeze(build.sliceAxis(x, rank - 1, index, 1), [rank - 1])
      : undefined;
  const frequencies = onesided && !inverse ? half : length;
  const { cosines, sines } = anglesOf(back ? half : length, frequencies, length, dtype);
  const weigh = (part: Node): Node =>
    back ? build.multiply(part, mirrorWeights(half, length, dtype)) : part;
  const project = (part: Node | undefined, by: Node): Node | undefined =>
    part && build.contract(weigh(part), by, { contracted: [[rank - 2, 0]] });
  const [real, imaginary] = [side(0), side(1)];
  const turn = inverse ? -1 : 1;
  const plus = (a: Node, b: Node | undefined, sign: number): Node =>
    b === undefined ? a : sign > 0 ? build.add(a, b) : build.subtract(a, b);
  const first = plus(project(real, cosines) as Node, project(imaginary, sines), turn);
  const scale = inverse ? build.cast(build.size(length), dtype) : undefined;
  const finish = (part: Node): Node =>
    build.unsqueeze(scale === undefined ? part : build.divide(part, scale), [rank - 1]);
  if (back) return finish(first);
  const turned = build.multiply(project(real, sines) as Node, -turn);
  const second = plus(turned, project(imaginary, cosines), 1);
  return build.concat([finish(first), finish(second)], rank - 1);
}

/** Frequencies that stand for two, themselves and their mirror image, count twice. */
function mirrorWeights(half: Size, length: Size, dtype: DType): Node {
  const at = positionAlong([half], 0);
  const alone = build.or(
    build.equal(at, 0n),
    build.equal(build.multiply(at, 2n), build.size(length)),
  );
  return build.select(alone, build.scalar(dtype, 1), build.scalar(dtype, 2));
}

function fourier(call: OperatorCall): Node {
  const x = call.tensor(0);
  const rank = x.shape.length;
  const given =
    call.version < 20
      ? call.int('axis', 1)
      : call.has(2)
        ? (call.needConstantInts(2)[0] ?? -2)
        : -2;
  const axis = call.axis(given, rank);
  if (axis === rank - 1) throw call.refuse('the axis of real and imaginary parts');
  const inverse = call.int('inverse', 0) !== 0;
  const onesided = call.int('onesided', 0) !== 0;
  const own = x.shape[axis] as Size;
  const natural = inverse && onesided ? size.multiply(size.subtract(own, 1), 2) : own;
  const length = call.has(1) ? (call.sizes(1)[0] as Size) : natural;
  const parts = call.staticSize(x.shape[rank - 1] as Size, 'whether the input is complex');
  if (parts !== 1 && parts !== 2) throw call.refuse(`${parts} parts per number`);
  const turned = build.transpose(x, axis, rank - 2);
  const result = transform(call, turned, { length, inverse, onesided });
  return build.cast(build.transpose(result, axis, rank - 2), x.dtype);
}

/** Frames of signal[batch, length, 1 or 2], each times the window, transformed. */
function shortTime(call: OperatorCall): Node {
  const given = call.tensor(0);
  const signal = given.shape.length === 2 ? build.unsqueeze(given, [2]) : given;
  const [batch, extent, parts] = signal.shape as [Size, Size, Size];
  const step = call.sizes(1, 1)[0] as Size;
  const window = call.optionalTensor(2);
  const length = call.has(3) ? (call.sizes(3, 1)[0] as Size) : window?.shape[0];
  if (length === undefined) throw call.refuse('neither a window nor a frame length');
  const frames = size.add(size.floorDivide(size.subtract(extent, length), step), 1);
  const shape = [frames, length];
  const starts = build.multiply(positionAlong(shape, 0), build.size(step));
  const places = build.broadcastTo(build.add(starts, positionAlong(shape, 1)), shape);
  const dtype = computedIn(given.dtype);
  const cut = build.cast(build.gather(signal, places, 1), dtype);
  const weighted =
    window === undefined
      ? cut
      : build.multiply(cut, build.reshape(build.cast(window, dtype), [length, 1]));
  const whole = build.reshape(weighted, [batch, frames, length, parts]);
  const onesided = call.int('onesided', 1) !== 0;
  return build.cast(transform(call, whole, { length, inverse: false, onesided }), given.dtype);
}

/** Σ coefficient_j · cos(2π·j·n / N). */
function cosineWindow(coefficients: readonly number[]) {
  return (call: OperatorCall): Node => {
    const count = call.sizes(0)[0] as Size;
    const periodic = call.int('periodic', 1) !== 0;
    const dtype: DType = call.dtypeAttribute('output_datatype', 'f32');
    const inner = anglesIn([count], computedIn(dtype));
    const span = build.cast(build.size(periodic ? count : size.subtract(count, 1)), inner);
    const place = build.cast(positionAlong([count], 0), inner);
    const angle = build.divide(build.multiply(place, 2 * Math.PI), build.maximum(span, 1));
    const terms = coefficients.map((factor, j) =>
      build.multiply(build.cos(build.multiply(angle, j)), factor),
    );
    const sum = terms.reduce((all, next) => build.add(all, next));
    return foldConstant(build.cast(sum, dtype));
  };
}

/** Triangles on the mel scale: [length / 2 + 1, bins]; everything must be known. */
function melWeights(call: OperatorCall): Node {
  const integer = (index: number): number => call.needConstantInts(index)[0] as number;
  const real = (index: number): number => {
    call.needConstant(index);
    return call.constantFloats(index)?.[0] as number;
  };
  const [bins, length, rate] = [integer(0), integer(1), integer(2)];
  const mel = (frequency: number): number => 2595 * Math.log10(1 + frequency / 700);
  const [low, high] = [mel(real(3)), mel(real(4))];
  const step = (high - low) / (bins + 2);
  const edges = Array.from({ length: bins + 2 }, (_, i) => {
    const frequency = 700 * (10 ** ((i * step + low) / 2595) - 1);
    return Math.floor(((length + 1) * frequency) / rate);
  });
  const rows = Math.floor(length / 2) + 1;
  const values = new Float64Array(rows * bins);
  const put = (row: number, column: number, value: number): void => {
    if (row < 0 || row >= rows) throw call.refuse('a band beyond the spectrum');
    values[row * bins + column] = value;
  };
  for (let i = 0; i < bins; i++) {
    const [from, center, to] = edges.slice(i, i + 3) as [number, number, number];
    if (from === center) put(center, i, 1);
    else for (let j = from; j <= center; j++) put(j, i, (j - from) / (center - from));
    for (let j = center; j < to; j++) put(j, i, (to - j) / (to - center));
  }
  const dtype = call.dtypeAttribute('output_datatype', 'f32');
  return build.cast(build.constantOf('f64', [rows, bins], values), dtype);
}

export const signalOperators: OperatorTable = {
  DFT: { versions: [17, 20], import: fourier },
  STFT: { versions: [17], import: shortTime },
  HannWindow: { versions: [17], import: cosineWindow([0.5, -0.5]) },
  HammingWindow: { versions: [17], import: cosineWindow([25 / 46, -21 / 46]) },
  BlackmanWindow: { versions: [17], import: cosineWindow([0.42, -0.5, 0.08]) },
  MelWeightMatrix: { versions: [17], import: melWeights },
};
