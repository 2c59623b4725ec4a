/** Statements of a tile program as C. */

import { internal } from '../base/errors.js';
import type { Expression } from '../base/expression.js';
import type { Statement, TileType, ValueId } from '../kernel/tile.js';
import { storeStatements } from './c-access.js';
import * as functions from './c-functions.js';
import {
  bufferName,
  extentName,
  fit,
  indexName,
  indexText,
  type Kernel,
  layoutOf,
  memoryOf,
  partCount,
  partType,
  stepName,
  tileOf,
  type Value,
} from './c-kernel.js';
import { operationParts } from './c-operation.js';

type Of<K extends Statement['kind']> = Extract<Statement, { readonly kind: K }>;

/** Appends the C of the statements to the kernel. */
export function printStatements(k: Kernel, statements: readonly Statement[]): void {
  for (const [at, statement] of statements.entries()) {
    if (statement.kind === 'let' && feedsDot(k, statement, statements, at)) {
      const { id, type, operation } = statement;
      const layout = layoutOf(type.shape, k.program.lanes);
      k.values.set(id, { type, layout, parts: operationParts(k, `v${id}`, type, operation) });
    } else printStatement(k, statement);
  }
}

/** Fields of operations and statements that name a value. */
const operandFields = new Set(
  'a b c condition accumulator index mask value when initial'.split(' '),
);

/** How often each value is an operand, in all statements and the statements inside them. */
export function countUses(statements: readonly Statement[]): ReadonlyMap<ValueId, number> {
  const uses = new Map<ValueId, number>();
  const visit = (thing: unknown): void => {
    if (Array.isArray(thing)) for (const item of thing) visit(item);
    else if (typeof thing === 'object' && thing !== null) {
      for (const [field, value] of Object.entries(thing)) {
        const operand = typeof value === 'number' && operandFields.has(field);
        if (operand) uses.set(value, (uses.get(value) ?? 0) + 1);
        else if (typeof value === 'object') visit(value);
      }
    }
  };
  visit(statements);
  return uses;
}

/**
 * Whether a scalar load is the left operand of one dot further on with nothing but values between
 * them: it is then written at its use, so that it does not hold a register until there.
 */
function feedsDot(k: Kernel, s: Of<'let'>, statements: readonly Statement[], at: number): boolean {
  if (s.operation.kind !== 'load' || k.uses.get(s.id) !== 1) return false;
  if (layoutOf(s.type.shape, k.program.lanes).width !== 1) return false;
  for (const next of statements.slice(at + 1)) {
    if (next.kind !== 'let') return false;
    if (next.operation.kind === 'dot') return next.operation.a === s.id;
  }
  return false;
}

function printStatement(k: Kernel, s: Statement): void {
  switch (s.kind) {
    case 'let':
      printLet(k, s);
      break;
    case 'name': {
      const value = fit(k, tileOf(k, s.value), layoutOf([], 1), 0);
      k.line(`const i64 ${indexName(s.name)} = (i64)${value};`);
      break;
    }
    case 'variable': {
      const initial = tileOf(k, s.initial);
      const parts = declare(k, `m${s.id}`, s.type, (index, layout) =>
        fit(k, initial, layout, index),
      );
      k.variables.set(s.id, parts);
      break;
    }
    case 'assign':
      printAssign(k, s);
      break;
    case 'store': {
      const value = tileOf(k, s.value);
      const lines = storeStatements(k, s.access, value.type, value.parts, s.streaming === true);
      for (const line of lines) k.line(line);
      break;
    }
    case 'scatter':
      eachLane(k, s, (index, value) => `${bufferName(s.buffer)}[${index}] = ${value};`);
      break;
    case 'atomic': {
      const call = functions.atomic(k.prelude, s.name, memoryOf(k, s.buffer));
      eachLane(k, s, (index, value) => `${call}(${bufferName(s.buffer)} + ${index}, ${value});`);
      break;
    }
    case 'for':
      printFor(k, s);
      break;
    case 'while':
      k.line('for (;;) {');
      printStatements(k, s.head);
      k.line(`if (!${fit(k, tileOf(k, s.condition), layoutOf([], 1), 0)}) break;`);
      printStatements(k, s.body);
      k.line('}');
      break;
    case 'if':
      k.line(`if (${conditionText(k, s.condition)}) {`);
      printStatements(k, s.then);
      if (s.else.length > 0) {
        k.line('} else {');
        printStatements(k, s.else);
      }
      k.line('}');
      break;
    case 'fail':
      k.line(`if (${anyText(k, tileOf(k, s.when))}) fail(status, ${s.code});`);
      break;
    default:
      neverStatement(s);
  }
}

