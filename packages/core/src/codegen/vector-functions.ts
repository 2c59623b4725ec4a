/** Small functions that kernels with vectors call: each gives its name and declares itself. */
import { bytesOfMemory, type MemoryType } from '../base/memory-type.js';
import type { TileReduction } from '../kernel/tile.js';
import { literalText } from './gpu-scalar.js';
import {
  define,
  laneText,
  loadText,
  splat,
  storeText,
  typeText,
  type VectorKernel,
  type VectorMemory,
  vectorOf,
} from './vector-kernel.js';

const indexType = (k: VectorKernel): string => k.dialect.types[k.program.indexType];

/** Type of a pointer into a memory, and the end of the names of functions that take one. */
function pointerTo(k: VectorKernel, { element, own }: VectorMemory): readonly [string, string] {
  return own
    ? [`${k.dialect.types[element]} *`, '_own']
    : [`${k.dialect.pointer}${k.dialect.types[element]} *`, ''];
}

/** One statement per lane. */
const every = (width: number, text: (lane: number) => string): readonly string[] =>
  Array.from({ length: width }, (_, lane) => text(lane));

/** Lanes low ≤ lane < high as a mask of the kernel. */
export function limitMask(k: VectorKernel, width: number): string {
  const result = typeText(k, k.mask, width);
  const index = indexType(k);
  const numbers = vectorOf(k, k.mask, width, (lane) => literalText(k, k.mask, lane));
  const bound = (name: string): string => {
    const held = `(${name} < 0 ? 0 : ${name} > ${width} ? ${width} : ${name})`;
    return splat(k, k.mask, width, `(${k.dialect.types[k.mask]})${held}`);
  };
  return define(k, { result, name: `limit_${result}`, parameters: `${index} low, ${index} high` }, [
    `return (${numbers} >= ${bound('low')}) & (${numbers} < ${bound('high')});`,
  ]);
}

/** Lanes low ≤ lane < high of contiguous memory, others from `other`. */
export function loadLimit(k: VectorKernel, memory: VectorMemory, width: number): string {
  const result = typeText(k, memory.element, width);
  const [pointer, suffix] = pointerTo(k, memory);
  const index = indexType(k);
  const element = k.dialect.types[memory.element];
  return define(
    k,
    {
      result,
      name: `load_limit_${result}${suffix}`,
      parameters: `const ${pointer}p, ${index} low, ${index} high, ${result} other`,
    },
    [
      `if (low <= 0 && high >= ${width}) return ${loadText(k, width, 'p')};`,
      `${element} lanes[${width}];`,
      storeText(k, width, 'lanes', 'other'),
      `const ${index} end = high < ${width} ? high : ${width};`,
      `for (${index} i = low > 0 ? low : 0; i < end; i++) lanes[i] = p[i];`,
      `return ${loadText(k, width, 'lanes')};`,
    ],
  );
}

export function storeLimit(k: VectorKernel, memory: VectorMemory, width: number): string {
  const type = typeText(k, memory.element, width);
  const [pointer, suffix] = pointerTo(k, memory);
  const index = indexType(k);
  const element = k.dialect.types[memory.element];
  return define(
    k,
    {
      result: 'void',
      name: `store_limit_${type}${suffix}`,
      parameters: `${pointer}p, ${index} low, ${index} high, ${type} value`,
    },
    [
      `if (low <= 0 && high >= ${width}) {`,
      `  ${storeText(k, width, 'p', 'value')}`,
      '  return;',
      '}',
      `${element} lanes[${width}];`,
      storeText(k, width, 'lanes', 'value'),
      `const ${index} end = high < ${width} ? high : ${width};`,
      `for (${index} i = low > 0 ? low : 0; i < end; i++) p[i] = lanes[i];`,
    ],
  );
}

/** Every stride-th element. */
export function loadStride(k: VectorKernel, memory: VectorMemory, width: number): string {
  const result = typeText(k, memory.element, width);
  const [pointer, suffix] = pointerTo(k, memory);
  const lanes = vectorOf(k, memory.element, width, (lane) => `p[${lane} * stride]`);
  return define(
    k,
    {
      result,
      name: `load_stride_${result}${suffix}`,
      parameters: `const ${pointer}p, ${indexType(k)} stride`,
    },
    [`return ${lanes};`],
  );
}

export function storeStride(k: VectorKernel, memory: VectorMemory, width: number): string {
  const type = typeText(k, memory.element, width);
  const [pointer, suffix] = pointerTo(k, memory);
  return define(
    k,
    {
      result: 'void',
      name: `store_stride_${type}${suffix}`,
      parameters: `${pointer}p, ${indexType(k)} stride, ${type} value`,
    },
    every(width, (lane) => `p[${lane} * stride] = ${laneText('value', lane)};`),
  );
}

