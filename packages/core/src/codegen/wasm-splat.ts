/** Which loads are only used in every lane of vectors, so that they are loaded that way. */
import type { Operation, Statement, TileType, ValueId, VariableId } from '../kernel/tile.js';
import { elementsOf, isVector, type Lanes } from './wasm-value.js';

type Let = Extract<Statement, { kind: 'let' }>;

/** All statements, those of nested blocks too. */
function flatten(body: readonly Statement[]): readonly Statement[] {
  return body.flatMap((s): readonly Statement[] => {
    if (s.kind === 'for') return [s, ...flatten(s.body)];
    if (s.kind === 'while') return [s, ...flatten(s.head), ...flatten(s.body)];
    if (s.kind === 'if') return [s, ...flatten(s.then), ...flatten(s.else)];
    return [s];
  });
}

/** Every number of a value that a statement or operation mentions. */
function mentioned(s: Statement): readonly ValueId[] {
  switch (s.kind) {
    case 'let':
      return operandsOf(s.operation);
    case 'name':
      return [s.value];
    case 'variable':
      return [s.initial];
    case 'assign':
      return [s.value];
    case 'store':
      return s.access.mask === undefined ? [s.value] : [s.value, s.access.mask];
    case 'scatter':
    case 'atomic':
      return s.mask === undefined ? [s.index, s.value] : [s.index, s.value, s.mask];
    case 'while':
      return [s.condition];
    case 'if':
      return typeof s.condition === 'object' && 'value' in s.condition ? [s.condition.value] : [];
    case 'fail':
      return [s.when];
    default:
      return [];
  }
}

function operandsOf(o: Operation): readonly ValueId[] {
  switch (o.kind) {
    case 'load':
      return o.access.mask === undefined ? [] : [o.access.mask];
    case 'gather':
      return o.mask === undefined ? [o.index] : [o.index, o.mask];
    case 'binary':
    case 'compare':
      return [o.a, o.b];
    case 'select':
      return [o.condition, o.a, o.b];
    case 'multiplyAdd':
      return [o.a, o.b, o.c];
    case 'dot':
      return [o.a, o.b, o.accumulator];
    case 'literal':
    case 'scalar':
    case 'iota':
    case 'untilLine':
    case 'read':
      return [];
    default:
      return [o.a];
  }
}

export function findSplatLoads(body: readonly Statement[], lanes: Lanes): ReadonlySet<ValueId> {
  const all = flatten(body);
  const lets = all.filter((s): s is Let => s.kind === 'let');
  const types = new Map(lets.map((s) => [s.id, s.type]));
  const loads = lets.filter((s) => s.operation.kind === 'load').map((s) => s.id);
  const used = new Set<ValueId>();
  const asScalar = new Set<ValueId>();
  for (const s of all) {
    for (const id of mentioned(s)) {
      used.add(id);
      if (s.kind !== 'let' || !inEveryLane(s, id, types, lanes)) asScalar.add(id);
    }
  }
  return new Set(loads.filter((id) => used.has(id) && !asScalar.has(id)));
}

/**
 * Loads that only one dot uses as its left operand, with nothing in between that writes: they may
 * wait until the dot needs them. Each with the variable that becomes the dot.
 */
export function findWaitingLoads(body: readonly Statement[]): ReadonlyMap<ValueId, VariableId> {
  const all = flatten(body);
  const uses = new Map<ValueId, number>();
  for (const id of all.flatMap(mentioned)) uses.set(id, (uses.get(id) ?? 0) + 1);
  const found = new Map<ValueId, VariableId>();
  let loads = new Set<ValueId>();
  all.forEach((s, i) => {
    if (s.kind !== 'let') loads = new Set();
    else if (s.operation.kind === 'load') loads.add(s.id);
    else if (s.operation.kind === 'dot' && loads.has(s.operation.a)) {
      const { a } = s.operation;
      const next = all[i + 1];
      const isAssigned = next?.kind === 'assign' && next.value === s.id;
      if (isAssigned && uses.get(a) === 1) found.set(a, next.variable);
    }
  });
  return found;
}

function inEveryLane(
  { type, operation: o }: Let,
  id: ValueId,
  types: ReadonlyMap<ValueId, TileType>,
  lanes: Lanes,
): boolean {
  if (!isVector(type, lanes)) return false;
  const operand = types.get(id);
  const uniform = operand !== undefined && elementsOf(operand) === 1;
  switch (o.kind) {
    case 'dot':
      return o.a === id && o.b !== id && o.accumulator !== id;
    case 'broadcast':
      return uniform || o.axis === 0;
    case 'binary':
      return uniform && o.name !== 'shiftLeft' && o.name !== 'shiftRight';
    case 'multiplyAdd':
    case 'select':
    case 'compare':
      return uniform;
    default:
      return false;
  }
}
