/** Loads and stores of tiles as vectors: contiguous, splat or strided, under limits and masks. */
import {
  add,
  type Expression,
  multiply,
  provablyAtLeast,
  provablyLess,
  subtract,
} from '../base/expression.js';
import { bytesOfMemory } from '../base/memory-type.js';
import type { ComputeType, MemoryType } from '../base/target.js';
import type { Access, Limit } from '../kernel/tile.js';
import { convertText as convertScalar, literalText, widened } from './gpu-scalar.js';
import { selectText } from './vector-arithmetic.js';
import * as functions from './vector-functions.js';
import {
  convertLanes,
  fit,
  indexText,
  lanesOf,
  layoutIn,
  literalLanes,
  loadText,
  maskFrom,
  memoryOf,
  nestedIndex,
  splat,
  spread,
  storeText,
  tileOf,
  type VectorKernel,
  type VectorMemory,
  type VectorValue,
} from './vector-kernel.js';

/** What one part of an access touches. */
interface Part {
  readonly buffer: string;
  readonly address: Expression;
  readonly stride: Expression;
  /** Scalar conditions from the axes that are whole within the part. */
  readonly conditions: readonly string[];
  /** Bounds of the lanes where not proven to hold all of them. */
  readonly low?: string;
  readonly high?: string;
  readonly mask?: string;
  readonly memory: VectorMemory;
  readonly width: number;
}

/** Row index along each axis but the last. */
function rowIndex(shape: readonly number[], row: number): readonly number[] {
  let rest = row;
  return shape
    .slice(0, -1)
    .toReversed()
    .map((size) => {
      const at = rest % size;
      rest = Math.floor(rest / size);
      return at;
    })
    .toReversed();
}

function conditionsAt(k: VectorKernel, limit: Limit | undefined, at: number): readonly string[] {
  const { low, high } = limit ?? {};
  const conditions: string[] = [];
  if (low !== undefined && !provablyAtLeast(at, low)) {
    conditions.push(`${nestedIndex(k, low)} <= ${at}`);
  }
  if (high !== undefined && !provablyLess(at, high)) {
    conditions.push(`${at} < ${nestedIndex(k, high)}`);
  }
  return conditions;
}

function partOf(k: VectorKernel, access: Access, shape: readonly number[], index: number): Part {
  const layout = layoutIn(k, { dtype: 'i32', shape });
  const { width } = layout;
  const start = (index % layout.parts) * width;
  const at =
    shape.length === 0 ? [] : [...rowIndex(shape, Math.floor(index / layout.parts)), start];
  const address = add(access.address, ...at.map((i, d) => multiply(i, access.strides[d] ?? 0)));
  const whole = width === 1 ? at.length : at.length - 1;
  const conditions = at.slice(0, whole).flatMap((i, d) => conditionsAt(k, access.limits?.[d], i));
  const last = width === 1 ? undefined : access.limits?.[at.length - 1];
  const low = last?.low === undefined ? 0 : subtract(last.low, start);
  const high = last?.high === undefined ? width : subtract(last.high, start);
  return {
    buffer: access.buffer,
    address,
    stride: width === 1 ? 0 : (access.strides.at(-1) ?? 0),
    conditions,
    ...(provablyAtLeast(0, low) ? {} : { low: nestedIndex(k, low) }),
    ...(provablyAtLeast(high, width) ? {} : { high: nestedIndex(k, high) }),
    ...(access.mask === undefined ? {} : { mask: fit(k, tileOf(k, access.mask), layout, index) }),
    memory: memoryOf(k, access.buffer),
    width,
  };
}

const elementText = (k: VectorKernel, part: Part): string =>
  `${part.buffer}[${indexText(k, part.address)}]`;

const pointerText = (k: VectorKernel, part: Part): string =>
  part.address === 0 ? part.buffer : `${part.buffer} + ${nestedIndex(k, part.address)}`;

/** The bound texts of a part, scalar conditions folded in by an empty range. */
function bounds(part: Part): { readonly low: string; readonly high: string } | undefined {
  const { low, high, conditions, width } = part;
  if (low === undefined && high === undefined && conditions.length === 0) return undefined;
  const limit = high ?? String(width);
  const chosen = conditions.length === 0 ? limit : `(${conditions.join(' && ')} ? ${limit} : 0)`;
  return { low: low ?? '0', high: chosen };
}

/** All that restricts a part, as one mask; undefined where nothing does. */
function maskOf(k: VectorKernel, part: Part): string | undefined {
  const range = bounds(part);
  if (range === undefined) return part.mask;
  const text = `${functions.limitMask(k, part.width)}(${range.low}, ${range.high})`;
  return part.mask === undefined ? text : `(${text} & ${part.mask})`;
}

/** All that restricts a part of one lane. */
const scalarConditions = ({ mask, conditions }: Part): readonly string[] =>
  mask === undefined ? conditions : [...conditions, mask];

/** A vector of memory elements as a part of a tile. */
export function fromMemory(
  k: VectorKernel,
  text: string,
  memory: MemoryType,
  dtype: ComputeType,
  width: number,
): string {
  if (width === 1) return convertScalar(k, widened(memory), dtype, text);
  if (dtype !== 'bool') return convertLanes(k, memory, dtype, width, text);
  const test = `(${text} != ${literalLanes(k, memory, width, 0)})`;
  return maskFrom(k, test, bytesOfMemory[memory], width);
}

