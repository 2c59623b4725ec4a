/** Names that a kernel's expressions use but do not bind: its size parameters. */
import { type Expression, variablesOf } from '../base/expression.js';
import type { Access, GridAxis, Operation, Statement } from './tile.js';

interface Found {
  readonly used: Set<string>;
  readonly bound: Set<string>;
}

function fromExpression(found: Found, e: Expression | undefined): void {
  if (e === undefined) return;
  for (const name of variablesOf(e).keys()) found.used.add(name);
}

function fromAccess(found: Found, access: Access): void {
  fromExpression(found, access.address);
  fromExpression(found, access.later);
  for (const stride of access.strides) fromExpression(found, stride);
  for (const limit of access.limits ?? []) {
    fromExpression(found, limit.low);
    fromExpression(found, limit.high);
  }
}

function fromOperation(found: Found, operation: Operation): void {
  if (operation.kind === 'scalar') fromExpression(found, operation.expression);
  if ('access' in operation) fromAccess(found, operation.access);
}

function fromStatement(found: Found, statement: Statement): void {
  switch (statement.kind) {
    case 'let':
      fromOperation(found, statement.operation);
      return;
    case 'name':
      found.bound.add(statement.name);
      return;
    case 'store':
      fromAccess(found, statement.access);
      fromExpression(found, statement.streaming);
      return;
    case 'touch':
      fromExpression(found, statement.address);
      return;
    case 'for':
      found.bound.add(statement.index);
      for (const e of [statement.start, statement.end, statement.step]) fromExpression(found, e);
      fromStatements(found, statement.body);
      return;
    case 'while':
      fromStatements(found, statement.head);
      fromStatements(found, statement.body);
      return;
    case 'if': {
      const { condition } = statement;
      if (typeof condition === 'number' || !('value' in condition)) {
        fromExpression(found, condition);
      }
      fromStatements(found, statement.then);
      fromStatements(found, statement.else);
      return;
    }
    default:
      return;
  }
}

function fromStatements(found: Found, statements: readonly Statement[]): void {
  for (const statement of statements) fromStatement(found, statement);
}

/** Sorted names of the sizes that a kernel needs as arguments. */
export function freeVariables(grid: readonly GridAxis[], body: readonly Statement[]): string[] {
  const found: Found = { used: new Set(), bound: new Set() };
  for (const axis of grid) {
    fromExpression(found, axis.extent);
    found.bound.add(axis.name);
  }
  fromStatements(found, body);
  return [...found.used].filter((name) => !found.bound.has(name)).sort();
}
