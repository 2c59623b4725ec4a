/** Products of words that hold several integers: the units of vectors (see target.matrixUnits). */
import { internal } from '../base/errors.js';
import type { Prelude } from './c-prelude.js';

/** Units of vectors: the function of each, and sum + Σ a · b over the parts of a word. */
const wordUnits: Readonly<
  Record<string, { readonly name: string; readonly terms: (sums: string) => readonly string[] }>
> = {
  // Unsigned bytes by signed ones.
  'dot-u8-i8': {
    name: 'multiply_bytes',
    terms: (sums) =>
      [0, 8, 16, 24].map(
        (at) => `(${sums})(a >> ${at} & 255) * ((${sums})(b << ${24 - at}) >> 24)`,
      ),
  },
  // Signed halves.
  'dot-i16': {
    name: 'multiply_halves',
    terms: (sums) => [
      `((${sums})(a << 16) >> 16) * ((${sums})(b << 16) >> 16)`,
      `((${sums})a >> 16) * ((${sums})b >> 16)`,
    ],
  },
};

/** sum + Σ a · b over the parts of a word, as a unit of vectors multiplies them. */
export function multiplyWords(p: Prelude, unit: string, lanes: number): string {
  const found = wordUnits[unit];
  if (found === undefined) throw internal(`unit ${unit} of vectors`);
  const [sums, words] = [p.type('i32', lanes), p.type('u32', lanes)];
  const parameters = `${words} a, ${words} b, ${sums} sum`;
  return p.define(sums, `${found.name}_${words}`, parameters, () =>
    found
      .terms(sums)
      .map((term) => `sum += ${term};`)
      .concat('return sum;')
      .join('\n  '),
  );
}
