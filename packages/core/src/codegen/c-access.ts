/** Loads and stores of tiles: contiguous, splat or strided parts under limits and masks. */
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
import { lineBytes } from '../kernel/streaming.js';
import type { Access, Limit } from '../kernel/tile.js';
import * as functions from './c-functions.js';
import {
  bufferName,
  elementOf,
  fit,
  indexText,
  type Kernel,
  layoutOf,
  maskFor,
  maskFrom,
  memoryOf,
  partCount,
  partType,
  spread,
  tileOf,
  type Value,
} from './c-kernel.js';
import { literalText } from './c-literal.js';

/** What one part of an access touches. */
interface Part {
  readonly pointer: string;
  readonly stride: Expression;
  /** Scalar conditions from the axes that are whole within the part. */
  readonly conditions: readonly string[];
  /** Bounds of the lanes where not proven to hold all of them. */
  readonly low?: string;
  readonly high?: string;
  readonly mask?: string;
  readonly memory: MemoryType;
  readonly width: number;
}

/** Row index along each axis but the last. */
function rowIndex(shape: readonly number[], row: number): readonly number[] {
  const index: number[] = [];
  let rest = row;
  for (const size of shape.slice(0, -1).reverse()) {
    index.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return index;
}

function conditionsAt(limit: Limit | undefined, at: number): readonly string[] {
  const { low, high } = limit ?? {};
  const conditions: string[] = [];
  if (low !== undefined && !provablyAtLeast(at, low)) conditions.push(`${indexText(low)} <= ${at}`);
  if (high !== undefined && !provablyLess(at, high)) conditions.push(`${at} < ${indexText(high)}`);
  return conditions;
}

function partOf(k: Kernel, access: Access, shape: readonly number[], index: number): Part {
  const layout = layoutOf(shape, k.program.lanes);
  const { width } = layout;
  const memory = memoryOf(k, access.buffer);
  const start = (index % layout.parts) * width;
  const at =
    shape.length === 0 ? [] : [...rowIndex(shape, Math.floor(index / layout.parts)), start];
  const address = add(access.address, ...at.map((i, d) => multiply(i, access.strides[d] ?? 0)));
  const whole = width === 1 ? at.length : at.length - 1;
  const conditions = at.slice(0, whole).flatMap((i, d) => conditionsAt(access.limits?.[d], i));
  const last = width === 1 ? undefined : access.limits?.[at.length - 1];
  const low = last?.low === undefined ? 0 : subtract(last.low, start);
  const high = last?.high === undefined ? width : subtract(last.high, start);
  return {
    pointer: `${bufferName(access.buffer)} + ${indexText(address)}`,
    stride: width === 1 ? 0 : (access.strides.at(-1) ?? 0),
    conditions,
    ...(provablyAtLeast(0, low) ? {} : { low: indexText(low) }),
    ...(provablyAtLeast(high, width) ? {} : { high: indexText(high) }),
    ...(access.mask === undefined ? {} : { mask: fit(k, tileOf(k, access.mask), layout, index) }),
    memory,
    width,
  };
}

/** The bound texts of a part, scalar conditions folded in by an empty range. */
function bounds(part: Part): { readonly low: string; readonly high: string } | undefined {
  const { low, high, conditions, width } = part;
  if (low === undefined && high === undefined && conditions.length === 0) return undefined;
  const limit = high ?? String(width);
  const chosen = conditions.length === 0 ? limit : `(${conditions.join(' && ')} ? ${limit} : 0)`;
  return { low: low ?? '0', high: chosen };
}

/** All that restricts a part, as one mask; undefined where nothing does. */
function maskOf(k: Kernel, part: Part): string | undefined {
  const range = bounds(part);
  if (range === undefined) return part.mask;
  const limit = functions.limitMask(k.prelude, k.mask, part.width);
  const text = `${limit}(${range.low}, ${range.high})`;
  return part.mask === undefined ? text : `(${text} & ${part.mask})`;
}

/** A vector of memory elements as a part of a tile. */
export function fromMemory(
  k: Kernel,
  text: string,
  memory: MemoryType,
  dtype: ComputeType,
  width: number,
): string {
  if (dtype === 'bool') {
    if (width === 1) return `(i32)(${text} != 0)`;
    const same = `i${bytesOfMemory[memory] * 8}` as MemoryType;
    const call = same === k.mask ? '' : functions.convert(k.prelude, same, k.mask, width);
    return `${call}((${k.prelude.type(same, width)})(${text} != 0))`;
  }
  if (memory === dtype) return text;
  if (width === 1) return `(${partType(k, dtype, width)})${text}`;
  return `${functions.convert(k.prelude, memory, dtype, width)}(${text})`;
}

/** A part of a tile as memory elements. */
export function toMemory(
  k: Kernel,
  text: string,
  dtype: ComputeType,
  memory: MemoryType,
  width: number,
): string {
  if (memory === dtype) return text;
  if (width === 1) return `(${memory})${text}`;
  const number = dtype === 'bool' ? `(${text} & 1)` : text;
  const element = elementOf(k, dtype, width);
  if (element === memory) return number;
  return `${functions.convert(k.prelude, element, memory, width)}(${number})`;
}

/** One C expression per part of a loaded tile. */
export function loadParts(
  k: Kernel,
  access: Access,
  type: { readonly dtype: ComputeType | 'u16'; readonly shape: readonly number[] },
  other: number | bigint,
): readonly string[] {
  const layout = layoutOf(type.shape, k.program.lanes);
  if (access.later !== undefined) {
    const pointer = `${bufferName(access.buffer)} + ${indexText(access.later)}`;
    k.line(`__builtin_prefetch(${pointer}, 0, 2);`);
  }
  return Array.from({ length: partCount(layout) }, (_, index) => {
    const part = partOf(k, access, type.shape, index);
    // Beyond the end of the memory the hint is without effect.
    const begun = (index % layout.parts) * part.width * bytesOfMemory[part.memory];
    if (access.ahead !== undefined && part.width > 1 && begun % lineBytes === 0) {
      k.line(`__builtin_prefetch(${part.pointer} + ${access.ahead});`);
    }
    return loadPart(k, part, type.dtype, other);
  });
}

function loadPart(
  k: Kernel,
  part: Part,
  dtype: ComputeType | 'u16',
  other: number | bigint,
): string {
  const { memory, width, pointer } = part;
  if (dtype === 'u16') return loadRaw(k, part, 0);
  if (width === 1) {
    const conditions = part.mask === undefined ? part.conditions : [...part.conditions, part.mask];
    const loaded = fromMemory(k, `*(${pointer})`, memory, dtype, 1);
    if (conditions.length === 0) return loaded;
    return `(${conditions.join(' && ')} ? ${loaded} : ${literalText(dtype, other)})`;
  }
  // A value for untouched lanes that the memory type may not hold is put in after conversion.
  const late = Number(other) !== 0 && (memory as string) !== dtype;
  const filler = late || dtype === 'bool' ? 0 : other;
  const raw = loadRaw(k, part, filler);
  const value = fromMemory(k, raw, memory, dtype, width);
  const mask = late ? maskOf(k, part) : undefined;
  if (mask === undefined) return value;
  const filled = spread(k, dtype, literalText(dtype, other), width);
  return selectText(k, dtype, width, mask, value, filled);
}

/** The vector of memory elements under a part. */
function loadRaw(k: Kernel, part: Part, other: number | bigint): string {
  const { memory, width, pointer, stride } = part;
  const p = k.prelude;
  const type = p.type(memory, width);
  const filler =
    Number(other) === 0 && !Object.is(other, -0)
      ? `(${type}){0}`
      : `${functions.splat(p, memory, width)}(${literalText(memory, other)})`;
  if (stride === 0) return loadSplat(k, part, filler);
  const range = bounds(part);
  if (stride === 1) {
    if (part.mask !== undefined) {
      const call = functions.loadMask(p, memory, width, k.mask);
      return `${call}(${pointer}, ${maskOf(k, part)}, ${filler})`;
    }
    if (range === undefined) return `*(const ${p.memoryType(memory, width)} *)(${pointer})`;
    const call = functions.loadLimit(p, memory, width);
    return `${call}(${pointer}, ${range.low}, ${range.high}, ${filler})`;
  }
  const mask = maskOf(k, part);
  if (mask === undefined) {
    return `${functions.loadStride(p, memory, width)}(${pointer}, ${indexText(stride)})`;
  }
  const call = functions.loadStrideMask(p, memory, width, k.mask);
  return `${call}(${pointer}, ${indexText(stride)}, ${mask}, ${filler})`;
}

/** One element for all lanes; it is touched only where a lane asks for it. */
function loadSplat(k: Kernel, part: Part, filler: string): string {
  const { memory, width, pointer } = part;
  const mask = maskOf(k, part);
  const splat = functions.splat(k.prelude, memory, width);
  if (mask === undefined) return `${splat}(*(${pointer}))`;
  const call = functions.loadStrideMask(k.prelude, memory, width, k.mask);
  return `${call}(${pointer}, 0, ${mask}, ${filler})`;
}

/** a where the mask is true, else b, for one part of a dtype. */
export function selectText(
  k: Kernel,
  dtype: ComputeType,
  width: number,
  mask: string,
  a: string,
  b: string,
): string {
  if (width === 1) return `(${mask} ? ${a} : ${b})`;
  const element = elementOf(k, dtype, width);
  const wide = maskFor(k, mask, bytesOfMemory[element], width);
  if (a === spread(k, dtype, literalText(dtype, 0), width)) {
    return `${functions.zeroWhere(k.prelude, element, width)}(${wide}, ${b})`;
  }
  return `${functions.select(k.prelude, element, width)}(${wide}, ${a}, ${b})`;
}

/** One C statement per part of a stored tile. */
export function storeStatements(
  k: Kernel,
  access: Access,
  { type, parts, element }: Value,
  streaming: Expression,
): readonly string[] {
  return parts.map((text, index) => {
    const part = partOf(k, access, type.shape, index);
    const raw =
      element === part.memory ? text : toMemory(k, text, type.dtype, part.memory, part.width);
    return storePart(k, part, raw, streaming);
  });
}

function storePart(k: Kernel, part: Part, value: string, streaming: Expression): string {
  const { memory, width, pointer, stride } = part;
  const p = k.prelude;
  if (width === 1) {
    const conditions = part.mask === undefined ? part.conditions : [...part.conditions, part.mask];
    const store = `*(${pointer}) = ${value};`;
    return conditions.length === 0 ? store : `if (${conditions.join(' && ')}) ${store}`;
  }
  const range = bounds(part);
  if (stride === 1 && part.mask === undefined) {
    if (range !== undefined) {
      const call = functions.storeLimit(p, memory, width);
      return `${call}(${pointer}, ${range.low}, ${range.high}, ${value});`;
    }
    const plain = `*(${p.memoryType(memory, width)} *)(${pointer}) = ${value};`;
    if (streaming === 0) return plain;
    const past = `${functions.stream(p, memory, width)}(${pointer}, ${value});`;
    return typeof streaming === 'number'
      ? past
      : `if (${indexText(streaming)}) ${past} else ${plain}`;
  }
  const mask = maskOf(k, part);
  if (stride === 1) {
    return `${functions.storeMask(p, memory, width, k.mask)}(${pointer}, ${mask}, ${value});`;
  }
  const by = indexText(stride);
  if (mask === undefined) {
    return `${functions.storeStride(p, memory, width)}(${pointer}, ${by}, ${value});`;
  }
  const call = functions.storeStrideMask(p, memory, width, k.mask);
  return `${call}(${pointer}, ${by}, ${mask}, ${value});`;
}

/** A vector comparison as the kernel's mask; a scalar one as 0 or 1. */
export function comparison(k: Kernel, element: MemoryType, width: number, text: string): string {
  return width === 1 ? `(i32)(${text})` : maskFrom(k, text, bytesOfMemory[element], width);
}
