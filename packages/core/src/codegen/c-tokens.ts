/**
 * What each instruction set of a CPU says better than plain C: function name → builtin and body.
 * A compiler without the builtin takes the plain body, so a row costs portability nothing.
 */

export interface Token {
  /** The compiler's function that must exist. */
  readonly builtin: string;
  /** Statements over the parameter names of the plain function. */
  readonly body: string;
}

export type Tokens = Readonly<Record<string, Token>>;

const token = (builtin: string, body: (call: string) => string): Token => ({
  builtin: `__builtin_ia32_${builtin}`,
  body: body(`__builtin_ia32_${builtin}`),
});

type Entries = readonly (readonly [string, Token])[];

/** One row per element type of the same size: memory operations do not look at the type. */
const each = (types: string, entries: (element: string) => Entries): Entries =>
  types.split(' ').flatMap(entries);

/** Masked memory access of 512-bit rows: `word` is the type that the builtin works on. */
function maskedAccess(
  types: string,
  lanes: number,
  mask: 'i32' | 'i64',
  names: { readonly load: string; readonly store: string; readonly word: string },
): Entries {
  const toBits = mask === 'i32' ? 'cvtd2mask512' : 'cvtq2mask512';
  const bits = lanes === 16 ? 'u16' : 'u8';
  const limit = `(${bits})lane_bits(low, high)`;
  const fromMask = `(${bits})__builtin_ia32_${toBits}(mask)`;
  const word = (of: string) =>
    `typedef ${names.word} word __attribute__((vector_size(sizeof(${of}))));`;
  const load = (type: string, k: string) =>
    token(
      names.load,
      (f) => `${word('other')}\n  return (${type})${f}((const void *)p, (word)other, ${k});`,
    );
  const store = (k: string) =>
    token(names.store, (f) => `${word('value')}\n  ${f}((void *)p, (word)value, ${k});`);
  return each(types, (element) => {
    const type = `${element}x${lanes}`;
    return [
      [`load_limit_${type}`, load(type, limit)],
      [`load_mask_${mask}_${type}`, load(type, fromMask)],
      [`store_limit_${type}`, store(limit)],
      [`store_mask_${mask}_${type}`, store(fromMask)],
    ];
  });
}

/** min and max that give a where a is NaN; the instruction itself gives b where either is. */
const extremes512 = (type: string, suffix: string, bits: string): Entries =>
  (['min', 'max'] as const).map((name) => [
    `${name}_${type}`,
    token(`${name}${suffix}512_mask`, (f) => {
      const ordered = `(${bits})__builtin_ia32_cmp${suffix}512_mask(a, a, 7, (${bits})-1, 4)`;
      return `return ${f}(a, b, a, ${ordered}, 4);`;
    }),
  ]);

const stream = (types: string, lanes: number, bytes: number, suffix: string, word: string) =>
  each(types, (element) => [
    [
      `stream_${element}x${lanes}`,
      token(
        `movnt${suffix}`,
        (f) =>
          `typedef ${word} word __attribute__((vector_size(${bytes})));\n` +
          `  if (((address)p & ${bytes - 1}) == 0) ${f}((void *)p, (word)value);\n` +
          `  else *(${element}x${lanes}_m *)p = value;`,
      ),
    ],
  ]);

const fence: Entries = [['stream_end', token('sfence', (f) => `${f}();`)]];

const multiplyAdd256: Entries = [
  ['fma_f32x8', token('vfmaddps256', (f) => `return ${f}(a, b, c);`)],
  ['fma_f64x4', token('vfmaddpd256', (f) => `return ${f}(a, b, c);`)],
  ['fma_f32x4', token('vfmaddps', (f) => `return ${f}(a, b, c);`)],
];