/** Every stride-th element where the mask is true, else the lane of `other`. */
export function loadMask(k: VectorKernel, memory: VectorMemory, width: number): string {
  const result = typeText(k, memory.element, width);
  const mask = typeText(k, k.mask, width);
  const [pointer, suffix] = pointerTo(k, memory);
  const lane = (i: number): string =>
    `${laneText('mask', i)} ? p[${i} * stride] : ${laneText('other', i)}`;
  return define(
    k,
    {
      result,
      name: `load_mask_${result}_${k.mask}${suffix}`,
      parameters: `const ${pointer}p, ${indexType(k)} stride, ${mask} mask, ${result} other`,
    },
    [`return ${vectorOf(k, memory.element, width, lane)};`],
  );
}

export function storeMask(k: VectorKernel, memory: VectorMemory, width: number): string {
  const type = typeText(k, memory.element, width);
  const mask = typeText(k, k.mask, width);
  const [pointer, suffix] = pointerTo(k, memory);
  return define(
    k,
    {
      result: 'void',
      name: `store_mask_${type}_${k.mask}${suffix}`,
      parameters: `${pointer}p, ${indexType(k)} stride, ${mask} mask, ${type} value`,
    },
    every(width, (i) => `if (${laneText('mask', i)}) p[${i} * stride] = ${laneText('value', i)};`),
  );
}

/** Vectors side by side, at any element: some drivers' own function stores them in pieces. */
export function store(k: VectorKernel, memory: VectorMemory, width: number): string {
  const type = typeText(k, memory.element, width);
  const [pointer] = pointerTo(k, memory);
  const bytes = bytesOfMemory[memory.element];
  return define(
    k,
    { result: 'void', name: `store_${type}`, parameters: `${pointer}p, ${type} value` },
    [
      '#ifdef __clang__',
      `typedef ${type} loose __attribute__((aligned(${bytes})));`,
      `*(${k.dialect.pointer}loose *)p = value;`,
      '#else',
      storeText(k, width, 'p', 'value'),
      '#endif',
    ],
  );
}

/** A store that may bypass the caches, where the compiler knows how and the address is whole. */
export function stream(k: VectorKernel, memory: VectorMemory, width: number): string {
  const type = typeText(k, memory.element, width);
  const [pointer] = pointerTo(k, memory);
  const whole = bytesOfMemory[memory.element] * width - 1;
  const place = `(${k.dialect.pointer}${type} *)p`;
  return define(
    k,
    { result: 'void', name: `stream_${type}`, parameters: `${pointer}p, ${type} value` },
    [
      '#ifdef __has_builtin',
      '#if __has_builtin(__builtin_nontemporal_store)',
      `if (((ulong)p & ${whole}) == 0) {`,
      `  __builtin_nontemporal_store(value, ${place});`,
      '  return;',
      '}',
      '#endif',
      '#endif',
      storeText(k, width, 'p', 'value'),
    ],
  );
}

/** Element index[lane]; with a mask, 0 where it is false. */
export function gather(
  k: VectorKernel,
  memory: VectorMemory,
  width: number,
  index: MemoryType,
  masked: boolean,
): string {
  const result = typeText(k, memory.element, width);
  const [pointer, suffix] = pointerTo(k, memory);
  const mask = masked ? `, ${typeText(k, k.mask, width)} mask` : '';
  const lane = (i: number): string => {
    const element = `p[${laneText('index', i)}]`;
    return masked ? `${laneText('mask', i)} ? ${element} : 0` : element;
  };
  const kind = masked ? `gather_${k.mask}` : 'gather';
  return define(
    k,
    {
      result,
      name: `${kind}_${result}_${index}${suffix}`,
      parameters: `const ${pointer}p, ${typeText(k, index, width)} index${mask}`,
    },
    [`return ${vectorOf(k, memory.element, width, lane)};`],
  );
}

/** Combines the lanes in a tree; `combine` gives the text for two vectors of a width. */
export function reduceLanes(
  k: VectorKernel,
  name: TileReduction,
  element: MemoryType,
  width: number,
  combine: (a: string, b: string, width: number) => string,
): string {
  const type = typeText(k, element, width);
  const steps: string[] = [];
  let from = 'a';
  for (let half = width / 2; half >= 1; half /= 2) {
    const to = `a${half}`;
    const [low, high] = half === 1 ? [`${from}.s0`, `${from}.s1`] : [`${from}.lo`, `${from}.hi`];
    steps.push(`const ${typeText(k, element, half)} ${to} = ${combine(low, high, half)};`);
    from = to;
  }
  return define(
    k,
    {
      result: typeText(k, element, 1),
      name: `reduce_${name}_${type}`,
      parameters: `${type} a`,
    },
    [...steps, `return ${from};`],
  );
}

/** Prefix along the lanes; `combine` gives the text for two scalars. */
export function scanLanes(
  k: VectorKernel,
  name: TileReduction,
  element: MemoryType,
  width: number,
  combine: (a: string, b: string) => string,
): string {
  const type = typeText(k, element, width);
  const steps = every(width - 1, (i) => {
    const next = laneText('a', i + 1);
    return `${next} = ${combine(laneText('a', i), next)};`;
  });
  return define(k, { result: type, name: `scan_${name}_${type}`, parameters: `${type} a` }, [
    ...steps,
    'return a;',
  ]);
}
