/** Integer expressions as text of a C-like language; the language gives its operators. */

import { internal } from '../base/errors.js';
import { type Atom, type Expression, provablyAtLeast } from '../base/expression.js';

/** How a language writes integer arithmetic. Arguments are complete, safely nested texts. */
export interface ExpressionTokens {
  variable(name: string): string;
  literal(value: number): string;
  /** Both operands ≥ 0, the divisor > 0: what the language's own operators give. */
  divide(left: string, right: string): string;
  modulo(left: string, right: string): string;
  /** Rounds down, and a remainder ≥ 0, for a left side of any sign. */
  floorDivide(left: string, right: string): string;
  floorModulo(left: string, right: string): string;
  minimum(left: string, right: string): string;
  maximum(left: string, right: string): string;
  /** Integer 1 or 0. */
  lessThan(left: string, right: string): string;
  equalTo(left: string, right: string): string;
}

const identifier = /^[A-Za-z_]\w*$/;

/** Passes a generated name through; text that is no identifier never reaches a source. */
export function checkedName(name: string): string {
  if (!identifier.test(name)) throw internal(`not an identifier: ${name}`);
  return name;
}

/** Tokens of C and its relatives, given functions for what has no operator there. */
export const cLikeTokens: ExpressionTokens = {
  variable: checkedName,
  literal: String,
  divide: (left, right) => `(${left} / ${right})`,
  modulo: (left, right) => `(${left} % ${right})`,
  floorDivide: (left, right) => `floor_divide(${left}, ${right})`,
  floorModulo: (left, right) => `floor_modulo(${left}, ${right})`,
  minimum: (left, right) => `min(${left}, ${right})`,
  maximum: (left, right) => `max(${left}, ${right})`,
  lessThan: (left, right) => `(${left} < ${right} ? 1 : 0)`,
  equalTo: (left, right) => `(${left} == ${right} ? 1 : 0)`,
};

/** Text of an expression; wrapped in parentheses unless it is a single name or literal ≥ 0. */
export function printExpression(e: Expression, tokens: ExpressionTokens): string {
  if (typeof e === 'number') return e < 0 ? `(${tokens.literal(e)})` : tokens.literal(e);
  const parts = e.terms.map((term) => {
    const atoms = term.atoms.map((atom) => printAtom(atom, tokens)).join(' * ');
    const size = Math.abs(term.coefficient);
    const text = size === 1 ? atoms : `${atoms} * ${tokens.literal(size)}`;
    return { negative: term.coefficient < 0, text };
  });
  if (e.constant !== 0) {
    parts.push({ negative: e.constant < 0, text: tokens.literal(Math.abs(e.constant)) });
  }
  // A leading plus spares a unary minus, whose meaning on unsigned types differs by language.
  const ordered = [...parts.filter((p) => !p.negative), ...parts.filter((p) => p.negative)];
  const text = ordered.reduce((line, { negative, text: part }, i) => {
    if (i > 0) return `${line} ${negative ? '-' : '+'} ${part}`;
    return negative ? `${tokens.literal(0)} - ${part}` : part;
  }, '');
  return identifier.test(text) || isAtom(e) ? text : `(${text})`;
}

/** Whether the text is that of one atom, which brings its own parentheses. */
function isAtom(e: Expression): boolean {
  if (typeof e === 'number' || e.constant !== 0 || e.terms.length !== 1) return false;
  const [term] = e.terms;
  return term?.coefficient === 1 && term.atoms.length === 1;
}

/** Text without the parentheses around the whole of it. */
export function unwrapped(text: string): string {
  if (!text.startsWith('(') || !text.endsWith(')')) return text;
  let depth = 0;
  for (let i = 0; i < text.length - 1; i++) {
    if (text[i] === '(') depth++;
    else if (text[i] === ')') depth--;
    if (depth === 0) return text;
  }
  return text.slice(1, -1);
}

function printAtom(atom: Atom, tokens: ExpressionTokens): string {
  if (atom.kind === 'variable') return tokens.variable(atom.name);
  const left = printExpression(atom.left, tokens);
  const right = printExpression(atom.right, tokens);
  const plain = provablyAtLeast(atom.left, 0);
  switch (atom.kind) {
    case 'floorDivide':
      return plain ? tokens.divide(left, right) : tokens.floorDivide(left, right);
    case 'modulo':
      return plain ? tokens.modulo(left, right) : tokens.floorModulo(left, right);
    case 'minimum':
      return tokens.minimum(left, right);
    case 'maximum':
      return tokens.maximum(left, right);
    case 'lessThan':
      return tokens.lessThan(left, right);
    case 'equalTo':
      return tokens.equalTo(left, right);
  }
}
