/** Operations on tiles as C: one expression per part, or statements before it where need be. */
import { internal, refused } from '../base/errors.js';
import type { ComputeType } from '../base/target.js';
import type {
  Operation,
  TileBinary,
  TileCompare,
  TileReduction,
  TileType,
  TileUnary,
  ValueId,
} from '../kernel/tile.js';
import { comparison, fromMemory, loadParts, selectText } from './c-access.js';
import * as functions from './c-functions.js';
import {
  bufferName,
  elementOf,
  fit,
  indexText,
  type Kernel,
  type Layout,
  layoutOf,
  memoryOf,
  partCount,
  partType,
  spread,
  tileOf,
  type Value,
} from './c-kernel.js';
import { listLanes } from './c-lanes.js';
import { literalText } from './c-literal.js';
import { elementBytes } from './c-prelude.js';

const isFloat = (dtype: ComputeType): boolean => dtype === 'f32' || dtype === 'f64';

/** C expressions of all parts of `let name: type = operation`. */
export function operationParts(
  k: Kernel,
  name: string,
  type: TileType,
  operation: Operation,
): readonly string[] {
  const layout = layoutOf(type.shape, k.program.lanes);
  const each = (text: (index: number) => string): readonly string[] =>
    Array.from({ length: partCount(layout) }, (_, index) => text(index));
  const at = (id: ValueId, index: number): string => fit(k, tileOf(k, id), layout, index);
  const { dtype } = type;
  const { width } = layout;
  switch (operation.kind) {
    case 'literal':
      return each(() => spread(k, dtype, literalText(dtype, operation.value), width));
    case 'scalar':
      return each(() => spread(k, dtype, `(${dtype})${indexText(operation.expression)}`, width));
    case 'iota':
      return each((index) => iotaText(k, dtype, width, index * width));
    case 'load':
      return loadParts(k, operation.access, type, operation.other ?? 0);
    case 'gather':
      return each((index) => gatherText(k, operation, dtype, layout, index));
    case 'unary':
      return each((index) => unaryText(k, operation.name, dtype, width, at(operation.a, index)));
    case 'binary':
      return each((index) => {
        const { name: op, a, b } = operation;
        return binaryText(k, op, dtype, width, at(a, index), at(b, index));
      });
    case 'compare': {
      const of = tileOf(k, operation.a).type.dtype;
      return each((index) =>
        compareText(k, operation.name, of, width, at(operation.a, index), at(operation.b, index)),
      );
    }
    case 'select':
      return each((index) => {
        const mask = at(operation.condition, index);
        return selectText(k, dtype, width, mask, at(operation.a, index), at(operation.b, index));
      });
    case 'multiplyAdd':
      return each((index) => {
        const { a, b, c } = operation;
        return multiplyAddText(k, dtype, width, at(a, index), at(b, index), at(c, index));
      });
    case 'convert': {
      const from = tileOf(k, operation.a).type.dtype;
      return each((index) => convertText(k, from, dtype, width, at(operation.a, index)));
    }
    case 'bitcast': {
      const from = elementOf(k, tileOf(k, operation.a).type.dtype, width);
      const to = elementOf(k, dtype, width);
      if (elementBytes[from] !== elementBytes[to]) throw internal('bitcast between sizes');
      return each((index) => {
        const text = at(operation.a, index);
        if (width > 1) return `(${partType(k, dtype, width)})${text}`;
        return `${functions.bitcast(k.prelude, from, to)}(${text})`;
      });
    }
    case 'broadcast':
      return each((index) => broadcastText(k, tileOf(k, operation.a), type, operation.axis, index));
    case 'reduce':
      return reduceParts(k, operation.name, tileOf(k, operation.a), operation.axis);
    case 'scan':
      return scanParts(k, name, operation.name, tileOf(k, operation.a));
    case 'transpose':
      return transposeParts(k, name, tileOf(k, operation.a), layout);
    case 'dot':
      return dotParts(k, name, operation, layout);
    case 'read': {
      const variable = k.variables.get(operation.variable);
      if (variable === undefined) throw internal(`variable ${operation.variable} is not made`);
      return variable.parts;
    }
    default:
      return neverOperation(operation);
  }
}

function neverOperation(operation: never): never {
  throw internal(`operation without a text: ${JSON.stringify(operation)}`);
}

