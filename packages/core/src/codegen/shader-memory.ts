/**
 * Memory in WGSL: how buffers and shared arrays are declared, and text that reads and writes an
 * element. Memory of 8 and 16 bits is seen through 32-bit words, which stores change atomically;
 * where the target has elements of 16 bits, those are seen as f16, whose bits pass unchanged.
 */
import { refused } from '../base/errors.js';
import type { Expression } from '../base/expression.js';
import type { MemoryType, Target } from '../base/target.js';
import {
  cLikeTokens,
  type ExpressionTokens,
  printExpression,
  unwrapped,
} from './expression-text.js';
import { widened } from './gpu-scalar.js';
import { shaderType } from './shader-scalar.js';
import type { Element, ThreadProgram } from './thread-program.js';

/** How a memory is declared. */
export interface ShaderMemory {
  readonly memory: MemoryType;
  /** Name at module scope. */
  readonly name: string;
  readonly atomic: boolean;
  /** Bits of an element that shares its word with others. */
  readonly narrow: 0 | 8 | 16;
  /** Elements of 16 bits, each on its own. */
  readonly half: boolean;
}

export type ShaderMemories = ReadonlyMap<string, ShaderMemory>;

const largest = 2 ** 31 - 1;

export const indexTokens: ExpressionTokens = {
  ...cLikeTokens,
  literal: (value) => {
    if (Math.abs(value) > largest) throw refused(`an index of ${value}`, 'WGSL counts in 32 bits');
    return `${value}i`;
  },
  lessThan: (a, b) => `select(0i, 1i, ${a} < ${b})`,
  equalTo: (a, b) => `select(0i, 1i, ${a} == ${b})`,
};

export const indexText = (e: Expression): string => printExpression(e, indexTokens);

const narrowBits: Partial<Readonly<Record<MemoryType, 8 | 16>>> = {
  i8: 8,
  u8: 8,
  i16: 16,
  u16: 16,
};

/** Declared names carry the kernel's, because all kernels of a source share module scope. */
export function memoriesOf(program: ThreadProgram, target: Target): ShaderMemories {
  const hasHalf = target.features?.includes('half') ?? false;
  const buffers = program.buffers.map((b): [string, ShaderMemory] => {
    const bits = narrowBits[b.memory] ?? 0;
    const half = hasHalf && bits === 16;
    const narrow = half ? 0 : bits;
    const atomic = b.atomic || (narrow > 0 && b.access !== 'read');
    return [b.name, { memory: b.memory, name: `${program.name}_${b.name}`, atomic, narrow, half }];
  });
  const shared = program.shared.map((s): [string, ShaderMemory] => {
    const name = `${program.name}_${s.name}`;
    return [s.name, { memory: wordType(s.memory), name, atomic: false, narrow: 0, half: false }];
  });
  return new Map([...buffers, ...shared]);
}

/** Shared arrays of narrow types hold one element per word. */
const wordType = (memory: MemoryType): MemoryType => {
  const wide = widened(memory);
  return wide === 'bool' ? 'u32' : wide;
};

export function elementType(m: ShaderMemory): string {
  if (m.half) return 'f16';
  const word = m.narrow > 0 ? 'u32' : shaderType(widened(m.memory));
  return m.atomic ? `atomic<${word}>` : word;
}

export function memoryOf(memories: ShaderMemories, element: Element): ShaderMemory {
  const memory = memories.get(element.memory);
  if (memory === undefined) throw refused(`memory ${element.memory}`, 'the kernel declares none');
  return memory;
}

/** A constant below zero is an error even where a guard keeps every thread from it. */
const addressText = ({ address }: Element): string =>
  indexText(typeof address === 'number' ? Math.max(address, 0) : address);

export const placeText = (m: ShaderMemory, element: Element): string =>
  `${m.name}[${unwrapped(addressText(element))}]`;

/** An element as the compute type that its memory widens to. */
export function readText(m: ShaderMemory, element: Element): string {
  if (m.half) {
    const bits = `vec2<f16>(${placeText(m, element)}, 0.0h)`;
    return m.memory === 'i16'
      ? `extractBits(bitcast<i32>(${bits}), 0u, 16u)`
      : `bitcast<u32>(${bits})`;
  }
  if (m.narrow === 0) {
    const place = placeText(m, element);
    return m.atomic ? `atomicLoad(&${place})` : place;
  }
  const { word, shift } = narrowPlace(m, element);
  const bits = m.atomic ? `atomicLoad(&${word})` : word;
  const signed = m.memory === 'i8' || m.memory === 'i16';
  return `extractBits(${signed ? `bitcast<i32>(${bits})` : bits}, ${shift}, ${m.narrow}u)`;
}

/**
 * Statements that store `value`, a text of the type that the memory widens to. A narrow store
 * clears the element's bits of its word, then sets them; others keep theirs.
 */
export function storeTexts(m: ShaderMemory, element: Element, value: string): readonly string[] {
  if (m.half) return [`${placeText(m, element)} = bitcast<vec2<f16>>(u32(${value})).x;`];
  if (m.narrow === 0) {
    const place = placeText(m, element);
    return [m.atomic ? `atomicStore(&${place}, ${value});` : `${place} = ${value};`];
  }
  const mask = m.narrow === 8 ? '255u' : '65535u';
  const { word, shift } = narrowPlace(m, element);
  return [
    `atomicAnd(&${word}, ~(${mask} << ${shift}));`,
    `atomicOr(&${word}, (u32(${value}) & ${mask}) << ${shift});`,
  ];
}

function narrowPlace(m: ShaderMemory, element: Element): { word: string; shift: string } {
  const perWord = m.narrow === 8 ? 4 : 2;
  const address = addressText(element);
  return {
    word: `${m.name}[${address} / ${perWord}i]`,
    shift: `u32(${address} % ${perWord}i * ${m.narrow}i)`,
  };
}
