/** Index expressions as tile arithmetic: where an address is no linear function of the lane. */
import {
  type Atom,
  type Expression,
  provablyAtLeast,
  type Term,
  termsOf,
  variablesOf,
} from '../base/expression.js';
import type { KernelBuilder, Value } from './builder.js';

/** The tile of lane numbers that a variable stands for; undefined for uniform ones. */
export type LaneValue = (name: string) => Value | undefined;

/** An expression as index-typed operations: uniform where no variable is a lane. */
export function emitIndex(b: KernelBuilder, e: Expression, lane: LaneValue): Value {
  const moving = [...variablesOf(e).keys()].some((name) => lane(name) !== undefined);
  if (!moving) return b.scalar(e);
  const uniform: Value[] = [];
  const parts: Value[] = [];
  const constant = typeof e === 'number' ? e : e.constant;
  for (const term of termsOf(e)) parts.push(emitTerm(b, term, lane));
  if (constant !== 0) uniform.push(b.scalar(constant));
  return [...uniform, ...parts].reduce((sum, part) => b.add(sum, part));
}

function emitTerm(b: KernelBuilder, term: Term, lane: LaneValue): Value {
  const atoms = term.atoms.map((atom) => emitAtom(b, atom, lane));
  const scaled = term.coefficient === 1 ? atoms : [b.scalar(term.coefficient), ...atoms];
  return scaled.reduce((product, factor) => b.multiply(product, factor));
}

function emitAtom(b: KernelBuilder, atom: Atom, lane: LaneValue): Value {
  if (atom.kind === 'variable') {
    return (
      lane(atom.name) ??
      b.scalar({
        kind: 'sum',
        constant: 0,
        terms: [{ coefficient: 1, atoms: [atom], key: atom.key }],
        key: `(${atom.key})`,
      })
    );
  }
  const left = emitIndex(b, atom.left, lane);
  const right = emitIndex(b, atom.right, lane);
  const one = b.scalar(1);
  const zero = b.scalar(0);
  switch (atom.kind) {
    case 'lessThan':
      return b.select(b.less(left, right), one, zero);
    case 'equalTo':
      return b.select(b.equal(left, right), one, zero);
    case 'minimum':
    case 'maximum':
      return b.binary(atom.kind, left, right);
    default: {
      const positive = provablyAtLeast(atom.left, 0);
      const remainder = b.binary('remainder', left, right);
      const wrapped = positive
        ? remainder
        : b.select(b.less(remainder, zero), b.add(remainder, right), remainder);
      if (atom.kind === 'modulo') return wrapped;
      return b.divide(positive ? left : b.subtract(left, wrapped), right);
    }
  }
}
