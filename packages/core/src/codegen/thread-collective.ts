/**
 * Operations in which threads need each other: reductions, prefix scans and dots. All go through
 * shared memory and whole-group barriers, so that no width of a hardware thread bundle matters.
 */
import { add, type Expression, lessThan, multiply, variable } from '../base/expression.js';
import type { MemoryType } from '../base/target.js';
import type { Operation, TileReduction, ValueId } from '../kernel/tile.js';
import { combineBundles, hasBundles } from './thread-bundle.js';
import {
  along,
  elementOf,
  type Layout,
  ownerGuard,
  positionAt,
  registerAt,
  registersOf,
  threadPlace,
} from './thread-layout.js';
import type { Guard, Operand, ScalarOperation, ThreadStatement } from './thread-program.js';
import { cell, placeIn, type SharedTile, storeTile, type ThreadWriter } from './thread-writer.js';

const barrier: ThreadStatement = { kind: 'barrier', global: false };

type Reduce = Extract<Operation, { kind: 'reduce' }>;
type Scan = Extract<Operation, { kind: 'scan' }>;
type Dot = Extract<Operation, { kind: 'dot' }>;

/** Layouts that a value's uses ask for; undefined stands for a uniform value. */
function wantedOf(w: ThreadWriter, id: ValueId): readonly (Layout | undefined)[] {
  if (w.isUniform(id)) return [undefined];
  const { types, values, shared } = w.demands;
  const wanted = [...(values.get(id)?.values() ?? [])];
  if (!shared.has(id)) return wanted.map((l) => w.use(l));
  return [w.use(w.demands.home(types.get(id)?.shape ?? []))];
}

const where = (l: Layout | undefined, r: number): Expression =>
  l === undefined ? 0 : (elementOf(l, r)[0] ?? 0);

/** Defines a value's registers in a layout by loads from where the threads have put it. */
function readBack(
  w: ThreadWriter,
  id: ValueId,
  l: Layout | undefined,
  memory: string,
  addressOf: (register: number) => Expression,
): void {
  const { dtype } = w.typeOf(id);
  const prefix = w.fresh(`v${id}r_`);
  const count = l === undefined ? 1 : registersOf(l);
  const registers = Array.from({ length: count }, (_, r) =>
    w.define(`${prefix}_${r}`, dtype, {
      kind: 'load',
      element: cell(memory, addressOf(r)),
      other: 0,
    }),
  );
  w.setRegisters(id, l, registers);
}

function combine(w: ThreadWriter, name: string, how: TileReduction, a: Operand, b: Operand): void {
  w.push({
    kind: 'assign',
    name,
    dtype: a.dtype,
    operation: { kind: 'binary', name: how, a, b },
  });
}

/** A variable that starts as an operand. */
export function variableOf(w: ThreadWriter, name: string, initial: Operand): Operand {
  w.push({ kind: 'variable', name, dtype: initial.dtype, initial });
  return { kind: 'name', name, dtype: initial.dtype };
}

const nameOf = (operand: Operand): string => (operand.kind === 'name' ? operand.name : '');

/** Each thread reduces its registers; then halves of the threads combine, as a tree. */
export function mapReduce(w: ThreadWriter, id: ValueId, o: Reduce): void {
  const source = w.typeOf(o.a);
  const layout = w.use(w.demands.home(source.shape));
  const axis: 0 | 1 = source.shape.length === 1 || o.axis === 1 ? 1 : 0;
  const [down, across] = [layout.rows / layout.threadRows, layout.columns / layout.threadColumns];
  const [kept, own] = axis === 1 ? [down, across] : [across, down];
  const parts = Array.from({ length: kept }, (_, k) => {
    const part = (i: number): Operand => {
      const r = axis === 1 ? registerAt(layout, k, i) : registerAt(layout, i, k);
      return w.register(o.a, layout, r);
    };
    const variable = variableOf(w, w.fresh(`p${id}_`), part(0));
    for (let i = 1; i < own; i++) combine(w, nameOf(variable), o.name, variable, part(i));
    return variable;
  });
  if (w.group === 1) {
    for (const l of wantedOf(w, id)) w.setRegisters(id, l, parts);
    return;
  }
  const threads = axis === 1 ? layout.threadColumns : layout.threadRows;
  const direct = along(layout, axis === 1 ? 0 : 1);
  const wanted = wantedOf(w, id).filter((l) => {
    if (threads > 1 || l?.key !== direct.key) return true;
    w.setRegisters(id, l, parts);
    return false;
  });
  if (wanted.length === 0) return;
  if (hasBundles(w, o.name, threads, parts)) {
    const total = combineBundles(w, o.name, parts[0] as Operand);
    for (const l of wanted) {
      const copies = Array.from({ length: l === undefined ? 1 : registersOf(l) }, () => total);
      w.setRegisters(id, l, copies);
    }
    return;
  }
  combineThreads(w, id, o.name, layout, axis, parts, wanted);
}