function iotaText(k: Kernel, dtype: ComputeType, width: number, start: number): string {
  if (width === 1) return literalText(dtype, start);
  return `(${partType(k, dtype, width)}){${listLanes(width, (lane) => String(start + lane))}}`;
}

function gatherText(
  k: Kernel,
  operation: Operation & { readonly kind: 'gather' },
  dtype: ComputeType,
  layout: Layout,
  index: number,
): string {
  const { width } = layout;
  const memory = memoryOf(k, operation.buffer);
  const buffer = bufferName(operation.buffer);
  const indices = tileOf(k, operation.index);
  const at = fit(k, indices, layout, index);
  const mask =
    operation.mask === undefined ? undefined : fit(k, tileOf(k, operation.mask), layout, index);
  if (width === 1) {
    const loaded = fromMemory(k, `${buffer}[${at}]`, memory, dtype, 1);
    return mask === undefined ? loaded : `(${mask} ? ${loaded} : 0)`;
  }
  const element = elementOf(k, indices.type.dtype, width);
  const call =
    mask === undefined
      ? `${functions.gather(k.prelude, memory, width, element)}(${buffer}, ${at})`
      : `${functions.gatherMask(k.prelude, memory, width, element, k.mask)}(${buffer}, ${at}, ${mask})`;
  return fromMemory(k, call, memory, dtype, width);
}

/** Functions of the C library that every compiler inlines or libm has. */
const roundings: Readonly<Record<string, string>> = {
  floor: 'floor',
  ceil: 'ceil',
  truncate: 'trunc',
  // In the default rounding mode, which nothing here changes.
  roundEven: 'rint',
  squareRoot: 'sqrt',
};

function unaryText(
  k: Kernel,
  name: TileUnary,
  dtype: ComputeType,
  width: number,
  a: string,
): string {
  const element = elementOf(k, dtype, width);
  if (name === 'not') return width === 1 && dtype === 'bool' ? `!${a}` : `~${a}`;
  if (name === 'negate') return `-${a}`;
  if (name === 'absolute') {
    if (isFloat(dtype)) return absoluteText(k, dtype, width, a);
    if (dtype === 'u32' || dtype === 'u64' || dtype === 'bool') return a;
    return selectText(k, dtype, width, comparison(k, element, width, `${a} < 0`), `-${a}`, a);
  }
  const rounding = roundings[name];
  if (rounding !== undefined) {
    if (!isFloat(dtype)) return a;
    return `${functions.mapLanes(k.prelude, rounding, element, width)}(${a})`;
  }
  if (!k.math.includes(name)) throw refused(name, `the target ${k.program.target} lacks it`);
  return `${functions.mapLanes(k.prelude, name, element, width)}(${a})`;
}

function absoluteText(k: Kernel, dtype: ComputeType, width: number, a: string): string {
  if (width === 1) return `__builtin_fabs${dtype === 'f32' ? 'f' : ''}(${a})`;
  const bits = k.prelude.type(dtype === 'f64' ? 'i64' : 'i32', width);
  const clear = dtype === 'f64' ? '0x7fffffffffffffffll' : '0x7fffffff';
  return `(${partType(k, dtype, width)})((${bits})${a} & ${clear})`;
}

const signs: Readonly<Partial<Record<TileBinary, string>>> = {
  add: '+',
  subtract: '-',
  multiply: '*',
  divide: '/',
  remainder: '%',
  and: '&',
  or: '|',
  xor: '^',
  shiftLeft: '<<',
  shiftRight: '>>',
};

function binaryText(
  k: Kernel,
  name: TileBinary,
  dtype: ComputeType,
  width: number,
  a: string,
  b: string,
): string {
  const element = elementOf(k, dtype, width);
  if (name === 'minimum' || name === 'maximum') {
    if (dtype === 'bool') return `(${a} ${name === 'minimum' ? '&' : '|'} ${b})`;
    const call = functions.extreme(k.prelude, name === 'minimum' ? 'min' : 'max', element, width);
    return `${call}(${a}, ${b})`;
  }
  if (name === 'power') {
    if (!k.math.includes(name)) throw refused(name, `the target ${k.program.target} lacks it`);
    return `${functions.mapLanes(k.prelude, 'pow', element, width, 2)}(${a}, ${b})`;
  }
  if (dtype === 'bool' && !['and', 'or', 'xor'].includes(name)) {
    throw internal(`${name} of bools`);
  }
  return `(${a} ${signs[name]} ${b})`;
}

