/** What 256-bit registers of x86 say better than plain C. */
import { listLanes } from './c-lanes.js';
import { type Entries, each, token } from './c-token.js';

export const multiplyAdd256: Entries = [
  ['fma_f32x8', token('vfmaddps256', (f) => `return ${f}(a, b, c);`)],
  ['fma_f64x4', token('vfmaddpd256', (f) => `return ${f}(a, b, c);`)],
  ['fma_f32x4', token('vfmaddps', (f) => `return ${f}(a, b, c);`)],
];

/**
 * min and max that give a where a is NaN; the instruction itself gives b where either is. Where a
 * is a number, all but the instruction is known to the compiler.
 */
export const extremes256 = (type: string, bits: string, suffix: string): Entries =>
  (['min', 'max'] as const).map((name) => [
    `${name}_${type}`,
    token(
      `${name}${suffix}256`,
      (f) =>
        `const ${bits} isNaN = (${bits})(a != a);\n` +
        `  return (${type})((isNaN & (${bits})a) | (~isNaN & (${bits})${f}(a, b)));`,
    ),
  ]);

/**
 * Masks of 256-bit rows are vectors: the sign bit of a lane chooses it. A load of no lane is asked
 * for by no instruction: some chips take two hundred cycles for it.
 */
export function maskedAccess256(types: string, lanes: number, suffix: string): Entries {
  const [word, mask] = lanes === 8 ? ['f32', 'i32'] : ['f64', 'i64'];
  const typedefs =
    `typedef ${word} word __attribute__((vector_size(32)));\n` +
    // i64 is another type than the one that builtins take.
    `  typedef ${lanes === 8 ? 'i32' : 'long long'} bits __attribute__((vector_size(32)));\n  `;
  const lane = `(bits){${listLanes(lanes, String)}}`;
  const spread = (name: string) =>
    `(bits){${listLanes(lanes, () => `(${mask})min_index(max_index(${name}, 0), ${lanes})`)}}`;
  const limit = `(bits)(${lane} >= ${spread('low')}) & (bits)(${lane} < ${spread('high')})`;
  return each(types, (element) => {
    const type = `${element}x${lanes}`;
    const all = `*(${type}_m *)p`;
    const load = (m: string, special: string) =>
      token(
        `maskload${suffix}256`,
        (f) =>
          `${typedefs}${special}\n  const bits m = (bits)(${m});\n` +
          `  return (${type})((~m & (bits)other) | (bits)${f}((const void *)p, m));`,
      );
    const store = (m: string, special: string) =>
      token(
        `maskstore${suffix}256`,
        (f) => `${typedefs}${special}${f}((void *)p, (bits)(${m}), (word)value);`,
      );
    const isNone = 'high <= max_index(low, 0)';
    const isAll = `low <= 0 && high >= ${lanes}`;
    const isUnset = `!__builtin_ia32_movmsk${suffix}256((word)mask)`;
    return [
      [`load_mask_${mask}_${type}`, load('mask', `if (${isUnset}) return other;`)],
      [`store_mask_${mask}_${type}`, store('mask', '')],
      [
        `load_limit_${type}`,
        load(limit, `if (${isNone}) return other;\n  if (${isAll}) return ${all};`),
      ],
      [
        `store_limit_${type}`,
        store(limit, `if (${isNone}) return;\n  if (${isAll}) ${all} = value;\n  else `),
      ],
    ];
  });
}

/** Rounding and square root of one register. */
export const functions256 = (type: string, suffix: string): Entries => {
  const round = (how: number) => token(`round${suffix}256`, (f) => `return ${f}(a, ${how});`);
  return [
    [`rint_${type}`, round(8)],
    [`floor_${type}`, round(9)],
    [`ceil_${type}`, round(10)],
    [`trunc_${type}`, round(11)],
    [`sqrt_${type}`, token(`sqrt${suffix}256`, (f) => `return ${f}(a);`)],
  ];
};

/** Small integers in memory to 32 bits, in one instruction. */
const widen256 = (from: string, name: string): Entries =>
  each('i32 u32', (to) => [
    [
      `convert_${from}_${to}x8`,
      token(name, (f) => {
        if (from.endsWith('16')) return `return (${to}x8)${f}((i16x8)a);`;
        const bytes = 'typedef char bytes __attribute__((vector_size(16)));';
        const pair = 'typedef i64 pair __attribute__((vector_size(16)));';
        return `${bytes}\n  ${pair}\n  return (${to}x8)${f}((bytes)(pair){(i64)a, 0});`;
      }),
    ],
  ]);

export const conversions256: Entries = [
  ...widen256('u8', 'pmovzxbd256'),
  ...widen256('i8', 'pmovsxbd256'),
];

/** Whether a lane is true, by the lanes' highest bits. */
export const any256: Entries = (
  [
    ['i32x8', 'movmskps256', 'f32'],
    ['i64x4', 'movmskpd256', 'f64'],
  ] as const
).map(([mask, name, float]) => {
  const word = `typedef ${float} word __attribute__((vector_size(32)));`;
  return [`any_${mask}`, token(name, (f) => `${word}\n  return ${f}((word)a) != 0;`)];
});