function combineThreads(
  w: ThreadWriter,
  id: ValueId,
  how: TileReduction,
  layout: Layout,
  axis: 0 | 1,
  parts: readonly Operand[],
  wanted: readonly (Layout | undefined)[],
): void {
  const { dtype } = w.typeOf(id);
  const threads = axis === 1 ? layout.threadColumns : layout.threadRows;
  const lines = axis === 1 ? layout.rows : layout.columns;
  const memory = w.exchangeArray(dtype, lines * threads);
  // Neighbouring threads write neighbouring words, along whichever axis they are neighbours.
  const at = (line: Expression, thread: Expression): Expression =>
    axis === 1 ? add(multiply(line, threads), thread) : add(multiply(thread, lines), line);
  const place = threadPlace(layout, axis);
  const line = (k: number): Expression => positionAt(layout, axis === 1 ? 0 : 1, k);
  const owner = ownerGuard(layout);
  const put = (guard: Guard): void => {
    for (const [k, value] of parts.entries()) {
      w.push({ kind: 'store', element: { ...cell(memory, at(line(k), place)), guard }, value });
    }
  };
  const body = w.inside(() => {
    put(owner);
    w.push(barrier);
    for (let count = threads; count > 1; count = Math.ceil(count / 2)) {
      const half = Math.ceil(count / 2);
      const guard = [lessThan(place, count - half), ...owner].filter((part) => part !== 1);
      const inner = w.inside(() => {
        for (const [k, part] of parts.entries()) {
          const other = w.define(w.fresh('o_'), dtype, {
            kind: 'load',
            element: cell(memory, at(line(k), add(place, half))),
            other: 0,
          });
          combine(w, nameOf(part), how, part, other);
        }
        put([]);
      });
      w.push({ kind: 'if', guard, then: inner, else: [] }, barrier);
    }
    for (const l of wanted) readBack(w, id, l, memory, (r) => at(where(l, r), 0));
  });
  w.push({ kind: 'exchange', memory, body });
}

/** Doubling steps over the whole vector in shared memory. */
export function mapScan(w: ThreadWriter, id: ValueId, o: Scan): void {
  if (w.group === 1) {
    scanAlone(w, id, o);
    return;
  }
  const { dtype, shape } = w.typeOf(id);
  const length = shape[0] ?? 1;
  const layout = w.use(w.demands.home(shape));
  const memory = w.exchangeArray(dtype, length);
  const current = Array.from({ length: registersOf(layout) }, (_, r) =>
    variableOf(w, w.fresh(`p${id}_`), w.register(o.a, layout, r)),
  );
  const tile = { memory, rowStep: length, columnStep: 1 };
  const body = w.inside(() => {
    storeTile(w, tile, layout, current);
    w.push(barrier);
    for (let distance = 1; distance < length; distance *= 2) {
      for (const [r, value] of current.entries()) {
        const element = where(layout, r);
        const inner = w.inside(() => {
          const before = w.define(w.fresh('o_'), dtype, {
            kind: 'load',
            element: cell(memory, add(element, -distance)),
            other: 0,
          });
          combine(w, nameOf(value), o.name, before, value);
        });
        w.push({ kind: 'if', guard: [lessThan(distance - 1, element)], then: inner, else: [] });
      }
      w.push(barrier);
      storeTile(w, tile, layout, current);
      w.push(barrier);
    }
    for (const l of wantedOf(w, id)) {
      if (l?.key === layout.key) w.setRegisters(id, l, current);
      else readBack(w, id, l, memory, (r) => where(l, r));
    }
  });
  w.push({ kind: 'exchange', memory, body });
}

/** One thread goes along the vector. */
function scanAlone(w: ThreadWriter, id: ValueId, o: Scan): void {
  const { dtype, shape } = w.typeOf(id);
  const layout = w.use(w.demands.home(shape));
  const results: Operand[] = [];
  for (let r = 0; r < registersOf(layout); r++) {
    const b = w.register(o.a, layout, r);
    const a = results[r - 1];
    const next = { kind: 'binary', name: o.name, a: a ?? b, b } as const;
    results.push(a === undefined ? b : w.define(w.fresh('o_'), dtype, next));
  }
  for (const l of wantedOf(w, id)) w.setRegisters(id, l, results);
}

