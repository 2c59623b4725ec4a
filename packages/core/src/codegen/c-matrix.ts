/**
 * Tiles that live in a matrix unit's registers: operands and accumulators of `dot … unit`. They are
 * loaded from memory, multiplied, and stored to memory; nothing else can be done with them.
 */
import { internal, tooLarge } from '../base/errors.js';
import { bytesOfMemory } from '../base/memory-type.js';
import type { Operation, Statement, ValueId, VariableId } from '../kernel/tile.js';
import { bufferName, indexText, type Kernel, memoryOf } from './c-kernel.js';
import type { MatrixState } from './c-matrix-state.js';
import { type TileRegisters, tileRegistersOf } from './c-units.table.js';

type Let = Extract<Statement, { readonly kind: 'let' }>;

/** All statements, inner ones too, in the order of the text. */
function* everyStatement(statements: readonly Statement[]): Generator<Statement> {
  for (const s of statements) {
    yield s;
    if (s.kind === 'for') yield* everyStatement(s.body);
    if (s.kind === 'while') yield* everyStatement([...s.head, ...s.body]);
    if (s.kind === 'if') yield* everyStatement([...s.then, ...s.else]);
  }
}

/** The state for a kernel that uses a matrix unit of the table; undefined for the others. */
export function matrixStateOf(
  body: readonly Statement[],
  uses: ReadonlyMap<ValueId, number>,
): MatrixState | undefined {
  const values = new Set<ValueId>();
  const zeros = new Set<ValueId>();
  const variables = new Set<VariableId>();
  const literals = new Set<ValueId>();
  const lets = new Map<ValueId, Let>();
  let machine: TileRegisters | undefined;
  const all = [...everyStatement(body)];
  for (const s of all) {
    if (s.kind !== 'let') continue;
    const { operation: o, id } = s;
    lets.set(id, s);
    if (o.kind === 'literal' && Number(o.value) === 0) literals.add(id);
    if (o.kind === 'broadcast' && literals.has(o.a)) zeros.add(id);
    if (o.kind !== 'dot' || o.unit === undefined) continue;
    const found = tileRegistersOf(o.unit);
    if (found === undefined) continue;
    machine = found;
    for (const value of [id, o.a, o.b, o.accumulator]) values.add(value);
    const from = lets.get(o.accumulator)?.operation;
    if (from?.kind === 'read') variables.add(from.variable);
  }
  if (machine === undefined) return undefined;
  for (const s of all) {
    if (s.kind === 'assign' && variables.has(s.variable)) values.add(s.value);
    if (s.kind === 'variable' && variables.has(s.id)) values.add(s.initial);
    if (s.kind === 'let' && s.operation.kind === 'read' && variables.has(s.operation.variable)) {
      values.add(s.id);
    }
  }
  const free = Array.from({ length: machine.count }, (_, tile) => tile);
  return {
    machine,
    variables,
    values,
    zeros,
    free,
    ofValue: new Map(),
    ofVariable: new Map(),
    pending: new Map(),
    left: new Map(uses),
    reads: new Map(),
  };
}

function take(m: MatrixState): number {
  const tile = m.free.shift();
  if (tile === undefined) throw tooLarge('tile registers', m.machine.count + 1, m.machine.count);
  return tile;
}

function give(m: MatrixState, tile: number): void {
  m.free.unshift(tile);
}

/** Pointer and stride in bytes of a plain access to a whole tile. */
function placeOf(k: Kernel, access: Extract<Operation, { kind: 'load' }>['access']) {
  const { buffer, address, strides, limits, mask } = access;
  const isPlain = strides.length === 2 && strides[1] === 1;
  if (!isPlain || limits !== undefined || mask !== undefined) {
    throw internal('a tile register takes whole tiles with rows of neighbours');
  }
  const bytes = bytesOfMemory[memoryOf(k, buffer)];
  return {
    pointer: `${bufferName(buffer)} + ${indexText(address)}`,
    stride: `${indexText(strides[0] ?? 0)} * ${bytes}`,
  };
}

/** Counts a use of an operand; its register is free after the last. */
function used(m: MatrixState, id: ValueId): void {
  const left = (m.left.get(id) ?? 0) - 1;
  m.left.set(id, left);
  const tile = m.ofValue.get(id);
  if (left <= 0 && tile !== undefined) {
    give(m, tile);
    m.ofValue.delete(id);
  }
}

function tileOfOperand(m: MatrixState, id: ValueId): number {
  const tile = m.ofValue.get(id);
  if (tile === undefined) throw internal(`value ${id} is in no tile register`);
  return tile;
}

/** Prints a `let` of a value in tile registers; false where it is no such value. */
export function printMatrixLet(k: Kernel, s: Let, next: Statement | undefined): boolean {
  const m = k.matrix;
  if (m === undefined || !m.values.has(s.id)) return false;
  const { operation: o } = s;
  switch (o.kind) {
    case 'load': {
      if (next?.kind === 'assign' && next.value === s.id) {
        m.pending.set(s.id, o);
        return true;
      }
      const tile = take(m);
      const { pointer, stride } = placeOf(k, o.access);
      k.line(m.machine.load(tile, pointer, stride, o.access.once === true));
      m.ofValue.set(s.id, tile);
      return true;
    }
    case 'read':
      m.reads.set(s.id, o.variable);
      return true;
    case 'broadcast':
      return m.zeros.has(s.id);
    case 'dot': {
      if (o.unit === undefined || next?.kind !== 'assign' || next.value !== s.id) {
        throw internal('a product of a matrix unit replaces its accumulator');
      }
      const accumulator = m.ofVariable.get(next.variable);
      if (accumulator === undefined) throw internal(`variable ${next.variable} is in no tile`);
      const [a, b] = [tileOfOperand(m, o.a), tileOfOperand(m, o.b)];
      k.line(m.machine.product(o.unit, accumulator, a, b));
      used(m, o.a);
      used(m, o.b);
      return true;
    }
    default:
      throw internal(`${o.kind} of a tile register`);
  }
}

/** Prints other statements about tile registers; false where it is no such statement. */
export function printMatrixStatement(k: Kernel, s: Statement): boolean {
  const m = k.matrix;
  if (m === undefined) return false;
  if (s.kind === 'variable' && m.variables.has(s.id)) {
    if (!m.zeros.has(s.initial)) throw internal('an accumulator of a matrix unit begins with 0');
    const tile = take(m);
    m.ofVariable.set(s.id, tile);
    k.line(m.machine.zero(tile));
    return true;
  }
  if (s.kind === 'assign' && m.variables.has(s.variable)) {
    const load = m.pending.get(s.value);
    if (load === undefined) return true;
    const { pointer, stride } = placeOf(k, load.access);
    k.line(m.machine.load(m.ofVariable.get(s.variable) as number, pointer, stride, false));
    return true;
  }
  if (s.kind !== 'store' || !m.values.has(s.value)) return false;
  const variable = m.reads.get(s.value);
  const tile = variable === undefined ? undefined : m.ofVariable.get(variable);
  if (tile === undefined) throw internal(`value ${s.value} is in no tile register`);
  const { pointer, stride } = placeOf(k, s.access);
  k.line(m.machine.store(tile, pointer, stride));
  return true;
}

/** Frees the registers of the variables that a block has declared. */
export function endMatrixBlock(k: Kernel, statements: readonly Statement[]): void {
  const m = k.matrix;
  if (m === undefined) return;
  for (const s of statements) {
    if (s.kind !== 'variable') continue;
    const tile = m.ofVariable.get(s.id);
    if (tile === undefined) continue;
    give(m, tile);
    m.ofVariable.delete(s.id);
  }
}