function neverStatement(statement: never): never {
  throw internal(`statement without a text: ${JSON.stringify(statement)}`);
}

/** Declares the parts of a tile as C variables; returns them as a value. */
function declare(
  k: Kernel,
  name: string,
  type: TileType,
  text: (index: number, layout: Value['layout']) => string,
  qualifier = '',
): Value {
  const layout = layoutOf(type.shape, k.program.lanes);
  const c = partType(k, type.dtype, layout.width);
  const parts = Array.from({ length: partCount(layout) }, (_, index) => {
    k.line(`${qualifier}${c} ${name}_${index} = ${text(index, layout)};`);
    return `${name}_${index}`;
  });
  return { type, layout, parts };
}

function printLet(k: Kernel, s: Of<'let'>): void {
  const texts = operationParts(k, `v${s.id}`, s.type, s.operation);
  // These have declared their own variables.
  if (s.operation.kind === 'dot' || s.operation.kind === 'scan') {
    const layout = layoutOf(s.type.shape, k.program.lanes);
    k.values.set(s.id, { type: s.type, layout, parts: texts });
    return;
  }
  const value = declare(k, `v${s.id}`, s.type, (index) => texts[index] as string, 'const ');
  k.values.set(s.id, value);
}

function printAssign(k: Kernel, s: Of<'assign'>): void {
  const variable = k.variables.get(s.variable);
  if (variable === undefined) throw internal(`variable ${s.variable} is not made`);
  const value = tileOf(k, s.value);
  for (const [index, part] of variable.parts.entries()) {
    k.line(`${part} = ${fit(k, value, variable.layout, index)};`);
  }
}

function printFor(k: Kernel, s: Of<'for'>): void {
  const name = indexName(s.index);
  if (s.unroll !== undefined && s.unroll > 1) k.line(`#pragma GCC unroll ${s.unroll}`);
  const end = extentName(s.index);
  const step = stepName(s.index);
  const start = `${name} = ${indexText(s.start)}`;
  const bounds = `${end} = ${indexText(s.end)}, ${step} = ${indexText(s.step)}`;
  k.line(`for (i64 ${start}, ${bounds}; ${name} < ${end}; ${name} += ${step}) {`);
  printStatements(k, s.body);
  k.line('}');
}

function conditionText(k: Kernel, condition: Expression | { readonly value: ValueId }): string {
  if (typeof condition === 'number' || 'kind' in condition) return indexText(condition);
  return fit(k, tileOf(k, condition.value), layoutOf([], 1), 0);
}

function anyText(k: Kernel, value: Value): string {
  const { width } = value.layout;
  if (width === 1) return value.parts.join(' || ');
  return `${functions.any(k.prelude, k.mask, width)}(${value.parts.join(' | ')})`;
}

const elements = ({ layout, parts }: Value): number => layout.width * parts.length;

/** One statement per lane of index, value and mask, in order. */
function eachLane(
  k: Kernel,
  s: Of<'scatter'> | Of<'atomic'>,
  text: (index: string, value: string) => string,
): void {
  const indices = tileOf(k, s.index);
  const values = tileOf(k, s.value);
  const mask = s.mask === undefined ? undefined : tileOf(k, s.mask);
  const tiles = mask === undefined ? [indices, values] : [indices, values, mask];
  const { layout } = tiles.reduce((a, b) => (elements(b) > elements(a) ? b : a));
  const memory = memoryOf(k, s.buffer);
  const { dtype } = values.type;
  const lane = layout.width === 1 ? '' : '[lane]';
  for (let part = 0; part < partCount(layout); part++) {
    const index = `${fit(k, indices, layout, part)}${lane}`;
    const scalar = `${fit(k, values, layout, part)}${lane}`;
    const value = dtype === 'bool' ? `(${memory})(${scalar} & 1)` : `(${memory})${scalar}`;
    const body = text(index, value);
    const guarded = mask === undefined ? body : `if (${fit(k, mask, layout, part)}${lane}) ${body}`;
    if (layout.width === 1) k.line(guarded);
    else k.line(`for (int lane = 0; lane < ${layout.width}; ++lane) ${guarded}`);
  }
}
