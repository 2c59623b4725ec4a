/** Operations that move values between lanes: broadcast, reduce, scan, transpose, dot. */
import { internal } from '../base/errors.js';
import type { ComputeType, MemoryType } from '../base/target.js';
import type { Operation, TileReduction, TileType } from '../kernel/tile.js';
import { binaryText, multiplyAddText } from './c-arithmetic.js';
import * as functions from './c-functions.js';
import {
  elementOf,
  fit,
  type Kernel,
  type Layout,
  layoutOf,
  partCount,
  partType,
  spread,
  tileOf,
  type Value,
} from './c-kernel.js';
import { listLanes } from './c-lanes.js';
import { transposeBlock } from './c-transpose.js';
import { multiplyWords } from './c-words.js';

/** A lane of a tile row as a scalar of its compute type. */
function laneText(value: Value, row: number, column: number): string {
  const { parts, width } = value.layout;
  const text = value.parts[row * parts + Math.floor(column / width)] as string;
  if (width === 1) return text;
  const lane = `${text}[${column % width}]`;
  return value.type.dtype === 'bool' ? `(i32)(${lane} & 1)` : lane;
}

/** Scalars as one part. */
function gatherLanes(
  k: Kernel,
  dtype: ComputeType,
  width: number,
  scalar: (lane: number) => string,
): string {
  if (width === 1) return scalar(0);
  const sign = dtype === 'bool' ? '-' : '';
  return `(${partType(k, dtype, width)}){${listLanes(width, (lane) => sign + scalar(lane))}}`;
}

export function broadcastText(
  k: Kernel,
  a: Value,
  type: TileType,
  axis: number,
  index: number,
): string {
  const layout = layoutOf(type.shape, k.program.lanes);
  const { dtype } = type;
  if (a.parts.length === 1 && a.layout.width === 1) {
    return spread(k, dtype, a.parts[0] as string, layout.width);
  }
  const row = Math.floor(index / layout.parts);
  if (axis === type.shape.length - 1) return a.parts[index % layout.parts] as string;
  return spread(k, dtype, laneText(a, 0, row), layout.width);
}

function combineText(
  k: Kernel,
  name: TileReduction,
  dtype: ComputeType,
  width: number,
): (a: string, b: string) => string {
  return (a, b) => binaryText(k, name, dtype, width, a, b);
}

/** All lanes of one part as a scalar. */
function reducePart(
  k: Kernel,
  name: TileReduction,
  dtype: ComputeType,
  width: number,
  text: string,
): string {
  if (width === 1) return text;
  if (dtype === 'bool' && (name === 'or' || name === 'maximum')) {
    return `${functions.any(k.prelude, k.mask, width)}(${text})`;
  }
  const element = elementOf(k, dtype, width);
  const combine = combineText(k, name, dtype, width);
  const bits: TileReduction =
    dtype !== 'bool' ? name : name === 'minimum' ? 'and' : name === 'maximum' ? 'or' : name;
  const call = functions.reduceLanes(k.prelude, bits, element, width, combine);
  return dtype === 'bool' ? `(i32)(${call}(${text}) & 1)` : `${call}(${text})`;
}

