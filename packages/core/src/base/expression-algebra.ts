/**
 * Integer expressions: sizes over symbols, and addresses over loop indices, in one algebra.
 *
 * An expression is a number or a sum of terms, each a coefficient times atoms. Sums are kept in a
 * canonical order with like terms merged, so equal polynomials have equal keys. Division rounds
 * down; divisors are positive wherever they are evaluated.
 */
import { commonDivisor } from './divisor.js';
import { failure } from './errors.js';

/** A named integer ≥ `minimum`; below `extent` where it is a loop index. */
export interface Variable {
  readonly kind: 'variable';
  readonly name: string;
  readonly minimum: number;
  /** Exclusive upper bound, itself without loop indices; absent for sizes. */
  readonly extent?: Expression;
  readonly key: string;
}

export type OperationKind =
  | 'floorDivide'
  | 'modulo'
  | 'minimum'
  | 'maximum'
  | 'lessThan'
  | 'equalTo';

/** An operation that no rule could remove; lessThan and equalTo are 0 or 1. */
export interface Operation {
  readonly kind: OperationKind;
  readonly left: Expression;
  readonly right: Expression;
  readonly key: string;
}

export type Atom = Variable | Operation;

export interface Term {
  readonly coefficient: number;
  readonly atoms: readonly Atom[];
  readonly key: string;
}

export interface Sum {
  readonly kind: 'sum';
  readonly constant: number;
  readonly terms: readonly Term[];
  readonly key: string;
}

export type Expression = number | Sum;

/** A size of a tensor: an expression over symbols. */
export type Size = Expression;

export const keyOf = (e: Expression): string => (typeof e === 'number' ? String(e) : e.key);
export const equal = (a: Expression, b: Expression): boolean => a === b || keyOf(a) === keyOf(b);

function safe(value: number): number {
  if (!Number.isSafeInteger(value)) {
    throw failure('OC-SHAPE-03', { op: 'size', reason: `${value} is outside ±2^53` });
  }
  return value === 0 ? 0 : value;
}

/** A term with its key. */
export function makeTerm(coefficient: number, atoms: readonly Atom[]): Term {
  return { coefficient, atoms, key: atoms.map((atom) => atom.key).join('*') };
}

function makeSum(constant: number, terms: readonly Term[]): Expression {
  if (terms.length === 0) return safe(constant);
  const parts = terms.map((t) => (t.coefficient === 1 ? t.key : `${t.coefficient}*${t.key}`));
  if (constant !== 0) parts.push(String(constant));
  return { kind: 'sum', constant: safe(constant), terms, key: `(${parts.join('+')})` };
}

const constantOf = (e: Expression): number => (typeof e === 'number' ? e : e.constant);
export const termsOf = (e: Expression): readonly Term[] => (typeof e === 'number' ? [] : e.terms);

/** One atom as an expression. */
export function fromAtom(atom: Atom): Expression {
  return makeSum(0, [makeTerm(1, [atom])]);
}

/** A named variable as an expression. Loop indices give `extent`, sizes do not. */
export function variable(name: string, extent?: Expression, minimum = 0): Expression {
  const atom: Variable = { kind: 'variable', name, minimum, key: name };
  return fromAtom(extent === undefined ? atom : { ...atom, extent });
}

function collect(constant: number, terms: readonly Term[]): Expression {
  const merged = new Map<string, Term>();
  for (const term of terms) {
    const seen = merged.get(term.key);
    const coefficient = safe((seen?.coefficient ?? 0) + term.coefficient);
    merged.set(term.key, { ...term, coefficient });
  }
  const kept = [...merged.values()].filter((term) => term.coefficient !== 0);
  kept.sort((a, b) => (a.key < b.key ? -1 : 1));
  return makeSum(constant, kept);
}

export function add(...parts: readonly Expression[]): Expression {
  const constant = parts.reduce<number>((total, part) => total + constantOf(part), 0);
  return collect(constant, parts.flatMap(termsOf));
}

export function multiply(...factors: readonly Expression[]): Expression {
  return factors.reduce<Expression>(multiplyTwo, 1);
}

function multiplyTwo(a: Expression, b: Expression): Expression {
  if (typeof a === 'number' && typeof b === 'number') return safe(a * b);
  if (a === 1) return b;
  if (b === 1) return a;
  const left = [...termsOf(a), makeTerm(constantOf(a), [])];
  const right = [...termsOf(b), makeTerm(constantOf(b), [])];
  const products = left.flatMap((l) =>
    right.map((r) => {
      const atoms = [...l.atoms, ...r.atoms].sort((x, y) => (x.key < y.key ? -1 : 1));
      return makeTerm(safe(l.coefficient * r.coefficient), atoms);
    }),
  );
  const constants = products.filter((term) => term.atoms.length === 0);
  return collect(
    constants.reduce((total, term) => total + term.coefficient, 0),
    products.filter((term) => term.atoms.length > 0),
  );
}

