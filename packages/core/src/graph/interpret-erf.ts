/** The error function in f64: Abramowitz & Stegun 7.1.6 near zero, 7.1.14 for the tail. */

const series = (x: number): number => {
  // erf x = 2/√π · e^(−x²) · Σ 2ⁿ x^(2n+1) / (1·3·…·(2n+1)): all terms of one sign.
  let term = x;
  let sum = x;
  for (let odd = 3; Math.abs(term) > Math.abs(sum) * 1e-17; odd += 2) {
    term *= (2 * x * x) / odd;
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
};

const tail = (x: number): number => {
  // erfc x = e^(−x²)/√π · 1/(x + (1/2)/(x + 1/(x + (3/2)/(x + 2/(x + …))))), from the far end.
  let denominator = x;
  for (let n = 80; n >= 1; n--) denominator = x + n / 2 / denominator;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / denominator;
};

/** erf(x), within about 1e-15 of the true value relative to it. */
export function erf(x: number): number {
  if (x === 0 || Number.isNaN(x)) return x;
  const magnitude = Math.abs(x);
  if (magnitude < 2) return series(x);
  return Math.sign(x) * (magnitude < 6 ? 1 - tail(magnitude) : 1);
}
