/**
 * The state of printing one kernel in a language with vectors, and the words for its parts. A tile
 * is a set of vector variables; masks are vectors of integers, −1 where true; uniform truths are
 * bools.
 */
import { internal } from '../base/errors.js';
import type { Expression } from '../base/expression.js';
import { bytesOfMemory } from '../base/memory-type.js';
import type { ComputeType, MemoryType } from '../base/target.js';
import type { TileProgram, TileType, ValueId, VariableId } from '../kernel/tile.js';
import { type Layout, layoutOf, partCount } from './c-kernel.js';
import { listLanes } from './c-lanes.js';
import { type ExpressionTokens, printExpression, unwrapped } from './expression-text.js';
import type { VectorWords } from './gpu-dialects.table.js';
import { literalText, type ScalarContext } from './gpu-scalar.js';

export interface VectorValue {
  readonly type: TileType;
  readonly layout: Layout;
  /** One text per part, row by row: a name, or what may stand for one. */
  readonly parts: readonly string[];
}

export interface VectorMemory {
  readonly element: MemoryType;
  /** Whether it is the task's own. */
  readonly own: boolean;
}

export interface VectorKernel extends ScalarContext {
  readonly program: TileProgram;
  readonly words: VectorWords;
  readonly tokens: ExpressionTokens;
  /** Lanes of masks: as wide as the widest vector of the kernel. */
  readonly mask: 'i32' | 'i64';
  readonly values: Map<ValueId, VectorValue>;
  readonly variables: Map<VariableId, VectorValue>;
  readonly memory: ReadonlyMap<string, VectorMemory>;
  line(text: string): void;
}

/** Layout of a tile in the kernel's vectors. */
export const layoutIn = (k: VectorKernel, type: TileType): Layout =>
  layoutOf(type.shape, k.program.lanes);

/** One text per part of a layout. */
export const eachPart = (layout: Layout, text: (index: number) => string): readonly string[] =>
  Array.from({ length: partCount(layout) }, (_, index) => text(index));

/** Fills `{name}` places of a word. */
function filled(word: string, values: Readonly<Record<string, string | number>>): string {
  return word.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name]));
}

export type Lanes = MemoryType | 'bool';

/** Elements of the lanes of a compute type: those of bools are the kernel's masks. */
export const lanesOf = (k: VectorKernel, dtype: ComputeType): MemoryType =>
  dtype === 'bool' ? k.mask : dtype;

/** The type of vectors, or that of the element for one lane. */
export function typeText(k: VectorKernel, element: Lanes, width: number): string {
  const own = k.dialect.types[element];
  return width === 1 ? own : filled(k.words.type, { element: own, lanes: width });
}

/** The type of one part of a tile. */
export const partType = (k: VectorKernel, dtype: ComputeType, width: number): string =>
  width === 1 ? typeText(k, dtype, 1) : typeText(k, lanesOf(k, dtype), width);

/** A vector whose lanes are all one value. */
export const splat = (k: VectorKernel, element: MemoryType, width: number, text: string): string =>
  filled(k.words.make, { type: typeText(k, element, width), list: text });

export const vectorOf = (
  k: VectorKernel,
  element: MemoryType,
  width: number,
  lane: (lane: number) => string,
): string =>
  filled(k.words.make, { type: typeText(k, element, width), list: listLanes(width, lane) });

export const laneText = (vector: string, lane: number): string => `${vector}.s${lane.toString(16)}`;

export const loadText = (k: VectorKernel, width: number, pointer: string): string =>
  filled(k.words.load, { lanes: width, pointer });

export const storeText = (k: VectorKernel, width: number, pointer: string, value: string): string =>
  filled(k.words.store, { lanes: width, pointer, value });

export function convertLanes(
  k: VectorKernel,
  from: MemoryType,
  to: MemoryType,
  width: number,
  value: string,
): string {
  if (from === to) return value;
  return filled(k.words.convert, { type: typeText(k, to, width), value });
}

export function reinterpretLanes(
  k: VectorKernel,
  from: MemoryType,
  to: MemoryType,
  width: number,
  value: string,
): string {
  if (from === to) return value;
  return filled(k.words.reinterpret, { type: typeText(k, to, width), value });
}

export const anyText = (k: VectorKernel, value: string): string => filled(k.words.any, { value });

/** The literal in every lane. */
export const literalLanes = (
  k: VectorKernel,
  element: MemoryType,
  width: number,
  value: number | bigint,
): string => {
  const narrow = bytesOfMemory[element] < 4;
  const literal = literalText(k, narrow ? 'i32' : (element as ComputeType), value);
  return width === 1 ? literal : splat(k, element, width, literal);
};

/** A scalar of a compute type in all lanes of a part. */
export function spread(k: VectorKernel, dtype: ComputeType, text: string, width: number): string {
  if (width === 1) return text;
  return splat(k, lanesOf(k, dtype), width, dtype === 'bool' ? `(${text} ? -1 : 0)` : text);
}

export function tileOf(k: VectorKernel, id: ValueId): VectorValue {
  const value = k.values.get(id);
  if (value === undefined) throw internal(`value ${id} is used before it is made`);
  return value;
}

/** One part of a value in the wanted layout; uniform values are spread. */
export function fit(k: VectorKernel, value: VectorValue, layout: Layout, index: number): string {
  const uniform = value.parts.length === 1 && value.layout.width === 1;
  if (uniform) return spread(k, value.type.dtype, value.parts[0] as string, layout.width);
  const text = value.parts[index];
  if (text === undefined || value.layout.width !== layout.width) {
    throw internal('operands of one operation have different shapes');
  }
  return text;
}

/** The text of a value that is no tile. */
export const scalarOf = (k: VectorKernel, id: ValueId): string =>
  fit(k, tileOf(k, id), layoutOf([], 1), 0);

/** The kernel's mask for vectors whose elements have `bytes`. */
export function maskFor(k: VectorKernel, mask: string, bytes: number, width: number): string {
  return convertLanes(k, k.mask, maskOfBytes(bytes), width, mask);
}

/** What a comparison of vectors with elements of `bytes` gives, as the kernel's mask. */
export function maskFrom(k: VectorKernel, text: string, bytes: number, width: number): string {
  return convertLanes(k, maskOfBytes(bytes), k.mask, width, text);
}

const maskOfBytes = (bytes: number): MemoryType => `i${bytes * 8}` as MemoryType;

export function memoryOf(k: VectorKernel, buffer: string): VectorMemory {
  const memory = k.memory.get(buffer);
  if (memory === undefined) throw internal(`buffer ${buffer} is not a parameter`);
  return memory;
}

/** An integer expression, without parentheses around the whole. */
export const indexText = (k: VectorKernel, e: Expression): string =>
  unwrapped(printExpression(e, k.tokens));

/** The same where it is an operand of what follows. */
export const nestedIndex = (k: VectorKernel, e: Expression): string => printExpression(e, k.tokens);

/** Declares a function unless it is known; `body` is its statements, or directives, one a line. */
export function define(
  k: VectorKernel,
  head: { readonly result: string; readonly name: string; readonly parameters: string },
  body: readonly string[],
): string {
  const { result, name, parameters } = head;
  if (!k.helpers.has(name)) {
    const lines = body.map((line) => (line.startsWith('#') ? `\n${line}` : `\n  ${line}`)).join('');
    k.helpers.set(name, `${k.dialect.helper} ${result} ${name}(${parameters}) {${lines}\n}`);
  }
  return name;
}
