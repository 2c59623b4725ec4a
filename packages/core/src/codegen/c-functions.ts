/** The small C functions that kernels call: each gives its name and declares itself on demand. */
import { bytesOfMemory, type MemoryType } from '../base/memory-type.js';
import type { TileReduction } from '../kernel/tile.js';
import { listLanes } from './c-lanes.js';
import { isFloatElement, type Prelude } from './c-prelude.js';

export type Mask = 'i32' | 'i64';

/** A vector whose lanes are all one value. */
export function splat(p: Prelude, element: MemoryType, lanes: number): string {
  const type = p.type(element, lanes);
  return p.define(
    type,
    `splat_${type}`,
    `${element} a`,
    () => `return (${type}){${listLanes(lanes, () => 'a')}};`,
  );
}

/** Lanes low ≤ lane < high as a mask. */
export function limitMask(p: Prelude, mask: Mask, lanes: number): string {
  const type = p.type(mask, lanes);
  const spread = splat(p, mask, lanes);
  return p.define(type, `limit_${type}`, 'i64 low, i64 high', () => {
    const iota = `const ${type} lane = {${listLanes(lanes, String)}};`;
    const clamp = (name: string) => `(${mask})min_index(max_index(${name}, 0), ${lanes})`;
    return (
      `${iota}\n  return (lane >= ${spread}(${clamp('low')})) & ` +
      `(lane < ${spread}(${clamp('high')}));`
    );
  });
}

/** Whether a lane is true. */
export function any(p: Prelude, mask: Mask, lanes: number): string {
  const type = p.type(mask, lanes);
  const name = `any_${type}`;
  return p.define('i32', name, `${type} a`, () => {
    const words = `union { ${type} a; u64 words[${(bytesOfMemory[mask] * lanes) / 8}]; } bits`;
    const parts = Array.from(
      { length: (bytesOfMemory[mask] * lanes) / 8 },
      (_, i) => `bits.words[${i}]`,
    );
    return `${words} = {a};\n  return (${parts.join(' | ')}) != 0;`;
  });
}

/** a where the mask (of the element's width) is true, else b. */
export function select(p: Prelude, element: MemoryType, lanes: number): string {
  const type = p.type(element, lanes);
  const bits = p.type(bytesOfMemory[element] === 8 ? 'i64' : 'i32', lanes);
  return p.define(
    type,
    `select_${type}`,
    `${bits} mask, ${type} a, ${type} b`,
    () => `return (${type})((mask & (${bits})a) | (~mask & (${bits})b));`,
  );
}

/** 0 where the mask is true, else b: said as a select, it takes compilers an instruction more. */
export function zeroWhere(p: Prelude, element: MemoryType, lanes: number): string {
  const type = p.type(element, lanes);
  const bits = p.type(bytesOfMemory[element] === 8 ? 'i64' : 'i32', lanes);
  return p.define(type, `zero_where_${type}`, `${bits} mask, ${type} b`, () => {
    return `return (${type})(~mask & (${bits})b);`;
  });
}

/** minimum or maximum; a NaN wins. Also for scalars. */
export function extreme(
  p: Prelude,
  name: 'min' | 'max',
  element: MemoryType,
  lanes: number,
): string {
  const type = p.type(element, lanes);
  const sign = name === 'min' ? '<' : '>';
  if (lanes === 1) {
    const chosen = isFloatElement(element) ? `a ${sign} b || a != a` : `a ${sign} b`;
    return p.define(type, `${name}_${type}`, `${type} a, ${type} b`, () => {
      return `return ${chosen} ? a : b;`;
    });
  }
  const choose = select(p, element, lanes);
  const inner = `${choose}(a ${sign} b, a, b)`;
  return p.define(type, `${name}_${type}`, `${type} a, ${type} b`, () => {
    return `return ${isFloatElement(element) ? `${choose}(a != a, a, ${inner})` : inner};`;
  });
}

/** a·b + c, rounded once. */
export function fusedMultiplyAdd(p: Prelude, element: MemoryType, lanes: number): string {
  const type = p.type(element, lanes);
  const call = element === 'f64' ? '__builtin_fma' : '__builtin_fmaf';
  return p.define(type, `fma_${type}`, `${type} a, ${type} b, ${type} c`, () => {
    if (lanes === 1) return `return ${call}(a, b, c);`;
    return `return (${type}){${listLanes(lanes, (i) => `${call}(a[${i}], b[${i}], c[${i}])`)}};`;
  });
}

