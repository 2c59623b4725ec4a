/** Removes values of a kernel that nothing uses. Takes and gives statements. */
import type { Statement, ValueId } from './tile.js';

/** Fields of operations and statements that name a value. */
const operandFields: ReadonlySet<string> = new Set(
  'a b c condition accumulator index mask value when initial'.split(' '),
);

/** How often each value is an operand, in all statements and the statements inside them. */
export function countUses(statements: readonly Statement[]): Map<ValueId, number> {
  const uses = new Map<ValueId, number>();
  const visit = (thing: unknown): void => {
    if (Array.isArray(thing)) for (const item of thing) visit(item);
    else if (typeof thing === 'object' && thing !== null) eachOperand(thing, count, visit);
  };
  const count = (id: ValueId): void => {
    uses.set(id, (uses.get(id) ?? 0) + 1);
  };
  visit(statements);
  return uses;
}

/** Calls `operand` with the values that a part of a kernel names, and `inner` with its parts. */
function eachOperand(
  thing: object,
  operand: (id: ValueId) => void,
  inner: (part: object) => void,
): void {
  // Its value is a number, not a name.
  if ('kind' in thing && thing.kind === 'literal') return;
  for (const [field, value] of Object.entries(thing)) {
    if (typeof value === 'number' && operandFields.has(field)) operand(value);
    else if (typeof value === 'object' && value !== null && !isExpression(value)) inner(value);
  }
}

/** Expressions name no values, and walking them would take most of the time. */
const isExpression = (value: object): boolean =>
  'kind' in value && (value as { readonly kind: unknown }).kind === 'sum';

/** No operation of a `let` has an effect: an unused one goes, and what only it used. */
export function withoutDead(statements: readonly Statement[]): readonly Statement[] {
  const uses = countUses(statements);
  const drop = (part: object): void => {
    eachOperand(part, (id) => uses.set(id, (uses.get(id) ?? 0) - 1), drop);
  };
  const sweep = (list: readonly Statement[]): readonly Statement[] => {
    const kept: Statement[] = [];
    // Backwards: users follow what they use.
    for (const statement of [...list].reverse()) {
      if (statement.kind === 'let' && (uses.get(statement.id) ?? 0) === 0) {
        drop(statement.operation);
        continue;
      }
      kept.push(sweepInside(statement));
    }
    return kept.reverse();
  };
  const sweepInside = (s: Statement): Statement => {
    if (s.kind === 'for') return { ...s, body: sweep(s.body) };
    if (s.kind === 'if') return { ...s, then: sweep(s.then), else: sweep(s.else) };
    // The body runs after the head and may use its values.
    if (s.kind !== 'while') return s;
    const body = sweep(s.body);
    return { ...s, head: sweep(s.head), body };
  };
  return sweep(statements);
}
