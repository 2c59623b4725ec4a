/**
 * Integers of 64 bits in WGSL, which has none: two 32-bit words, the low one first, and the
 * functions that compute with them. Gives text; a source declares only the functions it names.
 */

/** The type that stands for i64 and u64; it also is their layout in memory. */
export const wideType = 'vec2<u32>';

const top = '0x80000000u';
const w = wideType;

/** Quotient and remainder bit by bit; the dividend's bits move into `rest` one by one. */
const longDivision = `fn divide_u64(a: ${w}, b: ${w}) -> ${w} {
  if (a.y == 0u && b.y == 0u) { return ${w}(a.x / max(b.x, 1u), 0u); }
  var quotient = ${w}(0u, 0u);
  var rest = ${w}(0u, 0u);
  for (var i = 0u; i < 64u; i++) {
    let bit = select(a.x >> (63u - i), a.y >> (31u - i), i < 32u) & 1u;
    let carry = rest.y >> 31u;
    rest = ${w}((rest.x << 1u) | bit, (rest.y << 1u) | (rest.x >> 31u));
    quotient = ${w}(quotient.x << 1u, (quotient.y << 1u) | (quotient.x >> 31u));
    if (carry == 1u || !less_u64(rest, b)) {
      rest = subtract_64(rest, b);
      quotient.x |= 1u;
    }
  }
  return quotient;
}`;

