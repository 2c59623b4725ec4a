/** Text of index expressions: one walk over the algebra, spelled by the language's syntax. */
import type { Atom, Expression, OperationKind, Term } from '../base/expression.js';

/** How a language spells the parts of an index expression. */
export interface IndexSyntax {
  literal(value: number): string;
  name(name: string): string;
  /** floorDivide and modulo round down; lessThan and equalTo give 0 or 1. */
  operation(kind: OperationKind, left: string, right: string): string;
}

/** Text of an expression; in brackets wherever it has more than one part. */
export function indexText(e: Expression, syntax: IndexSyntax): string {
  if (typeof e === 'number') return syntax.literal(e);
  const parts = e.terms.map((term) => termText(term, syntax));
  if (e.constant !== 0) parts.push(syntax.literal(e.constant));
  return parts.length === 1 ? (parts[0] as string) : `(${parts.join(' + ')})`;
}

function termText(term: Term, syntax: IndexSyntax): string {
  const factors = term.atoms.map((atom) => atomText(atom, syntax));
  if (term.coefficient !== 1) factors.push(syntax.literal(term.coefficient));
  return factors.length === 1 ? (factors[0] as string) : `(${factors.join(' * ')})`;
}

function atomText(atom: Atom, syntax: IndexSyntax): string {
  if (atom.kind === 'variable') return syntax.name(atom.name);
  return syntax.operation(
    atom.kind,
    indexText(atom.left, syntax),
    indexText(atom.right, syntax),
  );
}
