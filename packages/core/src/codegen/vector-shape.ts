/** Operations that move values between lanes: broadcast, reduce, scan, transpose, dot. */
import { internal } from '../base/errors.js';
import type { ComputeType } from '../base/target.js';
import type { Operation, TileReduction, TileType } from '../kernel/tile.js';
import { type Layout, layoutOf } from './c-kernel.js';
import { binaryText, multiplyAddText } from './vector-arithmetic.js';
import * as functions from './vector-functions.js';
import {
  eachPart,
  fit,
  lanesOf,
  laneText,
  layoutIn,
  partType,
  spread,
  storeText,
  tileOf,
  typeText,
  type VectorKernel,
  type VectorValue,
  vectorOf,
} from './vector-kernel.js';

/** A lane of a tile row as a scalar of its compute type. */
function scalarAt(value: VectorValue, row: number, column: number): string {
  const { parts, width } = value.layout;
  const text = value.parts[row * parts + Math.floor(column / width)] as string;
  if (width === 1) return text;
  const lane = laneText(text, column % width);
  return value.type.dtype === 'bool' ? `(${lane} != 0)` : lane;
}

/** Scalars as one part. */
function joined(
  k: VectorKernel,
  dtype: ComputeType,
  width: number,
  scalar: (lane: number) => string,
): string {
  if (width === 1) return scalar(0);
  const lane = (i: number): string => (dtype === 'bool' ? `(${scalar(i)} ? -1 : 0)` : scalar(i));
  return vectorOf(k, lanesOf(k, dtype), width, lane);
}

export function broadcastText(
  k: VectorKernel,
  a: VectorValue,
  type: TileType,
  axis: number,
  index: number,
): string {
  const { width, parts } = layoutIn(k, type);
  if (a.parts.length === 1 && a.layout.width === 1) {
    return spread(k, type.dtype, a.parts[0] as string, width);
  }
  if (axis === type.shape.length - 1) return a.parts[index % parts] as string;
  return spread(k, type.dtype, scalarAt(a, 0, Math.floor(index / parts)), width);
}

/** Pairs neighbours until one is left, which keeps both rounding errors and latency small. */
function inTree(texts: readonly string[], combine: (a: string, b: string) => string): string {
  let level = texts;
  while (level.length > 1) {
    const next: string[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const [a, b] = [level[i] as string, level[i + 1]];
      next.push(b === undefined ? a : combine(a, b));
    }
    level = next;
  }
  return level[0] as string;
}

/** Names for texts that stand more than once in what uses them. */
function named(k: VectorKernel, prefix: string, type: string): (text: string) => string {
  let count = 0;
  return (text) => {
    const name = `${prefix}${count++}`;
    k.line(`const ${type} ${name} = ${text};`);
    return name;
  };
}

export function reduceParts(
  k: VectorKernel,
  name: string,
  operation: TileReduction,
  a: VectorValue,
  axis: number,
): readonly string[] {
  const { rows, parts, width } = a.layout;
  const { dtype, shape } = a.type;
  const hold = named(k, `${name}_p`, partType(k, dtype, width));
  const combine = (x: string, y: string): string =>
    hold(binaryText(k, operation, dtype, width, x, y));
  if (axis !== shape.length - 1) {
    if (shape.length !== 2) throw internal('reduction of a tile of more than two axes');
    return Array.from({ length: parts }, (_, part) =>
      inTree(
        Array.from({ length: rows }, (_, row) => a.parts[row * parts + part] as string),
        combine,
      ),
    );
  }
  const scalars = Array.from({ length: rows }, (_, row) => {
    const text = inTree(a.parts.slice(row * parts, (row + 1) * parts), combine);
    if (width === 1) return text;
    const element = lanesOf(k, dtype);
    const call = functions.reduceLanes(k, operation, element, width, (x, y, half) =>
      // Lanes of masks are integers also when there is only one.
      binaryText(k, bitwise(operation, dtype), dtype === 'bool' ? k.mask : dtype, half, x, y),
    );
    return dtype === 'bool' ? `(${call}(${text}) != 0)` : `${call}(${text})`;
  });
  const layout = layoutOf(shape.slice(0, -1), k.program.lanes);
  return eachPart(layout, (index) =>
    joined(k, dtype, layout.width, (lane) => scalars[index * layout.width + lane] as string),
  );
}