export const negate = (a: Expression): Expression => multiplyTwo(-1, a);
export const subtract = (a: Expression, b: Expression): Expression => add(a, negate(b));
export const product = (sizes: readonly Expression[]): Expression => multiply(...sizes);

function operation(kind: OperationKind, left: Expression, right: Expression): Expression {
  return fromAtom({ kind, left, right, key: `${kind}(${keyOf(left)},${keyOf(right)})` });
}

/** Divides one term by another when nothing remains. */
function divideTerm(term: Term, by: Term): Term | undefined {
  if (term.coefficient % by.coefficient !== 0) return undefined;
  const atoms = [...term.atoms];
  for (const atom of by.atoms) {
    const at = atoms.findIndex((candidate) => candidate.key === atom.key);
    if (at < 0) return undefined;
    atoms.splice(at, 1);
  }
  return makeTerm(term.coefficient / by.coefficient, atoms);
}

function asTerms(e: Expression): readonly Term[] {
  const constant = constantOf(e);
  return constant === 0 ? termsOf(e) : [...termsOf(e), makeTerm(constant, [])];
}

function leadingTerm(e: Expression): Term {
  const terms = [...asTerms(e)].sort((a, b) => b.atoms.length - a.atoms.length);
  return terms[0] as Term;
}

/** One term as an expression. */
export const fromTerm = (term: Term): Expression =>
  term.atoms.length === 0 ? term.coefficient : makeSum(0, [term]);

/** Splits a = quotient · d + remainder by taking out every term that d's leading term divides. */
function longDivide(a: Expression, d: Expression): readonly [Expression, Expression] {
  const lead = leadingTerm(d);
  let quotient: Expression = 0;
  let remainder = a;
  for (let step = 0; step < 16; step++) {
    const found = asTerms(remainder)
      .map((term) => divideTerm(term, lead))
      .find((term) => term !== undefined);
    if (found === undefined) break;
    const part = fromTerm(found);
    quotient = add(quotient, part);
    remainder = subtract(remainder, multiply(part, d));
  }
  return [quotient, remainder];
}

/** Takes apart constants: 7 = 1·4 + 3 for a constant divisor. */
function splitConstant(a: Expression, d: Expression): readonly [Expression, Expression] {
  if (typeof d !== 'number') return longDivide(a, d);
  const whole = asTerms(a).filter((term) => term.coefficient % d === 0);
  const quotient = add(...whole.map((t) => fromTerm(makeTerm(t.coefficient / d, t.atoms))), 0);
  const remainder = subtract(a, multiply(quotient, d));
  const extra = Math.floor(constantOf(remainder) / d);
  return [add(quotient, extra), subtract(remainder, extra * d)];
}

function inRange(e: Expression, d: Expression): boolean {
  return provablyAtLeast(e, 0) && provablyLess(e, d);
}

/** floor(a / d), d ≥ 1. */
export function floorDivide(a: Expression, d: Expression): Expression {
  // Nothing is ever walked along an axis of size 0, so any value does.
  if (d === 0) return 0;
  if (typeof a === 'number' && typeof d === 'number') return Math.floor(a / d);
  if (d === 1 || a === 0) return a;
  if (equal(a, d)) return 1;
  const [quotient, remainder] = splitConstant(a, d);
  if (inRange(remainder, d)) return quotient;
  const single = typeof d === 'number' || asTerms(d).length === 1;
  const [kept, left] = single ? [quotient, remainder] : [0, a];
  return add(kept, divideRest(left, d));
}

function divideRest(a: Expression, d: Expression): Expression {
  if (typeof d === 'number') {
    const common = asTerms(a).reduce((g, term) => commonDivisor(g, term.coefficient), d);
    if (common > 1) {
      const smaller = asTerms(a).map((t) => fromTerm(makeTerm(t.coefficient / common, t.atoms)));
      return floorDivide(add(...smaller), d / common);
    }
    const only = onlyAtom(a);
    if (only?.kind === 'floorDivide' && typeof only.right === 'number') {
      return floorDivide(only.left, only.right * d);
    }
  }
  return operation('floorDivide', a, d);
}

function onlyAtom(e: Expression): Atom | undefined {
  const terms = asTerms(e);
  const term = terms[0];
  if (terms.length !== 1 || term?.coefficient !== 1 || term.atoms.length !== 1) return undefined;
  return term.atoms[0];
}

/** a − d·floor(a / d), d ≥ 1: in [0, d). */
export function modulo(a: Expression, d: Expression): Expression {
  if (d === 0) return 0;
  if (typeof a === 'number' && typeof d === 'number') return a - d * Math.floor(a / d);
  if (d === 1 || equal(a, d)) return 0;
  const [, remainder] = splitConstant(a, d);
  if (inRange(remainder, d)) return remainder;
  const single = typeof d === 'number' || asTerms(d).length === 1;
  return operation('modulo', single ? remainder : a, d);
}

