/** Derivatives of elementwise primitives. */
import { isFloat } from '../base/dtype.js';
import {
  add,
  cast,
  cos,
  cosh,
  divide,
  equal,
  exp,
  less,
  log,
  multiply,
  negate,
  power,
  select,
  sign,
  sin,
  sinh,
  square,
  squareRoot,
  subtract,
  truncate,
} from './build.js';
import { asNode, inputOf, type Pullback, zeros } from './gradient-rule.js';
import type { BinaryName, Node, UnaryName } from './node.js';

/** A rule from the derivative at x, given x and y = f(x). */
const scaled =
  (derivative: (x: Node, y: Node) => Node): Pullback<UnaryName> =>
  (node, seed) => [multiply(seed, derivative(inputOf(node, 0), asNode(node)))];

const over =
  (denominator: (x: Node, y: Node) => Node): Pullback<UnaryName> =>
  (node, seed) => [divide(seed, denominator(inputOf(node, 0), asNode(node)))];

/** Constant between steps, or not a function of real numbers. */
export const flat = (): readonly undefined[] => [];

const oneMinus = (x: Node): Node => subtract(1, x);

export const unaryPullbacks = {
  negate: (_, seed) => [negate(seed)],
  absolute: scaled(sign),
  sign: flat,
  floor: flat,
  ceil: flat,
  round: flat,
  truncate: flat,
  squareRoot: over((_, y) => multiply(2, y)),
  exp: scaled((_, y) => y),
  log: over((x) => x),
  sin: scaled(cos),
  cos: scaled((x) => negate(sin(x))),
  tan: scaled((_, y) => add(1, square(y))),
  asin: over((x) => squareRoot(oneMinus(square(x)))),
  acos: over((x) => negate(squareRoot(oneMinus(square(x))))),
  atan: over((x) => add(1, square(x))),
  sinh: scaled(cosh),
  cosh: scaled(sinh),
  tanh: scaled((_, y) => oneMinus(square(y))),
  asinh: over((x) => squareRoot(add(square(x), 1))),
  acosh: over((x) => multiply(squareRoot(subtract(x, 1)), squareRoot(add(x, 1)))),
  atanh: over((x) => oneMinus(square(x))),
  erf: scaled((x) => multiply(2 / Math.sqrt(Math.PI), exp(negate(square(x))))),
  not: flat,
  isNaN: flat,
} satisfies { readonly [O in UnaryName]: Pullback<O> };

/** minimum and maximum: to the chosen side, half to each on a tie. */
const chosen =
  (first: (a: Node, b: Node) => Node): Pullback<'minimum' | 'maximum'> =>
  (node, seed) => {
    const [a, b] = [inputOf(node, 0), inputOf(node, 1)];
    const half = multiply(seed, 0.5);
    const tie = equal(a, b);
    return [
      select(first(a, b), seed, select(tie, half, 0)),
      select(first(b, a), seed, select(tie, half, 0)),
    ];
  };

/** b·a^(b−1), with 0 where b = 0; log a is taken as 0 where a is not positive. */
const powerPullback: Pullback<'power'> = (node, seed) => {
  const [a, b] = [inputOf(node, 0), inputOf(node, 1)];
  const zero = zeros(asNode(node));
  const slope = select(equal(b, 0), zero, multiply(b, power(a, subtract(b, 1))));
  const positive = less(0, a);
  const logarithm = select(positive, log(select(positive, a, 1)), zero);
  return [multiply(seed, slope), multiply(seed, multiply(asNode(node), logarithm))];
};

export const binaryPullbacks = {
  add: (_, seed) => [seed, seed],
  subtract: (_, seed) => [seed, negate(seed)],
  multiply: (node, seed) => [multiply(seed, inputOf(node, 1)), multiply(seed, inputOf(node, 0))],
  divide: (node, seed) => {
    const b = inputOf(node, 1);
    return [divide(seed, b), negate(divide(multiply(seed, asNode(node)), b))];
  },
  remainder: (node, seed) => {
    const [a, b] = [inputOf(node, 0), inputOf(node, 1)];
    return [seed, negate(multiply(seed, truncate(divide(a, b))))];
  },
  power: powerPullback,
  minimum: chosen(less),
  maximum: chosen((a, b) => less(b, a)),
  and: flat,
  or: flat,
  xor: flat,
  shiftLeft: flat,
  shiftRight: flat,
  equal: flat,
  less: flat,
  lessEqual: flat,
} satisfies { readonly [O in BinaryName]: Pullback<O> };

export const selectPullback: Pullback<'select'> = (node, seed) => {
  const condition = inputOf(node, 0);
  return [undefined, select(condition, seed, 0), select(condition, zeros(seed), seed)];
};

export const castPullback: Pullback<'cast'> = (node, seed) =>
  isFloat(node.dtype) ? [cast(seed, inputOf(node, 0).dtype)] : [];
