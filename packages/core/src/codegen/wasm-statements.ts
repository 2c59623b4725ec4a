/** Statements of a tile program as WebAssembly. */

import { internal } from '../base/errors.js';
import {
  add,
  type Expression,
  lowerBound,
  modulo,
  multiply,
  subtract,
  variable,
} from '../base/expression.js';
import type { Statement, VariableId } from '../kernel/tile.js';
import { type Context, valueNamed } from './wasm-context.js';
import {
  append,
  block,
  branch,
  type Code,
  constant32,
  getLocal,
  instruction,
  loop,
  setLocal,
} from './wasm-encode.js';
import { store } from './wasm-memory.js';
import type { Opcode } from './wasm-opcodes.js';
import { operation } from './wasm-operations.js';
import { atomic, atomicUpdate, scatter } from './wasm-scatter.js';
import { anyTrue } from './wasm-tile.js';
import { touch } from './wasm-touch.js';
import { elementOf, isVector, pieceCount, pieceType, type Value, vectorOf } from './wasm-value.js';

export function statements(c: Context, body: readonly Statement[]): void {
  for (const s of body) statement(c, s);
}

function statement(c: Context, s: Statement): void {
  switch (s.kind) {
    case 'let':
      c.values.set(s.id, operation(c, s.id, s.type, s.operation));
      return;
    case 'name':
      c.index.rebind(s.name, c.f.define(c.index.type, indexOf(c, valueNamed(c, s.value))));
      return;
    case 'variable': {
      const count = pieceCount(s.type, c.lanes);
      const type = pieceType(s.type, c.lanes);
      const locals = Array.from({ length: count }, () => c.f.newLocal(type));
      c.variables.set(s.id, { type: s.type, locals });
      assign(c, s.id, valueNamed(c, s.initial));
      return;
    }
    case 'assign':
      assign(c, s.variable, valueNamed(c, s.value));
      return;
    case 'store':
      store(c, s.access, valueNamed(c, s.value));
      return;
    case 'touch':
      touch(c, s);
      return;
    case 'scatter':
      scatter(c, s);
      return;
    case 'atomic':
      atomic(c, s);
      return;
    case 'for':
      forLoop(c, s);
      return;
    case 'while':
      whileLoop(c, s);
      return;
    case 'if':
      c.f.branch(
        conditionOf(c, s.condition),
        () => statements(c, s.then),
        () => statements(c, s.else),
      );
      return;
    case 'fail':
      fail(c, valueNamed(c, s.when), s.code);
      return;
    default:
      throw internal(`unknown tile statement ${(s as { kind: string }).kind}`);
  }
}

function indexOf(c: Context, value: Value): Code {
  const code = elementOf(value, c.lanes, 0);
  const { dtype } = value.type;
  const wide = dtype === 'i64' || dtype === 'u64';
  if (wide === (c.index.type === 'i64')) return code;
  if (wide) return instruction('i32.wrap_i64', code);
  return instruction(dtype === 'u32' ? 'i64.extend_i32_u' : 'i64.extend_i32_s', code);
}

function conditionOf(c: Context, condition: Extract<Statement, { kind: 'if' }>['condition']): Code {
  if (typeof condition === 'object' && 'value' in condition) {
    return elementOf(valueNamed(c, condition.value), c.lanes, 0);
  }
  return c.f.define('i32', c.index.condition(condition));
}

function assign(c: Context, id: VariableId, value: Value): void {
  const found = c.variables.get(id);
  if (found === undefined) throw internal(`variable ${id} is assigned before it is made`);
  const vector = isVector(found.type, c.lanes);
  found.locals.forEach((local, i) => {
    const piece = vector ? vectorOf(c.f, value, c.lanes, i) : elementOf(value, c.lanes, i);
    c.f.emit(setLocal(local, piece));
  });
}

function fail(c: Context, when: Value, code: number): void {
  if (c.status === undefined) throw internal('a kernel that may fail does not say so');
  const write = atomicUpdate(c, 'minimum', 'i32', c.status, constant32(code));
  c.f.emit(branch(anyTrue(when), write));
}

type For = Extract<Statement, { kind: 'for' }>;

function forLoop(c: Context, s: For): void {
  const [start, end, step] = [s.start, s.end, s.step].map((e) => c.index.resolve(e)) as [
    Expression,
    Expression,
    Expression,
  ];
  const copies = s.unroll ?? 1;
  const trip = subtract(end, start);
  const whole = modulo(trip, multiply(step, copies)) === 0;
  if (copies <= 1) {
    countedLoop(c, s, { start, end, step }, 1);
    return;
  }
  const reached = countedLoop(c, s, { start, end, step }, copies);
  if (whole) return;
  const rest = `${s.index}#rest`;
  c.index.rebind(rest, getLocal(reached));
  const from = c.index.resolve(variable(rest, undefined, Math.max(0, lowerBound(start))));
  countedLoop(c, s, { start: from, end, step }, 1);
}

/** `copies` iterations at once while that many are left; gives the local of the index. */
function countedLoop(
  c: Context,
  s: For,
  { start, end, step }: { start: Expression; end: Expression; step: Expression },
  copies: number,
): number {
  const { f, index } = c;
  const op = (suffix: string): Opcode => `${index.type}.${suffix}` as Opcode;
  const counter = f.newLocal(index.type);
  const stride = multiply(step, copies);
  const limit = f.define(index.type, index.value(subtract(end, multiply(step, copies - 1))));
  const advance = f.define(index.type, index.value(stride));
  f.emit(setLocal(counter, index.value(start)));
  let depth = 0;
  const scope = f.inScope(() => {
    depth = f.depth;
    index.bind(s.index, getLocal(counter));
    index.follow(s.index, start, stride);
    statements(c, s.body);
    for (let copy = 1; copy < copies; copy++) {
      const own = variable(s.index, undefined, lowerBound(start));
      index.withAlias(s.index, add(own, multiply(step, copy)), () => statements(c, s.body));
    }
  });
  index.unfollow(depth);
  const more = instruction(op('lt_s'), getLocal(counter), limit);
  const body: number[] = [];
  append(body, scope.body);
  append(body, scope.after);
  append(body, setLocal(counter, instruction(op('add'), getLocal(counter), advance)));
  append(body, jumpIf(more, 0));
  f.emit(scope.before);
  f.emit(branch(more, loop(body)));
  return counter;
}

const jumpIf = (condition: Code, levels: number): Code => [
  ...instruction('br_if', condition),
  levels,
];

function whileLoop(c: Context, s: Extract<Statement, { kind: 'while' }>): void {
  const scope = c.f.inScope(() => {
    statements(c, s.head);
    const condition = elementOf(valueNamed(c, s.condition), c.lanes, 0);
    c.f.emit(jumpIf(instruction('i32.eqz', condition), 1));
    statements(c, s.body);
  });
  c.f.emit(scope.before);
  c.f.emit(block(loop([...scope.body, ...instruction('br'), 0])));
}
