/** Sizes as functions of the symbols' numbers: evaluated at every run, so made once. */
import { internal } from '../base/errors.js';
import {
  type Atom,
  type Expression,
  type Size,
  type Sum,
  variablesOf,
} from '../base/expression.js';

export type Environment = ReadonlyMap<string, number>;
export type Evaluator = (environment: Environment) => number;

const evaluators = new WeakMap<Sum, Evaluator>();
const symbols = new WeakMap<Sum, readonly string[]>();

/** The evaluator of a size; it throws OC-INTERNAL-01 for a symbol without a number. */
export function evaluatorOf(size: Size): Evaluator {
  if (typeof size === 'number') return () => size;
  const known = evaluators.get(size);
  if (known !== undefined) return known;
  const made = makeEvaluator(size);
  evaluators.set(size, made);
  return made;
}

function makeEvaluator(size: Sum): Evaluator {
  const terms = size.terms.map(({ coefficient, atoms }) => ({
    coefficient,
    atoms: atoms.map(atomEvaluator),
  }));
  const { constant } = size;
  return (environment) => {
    let total = constant;
    for (const { coefficient, atoms } of terms) {
      let product = coefficient;
      for (const atom of atoms) product *= atom(environment);
      total += product;
    }
    return total;
  };
}

function atomEvaluator(atom: Atom): Evaluator {
  if (atom.kind === 'variable') {
    const { name } = atom;
    return (environment) => {
      const value = environment.get(name);
      if (value === undefined) throw internal(`size without a value: ${name}`);
      return value;
    };
  }
  const left = evaluatorOf(atom.left);
  const right = evaluatorOf(atom.right);
  const apply = operations[atom.kind];
  return (environment) => apply(left(environment), right(environment));
}

const operations: Readonly<
  Record<Exclude<Atom['kind'], 'variable'>, (a: number, b: number) => number>
> = {
  floorDivide: (a, b) => (b === 0 ? 0 : Math.floor(a / b)),
  modulo: (a, b) => (b === 0 ? 0 : a - b * Math.floor(a / b)),
  minimum: Math.min,
  maximum: Math.max,
  lessThan: (a, b) => (a < b ? 1 : 0),
  equalTo: (a, b) => (a === b ? 1 : 0),
};

/** Whether every symbol of a size has a number. */
export function isKnown(size: Size, environment: Environment): boolean {
  if (typeof size === 'number') return true;
  const names = symbols.get(size) ?? [...variablesOf(size).keys()];
  symbols.set(size, names);
  return names.every((name) => environment.has(name));
}

/** The numbers of a shape. */
export const shapeOf = (shape: readonly Expression[], environment: Environment): number[] =>
  shape.map((size) => (typeof size === 'number' ? size : evaluatorOf(size)(environment)));

export function isSameShape(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let axis = 0; axis < a.length; axis++) if (a[axis] !== b[axis]) return false;
  return true;
}
