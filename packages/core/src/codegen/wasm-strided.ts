/** Vectors of four 32-bit elements that do not lie side by side, as WebAssembly. */

import type { Expression } from '../base/expression.js';
import { type Code, memoryAccess, shuffle } from './wasm-encode.js';
import type { Address } from './wasm-index.js';

/** Where in two vectors, loaded so many elements apart, the four elements of a stride lie. */
const pairs: Readonly<Record<number, { readonly apart: number; readonly lanes: Quad }>> = {
  2: { apart: 3, lanes: [0, 2, 5, 7] },
  3: { apart: 6, lanes: [0, 3, 4, 7] },
};

type Quad = readonly [number, number, number, number];

/**
 * The elements at `places`, which lie `stride` elements apart. Nothing is read outside of the first
 * to the last of them.
 */
export function loadApart(stride: Expression, places: readonly Address[]): Code {
  const [first, ...others] = places as readonly [Address, ...Address[]];
  const run = ({ code, offset }: Address, later = 0): Code =>
    memoryAccess('v128.load', offset + 4 * later, code);
  if (stride === -1) {
    const vector = run(places[3] as Address);
    return shuffle(bytesOfLanes([3, 2, 1, 0]), vector, vector);
  }
  const pair = typeof stride === 'number' ? pairs[stride] : undefined;
  if (pair !== undefined) {
    return shuffle(bytesOfLanes(pair.lanes), run(first), run(first, pair.apart));
  }
  return others.reduce<Code>(
    (vector, { code, offset }, i) => [
      ...memoryAccess('v128.load32_lane', offset, code, vector),
      i + 1,
    ],
    memoryAccess('v128.load32_zero', first.offset, first.code),
  );
}

const bytesOfLanes = (lanes: Quad): readonly number[] =>
  lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte));