/** Masks of 256-bit rows are vectors: the sign bit of a lane chooses it. */
function maskedAccess256(types: string, lanes: number, suffix: string): Entries {
  const [word, mask] = lanes === 8 ? ['f32', 'i32'] : ['f64', 'i64'];
  const typedefs = `typedef ${word} word __attribute__((vector_size(32)));\n  `;
  return each(types, (element) => {
    const type = `${element}x${lanes}`;
    const load = (m: string) =>
      token(
        `maskload${suffix}256`,
        (f) =>
          `${typedefs}const ${mask}x${lanes} m = ${m};\n` +
          `  return (${type})((~m & (${mask}x${lanes})other) | ` +
          `(${mask}x${lanes})${f}((const void *)p, m));`,
      );
    const store = (m: string) =>
      token(`maskstore${suffix}256`, (f) => `${typedefs}${f}((void *)p, ${m}, (word)value);`);
    return [
      [`load_mask_${mask}_${type}`, load('mask')],
      [`store_mask_${mask}_${type}`, store('mask')],
    ];
  });
}

const words512 = { load: 'loadups512_mask', store: 'storeups512_mask', word: 'f32' };
const longs512 = { load: 'loadupd512_mask', store: 'storeupd512_mask', word: 'f64' };
const words256 = { load: 'loadups256_mask', store: 'storeups256_mask', word: 'f32' };
const halves256 = { load: 'loaddquhi256_mask', store: 'storedquhi256_mask', word: 'i16' };
const bytes128 = { load: 'loaddquqi128_mask', store: 'storedquqi128_mask', word: 'char' };

const avx512: Entries = [
  ...maskedAccess('f32 i32 u32', 16, 'i32', words512),
  ...maskedAccess('f64 i64 u64', 8, 'i64', longs512),
  ...maskedAccess('f32 i32 u32', 8, 'i64', words256),
  ...maskedAccess('i16 u16', 16, 'i32', halves256),
  ...maskedAccess('i8 u8', 16, 'i32', bytes128),
  ...extremes512('f32x16', 'ps', 'u16'),
  ...extremes512('f64x8', 'pd', 'u8'),
  ['fma_f32x16', token('vfmaddps512_mask', (f) => `return ${f}(a, b, c, (u16)-1, 4);`)],
  ['fma_f64x8', token('vfmaddpd512_mask', (f) => `return ${f}(a, b, c, (u8)-1, 4);`)],
  ...multiplyAdd256,
  ['any_i32x16', token('cvtd2mask512', (f) => `return ${f}(a) != 0;`)],
  ['any_i64x8', token('cvtq2mask512', (f) => `return ${f}(a) != 0;`)],
  [
    'gather_f32x16_i32',
    token('gathersiv16sf', (f) => `return ${f}((f32x16){0}, p, index, (u16)-1, 4);`),
  ],
  [
    'gather_f32x8_i64',
    token('gatherdiv16sf', (f) => `return ${f}((f32x8){0}, p, index, (u8)-1, 4);`),
  ],
  [
    'gather_f64x8_i64',
    token('gatherdiv8df', (f) => `return ${f}((f64x8){0}, p, index, (u8)-1, 8);`),
  ],
  ...stream('f32 i32 u32', 16, 64, 'ps512', 'f32'),
  ...stream('f64 i64 u64', 8, 64, 'pd512', 'f64'),
  ...fence,
];

const avx2: Entries = [
  ...multiplyAdd256,
  ...maskedAccess256('f32 i32 u32', 8, 'ps'),
  ...maskedAccess256('f64 i64 u64', 4, 'pd'),
  [
    'gather_f32x8_i32',
    token('gathersiv8sf', (f) => {
      return `return ${f}((f32x8){0}, p, index, (f32x8)((i32x8){0} == 0), 4);`;
    }),
  ],
  ...stream('f32 i32 u32', 8, 32, 'ps256', 'f32'),
  ...stream('f64 i64 u64', 4, 32, 'pd256', 'f64'),
  ...fence,
];

const rows: Readonly<Record<string, Tokens>> = {
  avx512: Object.fromEntries(avx512),
  avx2: Object.fromEntries(avx2),
};

/** Tokens of a target `family/row`; none for a row that is not in the table. */
export const tokensOf = (target: string): Tokens => rows[target.split('/')[1] ?? ''] ?? {};