/** A part of a tile as memory elements. */
export function toMemory(
  k: VectorKernel,
  text: string,
  dtype: ComputeType,
  memory: MemoryType,
  width: number,
): string {
  const own = widened(memory);
  if (width === 1) {
    const value = convertScalar(k, dtype, own, text);
    return own === memory ? value : `(${k.dialect.types[memory]})${value}`;
  }
  if (dtype === 'bool') {
    const ones = `(${text} & ${literalLanes(k, k.mask, width, 1)})`;
    return convertLanes(k, k.mask, memory, width, ones);
  }
  return convertLanes(k, lanesOf(k, dtype), memory, width, text);
}

/** One text per part of a loaded tile. */
export function loadParts(
  k: VectorKernel,
  access: Access,
  type: { readonly dtype: ComputeType; readonly shape: readonly number[] },
  other: number,
): readonly string[] {
  const layout = layoutIn(k, type);
  return Array.from({ length: layout.rows * layout.parts }, (_, index) =>
    loadPart(k, partOf(k, access, type.shape, index), type.dtype, other),
  );
}

function loadPart(k: VectorKernel, part: Part, dtype: ComputeType, other: number): string {
  const { width } = part;
  const memory = part.memory.element;
  if (width === 1) {
    const conditions = scalarConditions(part);
    const loaded = fromMemory(k, elementText(k, part), memory, dtype, 1);
    if (conditions.length === 0) return loaded;
    return `(${conditions.join(' && ')} ? ${loaded} : ${literalText(k, dtype, other)})`;
  }
  // A value for untouched lanes that the memory type may not hold is put in after conversion.
  const late = other !== 0 && memory !== dtype;
  const value = fromMemory(k, loadRaw(k, part, late ? 0 : other), memory, dtype, width);
  const mask = late ? maskOf(k, part) : undefined;
  if (mask === undefined) return value;
  const literal = spread(k, dtype, literalText(k, dtype, other), width);
  return selectText(k, dtype, width, mask, value, literal);
}

/** The vector of memory elements under a part. */
function loadRaw(k: VectorKernel, part: Part, other: number): string {
  const { memory, width, stride } = part;
  const { element } = memory;
  const pointer = pointerText(k, part);
  const filler = (): string => literalLanes(k, element, width, other);
  const restricted = part.mask !== undefined || bounds(part) !== undefined;
  if (!restricted) {
    if (stride === 1) return loadText(k, width, pointer);
    if (stride === 0) return splat(k, element, width, elementText(k, part));
    return `${functions.loadStride(k, memory, width)}(${pointer}, ${indexText(k, stride)})`;
  }
  if (stride === 1 && part.mask === undefined) {
    const range = bounds(part) as { low: string; high: string };
    const call = functions.loadLimit(k, memory, width);
    return `${call}(${pointer}, ${range.low}, ${range.high}, ${filler()})`;
  }
  const call = functions.loadMask(k, memory, width);
  return `${call}(${pointer}, ${indexText(k, stride)}, ${maskOf(k, part)}, ${filler()})`;
}

/** Elements that are no multiple of their own size off never reach a line: all of it counts. */
export function untilLineText(k: VectorKernel, access: Access, line: number): string {
  const { types } = k.dialect;
  const bytes = bytesOfMemory[memoryOf(k, access.buffer).element];
  const address = `(${types.u64})(${access.buffer} + ${nestedIndex(k, access.address)})`;
  const rest = `(-${address} & ${bytes * line - 1}) / ${bytes}`;
  return `(${types[k.program.indexType]})(${rest})`;
}

/** One statement per part of a stored tile. */
export function storeStatements(
  k: VectorKernel,
  access: Access,
  { type, parts }: VectorValue,
  streaming: Expression,
): readonly string[] {
  return parts.map((text, index) => {
    const part = partOf(k, access, type.shape, index);
    const value = toMemory(k, text, type.dtype, part.memory.element, part.width);
    return storePart(k, part, value, streaming);
  });
}

function storePart(k: VectorKernel, part: Part, value: string, streaming: Expression): string {
  const { memory, width, stride } = part;
  if (width === 1) {
    const conditions = scalarConditions(part);
    const store = `${elementText(k, part)} = ${value};`;
    return conditions.length === 0 ? store : `if (${conditions.join(' && ')}) ${store}`;
  }
  const pointer = pointerText(k, part);
  const range = bounds(part);
  if (range === undefined && part.mask === undefined) {
    if (stride === 1) {
      if (memory.own) return storeText(k, width, pointer, value);
      const plain = `${functions.store(k, memory, width)}(${pointer}, ${value});`;
      if (streaming === 0) return plain;
      const past = `${functions.stream(k, memory, width)}(${pointer}, ${value});`;
      if (typeof streaming === 'number') return past;
      return `if (${indexText(k, streaming)}) ${past} else ${plain}`;
    }
    const call = functions.storeStride(k, memory, width);
    return `${call}(${pointer}, ${indexText(k, stride)}, ${value});`;
  }
  if (stride === 1 && range !== undefined && part.mask === undefined) {
    const call = functions.storeLimit(k, memory, width);
    return `${call}(${pointer}, ${range.low}, ${range.high}, ${value});`;
  }
  const call = functions.storeMask(k, memory, width);
  return `${call}(${pointer}, ${indexText(k, stride)}, ${maskOf(k, part)}, ${value});`;
}
