/**
 * Finds in which layouts each tile value is needed, walking from uses back to definitions. A
 * value is then made once per layout: repeating a load or an addition costs less than passing
 * registers between threads. Only reductions, scans and dots go through shared memory.
 */
import { internal } from '../base/errors.js';
import type { Operation, Statement, TileType, ValueId, VariableId } from '../kernel/tile.js';
import {
  accumulatorLayout,
  along,
  columnLayout,
  type Layout,
  rowLayout,
  transposed,
} from './thread-layout.js';

type Layouts = ReadonlyMap<string, Layout>;

export interface Demands {
  readonly types: ReadonlyMap<ValueId, TileType>;
  readonly values: ReadonlyMap<ValueId, Layouts>;
  readonly variables: ReadonlyMap<VariableId, Layouts>;
  /** Variables of shape []. */
  readonly uniformVariables: ReadonlySet<VariableId>;
  /** Values that lie in shared memory. */
  readonly shared: ReadonlySet<ValueId>;
  /** The one layout of stores, of reductions and of dots. */
  home(shape: readonly number[]): Layout;
  /** The layout in which a value that lies in shared memory is made. */
  maker(id: ValueId, operation: Operation): Layout;
}

interface State {
  readonly group: number;
  readonly types: Map<ValueId, TileType>;
  readonly values: Map<ValueId, Map<string, Layout>>;
  readonly variables: Map<VariableId, Map<string, Layout>>;
  readonly uniformVariables: Set<VariableId>;
  readonly shared: Set<ValueId>;
  readonly accumulators: Set<string>;
  changed: boolean;
}

/** Finds the demands of a kernel's body for groups of `group` threads. */
export function findDemands(body: readonly Statement[], group: number): Demands {
  const state: State = {
    group,
    types: new Map(),
    values: new Map(),
    variables: new Map(),
    uniformVariables: new Set(),
    shared: new Set(),
    accumulators: new Set(),
    changed: true,
  };
  collect(body, state);
  const homes = new Map<string, Layout>();
  const home = (shape: readonly number[]): Layout => {
    const key = shape.join('x');
    const make = state.accumulators.has(key) ? accumulatorLayout : rowLayout;
    const found = homes.get(key) ?? make(shape, group);
    homes.set(key, found);
    return found;
  };
  const maker = (id: ValueId, operation: Operation): Layout => {
    const shape = typeOf(state, id).shape;
    const [rows, columns] = shape;
    if (operation.kind !== 'load') return home(shape);
    if (rows === undefined || columns === undefined) return rowLayout(shape, group);
    const [down, across] = operation.access.strides;
    return down === 1 && across !== 1
      ? columnLayout([rows, columns], group)
      : rowLayout(shape, group);
  };
  const demands: Demands = { ...state, home, maker };
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

/** Bodies inside a statement, in order of execution. */
export function bodiesOf(s: Statement): readonly (readonly Statement[])[] {
  switch (s.kind) {
    case 'for':
      return [s.body];
    case 'while':
      return [s.head, s.body];
    case 'if':
      return [s.then, s.else];
    default:
      return [];
  }
}

function collect(body: readonly Statement[], state: State): void {
  for (const s of body) {
    if (s.kind === 'let') {
      state.types.set(s.id, s.type);
      const isShared = s.space === 'shared' && s.type.shape.length > 0;
      if (isShared && state.group > 1) state.shared.add(s.id);
      if (s.operation.kind === 'dot') {
        state.accumulators.add(s.type.shape.join('x'));
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

/** Operands of an operation that works lane by lane. */
export function operandsOf(o: Operation): readonly ValueId[] {
  switch (o.kind) {
    case 'gather':
      return o.mask === undefined ? [o.index] : [o.index, o.mask];
    case 'unary':
    case 'convert':
    case 'bitcast':
    case 'widenHalf':
    case 'narrowHalf':
      return [o.a];
    case 'binary':
    case 'compare':
      return [o.a, o.b];
    case 'select':
      return [o.condition, o.a, o.b];
    case 'multiplyAdd':
      return [o.a, o.b, o.c];
    default:
      return [];
  }
}