/** Pairs neighbours until one is left, which keeps both rounding errors and latency small. */
function reduceTree(texts: readonly string[], combine: (a: string, b: string) => string): string {
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

export function reduceParts(
  k: Kernel,
  name: TileReduction,
  a: Value,
  axis: number,
): readonly string[] {
  const { rows, parts, width } = a.layout;
  const { dtype, shape } = a.type;
  const combine = combineText(k, name, dtype, width);
  if (axis === shape.length - 1) {
    const scalars = Array.from({ length: rows }, (_, row) => {
      const texts = a.parts.slice(row * parts, (row + 1) * parts);
      return reducePart(k, name, dtype, width, reduceTree(texts, combine));
    });
    const layout = layoutOf(shape.slice(0, -1), k.program.lanes);
    return Array.from({ length: partCount(layout) }, (_, index) =>
      gatherLanes(k, dtype, layout.width, (lane) => scalars[index * layout.width + lane] as string),
    );
  }
  if (shape.length !== 2) throw internal('reduction of a tile of more than two axes');
  return Array.from({ length: parts }, (_, part) => {
    const texts = Array.from({ length: rows }, (_, row) => a.parts[row * parts + part] as string);
    return reduceTree(texts, combine);
  });
}

export function scanParts(
  k: Kernel,
  name: string,
  operation: TileReduction,
  a: Value,
): readonly string[] {
  const { width } = a.layout;
  const { dtype } = a.type;
  const type = partType(k, dtype, width);
  const element = elementOf(k, dtype, width);
  const vector = combineText(k, operation, dtype, width);
  return a.parts.map((text, index) => {
    const local = `${name}_p${index}`;
    const own =
      width === 1
        ? text
        : `${functions.scanLanes(k.prelude, operation, element, width, vector)}(${text})`;
    const carried = index === 0 ? own : vector(carryText(k, name, index, width, element), own);
    k.line(`const ${type} ${local} = ${carried};`);
    return local;
  });
}

function carryText(
  k: Kernel,
  name: string,
  index: number,
  width: number,
  element: MemoryType,
): string {
  const before = `${name}_p${index - 1}`;
  if (width === 1) return before;
  return `${functions.splat(k.prelude, element, width)}(${before}[${width - 1}])`;
}

/** Whole blocks of vectors in registers; other tiles through memory. */
export function transposeParts(
  k: Kernel,
  name: string,
  a: Value,
  layout: Layout,
): readonly string[] {
  const [rows = 1, columns = 1] = a.type.shape;
  const { dtype } = a.type;
  const { width } = layout;
  if (width > 1 && a.layout.width === width && dtype !== 'bool') {
    return transposeBlocks(k, name, a, layout);
  }
  const element = elementOf(k, dtype, a.layout.width);
  const array = `${name}_t`;
  k.line(`${element} ${array}[${rows * columns}] __attribute__((aligned(64)));`);
  const memory = a.layout.width === 1 ? element : k.prelude.memoryType(element, a.layout.width);
  for (const [index, text] of a.parts.entries()) {
    k.line(`*(${memory} *)(${array} + ${index * a.layout.width}) = ${text};`);
  }
  const sign = dtype === 'bool' && a.layout.width > 1 ? (s: string) => `(i32)(${s} & 1)` : String;
  return Array.from({ length: partCount(layout) }, (_, index) => {
    const row = Math.floor(index / layout.parts);
    const start = (index % layout.parts) * layout.width;
    return gatherLanes(k, dtype, layout.width, (lane) =>
      sign(`${array}[${(start + lane) * columns + row}]`),
    );
  });
}

function transposeBlocks(k: Kernel, name: string, a: Value, layout: Layout): readonly string[] {
  const { dtype } = a.type;
  const { width, parts } = layout;
  const element = elementOf(k, dtype, width);
  const call = transposeBlock(k.prelude, element, width);
  // Block (down, across) of the operand is block (across, down) of the result.
  for (let down = 0; down < parts; down++) {
    for (let across = 0; across < a.layout.parts; across++) {
      const rows = Array.from({ length: width }, (_, row) => {
        return a.parts[(down * width + row) * a.layout.parts + across];
      });
      const block = `${name}_b${across}_${down}`;
      k.line(`${partType(k, dtype, width)} ${block}[${width}] = {${rows.join(', ')}};`);
      k.line(`${call}(${block});`);
    }
  }
  return Array.from({ length: partCount(layout) }, (_, index) => {
    const row = Math.floor(index / parts);
    return `${name}_b${Math.floor(row / width)}_${index % parts}[${row % width}]`;
  });
}

/** Unrolled over the tile: one broadcast of a per row and step, one multiply-add per part. */
export function dotParts(
  k: Kernel,
  name: string,
  operation: Operation & { readonly kind: 'dot' },
  layout: Layout,
  inPlace: boolean,
): readonly string[] {
  const a = tileOf(k, operation.a);
  const b = tileOf(k, operation.b);
  const accumulator = tileOf(k, operation.accumulator);
  const { dtype } = accumulator.type;
  const [m = 1, depth = 1] = a.type.shape;
  const { width, parts } = layout;
  const type = partType(k, dtype, width);
  const names = inPlace
    ? accumulator.parts
    : Array.from({ length: m * parts }, (_, index) => `${name}_d${index}`);
  for (const [index, local] of names.entries()) {
    if (!inPlace) k.line(`${type} ${local} = ${fit(k, accumulator, layout, index)};`);
  }
  for (let step = 0; step < depth; step++) {
    for (let row = 0; row < m; row++) {
      const left = `${name}_a${step}_${row}`;
      const leftType = partType(k, a.type.dtype, width);
      const spreadLeft = spread(k, a.type.dtype, laneText(a, row, step), width);
      k.line(`const ${leftType} ${left} = ${spreadLeft};`);
      for (let part = 0; part < parts; part++) {
        const local = names[row * parts + part] as string;
        const right = b.parts[step * parts + part] as string;
        const operands = `${left}, ${right}, ${local}`;
        const sum =
          operation.unit === undefined
            ? multiplyAddText(k, dtype, width, left, right, local)
            : `${multiplyWords(k.prelude, operation.unit, width)}(${operands})`;
        k.line(`${local} = ${sum};`);
      }
    }
  }
  return names;
}