const compareSigns: Readonly<Record<TileCompare, string>> = {
  equal: '==',
  notEqual: '!=',
  less: '<',
  lessEqual: '<=',
};

function compareText(
  k: Kernel,
  name: TileCompare,
  dtype: ComputeType,
  width: number,
  a: string,
  b: string,
): string {
  if (dtype === 'bool' && width > 1) {
    // Lanes are 0 or −1: as numbers their order is the reverse of that of truth.
    if (name === 'equal') return `~(${a} ^ ${b})`;
    if (name === 'notEqual') return `(${a} ^ ${b})`;
    return name === 'less' ? `(~${a} & ${b})` : `(~${a} | ${b})`;
  }
  const element = elementOf(k, dtype, width);
  return comparison(k, element, width, `${a} ${compareSigns[name]} ${b}`);
}

function multiplyAddText(
  k: Kernel,
  dtype: ComputeType,
  width: number,
  a: string,
  b: string,
  c: string,
): string {
  if (!isFloat(dtype) || !k.fused) return `(${a} * ${b} + ${c})`;
  const call = functions.fusedMultiplyAdd(k.prelude, elementOf(k, dtype, width), width);
  return `${call}(${a}, ${b}, ${c})`;
}

function convertText(
  k: Kernel,
  from: ComputeType,
  to: ComputeType,
  width: number,
  a: string,
): string {
  if (from === to) return a;
  if (to === 'bool') return comparison(k, elementOf(k, from, width), width, `${a} != 0`);
  if (width === 1) return `(${to})${a}`;
  const number = from === 'bool' ? `(${a} & 1)` : a;
  const element = elementOf(k, from, width);
  if (element === to) return number;
  return `${functions.convert(k.prelude, element, to, width)}(${number})`;
}

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

function broadcastText(k: Kernel, a: Value, type: TileType, axis: number, index: number): string {
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

function reduceParts(k: Kernel, name: TileReduction, a: Value, axis: number): readonly string[] {
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

function scanParts(k: Kernel, name: string, operation: TileReduction, a: Value): readonly string[] {
  const { width } = a.layout;
  const { dtype } = a.type;
  const scalar = combineText(k, operation, dtype === 'bool' ? 'i32' : dtype, 1);
  const type = partType(k, dtype, width);
  const element = elementOf(k, dtype, width);
  const vector = combineText(k, operation, dtype, width);
  return a.parts.map((text, index) => {
    const local = `${name}_p${index}`;
    const own =
      width === 1
        ? text
        : `${functions.scanLanes(k.prelude, operation, element, width, scalar)}(${text})`;
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
  element: ReturnType<typeof elementOf>,
): string {
  const before = `${name}_p${index - 1}`;
  if (width === 1) return before;
  return `${functions.splat(k.prelude, element, width)}(${before}[${width - 1}])`;
}

/** Through memory: the compiler keeps small tiles in registers where it can. */
function transposeParts(k: Kernel, name: string, a: Value, layout: Layout): readonly string[] {
  const [rows = 1, columns = 1] = a.type.shape;
  const { dtype } = a.type;
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

/** Unrolled over the tile: one broadcast of a per row and step, one multiply-add per part. */
function dotParts(
  k: Kernel,
  name: string,
  operation: Operation & { readonly kind: 'dot' },
  layout: Layout,
): readonly string[] {
  const a = tileOf(k, operation.a);
  const b = tileOf(k, operation.b);
  const accumulator = tileOf(k, operation.accumulator);
  const { dtype } = accumulator.type;
  const [m = 1, depth = 1] = a.type.shape;
  const { width, parts } = layout;
  const type = partType(k, dtype, width);
  const names = Array.from({ length: m * parts }, (_, index) => `${name}_d${index}`);
  for (const [index, local] of names.entries()) {
    k.line(`${type} ${local} = ${fit(k, accumulator, layout, index)};`);
  }
  for (let step = 0; step < depth; step++) {
    for (let row = 0; row < m; row++) {
      const left = `${name}_a${step}_${row}`;
      k.line(`const ${type} ${left} = ${spread(k, dtype, laneText(a, row, step), width)};`);
      for (let part = 0; part < parts; part++) {
        const local = names[row * parts + part] as string;
        const right = b.parts[step * parts + part] as string;
        k.line(`${local} = ${multiplyAddText(k, dtype, width, left, right, local)};`);
      }
    }
  }
  return names;
}
