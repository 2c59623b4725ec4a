/** Mathematical functions with their error bounds and the values that they are tested at. */
import { erf } from '../../packages/core/src/graph/interpret-erf.js';
import type { MathName } from '../../packages/core/src/kernel/tile.js';

export interface Case {
  readonly reference: (x: number) => number;
  /** Swept range for f32 and f64. */
  readonly single: readonly [number, number];
  readonly double: readonly [number, number];
  /** Largest error of f32 and f64 in units in the last place, as ARCHITECTURE.md states it. */
  readonly ulps: readonly [number, number];
  /** Units by which the reference itself is off in f64; 1 where absent. */
  readonly slack?: number;
}

/** What a test allows: the f64 reference has errors of its own. */
export const allowed = ({ ulps, slack = 1 }: Case, single: boolean): number =>
  single ? ulps[0] : ulps[1] + slack;

const angle = 1e5;

export const cases: Readonly<Record<MathName, Case>> = {
  exp: { reference: Math.exp, single: [-104, 89], double: [-745, 710], ulps: [1.25, 1] },
  log: { reference: Math.log, single: [0, 20], double: [0, 20], ulps: [1, 1] },
  sin: { reference: Math.sin, single: [-angle, angle], double: [-1e6, 1e6], ulps: [3.5, 2.5] },
  cos: { reference: Math.cos, single: [-angle, angle], double: [-1e6, 1e6], ulps: [3.5, 2.5] },
  tan: { reference: Math.tan, single: [-angle, angle], double: [-1e6, 1e6], ulps: [5, 4] },
  asin: { reference: Math.asin, single: [-1, 1], double: [-1, 1], ulps: [2, 2] },
  acos: { reference: Math.acos, single: [-1, 1], double: [-1, 1], ulps: [1.5, 2] },
  atan: { reference: Math.atan, single: [-9, 9], double: [-9, 9], ulps: [2, 2] },
  sinh: { reference: Math.sinh, single: [-90, 90], double: [-711, 711], ulps: [2.5, 2.5] },
  cosh: { reference: Math.cosh, single: [-90, 90], double: [-711, 711], ulps: [2, 2] },
  tanh: { reference: Math.tanh, single: [-11, 11], double: [-21, 21], ulps: [3, 3] },
  asinh: { reference: Math.asinh, single: [-20, 20], double: [-20, 20], ulps: [2, 3] },
  acosh: { reference: Math.acosh, single: [1, 20], double: [1, 20], ulps: [2.5, 3] },
  atanh: { reference: Math.atanh, single: [-1, 1], double: [-1, 1], ulps: [2.5, 3] },
  erf: { reference: erf, single: [-5, 5], double: [-7, 7], ulps: [2.5, 1.5], slack: 14 },
};

const special = [
  0,
  -0,
  1,
  -1,
  0.5,
  -0.5,
  1e-30,
  -1e-30,
  2 ** -149,
  -(2 ** -149),
  2 ** -126,
  2 ** -1074,
  3e-310,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  Number.NaN,
  3.4e38,
  -3.4e38,
  1.7e308,
  88.7,
  88.73,
  89.4,
  -87.4,
  -103.9,
  -104.1,
  709.7,
  709.8,
  710.4,
  -745.1,
  2,
  -2,
  1.5,
  0.999999,
  1.000001,
];

export function sweep(
  range: readonly [number, number],
  single: boolean,
): Float32Array | Float64Array {
  let state = 12345;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state;
  };
  const [low, high] = range;
  const values = [...special];
  for (let i = 0; i < 6000; i++) values.push(low + ((high - low) * next()) / 2 ** 32);
  for (let i = 0; i < 2000; i++) values.push(((2 * next()) / 2 ** 32 - 1) * 1.3);
  const words = new Uint32Array(2);
  for (let i = 0; i < 3000; i++) {
    words.set([next(), next()]);
    const x = single ? new Float32Array(words.buffer)[0] : new Float64Array(words.buffer)[0];
    values.push(x as number);
  }
  while (values.length % 4 !== 0) values.push(1);
  return single ? Float32Array.from(values) : Float64Array.from(values);
}

/** Distance of neighbouring values at x. */
export function unit(x: number, single: boolean): number {
  const [digits, least] = single ? [23, -126] : [52, -1022];
  let exponent = least;
  if (Math.abs(x) >= 2 ** least) {
    exponent = Math.floor(Math.log2(Math.abs(x)));
    if (2 ** exponent > Math.abs(x)) exponent--;
  }
  return Math.max(2 ** (exponent - digits), single ? 2 ** -149 : 2 ** -1074);
}

/** Largest error of results in units in the last place, and where it is. */
export function worstOf(
  name: string,
  x: Float32Array | Float64Array,
  y: ArrayLike<unknown>,
): { readonly worst: number; readonly message: string } {
  const single = x instanceof Float32Array;
  const { reference } = cases[name as MathName];
  let worst = 0;
  let message = '';
  x.forEach((value, i) => {
    const exact = reference(value);
    const rounded = single ? Math.fround(exact) : exact;
    const got = Number(y[i]);
    const finite = Number.isFinite(rounded) && Number.isFinite(got);
    const same = rounded === 0 ? Object.is(got, rounded) || got !== 0 : true;
    let error = Object.is(got, rounded) ? 0 : Number.POSITIVE_INFINITY;
    if (finite && same) error = Math.abs(got - exact) / unit(exact, single);
    if (error > worst) {
      worst = error;
      message = `${name}(${value}) = ${got}, should be ${rounded}`;
    }
  });
  return { worst, message };
}