const wideFunctions = {
  add_64: {
    needs: [],
    text: `fn add_64(a: ${w}, b: ${w}) -> ${w} {
  let low = a.x + b.x;
  return ${w}(low, a.y + b.y + select(0u, 1u, low < a.x));
}`,
  },
  subtract_64: {
    needs: [],
    text: `fn subtract_64(a: ${w}, b: ${w}) -> ${w} {
  return ${w}(a.x - b.x, a.y - b.y - select(0u, 1u, a.x < b.x));
}`,
  },
  multiply_64: {
    needs: [],
    text: `fn multiply_64(a: ${w}, b: ${w}) -> ${w} {
  let low = (a.x & 0xffffu) * (b.x & 0xffffu);
  let middle = (a.x >> 16u) * (b.x & 0xffffu) + (low >> 16u);
  let other = (a.x & 0xffffu) * (b.x >> 16u) + (middle & 0xffffu);
  let high = (a.x >> 16u) * (b.x >> 16u) + (middle >> 16u) + (other >> 16u);
  return ${w}((low & 0xffffu) | (other << 16u), high + a.x * b.y + a.y * b.x);
}`,
  },
  less_u64: {
    needs: [],
    text: `fn less_u64(a: ${w}, b: ${w}) -> bool {
  return a.y < b.y || (a.y == b.y && a.x < b.x);
}`,
  },
  less_i64: {
    needs: ['less_u64'],
    text: `fn less_i64(a: ${w}, b: ${w}) -> bool {
  return less_u64(${w}(a.x, a.y ^ ${top}), ${w}(b.x, b.y ^ ${top}));
}`,
  },
  shift_left_64: {
    needs: [],
    text: `fn shift_left_64(a: ${w}, n: u32) -> ${w} {
  if (n == 0u) { return a; }
  if (n >= 32u) { return ${w}(0u, a.x << (n - 32u)); }
  return ${w}(a.x << n, (a.y << n) | (a.x >> (32u - n)));
}`,
  },
  shift_right_u64: {
    needs: [],
    text: `fn shift_right_u64(a: ${w}, n: u32) -> ${w} {
  if (n == 0u) { return a; }
  if (n >= 32u) { return ${w}(a.y >> (n - 32u), 0u); }
  return ${w}((a.x >> n) | (a.y << (32u - n)), a.y >> n);
}`,
  },
  shift_right_i64: {
    needs: [],
    text: `fn shift_right_i64(a: ${w}, n: u32) -> ${w} {
  let high = bitcast<i32>(a.y);
  if (n == 0u) { return a; }
  if (n >= 32u) { return ${w}(bitcast<u32>(high >> (n - 32u)), bitcast<u32>(high >> 31u)); }
  return ${w}((a.x >> n) | (a.y << (32u - n)), bitcast<u32>(high >> n));
}`,
  },
  absolute_64: {
    needs: ['subtract_64'],
    text: `fn absolute_64(a: ${w}) -> ${w} {
  return select(a, subtract_64(${w}(0u, 0u), a), a.y >= ${top});
}`,
  },
  divide_u64: { needs: ['less_u64', 'subtract_64'], text: longDivision },
  divide_i64: {
    needs: ['divide_u64', 'absolute_64', 'subtract_64'],
    text: `fn divide_i64(a: ${w}, b: ${w}) -> ${w} {
  let quotient = divide_u64(absolute_64(a), absolute_64(b));
  return select(quotient, subtract_64(${w}(0u, 0u), quotient), (a.y ^ b.y) >= ${top});
}`,
  },
  remainder_u64: {
    needs: ['divide_u64', 'multiply_64', 'subtract_64'],
    text: `fn remainder_u64(a: ${w}, b: ${w}) -> ${w} {
  return subtract_64(a, multiply_64(divide_u64(a, b), b));
}`,
  },
  remainder_i64: {
    needs: ['divide_i64', 'multiply_64', 'subtract_64'],
    text: `fn remainder_i64(a: ${w}, b: ${w}) -> ${w} {
  return subtract_64(a, multiply_64(divide_i64(a, b), b));
}`,
  },
  i32_to_64: {
    needs: [],
    text: `fn i32_to_64(a: i32) -> ${w} {
  return ${w}(bitcast<u32>(a), bitcast<u32>(a >> 31u));
}`,
  },
  /** The number is in range; both parts of it are exact. */
  f32_to_u64: {
    needs: [],
    text: `fn f32_to_u64(a: f32) -> ${w} {
  let high = floor(a * 0x1p-32f);
  return ${w}(u32(a - high * 0x1p+32f), u32(high));
}`,
  },
  f32_to_i64: {
    needs: ['f32_to_u64', 'subtract_64'],
    text: `fn f32_to_i64(a: f32) -> ${w} {
  let size = f32_to_u64(trunc(abs(a)));
  return select(size, subtract_64(${w}(0u, 0u), size), a < 0.0f);
}`,
  },
  /** To nearest even: the first 24 bits, the next one, and whether any of the rest is set. */
  u64_to_f32: {
    needs: ['shift_left_64'],
    text: `fn u64_to_f32(a: ${w}) -> f32 {
  if (a.x == 0u && a.y == 0u) { return 0.0f; }
  let zeros = select(countLeadingZeros(a.y), 32u + countLeadingZeros(a.x), a.y == 0u);
  let first = shift_left_64(a, zeros);
  let rest = select(0u, 1u, first.x != 0u || (first.y & 0x7fu) != 0u);
  let half = (first.y >> 7u) & 1u;
  let odd = (first.y >> 8u) & 1u;
  let size = (first.y >> 8u) + (half & (rest | odd));
  // The leading bit of the significand adds one to the exponent.
  return bitcast<f32>(((189u - zeros) << 23u) + size);
}`,
  },
  i64_to_f32: {
    needs: ['u64_to_f32', 'absolute_64'],
    text: `fn i64_to_f32(a: ${w}) -> f32 {
  let size = u64_to_f32(absolute_64(a));
  return select(size, -size, a.y >= ${top});
}`,
  },
} as const satisfies Readonly<
  Record<string, { readonly text: string; readonly needs: readonly string[] }>
>;

export type WideName = keyof typeof wideFunctions;

/** Text of the named functions and of those that they call, each once. */
export function wideTexts(names: Iterable<WideName>): readonly string[] {
  const all = new Set<WideName>();
  const visit = (name: WideName): void => {
    if (all.has(name)) return;
    all.add(name);
    for (const inner of wideFunctions[name].needs) visit(inner);
  };
  for (const name of names) visit(name);
  // In the order of the table, whatever was named first.
  return (Object.keys(wideFunctions) as WideName[])
    .filter((name) => all.has(name))
    .map((name) => wideFunctions[name].text);
}
