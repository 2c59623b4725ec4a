/**
 * Finds in which layouts each tile value is needed, walking from uses back to definitions. A
 * value is then made once per layout: repeating a load or an addition costs less than passing
 * registers between threads. Only reductions, scans and dots go through shared memory.
 */
import { internal, refused, tooLarge } from '../base/errors.js';
import type {
  Operation,
  Statement,
  TileProgram,
  TileType,
  ValueId,
  VariableId,
} from '../kernel/tile.js';
import { type BundleUnit, bundleUnitOf } from './matrix-units.table.js';
import {
  accumulatorLayout,
  along,
  bundleLayout,
  columnLayout,
  type Layout,
  rowLayout,
  transposed,
} from './thread-layout.js';
import { bodiesOf, operandsOf, type Survey, surveyAccesses } from './thread-survey.js';

type Layouts = ReadonlyMap<string, Layout>;

/** Bytes of what dots add up in most kernels. */
const accumulatorBytes = 4;

export interface Demands {
  readonly types: ReadonlyMap<ValueId, TileType>;
  readonly values: ReadonlyMap<ValueId, Layouts>;
  readonly variables: ReadonlyMap<VariableId, Layouts>;
  /** Variables of shape []. */
  readonly uniformVariables: ReadonlySet<VariableId>;
  /** Values that lie in shared memory. */
  readonly shared: ReadonlySet<ValueId>;
  /** Values that are a dot's left operand and not its right one. */
  readonly lefts: ReadonlySet<ValueId>;
  /** Values that lie in shared memory as a matrix unit's operands. */
  readonly operands: ReadonlyMap<ValueId, BundleUnit>;
  /** What is known to divide names in expressions. */
  readonly divisors: ReadonlyMap<string, number>;
  /** The one layout of stores, of reductions and of dots. */
  home(shape: readonly number[]): Layout;
  /** The layout in which a value that lies in shared memory is made. */
  maker(id: ValueId, operation: Operation): Layout;
}

interface State extends Survey {
  readonly group: number;
  readonly types: Map<ValueId, TileType>;
  readonly values: Map<ValueId, Map<string, Layout>>;
  readonly variables: Map<VariableId, Map<string, Layout>>;
  readonly uniformVariables: Set<VariableId>;
  readonly shared: Set<ValueId>;
  readonly accumulators: Set<string>;
  readonly lefts: Set<ValueId>;
  readonly rights: Set<ValueId>;
  readonly operands: Map<ValueId, BundleUnit>;
  /** Units by the shape of the accumulator. */
  readonly units: Map<string, BundleUnit>;
  changed: boolean;
}

/** Finds the demands of a kernel for a group whose threads move up to `accessBytes` at once. */
export function findDemands(program: TileProgram, accessBytes = 0): Demands {
  const { body, group } = program;
  const state: State = {
    ...surveyAccesses(program, accessBytes),
    group,
    types: new Map(),
    values: new Map(),
    variables: new Map(),
    uniformVariables: new Set(),
    shared: new Set(),
    accumulators: new Set(),
    lefts: new Set(),
    rights: new Set(),
    operands: new Map(),
    units: new Map(),
    changed: true,
  };
  collect(body, state);
  const homes = new Map<string, Layout>();
  const home = (shape: readonly number[]): Layout => {
    const key = shape.join('x');
    const found = homes.get(key) ?? makeHome(shape, key);
    homes.set(key, found);
    return found;
  };
  const makeHome = (shape: readonly number[], key: string): Layout => {
    const unit = state.units.get(key);
    if (unit !== undefined) return unitLayout(shape, group, unit);
    if (!state.accumulators.has(key)) {
      const { axis = 1, width = 1 } = state.homeOf(shape) ?? {};
      const [rows, columns] = shape;
      const isColumn = axis === 0 && rows !== undefined && columns !== undefined;
      return isColumn
        ? columnLayout([rows, columns], group, width)
        : rowLayout(shape, group, width);
    }
    return accumulatorLayout(shape, group, accessBytes / accumulatorBytes);
  };
  const maker = (id: ValueId, operation: Operation): Layout => {
    const shape = typeOf(state, id).shape;
    const [rows, columns] = shape;
    const origin = state.origins.get(id);
    if (origin === undefined && operation.kind !== 'load') return home(shape);
    if (rows === undefined || columns === undefined || origin?.axis !== 0) {
      return rowLayout(shape, group, origin?.width);
    }
    return columnLayout([rows, columns], group, origin.width);
  };
  const lefts = new Set([...state.lefts].filter((id) => !state.rights.has(id)));
  const demands: Demands = { ...state, lefts, home, maker };
  // Demands on a variable reach back over the end of a loop, hence the repetition.
  while (state.changed) {
    state.changed = false;
    visit(body, state, demands);
  }
  return demands;
}

function typeOf(state: State, id: ValueId): TileType {
  const type = state.types.get(id);
  if (type === undefined) throw internal(`tile value ${id} is used before it is made`);
  return type;
}

function knownUnit(name: string): BundleUnit {
  const unit = bundleUnitOf(name);
  if (unit === undefined) throw refused(`matrix unit ${name}`, 'threads do not know it');
  return unit;
}

