/** Geometry of convolutions and pooling: kernels, strides, dilations, and every way of padding. */
import type { OperatorCall } from './context.js';
import { type Node, type Size, size } from './core.js';

export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** What the model asks for, before and after each axis. */
  readonly pads: readonly (readonly [Size, Size])[];
  /** What rounding up adds after each axis. */
  readonly extra: readonly Size[];
  /** Sizes of the result's spatial axes. */
  readonly output: readonly Size[];
}

/** Padding for the primitive: what is asked for and what rounding up adds. */
export const paddingOf = (w: Window): readonly (readonly [Size, Size])[] =>
  w.pads.map(([before, after], i) => [before, size.add(after, w.extra[i] as Size)]);

/** A list attribute with one number per spatial axis. */
function perAxis(call: OperatorCall, name: string, count: number, fallback: number): number[] {
  const given = call.ints(name, Array<number>(count).fill(fallback));
  if (given.length !== count) throw call.refuse(`${name} does not fit ${count} spatial axes`);
  return [...given];
}

/** Strides and dilations of `count` spatial axes. */
export function stepsOf(
  call: OperatorCall,
  count: number,
): { readonly strides: readonly number[]; readonly dilations: readonly number[] } {
  const strides = perAxis(call, 'strides', count, 1);
  const dilations = perAxis(call, 'dilations', count, 1);
  if ([...strides, ...dilations].some((step) => step < 1)) throw call.refuse('a step below 1');
  return { strides, dilations };
}

/** Explicit pads as pairs per axis. */
export function explicitPads(call: OperatorCall, count: number): [number, number][] {
  const pads = call.ints('pads', Array<number>(2 * count).fill(0));
  if (pads.length !== 2 * count) throw call.refuse(`pads do not fit ${count} spatial axes`);
  return Array.from({ length: count }, (_, i) => [pads[i] as number, pads[count + i] as number]);
}

/** Half of a total before and after; the odd one goes after for SAME_UPPER. */
export function splitPads(total: Size, upper: boolean): readonly [Size, Size] {
  const half = size.floorDivide(total, 2);
  const rest = size.subtract(total, half);
  return upper ? [half, rest] : [rest, half];
}

const extentOf = (kernel: number, dilation: number): number => (kernel - 1) * dilation + 1;

/** Padding that gives ceil(extent / stride) results. */
function samePads(extent: Size, kernel: number, stride: number, upper: boolean) {
  const count = size.ceilDivide(extent, stride);
  const reach = size.add(size.multiply(size.subtract(count, 1), stride), kernel);
  return splitPads(size.maximum(size.subtract(reach, extent), 0), upper);
}

/** The kernel of a pooling operator, or of weights [O, C, …kernel]. */
export function kernelOf(call: OperatorCall, weights: Node | undefined, count: number): number[] {
  const kernel =
    weights === undefined
      ? [...call.ints('kernel_shape')]
      : weights.shape.slice(2).map((extent) => call.staticSize(extent, 'the kernel size'));
  if (kernel.length !== count) throw call.refuse(`the kernel does not fit ${count} spatial axes`);
  if (kernel.some((extent) => extent < 1)) throw call.refuse('a kernel size below 1');
  return kernel;
}

/** The window that a node's attributes describe over x[N, C, …space]. */
export function windowOf(call: OperatorCall, x: Node, weights?: Node): Window {
  const space = x.shape.slice(2);
  const kernel = kernelOf(call, weights, space.length);
  const { strides, dilations } = stepsOf(call, space.length);
  const auto = call.text('auto_pad', 'NOTSET');
  const up = call.int('ceil_mode', 0) !== 0;
  const reach = kernel.map((extent, i) => extentOf(extent, dilations[i] as number));
  const explicit = explicitPads(call, space.length);
  const pads = space.map((extent, i): readonly [Size, Size] => {
    const [reached, stride] = [reach[i] as number, strides[i] as number];
    if (auto === 'NOTSET' || auto === '') return explicit[i] as [number, number];
    if (auto === 'VALID') return [0, 0];
    if (auto !== 'SAME_UPPER' && auto !== 'SAME_LOWER') throw call.refuse('unknown auto_pad');
    return samePads(extent, reached, stride, auto === 'SAME_UPPER');
  });
  const output = space.map((extent, i) =>
    countOf(size.add(extent, ...(pads[i] as [Size, Size])), extent, {
      before: (pads[i] as [Size, Size])[0],
      reach: reach[i] as number,
      stride: strides[i] as number,
      up,
    }),
  );
  const extra = output.map((count, i): Size => {
    if (!up) return 0;
    const last = size.multiply(size.subtract(count, 1), strides[i] as number);
    const padded = size.add(space[i] as Size, ...(pads[i] as [Size, Size]));
    return size.maximum(size.subtract(size.add(last, reach[i] as number), padded), 0);
  });
  return { kernel, strides, dilations, pads, extra, output };
}

interface Line {
  readonly before: Size;
  readonly reach: number;
  readonly stride: number;
  readonly up: boolean;
}

/** Number of windows along an axis; one that would start beyond the input's end is left out. */
function countOf(padded: Size, extent: Size, { before, reach, stride, up }: Line): Size {
  const room = size.subtract(padded, reach);
  if (!up) return size.maximum(size.add(size.floorDivide(room, stride), 1), 0);
  const count = size.add(size.ceilDivide(room, stride), 1);
  const start = size.multiply(size.subtract(count, 1), stride);
  const beyond = size.subtract(1, size.lessThan(start, size.add(extent, before)));
  return size.subtract(count, beyond);
}
