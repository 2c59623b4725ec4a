/** Statements of a tile program as C. */

import { internal } from '../base/errors.js';
import { add, type Expression } from '../base/expression.js';
import { bytesOfMemory } from '../base/memory-type.js';
import { countUses } from '../kernel/dead-code.js';
import { lineBytes } from '../kernel/streaming.js';
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
  shortElement,
  stepName,
  tileOf,
  type Value,
} from './c-kernel.js';
import { endMatrixBlock, printMatrixLet, printMatrixStatement } from './c-matrix.js';
import { operationParts } from './c-operation.js';

type Of<K extends Statement['kind']> = Extract<Statement, { readonly kind: K }>;

/** Appends the C of the statements to the kernel. */
export function printStatements(k: Kernel, statements: readonly Statement[]): void {
  for (const [at, statement] of statements.entries()) {
    const isMatrix =
      statement.kind === 'let'
        ? printMatrixLet(k, statement, statements[at + 1])
        : printMatrixStatement(k, statement);
    if (isMatrix) continue;
    if (statement.kind === 'let' && isNameless(k, statement, statements, at)) {
      const { id, type, operation } = statement;
      const layout = layoutOf(type.shape, k.program.lanes);
      k.values.set(id, { type, layout, parts: operationParts(k, id, type, operation) });
    } else printStatement(k, statement, statements[at + 1]);
  }
  endMatrixBlock(k, statements);
}

/** Whether a value's text stands at its uses: no variable of its own. */
function isNameless(
  k: Kernel,
  s: Of<'let'>,
  statements: readonly Statement[],
  at: number,
): boolean {
  const { operation } = s;
  if (operation.kind === 'literal') return true;
  if (operation.kind === 'read') {
    return outlives(s.id, operation.variable, statements.slice(at + 1));
  }
  return feedsDot(k, s, statements, at);
}

/** Whether a value read from a variable has no use after the variable's next change. */
function outlives(id: ValueId, variable: number, after: readonly Statement[]): boolean {
  const change = after.findIndex((s) => assigns(s, variable));
  if (change < 0) return true;
  // A single assignment still reads the old content; of a block that is not known.
  const from = after[change]?.kind === 'assign' ? change + 1 : change;
  return !countUses(after.slice(from)).has(id);
}

function assigns(s: Statement, variable: number): boolean {
  const inside = (list: readonly Statement[]): boolean => list.some((t) => assigns(t, variable));
  if (s.kind === 'assign') return s.variable === variable;
  if (s.kind === 'for') return inside(s.body);
  if (s.kind === 'while') return inside(s.head) || inside(s.body);
  return s.kind === 'if' && (inside(s.then) || inside(s.else));
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

function printStatement(k: Kernel, s: Statement, next: Statement | undefined): void {
  switch (s.kind) {
    case 'let':
      printLet(k, s, next);
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
      const lines = storeStatements(k, s.access, value, s.streaming ?? 0);
      for (const line of lines) k.line(line);
      break;
    }
    case 'touch': {
      const perLine = lineBytes / bytesOfMemory[memoryOf(k, s.buffer)];
      const cache = s.isLater === true ? ', 0, 2' : '';
      for (let at = 0; at < s.count; at += perLine) {
        const pointer = `${bufferName(s.buffer)} + ${indexText(add(s.address, at))}`;
        k.line(`__builtin_prefetch(${pointer}${cache});`);
      }
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

/** A name that `declare` gave to a value, not to a variable. */
const constantName = /^v\d+_\d+$/;

/** Declares the parts of a tile as C variables; returns them as a value. */
function declare(
  k: Kernel,
  name: string,
  type: TileType,
  text: (index: number, layout: Value['layout']) => string,
  qualifier = '',
  element?: 'u16',
): Value {
  const layout = layoutOf(type.shape, k.program.lanes);
  const c =
    element === undefined
      ? partType(k, type.dtype, layout.width)
      : k.prelude.type(element, layout.width);
  const made = new Map<string, string>();
  const parts = Array.from({ length: partCount(layout) }, (_, index) => {
    const part = text(index, layout);
    // What never changes needs one name only.
    const known = qualifier === '' ? undefined : constantName.test(part) ? part : made.get(part);
    if (known !== undefined) return known;
    k.line(`${qualifier}${c} ${name}_${index} = ${part};`);
    made.set(part, `${name}_${index}`);
    return `${name}_${index}`;
  });
  return element === undefined ? { type, layout, parts } : { type, layout, parts, element };
}

/** Whether a dot's result replaces the variable that holds its accumulator, and nothing else. */
function isInPlace(k: Kernel, s: Of<'let'>, next: Statement | undefined): boolean {
  if (s.operation.kind !== 'dot' || next?.kind !== 'assign' || next.value !== s.id) return false;
  const variable = k.variables.get(next.variable);
  const { parts } = tileOf(k, s.operation.accumulator);
  return k.uses.get(s.id) === 1 && parts.every((part, i) => part === variable?.parts[i]);
}

function printLet(k: Kernel, s: Of<'let'>, next: Statement | undefined): void {
  const inPlace = isInPlace(k, s, next);
  const texts = operationParts(k, s.id, s.type, s.operation, inPlace);
  // These have declared their own variables.
  if (s.operation.kind === 'dot' || s.operation.kind === 'scan') {
    const layout = layoutOf(s.type.shape, k.program.lanes);
    k.values.set(s.id, { type: s.type, layout, parts: texts });
    return;
  }
  const element = shortElement(k, s.id, s.type);
  const text = (index: number) => texts[index] as string;
  k.values.set(s.id, declare(k, `v${s.id}`, s.type, text, 'const ', element));
}

function printAssign(k: Kernel, s: Of<'assign'>): void {
  const variable = k.variables.get(s.variable);
  if (variable === undefined) throw internal(`variable ${s.variable} is not made`);
  const value = tileOf(k, s.value);
  for (const [index, part] of variable.parts.entries()) {
    const text = fit(k, value, variable.layout, index);
    if (text !== part) k.line(`${part} = ${text};`);
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