export const ceilDivide = (a: Expression, d: Expression): Expression =>
  floorDivide(add(a, subtract(d, 1)), d);

export function minimum(a: Expression, b: Expression): Expression {
  if (equal(a, b) || provablyAtLeast(b, a)) return a;
  if (provablyAtLeast(a, b)) return b;
  return operation('minimum', a, b);
}

export function maximum(a: Expression, b: Expression): Expression {
  if (equal(a, b) || provablyAtLeast(a, b)) return a;
  if (provablyAtLeast(b, a)) return b;
  return operation('maximum', a, b);
}

/** 1 where a < b, else 0. */
export function lessThan(a: Expression, b: Expression): Expression {
  if (provablyLess(a, b)) return 1;
  if (provablyAtLeast(a, b)) return 0;
  return operation('lessThan', a, b);
}

/** 1 where a = b, else 0. */
export function equalTo(a: Expression, b: Expression): Expression {
  if (equal(a, b)) return 1;
  if (provablyLess(a, b) || provablyLess(b, a)) return 0;
  return operation('equalTo', a, b);
}

/** a where the condition (0 or 1) is 1, else b. */
export const choose = (condition: Expression, a: Expression, b: Expression): Expression =>
  add(b, multiply(condition, subtract(a, b)));

/** Whether a < b for every value that the variables may take. False means "not proven". */
export const provablyLess = (a: Expression, b: Expression): boolean =>
  lowerBound(subtract(b, a)) >= 1;

/** Whether a ≥ b for every value that the variables may take. False means "not proven". */
export const provablyAtLeast = (a: Expression, b: Expression): boolean =>
  lowerBound(subtract(a, b)) >= 0;

/** A number that the expression never falls below; −Infinity when none is known. */
export function lowerBound(e: Expression): number {
  let current = e;
  // Each round replaces loop indices by their worst values, so that symbols can cancel.
  for (let round = 0; round < 8; round++) {
    if (typeof current === 'number') return current;
    const next: Expression = add(current.constant, ...current.terms.map(worstTerm));
    if (equal(next, current)) break;
    current = next;
  }
  if (typeof current === 'number') return current;
  return current.terms.reduce((total, term) => total + termRange(term)[0], current.constant);
}

/** A number that the expression never exceeds; Infinity when none is known. */
export const upperBound = (e: Expression): number => -lowerBound(negate(e));

function worstTerm(term: Term): Expression {
  const at = term.atoms.findIndex((atom) => worstOf(atom, term.coefficient) !== undefined);
  const others = term.atoms.filter((_, i) => i !== at);
  if (at < 0 || others.some((atom) => atomRange(atom)[0] < 0)) return fromTerm(term);
  const worst = worstOf(term.atoms[at] as Atom, term.coefficient) as Expression;
  return multiply(worst, fromTerm(makeTerm(term.coefficient, others)));
}

function worstOf(atom: Atom, coefficient: number): Expression | undefined {
  if (atom.kind === 'variable') {
    if (atom.extent === undefined) return undefined;
    return coefficient > 0 ? atom.minimum : subtract(atom.extent, 1);
  }
  if (atom.kind === 'modulo') return coefficient > 0 ? 0 : subtract(atom.right, 1);
  return undefined;
}

function termRange(term: Term): readonly [number, number] {
  let low = term.coefficient;
  let high = term.coefficient;
  for (const atom of term.atoms) {
    const [a, b] = atomRange(atom);
    const corners = [low * a, low * b, high * a, high * b].map((x) => (Number.isNaN(x) ? 0 : x));
    low = Math.min(...corners);
    high = Math.max(...corners);
  }
  return [low, high];
}

function rangeOf(e: Expression): readonly [number, number] {
  return [lowerBound(e), upperBound(e)];
}

function atomRange(atom: Atom): readonly [number, number] {
  if (atom.kind === 'variable') {
    const high = atom.extent === undefined ? Number.POSITIVE_INFINITY : upperBound(atom.extent) - 1;
    return [atom.minimum, high];
  }
  if (atom.kind === 'lessThan' || atom.kind === 'equalTo') return [0, 1];
  const [a, b] = rangeOf(atom.left);
  const [c, d] = rangeOf(atom.right);
  if (atom.kind === 'minimum') return [Math.min(a, c), Math.min(b, d)];
  if (atom.kind === 'maximum') return [Math.max(a, c), Math.max(b, d)];
  if (atom.kind === 'modulo') return [0, Math.max(d - 1, 0)];
  if (a < 0) return [Number.NEGATIVE_INFINITY, Math.max(b, 0)];
  return [d === Number.POSITIVE_INFINITY ? 0 : Math.floor(a / d), Math.floor(b / Math.max(c, 1))];
}
