/**
 * What each instruction set of a CPU says better than plain C: function name → builtin and body.
 * A compiler without the builtin takes the plain body, so a row costs portability nothing.
 */

import { type Entries, each, type Tokens, token } from './c-token.js';
import {
  any256,
  conversions256,
  extremes256,
  functions256,
  maskedAccess256,
  multiplyAdd256,
} from './c-tokens-256.js';

/** i64 vectors as builtins take them: int64_t is another type there. */
const longLongs = 'long long __attribute__((vector_size(64)))';

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
  const operand = mask === 'i32' ? 'mask' : `(${longLongs})mask`;
  const fromMask = `(${bits})__builtin_ia32_${toBits}(${operand})`;
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

/** Rounding and square root of one register. */
const functions512 = (type: string, suffix: string, bits: string): Entries => {
  const round = (how: number) =>
    token(`rndscale${suffix}_mask`, (f) => `return ${f}(a, ${how}, a, (${bits})-1, 4);`);
  return [
    [`rint_${type}`, round(8)],
    [`floor_${type}`, round(9)],
    [`ceil_${type}`, round(10)],
    [`trunc_${type}`, round(11)],
    [`sqrt_${type}`, token(`sqrt${suffix}512_mask`, (f) => `return ${f}(a, a, (${bits})-1, 4);`)],
  ];
};

/** Small integers in memory to and from 32 bits, in one instruction. */
const widen512 = (from: string, name: string, word: string): Entries =>
  each('i32 u32', (to) => [
    [
      `convert_${from}_${to}x16`,
      token(
        name,
        (f) =>
          `typedef ${word} word __attribute__((vector_size(sizeof(a))));\n` +
          '  typedef i32 wide __attribute__((vector_size(64)));\n' +
          `  return (${to}x16)${f}((word)a, (wide){0}, (u16)-1);`,
      ),
    ],
  ]);

const narrow512 = (to: string, name: string, word: string): Entries =>
  each('i32 u32', (from) => [
    [
      `convert_${from}_${to}x16`,
      token(
        name,
        (f) =>
          `typedef ${word} word __attribute__((vector_size(16 * sizeof(${word}))));\n` +
          '  typedef i32 wide __attribute__((vector_size(64)));\n' +
          `  return (${to}x16)${f}((wide)a, (word){0}, (u16)-1);`,
      ),
    ],
  ]);

/** Conversions of f16; 0 rounds to nearest even. */
const halfToken = (
  type: string,
  builtins: readonly [string, string],
  widen: (f: string) => string,
  narrow: (f: string) => string,
): Entries => [
  [`widen_half_f32${type}`, token(builtins[0], widen)],
  [`narrow_half_u16${type}`, token(builtins[1], narrow)],
];
const shorts = 'typedef i16 shorts __attribute__((vector_size(16)));\n  ';
const floats = 'typedef f32 floats __attribute__((vector_size(16)));\n  ';

const halves: Entries = [
  ...halfToken(
    '',
    ['vcvtph2ps', 'vcvtps2ph'],
    (f) => `${shorts}return ${f}((shorts){a})[0];`,
    (f) => `${floats}return ${f}((floats){a}, 0)[0];`,
  ),
  ...halfToken(
    'x8',
    ['vcvtph2ps256', 'vcvtps2ph256'],
    (f) => `typedef i16 row __attribute__((vector_size(16)));\n  return ${f}((row)a);`,
    (f) => `return (u16x8)${f}(a, 0);`,
  ),
];

const halves512: Entries = halfToken(
  'x16',
  ['vcvtph2ps512_mask', 'vcvtps2ph512_mask'],
  (f) =>
    'typedef i16 shorts __attribute__((vector_size(32)));\n  ' +
    `return ${f}((shorts)a, (f32x16){0}, (u16)-1, 4);`,
  (f) =>
    'typedef i16 shorts __attribute__((vector_size(32)));\n  ' +
    `return (u16x16)${f}(a, 0, (shorts){0}, (u16)-1);`,
);

const words512 = { load: 'loadups512_mask', store: 'storeups512_mask', word: 'f32' };
const longs512 = { load: 'loadupd512_mask', store: 'storeupd512_mask', word: 'f64' };
const words256 = { load: 'loadups256_mask', store: 'storeups256_mask', word: 'f32' };
const halves256 = { load: 'loaddquhi256_mask', store: 'storedquhi256_mask', word: 'i16' };
const bytes128 = { load: 'loaddquqi128_mask', store: 'storedquqi128_mask', word: 'char' };

/** By an estimate of 1/b to 14 bits, and by the rest that the quotient by it leaves. */
const nearDivide512: Entries = [
  [
    'near_divide_f32x16',
    token(
      'rcp14ps512_mask',
      (f) =>
        `const f32x16 r = ${f}(b, (f32x16){0}, (u16)-1);\n` +
        '  const f32x16 q = a * r;\n' +
        '  const f32x16 rest = __builtin_ia32_vfmaddps512_mask(-q, b, a, (u16)-1, 4);\n' +
        '  return __builtin_ia32_vfmaddps512_mask(rest, r, q, (u16)-1, 4);',
    ),
  ],
];