/** A function of the C library on every lane; compilers turn the list into one instruction. */
export function mapLanes(
  p: Prelude,
  name: string,
  element: MemoryType,
  lanes: number,
  operands: 1 | 2 = 1,
): string {
  const type = p.type(element, lanes);
  const call = `__builtin_${name}${element === 'f32' ? 'f' : ''}`;
  const names = ['a', 'b'].slice(0, operands);
  const at = (lane: number) => names.map((n) => (lanes === 1 ? n : `${n}[${lane}]`)).join(', ');
  const parameters = names.map((n) => `${type} ${n}`).join(', ');
  return p.define(type, `${name}_${type}`, parameters, () => {
    if (lanes === 1) return `return ${call}(${at(0)});`;
    return `return (${type}){${listLanes(lanes, (i) => `${call}(${at(i)})`)}};`;
  });
}

/** a · 2^b for whole b. */
export function scaleByPower(p: Prelude, element: MemoryType, lanes: number): string {
  const type = p.type(element, lanes);
  const call = `__builtin_ldexp${element === 'f32' ? 'f' : ''}`;
  const each = (at: string) => `${call}(a${at}, (int)b${at})`;
  return p.define(type, `scale_${type}`, `${type} a, ${type} b`, () =>
    lanes === 1
      ? `return ${each('')};`
      : `return (${type}){${listLanes(lanes, (i) => each(`[${i}]`))}};`,
  );
}

/** a / b, or nearly. */
export function nearDivide(p: Prelude, element: MemoryType, lanes: number): string {
  const type = p.type(element, lanes);
  return p.define(type, `near_divide_${type}`, `${type} a, ${type} b`, () => 'return a / b;');
}

const isSignedElement = (element: MemoryType): boolean => element.startsWith('i');

/** Integers of `from`'s sign between two sizes, nearest to `from` first, both ends left out. */
function between(from: MemoryType, to: MemoryType): readonly MemoryType[] {
  const sizes = [bytesOfMemory[from], bytesOfMemory[to]] as const;
  const steps: MemoryType[] = [];
  const sign = isSignedElement(from) ? 'i' : 'u';
  for (let bytes = 2; bytes < 8; bytes *= 2) {
    const inside = bytes > Math.min(...sizes) && bytes < Math.max(...sizes);
    if (inside) steps.push(`${sign}${bytes * 8}` as MemoryType);
  }
  return sizes[0] < sizes[1] ? steps : steps.reverse();
}

/**
 * Conversion of vectors as C converts numbers. Integers go from size to next size: compilers
 * know instructions for that and take larger steps lane by lane.
 */
export function convert(p: Prelude, from: MemoryType, to: MemoryType, lanes: number): string {
  const type = p.type(to, lanes);
  const steps = isFloatElement(from) ? [] : between(from, to);
  const text = [...steps, to].reduce(
    (a, step) => `__builtin_convertvector(${a}, ${p.type(step, lanes)})`,
    'a',
  );
  const name = `convert_${from}_${type}`;
  return p.define(type, name, `${p.type(from, lanes)} a`, () => `return ${text};`);
}

/** Bits of a scalar seen as another type of the same size. */
export function bitcast(p: Prelude, from: MemoryType, to: MemoryType): string {
  return p.define(
    to,
    `bits_${from}_${to}`,
    `${from} a`,
    () => `union { ${from} a; ${to} b; } bits = {a};\n  return bits.b;`,
  );
}

/** Combines the lanes of a vector in a tree. `combine` gives the text for two vectors. */
export function reduceLanes(
  p: Prelude,
  name: TileReduction,
  element: MemoryType,
  lanes: number,
  combine: (a: string, b: string) => string,
): string {
  const type = p.type(element, lanes);
  const index = p.type(bytesOfMemory[element] === 8 ? 'i64' : 'i32', lanes);
  return p.define(element, `reduce_${name}_${type}`, `${type} a`, () => {
    const steps: string[] = [];
    for (let by = lanes / 2; by >= 1; by /= 2) {
      const order = listLanes(lanes, (i) => String((i + by) % lanes));
      steps.push(`a = ${combine('a', `SHUFFLE(a, ${index}, ${order})`)};`);
    }
    return `${steps.join('\n  ')}\n  return a[0];`;
  });
}