function unitLayout(shape: readonly number[], group: number, u: BundleUnit): Layout {
  // Two calls side by side, so that a word of two columns of the right operand serves both.
  const least = [u.unit.m, u.unit.n * u.packed] as const;
  const found = bundleLayout(shape, group, [u.rows, u.columns], least, 2 * u.packed);
  if (found !== undefined) return found;
  throw tooLarge('threads of a matrix unit', group, u.threads);
}

function collect(body: readonly Statement[], state: State): void {
  for (const s of body) {
    if (s.kind === 'let') {
      state.types.set(s.id, s.type);
      const isShared = s.space === 'shared' && s.type.shape.length > 0;
      if (isShared && state.group > 1) state.shared.add(s.id);
      if (s.operation.kind === 'dot') {
        state.accumulators.add(s.type.shape.join('x'));
        state.lefts.add(s.operation.a);
        state.rights.add(s.operation.b);
        const unit = s.operation.unit === undefined ? undefined : knownUnit(s.operation.unit);
        if (unit !== undefined) {
          state.units.set(s.type.shape.join('x'), unit);
          state.operands.set(s.operation.a, unit).set(s.operation.b, unit);
        }
        if (state.group > 1) {
          state.shared.add(s.operation.a);
          state.shared.add(s.operation.b);
        }
      }
    }
    if (s.kind === 'variable' && s.type.shape.length === 0) state.uniformVariables.add(s.id);
    for (const inner of bodiesOf(s)) collect(inner, state);
  }
}

function demand(state: State, id: ValueId | undefined, layout: Layout): void {
  if (id === undefined || typeOf(state, id).shape.length === 0) return;
  note(state, state.values, id, layout);
}

function note(
  state: State,
  table: Map<number, Map<string, Layout>>,
  id: number,
  layout: Layout,
): void {
  const known = table.get(id) ?? new Map<string, Layout>();
  if (known.has(layout.key)) return;
  known.set(layout.key, layout);
  table.set(id, known);
  state.changed = true;
}

function visit(body: readonly Statement[], state: State, demands: Demands): void {
  for (const s of body.toReversed()) {
    for (const inner of bodiesOf(s).toReversed()) visit(inner, state, demands);
    visitStatement(s, state, demands);
  }
}

function visitStatement(s: Statement, state: State, demands: Demands): void {
  const homeOf = (id: ValueId): Layout => demands.home(typeOf(state, id).shape);
  switch (s.kind) {
    case 'let':
      visitLet(s.id, s.operation, state, demands);
      return;
    case 'variable':
      for (const l of state.variables.get(s.id)?.values() ?? []) demand(state, s.initial, l);
      return;
    case 'assign':
      for (const l of state.variables.get(s.variable)?.values() ?? []) demand(state, s.value, l);
      return;
    case 'store':
      demand(state, s.value, homeOf(s.value));
      demand(state, s.access.mask, homeOf(s.value));
      return;
    case 'scatter':
    case 'atomic': {
      const whole = homeOf(widest(state, s.index, s.value));
      for (const id of [s.index, s.value, s.mask]) demand(state, id, whole);
      return;
    }
    case 'fail':
      demand(state, s.when, homeOf(s.when));
      return;
    default:
  }
}

const widest = (state: State, a: ValueId, b: ValueId): ValueId =>
  typeOf(state, a).shape.length === 0 ? b : a;

/** Layouts in which a value is computed, whatever it is read as later. */
export function computedLayouts(
  id: ValueId,
  operation: Operation,
  demands: Demands,
): readonly Layout[] {
  if (demands.shared.has(id)) return [demands.maker(id, operation)];
  return [...(demands.values.get(id)?.values() ?? [])];
}

function visitLet(id: ValueId, o: Operation, state: State, demands: Demands): void {
  const uniform = typeOf(state, id).shape.length === 0;
  const layouts = uniform ? [] : computedLayouts(id, o, demands);
  const used = uniform || layouts.length > 0;
  switch (o.kind) {
    case 'literal':
    case 'scalar':
    case 'iota':
      return;
    case 'load':
      for (const l of layouts) demand(state, o.access.mask, l);
      return;
    case 'reduce':
    case 'scan':
      if (used) demand(state, o.a, demands.home(typeOf(state, o.a).shape));
      return;
    case 'dot':
      if (!used) return;
      demand(state, o.accumulator, demands.home(typeOf(state, id).shape));
      // A thread alone has both operands in registers.
      if (state.group > 1) return;
      for (const operand of [o.a, o.b]) {
        demand(state, operand, demands.home(typeOf(state, operand).shape));
      }
      return;
    case 'broadcast':
      for (const l of layouts) demand(state, o.a, broadcastSource(l, o.axis));
      return;
    case 'transpose':
      for (const l of layouts) demand(state, o.a, transposed(l));
      return;
    case 'read':
      for (const l of layouts) note(state, state.variables, o.variable, l);
      return;
    default:
      for (const l of layouts) {
        for (const operand of operandsOf(o)) demand(state, operand, l);
      }
  }
}

/** The layout that the operand of a broadcast needs: a vector along one axis of the result. */
export const broadcastSource = (l: Layout, axis: number): Layout =>
  l.axis === undefined ? along(l, axis === 0 ? 0 : 1) : l;