const multiplyBytes = (call: string): string =>
  `return (i32x16)${call}((i32x16)sum, (i32x16)a, (i32x16)b);`;

/** Products of signed halves, neighbours added: exact, but for what wraps anyway. */
function multiplyHalves(lanes: number, builtin: string): Entries {
  const halves = `typedef i16 halves __attribute__((vector_size(${4 * lanes})));\n  `;
  const products = (call: string, mask = ''): string =>
    `${halves}return sum + (i32x${lanes})${call}((halves)a, (halves)b${mask});`;
  const masked = token(`${builtin}_mask`, (f) => products(f, `, (i32x${lanes}){0}, (u16)-1`));
  return [
    [`multiply_halves_u32x${lanes}`, { ...token(builtin, (f) => products(f)), otherwise: masked }],
  ];
}

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
  ...nearDivide512,
  [
    'multiply_bytes_u32x16',
    {
      ...token('vpdpbusd_v16si', multiplyBytes),
      otherwise: token('vpdpbusd512', multiplyBytes),
    },
  ],
  ...multiplyHalves(16, 'pmaddwd512'),
  ['scale_f32x16', token('scalefps512_mask', (f) => `return ${f}(a, b, a, (u16)-1, 4);`)],
  ['scale_f64x8', token('scalefpd512_mask', (f) => `return ${f}(a, b, a, (u8)-1, 4);`)],
  ...functions512('f32x16', 'ps', 'u16'),
  ...functions512('f64x8', 'pd', 'u8'),
  ...functions256('f32x8', 'ps'),
  ...widen512('u8', 'pmovzxbd512_mask', 'char'),
  ...widen512('i8', 'pmovsxbd512_mask', 'char'),
  ...widen512('u16', 'pmovzxwd512_mask', 'i16'),
  ...widen512('i16', 'pmovsxwd512_mask', 'i16'),
  ...narrow512('u8', 'pmovdb512_mask', 'char'),
  ...narrow512('i8', 'pmovdb512_mask', 'char'),
  ...narrow512('u16', 'pmovdw512_mask', 'i16'),
  ...narrow512('i16', 'pmovdw512_mask', 'i16'),
  ...conversions256,
  ...halves,
  ...halves512,
  ['any_i32x16', token('cvtd2mask512', (f) => `return ${f}(a) != 0;`)],
  ['any_i64x8', token('cvtq2mask512', (f) => `return ${f}((${longLongs})a) != 0;`)],
  [
    'gather_f32x16_i32',
    token('gathersiv16sf', (f) => `return ${f}((f32x16){0}, p, index, (u16)-1, 4);`),
  ],
  [
    'gather_f32x8_i64',
    token('gatherdiv16sf', (f) => {
      return `return ${f}((f32x8){0}, p, (${longLongs})index, (u8)-1, 4);`;
    }),
  ],
  [
    'gather_f64x8_i64',
    token('gatherdiv8df', (f) => {
      return `return ${f}((f64x8){0}, p, (${longLongs})index, (u8)-1, 8);`;
    }),
  ],
  ...stream('f32 i32 u32', 16, 64, 'ps512', 'f32'),
  ...stream('f64 i64 u64', 8, 64, 'pd512', 'f64'),
  ...fence,
];

const avx2: Entries = [
  ...multiplyAdd256,
  ...multiplyHalves(8, 'pmaddwd256'),
  ...extremes256('f32x8', 'i32x8', 'ps'),
  ...extremes256('f64x4', 'i64x4', 'pd'),
  ...functions256('f32x8', 'ps'),
  ...functions256('f64x4', 'pd'),
  ...conversions256,
  ...any256,
  ...halves,
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

/**
 * Vector lengths that are fixed when a kernel is compiled: the compiler's own vectors become the
 * instruction set's, and only a multiply-add with one rounding needs a word of its own.
 */
const fixedLength: Entries = ['f32x4', 'f32x8', 'f32x16', 'f64x2', 'f64x4', 'f64x8'].map((type) => [
  `fma_${type}`,
  {
    builtin: '__builtin_elementwise_fma',
    body: 'return __builtin_elementwise_fma(a, b, c);',
  },
]);

const rows: Readonly<Record<string, Tokens>> = {
  amx: Object.fromEntries(avx512),
  avx512: Object.fromEntries(avx512),
  avx512f: Object.fromEntries(avx512),
  avx2: Object.fromEntries(avx2),
  neon: Object.fromEntries(fixedLength),
  sve: Object.fromEntries(fixedLength),
  rvv: Object.fromEntries(fixedLength),
  // What every x86 of 64 bits has; another architecture has no such builtin.
  generic: Object.fromEntries(multiplyHalves(4, 'pmaddwd128')),
};

/** Tokens of a target `family/row`; none for a row that is not in the table. */
export const tokensOf = (target: string): Tokens => rows[target.split('/')[1] ?? ''] ?? {};
