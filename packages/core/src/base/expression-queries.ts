/** Questions about expressions: their variables, values, linear parts, and text for people. */

import { commonDivisor } from './divisor.js';
import { internal } from './errors.js';
import {
  type Atom,
  add,
  type Expression,
  equalTo,
  floorDivide,
  fromAtom,
  fromTerm,
  lessThan,
  makeTerm,
  maximum,
  minimum,
  modulo,
  multiply,
  type OperationKind,
  type Term,
  termsOf,
  type Variable,
} from './expression-algebra.js';

/** All variables that occur, by name. */
export function variablesOf(
  e: Expression,
  into: Map<string, Variable> = new Map(),
): ReadonlyMap<string, Variable> {
  for (const term of termsOf(e)) {
    for (const atom of term.atoms) {
      if (atom.kind === 'variable') into.set(atom.name, atom);
      else {
        variablesOf(atom.left, into);
        variablesOf(atom.right, into);
      }
    }
  }
  return into;
}

const builders: Readonly<Record<OperationKind, (a: Expression, b: Expression) => Expression>> = {
  floorDivide,
  modulo,
  minimum,
  maximum,
  lessThan,
  equalTo,
};

/** Replaces variables by expressions; others stay. */
export function substitute(
  e: Expression,
  replacement: (name: string) => Expression | undefined,
): Expression {
  if (typeof e === 'number') return e;
  const parts = e.terms.map((term) =>
    multiply(term.coefficient, ...term.atoms.map((atom) => substituteAtom(atom, replacement))),
  );
  return add(e.constant, ...parts);
}

function substituteAtom(
  atom: Atom,
  replacement: (name: string) => Expression | undefined,
): Expression {
  if (atom.kind === 'variable') return replacement(atom.name) ?? fromAtom(atom);
  const left = substitute(atom.left, replacement);
  const right = substitute(atom.right, replacement);
  return builders[atom.kind](left, right);
}

/** The number an expression stands for. Throws for a variable without a value. */
export function evaluate(e: Expression, numberOf: (name: string) => number | undefined): number {
  const result = substitute(e, numberOf);
  if (typeof result === 'number') return result;
  throw internal(`size without a value: ${printExpression(e)}`);
}

/**
 * Splits e = coefficient · v + rest where e is linear in the variable `name` and the name occurs
 * nowhere else; undefined where it is not.
 */
export function linearIn(
  e: Expression,
  name: string,
): { readonly coefficient: Expression; readonly rest: Expression } | undefined {
  const mentions = (atom: Atom): boolean =>
    atom.kind === 'variable'
      ? atom.name === name
      : variablesOf(atom.left).has(name) || variablesOf(atom.right).has(name);
  const coefficients: Expression[] = [];
  const rest: Expression[] = [typeof e === 'number' ? e : e.constant];
  for (const term of termsOf(e)) {
    const hits = term.atoms.filter(mentions);
    if (hits.length === 0) rest.push(fromTerm(term));
    else if (hits.length === 1 && hits[0]?.kind === 'variable') {
      const others = term.atoms.filter((atom) => atom !== hits[0]);
      coefficients.push(fromTerm(makeTerm(term.coefficient, others)));
    } else return undefined;
  }
  return { coefficient: add(0, ...coefficients), rest: add(...rest) };
}

/** A number that divides the expression, given what divides the variables; 0 for the number 0. */
export function divisorOf(e: Expression, known: (name: string) => number = () => 1): number {
  if (typeof e === 'number') return Math.abs(e);
  const ofAtom = (atom: Atom): number => {
    if (atom.kind === 'variable') return known(atom.name);
    if (atom.kind === 'floorDivide' || atom.kind === 'lessThan' || atom.kind === 'equalTo')
      return 1;
    return commonDivisor(divisorOf(atom.left, known), divisorOf(atom.right, known));
  };
  const ofTerm = (term: Term): number =>
    term.atoms.reduce((all, atom) => all * ofAtom(atom), Math.abs(term.coefficient));
  return e.terms.reduce((all, term) => commonDivisor(all, ofTerm(term)), Math.abs(e.constant));
}

const signs: Readonly<Record<OperationKind, string>> = {
  floorDivide: '/',
  modulo: '%',
  minimum: 'min',
  maximum: 'max',
  lessThan: '<',
  equalTo: '==',
};

/** Text for people: `32*i + j`, `(n + 3)/4`, `min(a, b)`. */
export function printExpression(e: Expression): string {
  if (typeof e === 'number') return String(e);
  const terms = e.terms.map((term) => {
    const atoms = term.atoms.map(printAtom).join('*');
    if (term.coefficient === 1) return atoms;
    return term.coefficient === -1 ? `-${atoms}` : `${term.coefficient}*${atoms}`;
  });
  if (e.constant !== 0) terms.push(String(e.constant));
  return terms.join(' + ').replaceAll('+ -', '- ');
}

function printAtom(atom: Atom): string {
  if (atom.kind === 'variable') return atom.name;
  const [left, right] = [printExpression(atom.left), printExpression(atom.right)];
  if (atom.kind === 'minimum' || atom.kind === 'maximum') {
    return `${signs[atom.kind]}(${left}, ${right})`;
  }
  const wrap = (text: string): string => (/^[\w.]+$/.test(text) ? text : `(${text})`);
  return `(${wrap(left)} ${signs[atom.kind]} ${wrap(right)})`;
}