/** What reduces masks as integers. */
function bitwise(name: TileReduction, dtype: ComputeType): TileReduction {
  if (dtype !== 'bool') return name;
  if (name === 'minimum' || name === 'multiply') return 'and';
  return name === 'maximum' ? 'or' : name;
}

export function scanParts(
  k: VectorKernel,
  name: string,
  operation: TileReduction,
  a: VectorValue,
): readonly string[] {
  const { width } = a.layout;
  const { dtype } = a.type;
  const own = bitwise(operation, dtype);
  const lanes = width > 1 && dtype === 'bool' ? k.mask : dtype;
  const combine = (x: string, y: string): string => binaryText(k, own, lanes, 1, x, y);
  const hold = named(k, `${name}_p`, partType(k, dtype, width));
  let carry: string | undefined;
  return a.parts.map((text) => {
    const local =
      width === 1
        ? text
        : `${functions.scanLanes(k, own, lanesOf(k, dtype), width, combine)}(${text})`;
    const whole =
      carry === undefined ? local : binaryText(k, operation, dtype, width, carry, local);
    const made = hold(whole);
    carry = width === 1 ? made : spread(k, dtype, scalarOfLane(dtype, made, width - 1), width);
    return made;
  });
}

const scalarOfLane = (dtype: ComputeType, vector: string, lane: number): string => {
  const text = laneText(vector, lane);
  return dtype === 'bool' ? `(${text} != 0)` : text;
};

/** Through memory: the compiler keeps small tiles in registers where it can. */
export function transposeParts(
  k: VectorKernel,
  name: string,
  a: VectorValue,
  layout: Layout,
): readonly string[] {
  const [rows = 1, columns = 1] = a.type.shape;
  const { dtype } = a.type;
  const { width } = a.layout;
  const array = `${name}_t`;
  k.line(`${typeText(k, width === 1 ? dtype : lanesOf(k, dtype), 1)} ${array}[${rows * columns}];`);
  for (const [index, text] of a.parts.entries()) {
    const place = index * width;
    k.line(
      width === 1
        ? `${array}[${place}] = ${text};`
        : storeText(k, width, `${array} + ${place}`, text),
    );
  }
  const truth = (text: string): string => (dtype === 'bool' && width > 1 ? `(${text} != 0)` : text);
  return eachPart(layout, (index) => {
    const row = Math.floor(index / layout.parts);
    const start = (index % layout.parts) * layout.width;
    return joined(k, dtype, layout.width, (lane) =>
      truth(`${array}[${(start + lane) * columns + row}]`),
    );
  });
}

/** Unrolled over the tile: one broadcast of a per row and step, one multiply-add per part. */
export function dotParts(
  k: VectorKernel,
  operation: Operation & { readonly kind: 'dot' },
  layout: Layout,
): readonly string[] {
  const a = tileOf(k, operation.a);
  const b = tileOf(k, operation.b);
  const accumulator = tileOf(k, operation.accumulator);
  const { dtype } = accumulator.type;
  const [, depth = 1] = a.type.shape;
  const { width, parts } = layout;
  return eachPart(layout, (index) => {
    const row = Math.floor(index / parts);
    let sum = fit(k, accumulator, layout, index);
    for (let step = 0; step < depth; step++) {
      const left = spread(k, dtype, scalarAt(a, row, step), width);
      const right = b.parts[step * parts + (index % parts)] as string;
      sum = multiplyAddText(k, dtype, width, left, right, sum);
    }
    return sum;
  });
}