/** One thread multiplies what lies in its registers. */
function dotAlone(w: ThreadWriter, id: ValueId, o: Dot): void {
  const { dtype, shape } = w.typeOf(id);
  const columns = shape[1] ?? 1;
  const depth = w.typeOf(o.a).shape[1] ?? 1;
  const layoutOf = (value: ValueId): Layout => w.use(w.demands.home(w.typeOf(value).shape));
  const [layout, left, right] = [layoutOf(id), layoutOf(o.a), layoutOf(o.b)];
  const sums = Array.from({ length: registersOf(layout) }, (_, r) => {
    let sum = w.register(o.accumulator, layout, r);
    for (let k = 0; k < depth; k++) {
      const a = w.register(o.a, left, Math.floor(r / columns) * depth + k);
      const b = w.register(o.b, right, k * columns + (r % columns));
      sum = w.define(w.fresh(`d${id}_`), dtype, { kind: 'multiplyAdd', a, b, c: sum });
    }
    return sum;
  });
  for (const l of wantedOf(w, id)) w.setRegisters(id, l, sums);
}

/** Steps of k that a printer may write one after another. */
const dotUnroll = 4;

/** Each thread multiplies its rows of a by its columns of b, one step of k at a time. */
export function mapDot(w: ThreadWriter, id: ValueId, o: Dot): void {
  if (w.group === 1) {
    dotAlone(w, id, o);
    return;
  }
  const { dtype } = w.typeOf(id);
  const layout = w.use(w.demands.home(w.typeOf(id).shape));
  const depth = w.typeOf(o.a).shape[1] ?? 1;
  const [a, b] = [w.tile(o.a), w.tile(o.b)];
  const sums = Array.from({ length: registersOf(layout) }, (_, r) =>
    variableOf(w, w.fresh(`d${id}_`), w.register(o.accumulator, layout, r)),
  );
  const index = w.fresh('k_');
  const k = variable(index, depth);
  const across = layout.columns / layout.threadColumns;
  const body = w.inside(() => {
    const read = (tile: SharedTile, places: readonly Expression[]): readonly Operand[] => {
      const memory = w.arrays.get(tile.memory)?.memory as MemoryType;
      const names = places.map(() => w.fresh('o_'));
      const elements = places.map((place) => cell(tile.memory, place));
      return w.load(dtype, memory, elements, (i) => names[i] as string);
    };
    const rows = Array.from({ length: layout.rows / layout.threadRows }, (_, i) =>
      add(multiply(positionAt(layout, 0, i), a.rowStep), multiply(k, a.columnStep)),
    );
    const columns = Array.from({ length: across }, (_, j) =>
      add(multiply(k, b.rowStep), multiply(positionAt(layout, 1, j), b.columnStep)),
    );
    const [left, right] = [read(a, rows), read(b, columns)];
    for (const [r, sum] of sums.entries()) {
      const operation: ScalarOperation = {
        kind: 'multiplyAdd',
        a: left[Math.floor(r / across)] as Operand,
        b: right[r % across] as Operand,
        c: sum,
      };
      w.push({ kind: 'assign', name: nameOf(sum), dtype, operation });
    }
  });
  w.push({ kind: 'for', index, start: 0, end: depth, step: 1, unroll: dotUnroll, body });
  w.setRegisters(id, layout, sums);
  passOn(w, id, layout, sums);
}

/** Gives the registers of a dot to uses that want them in another layout. */
export function passOn(
  w: ThreadWriter,
  id: ValueId,
  layout: Layout,
  sums: readonly Operand[],
): void {
  const others = wantedOf(w, id).filter((l) => l !== undefined && l.key !== layout.key);
  if (others.length === 0) return;
  const rowStep = layout.columns | 1;
  const memory = w.exchangeArray(w.typeOf(id).dtype, layout.rows * rowStep);
  const tile = { memory, rowStep, columnStep: 1 };
  const body = w.inside(() => {
    storeTile(w, tile, layout, sums);
    w.push(barrier);
    for (const l of others) readBack(w, id, l, memory, (r) => placeIn(tile, l as Layout, r));
  });
  w.push({ kind: 'exchange', memory, body });
}