/**
 * Prefix along the lanes in log₂ steps (Hillis and Steele 1986): each adds to every lane what the
 * lanes before it have so far. `combine` gives the text for two vectors.
 */
export function scanLanes(
  p: Prelude,
  name: TileReduction,
  element: MemoryType,
  lanes: number,
  combine: (a: string, b: string) => string,
): string {
  const type = p.type(element, lanes);
  const index = p.type(bytesOfMemory[element] === 8 ? 'i64' : 'i32', lanes);
  const choose = select(p, element, lanes);
  return p.define(type, `scan_${name}_${type}`, `${type} a`, () => {
    const steps: string[] = [];
    for (let by = 1; by < lanes; by *= 2) {
      const order = listLanes(lanes, (i) => String(Math.max(i - by, 0)));
      const mask = listLanes(lanes, (i) => (i < by ? '0' : '-1'));
      const moved = combine('a', `SHUFFLE(a, ${index}, ${order})`);
      steps.push(`a = ${choose}((${index}){${mask}}, ${moved}, a);`);
    }
    return `${steps.join('\n  ')}\n  return a;`;
  });
}

/** One statement per lane; a loop would send the vector through memory. */
const every = (lanes: number, text: (lane: number) => string): string =>
  Array.from({ length: lanes }, (_, lane) => text(lane)).join('\n  ');

/** Lanes low ≤ lane < high of contiguous memory, others from `other`. */
export function loadLimit(p: Prelude, element: MemoryType, lanes: number): string {
  const type = p.type(element, lanes);
  const memory = p.memoryType(element, lanes);
  const parameters = `const ${element} *p, i64 low, i64 high, ${type} other`;
  const lane = (i: number) => `low <= ${i} && ${i} < high ? p[${i}] : other[${i}]`;
  return p.define(
    type,
    `load_limit_${type}`,
    parameters,
    () =>
      `if (low <= 0 && high >= ${lanes}) return *(const ${memory} *)p;\n  ` +
      `return (${type}){${listLanes(lanes, lane)}};`,
  );
}

export function loadMask(p: Prelude, element: MemoryType, lanes: number, mask: Mask): string {
  const type = p.type(element, lanes);
  const parameters = `const ${element} *p, ${p.type(mask, lanes)} mask, ${type} other`;
  return p.define(type, `load_mask_${mask}_${type}`, parameters, () => {
    return `return (${type}){${listLanes(lanes, (i) => `mask[${i}] ? p[${i}] : other[${i}]`)}};`;
  });
}

/** Elements two apart out of two vectors that overlap in one, so that none beyond is touched. */
function everySecond(p: Prelude, element: MemoryType, lanes: number): string {
  const memory = p.memoryType(element, lanes);
  const bytes = bytesOfMemory[element];
  if (bytes < 4) return '';
  const index = p.type(bytes === 8 ? 'i64' : 'i32', lanes);
  const order = listLanes(lanes, (i) => String(2 * i < lanes ? 2 * i : 2 * i + 1));
  const load = (at: number) => `*(const ${memory} *)(p + ${at})`;
  const pair = `${load(0)}, ${load(lanes - 1)}`;
  return `if (stride == 2) return SHUFFLE2(${pair}, ${index}, ${order});\n  `;
}

/** Every stride-th element. */
export function loadStride(p: Prelude, element: MemoryType, lanes: number): string {
  const type = p.type(element, lanes);
  const memory = p.memoryType(element, lanes);
  const parameters = `const ${element} *p, i64 stride`;
  return p.define(
    type,
    `load_stride_${type}`,
    parameters,
    () =>
      `if (stride == 1) return *(const ${memory} *)p;\n  ` +
      everySecond(p, element, lanes) +
      `return (${type}){${listLanes(lanes, (i) => `p[${i} * stride]`)}};`,
  );
}

export function loadStrideMask(p: Prelude, element: MemoryType, lanes: number, mask: Mask): string {
  const type = p.type(element, lanes);
  const masks = p.type(mask, lanes);
  const parameters = `const ${element} *p, i64 stride, ${masks} mask, ${type} other`;
  return p.define(type, `load_stride_mask_${mask}_${type}`, parameters, () => {
    const lane = (i: number) => `mask[${i}] ? p[${i} * stride] : other[${i}]`;
    return `return (${type}){${listLanes(lanes, lane)}};`;
  });
}

