/** The greatest number that divides two integers, at least 0 (Euclid). */
export const commonDivisor = (a: number, b: number): number =>
  b === 0 ? Math.abs(a) : commonDivisor(b, a % b);
