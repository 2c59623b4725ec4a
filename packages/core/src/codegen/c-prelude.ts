/**
 * What stands above the kernels of a C source: type names and small functions, each declared
 * once, on demand, in an order in which every use follows its declaration.
 */
import { bytesOfMemory, type MemoryType } from '../base/memory-type.js';
import type { Tokens } from './c-token.js';

export const isFloatElement = (element: MemoryType): boolean =>
  element === 'f32' || element === 'f64';

/** Fixed part: integer types from the compiler itself, so that no header is needed. */
const base = `typedef float f32;
typedef double f64;
typedef __INT8_TYPE__ i8;
typedef __INT16_TYPE__ i16;
typedef __INT32_TYPE__ i32;
typedef __INT64_TYPE__ i64;
typedef __UINT8_TYPE__ u8;
typedef __UINT16_TYPE__ u16;
typedef __UINT32_TYPE__ u32;
typedef __UINT64_TYPE__ u64;
typedef __UINTPTR_TYPE__ address;
#ifndef __has_builtin
#define __has_builtin(name) 0
#endif
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLE(a, index, ...) __builtin_shufflevector(a, a, __VA_ARGS__)
#define SHUFFLE2(a, b, index, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, index, ...) __builtin_shuffle(a, (index){__VA_ARGS__})
#define SHUFFLE2(a, b, index, ...) __builtin_shuffle(a, b, (index){__VA_ARGS__})
#endif
#define INLINE static inline __attribute__((always_inline, unused))
#define ENTRY __attribute__((visibility("default")))
INLINE i64 floor_divide(i64 a, i64 b) { return a / b - (a % b < 0); }
INLINE i64 floor_modulo(i64 a, i64 b) { return a % b < 0 ? a % b + b : a % b; }
INLINE i64 min_index(i64 a, i64 b) { return a < b ? a : b; }
INLINE i64 max_index(i64 a, i64 b) { return a > b ? a : b; }
INLINE u32 lane_bits(i64 low, i64 high) {
  low = max_index(low, 0);
  high = min_index(high, 32);
  return low < high ? (u32)(((u64)1 << high) - ((u64)1 << low)) : 0;
}
INLINE void fail(i32 *status, i32 code) {
  i32 seen = __atomic_load_n(status, __ATOMIC_RELAXED);
  while (code < seen && !__atomic_compare_exchange_n(status, &seen, code, 1, __ATOMIC_RELAXED,
      __ATOMIC_RELAXED)) {}
}
`;

export interface Prelude {
  /** Name of a vector type, or of the element type for one lane. */
  type(element: MemoryType, lanes: number): string;
  /** The same for memory: aligned to an element only and free to alias. */
  memoryType(element: MemoryType, lanes: number): string;
  /** Declares a function once; the token of the instruction set replaces the plain body. */
  define(result: string, name: string, parameters: string, plain: () => string): string;
  /** Texts of types and functions by name, each after those that it uses. */
  readonly declared: ReadonlyMap<string, string>;
}

/** A prelude for one source; `tokens` are those of the target's instruction set. */
export function createPrelude(tokens: Tokens): Prelude {
  const declared = new Map<string, string>();
  const declare = (name: string, text: () => string): string => {
    if (declared.has(name)) return name;
    // The text first: what it declares on its way must stand above it.
    const body = text();
    declared.set(name, body);
    return name;
  };
  const vector = (element: MemoryType, lanes: number, suffix: string, extra: string): string =>
    declare(`${element}x${lanes}${suffix}`, () => {
      const bytes = bytesOfMemory[element] * lanes;
      const attributes = `__attribute__((vector_size(${bytes})${extra}))`;
      return `typedef ${element} ${element}x${lanes}${suffix} ${attributes};`;
    });
  return {
    type: (element, lanes) => (lanes === 1 ? element : vector(element, lanes, '', '')),
    memoryType: (element, lanes) =>
      vector(element, lanes, '_m', `, aligned(${bytesOfMemory[element]}), may_alias`),
    define: (result, name, parameters, plain) =>
      declare(name, () => {
        const token = tokens[name];
        const head = `INLINE ${result} ${name}(${parameters}) {`;
        if (token === undefined) return `${head}\n  ${plain()}\n}`;
        const { otherwise } = token;
        const first = `#if __has_builtin(${token.builtin})\n  ${token.body}\n`;
        const second =
          otherwise === undefined
            ? ''
            : `#elif __has_builtin(${otherwise.builtin})\n  ${otherwise.body}\n`;
        return `${head}\n${first}${second}#else\n  ${plain()}\n#endif\n}`;
      }),
    declared,
  };
}

/** The beginning of a source whose kernels have declared these. */
export function preludeText(declared: Iterable<ReadonlyMap<string, string>>): string {
  const all = new Map<string, string>();
  for (const each of declared) {
    for (const [name, text] of each) if (!all.has(name)) all.set(name, text);
  }
  return `${base}${[...all.values()].join('\n')}\n`;
}