export function storeLimit(p: Prelude, element: MemoryType, lanes: number): string {
  const type = p.type(element, lanes);
  const memory = p.memoryType(element, lanes);
  const parameters = `${element} *p, i64 low, i64 high, ${type} value`;
  return p.define(
    'void',
    `store_limit_${type}`,
    parameters,
    () =>
      `if (low <= 0 && high >= ${lanes}) {\n  *(${memory} *)p = value;\n  return;\n  }\n  ` +
      every(lanes, (i) => `if (low <= ${i} && ${i} < high) p[${i}] = value[${i}];`),
  );
}

export function storeMask(p: Prelude, element: MemoryType, lanes: number, mask: Mask): string {
  const type = p.type(element, lanes);
  const parameters = `${element} *p, ${p.type(mask, lanes)} mask, ${type} value`;
  return p.define('void', `store_mask_${mask}_${type}`, parameters, () =>
    every(lanes, (i) => `if (mask[${i}]) p[${i}] = value[${i}];`),
  );
}

export function storeStride(p: Prelude, element: MemoryType, lanes: number): string {
  const type = p.type(element, lanes);
  return p.define('void', `store_stride_${type}`, `${element} *p, i64 stride, ${type} value`, () =>
    every(lanes, (i) => `p[${i} * stride] = value[${i}];`),
  );
}

export function storeStrideMask(
  p: Prelude,
  element: MemoryType,
  lanes: number,
  mask: Mask,
): string {
  const type = p.type(element, lanes);
  const parameters = `${element} *p, i64 stride, ${p.type(mask, lanes)} mask, ${type} value`;
  return p.define('void', `store_stride_mask_${mask}_${type}`, parameters, () =>
    every(lanes, (i) => `if (mask[${i}]) p[${i} * stride] = value[${i}];`),
  );
}

/** A store that may bypass the caches. */
export function stream(p: Prelude, element: MemoryType, lanes: number): string {
  const type = p.type(element, lanes);
  const memory = p.memoryType(element, lanes);
  return p.define('void', `stream_${type}`, `${element} *p, ${type} value`, () => {
    return `*(${memory} *)p = value;`;
  });
}

/** Makes streaming stores visible to other threads. */
export const streamEnd = (p: Prelude): string =>
  p.define('void', 'stream_end', 'void', () => '__atomic_thread_fence(__ATOMIC_SEQ_CST);');

export function gather(p: Prelude, element: MemoryType, lanes: number, index: MemoryType): string {
  const type = p.type(element, lanes);
  const parameters = `const ${element} *p, ${p.type(index, lanes)} index`;
  return p.define(type, `gather_${type}_${index}`, parameters, () => {
    return `return (${type}){${listLanes(lanes, (i) => `p[index[${i}]]`)}};`;
  });
}

export function gatherMask(
  p: Prelude,
  element: MemoryType,
  lanes: number,
  index: MemoryType,
  mask: Mask,
): string {
  const type = p.type(element, lanes);
  const types = [p.type(index, lanes), p.type(mask, lanes)] as const;
  const parameters = `const ${element} *p, ${types[0]} index, ${types[1]} mask`;
  return p.define(type, `gather_mask_${mask}_${type}_${index}`, parameters, () => {
    return `return (${type}){${listLanes(lanes, (i) => `mask[${i}] ? p[index[${i}]] : 0`)}};`;
  });
}

const extremeSign = { minimum: '<', maximum: '>' } as const;

/** One read-modify-write of a 32-bit word that other threads see whole. */
export function atomic(
  p: Prelude,
  name: 'add' | 'minimum' | 'maximum' | 'exchange',
  element: MemoryType,
): string {
  const parameters = `${element} *p, ${element} value`;
  return p.define('void', `atomic_${name}_${element}`, parameters, () => {
    if (name === 'add') return '__atomic_fetch_add(p, value, __ATOMIC_RELAXED);';
    if (name === 'exchange') return '__atomic_store_n(p, value, __ATOMIC_RELAXED);';
    return (
      `${element} seen = __atomic_load_n(p, __ATOMIC_RELAXED);\n` +
      `  while (value ${extremeSign[name]} seen && !__atomic_compare_exchange_n(p, &seen, value, ` +
      '1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}'
    );
  });
}
