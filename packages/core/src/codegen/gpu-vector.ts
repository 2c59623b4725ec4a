/**
 * Text of accesses that move several elements at once in C for GPUs. Elements narrower than a word
 * travel as words; a struct of our own stands for the vector types of vendors' headers.
 */
import { bytesOfMemory, type MemoryType } from '../base/memory-type.js';
import { convertText, literalText, type ScalarContext, widened } from './gpu-scalar.js';
import type { ThreadStatement } from './thread-program.js';

const fields = ['x', 'y', 'z', 'w'];
const bitsOf: Partial<Readonly<Record<MemoryType, 8 | 16>>> = { i8: 8, u8: 8, i16: 16, u16: 16 };

/** What a vector of `count` elements of a memory consists of. */
function partsOf(memory: MemoryType, count: number): { memory: MemoryType; count: number } {
  const words = (count * bytesOfMemory[memory]) / 4;
  const isNarrow = bitsOf[memory] !== undefined;
  return isNarrow ? { memory: 'u32', count: words } : { memory, count };
}

/** Name of the struct; made where it is new. */
function structOf(c: ScalarContext, memory: MemoryType, count: number): string {
  const name = `vector_${memory}_${count}`;
  const attributes = `aligned(${bytesOfMemory[memory] * count}), may_alias`;
  const members = fields.slice(0, count).join(', ');
  const body = `{ ${c.dialect.types[memory]} ${members}; }`;
  c.helpers.set(name, `typedef struct __attribute__((${attributes})) ${body} ${name};`);
  return name;
}

type LoadVector = Extract<ThreadStatement, { kind: 'loadVector' }>;

/** Lines that load from `place` on; elements that the guard forbids are the statement's other. */
export function vectorLoads(
  c: ScalarContext,
  s: LoadVector,
  memory: MemoryType,
  place: string,
  guard: string | undefined,
): readonly string[] {
  const { types, accesses } = c.dialect;
  const { names, dtype } = s;
  const own = widened(memory);
  const all = `${names[0]}_all`;
  const bits = accesses === 'struct' ? bitsOf[memory] : undefined;
  const parts = accesses === 'struct' ? partsOf(memory, names.length) : { memory, count: 0 };
  const isStruct = accesses === 'struct';
  const type = isStruct
    ? structOf(c, parts.memory, parts.count)
    : `${types[memory]}${names.length}`;
  const fetch = isStruct ? `*(const ${type} *)&${place}` : `vload${names.length}(0, &${place})`;
  const other = literalText(c, widened(parts.memory), s.other);
  const others = isStruct
    ? `{${Array.from({ length: parts.count }, () => other).join(', ')}}`
    : `(${type})(${other})`;
  const element = (i: number): string => {
    if (!isStruct) return `${all}.s${i.toString(16)}`;
    if (bits === undefined) return `${all}.${fields[i]}`;
    const perWord = names.length / parts.count;
    const word = `${all}.${fields[Math.floor(i / perWord)]}`;
    const shifted = i % perWord === 0 ? word : `(${word} >> ${(i % perWord) * bits})`;
    return `(${types[memory]})${shifted}`;
  };
  const first =
    guard === undefined
      ? [`const ${type} ${all} = ${fetch};`]
      : [`${type} ${all} = ${others};`, `if (${guard}) ${all} = ${fetch};`];
  const values = names.map(
    (name, i) => `const ${types[dtype]} ${name} = ${convertText(c, own, dtype, element(i))};`,
  );
  return [...first, ...values];
}

/** Text that stores values (of the memory's compute type) from a place on. */
export function vectorStore(
  c: ScalarContext,
  place: string,
  memory: MemoryType,
  values: readonly string[],
): string {
  const { types } = c.dialect;
  const count = values.length;
  if (c.dialect.accesses === 'functions') {
    const narrow = widened(memory) === memory ? '' : `(${types[memory]})`;
    const all = values.map((value) => `${narrow}${value}`).join(', ');
    return `vstore${count}((${types[memory]}${count})(${all}), 0, &${place});`;
  }
  const parts = partsOf(memory, count);
  const struct = structOf(c, parts.memory, parts.count);
  const bits = bitsOf[memory];
  const perWord = count / parts.count;
  const word = (i: number): string => {
    if (bits === undefined) return values[i] as string;
    const unsigned = types[bits === 8 ? 'u8' : 'u16'];
    const inside = values.slice(i * perWord, (i + 1) * perWord).map((value, k) => {
      const low = `(${types.u32})(${unsigned})${value}`;
      return k === 0 ? low : `${low} << ${k * bits}`;
    });
    return inside.join(' | ');
  };
  const all = Array.from({ length: parts.count }, (_, i) => word(i)).join(', ');
  return `{ const ${struct} all = {${all}}; *(${struct} *)&${place} = all; }`;
}
