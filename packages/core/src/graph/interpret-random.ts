/** Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers", SC 2011. */

const multipliers = [0xd2511f53n, 0xcd9e8d57n] as const;
const weyl = [0x9e3779b9, 0xbb67ae85] as const;

export type Words4 = readonly [number, number, number, number];

/** Low and high words of the 64-bit product. */
function multiplyWords(a: bigint, b: number): readonly [number, number] {
  const product = a * BigInt(b);
  return [Number(product & 0xffffffffn), Number(product >> 32n)];
}

/** Ten rounds over one counter: four words of random bits. */
export function philox(counter: Words4, key: readonly [number, number]): Words4 {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [low0, high0] = multiplyWords(multipliers[0], c0);
    const [low1, high1] = multiplyWords(multipliers[1], c2);
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + weyl[0]) >>> 0;
    k1 = (k1 + weyl[1]) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** `count` words: word i is word i mod 4 of counter ⌊i / 4⌋ (its upper 64 bits zero). */
export function randomWords(key: readonly [number, number], count: number): Float64Array {
  const words = new Float64Array(count);
  for (let block = 0; block * 4 < count; block++) {
    const counter: Words4 = [block >>> 0, Math.floor(block / 2 ** 32), 0, 0];
    words.set(philox(counter, key).slice(0, count - block * 4), block * 4);
  }
  return words;
}
