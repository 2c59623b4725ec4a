/**
 * Dots on a matrix unit: bundles of threads call it on operands that lie in shared memory. Which
 * element a thread passes follows the unit's own layout (see `matrix-units.table.ts`).
 */
import { refused } from '../base/errors.js';
import {
  add,
  type Expression,
  floorDivide,
  modulo,
  multiply,
  variable,
} from '../base/expression.js';
import type { Operation, ValueId } from '../kernel/tile.js';
import { bundleUnitOf } from './matrix-units.table.js';
import { passOn, variableOf } from './thread-collective.js';
import { type Layout, positionAt, registerAt, registersOf } from './thread-layout.js';
import { laneName, type Operand } from './thread-program.js';
import { cell, type SharedTile, type ThreadWriter } from './thread-writer.js';

type Dot = Extract<Operation, { kind: 'dot' }>;

/** Depth between the two halves of an operand's registers. */
const half = 8;

/** Two elements of an operand tile that are one apart along an axis, low half first. */
function pairAt(
  w: ThreadWriter,
  tile: SharedTile,
  place: Expression,
  step: number,
): readonly [Operand, Operand] {
  const names = [w.fresh('h_'), w.fresh('h_')];
  const elements = [cell(tile.memory, place), cell(tile.memory, add(place, step))];
  const memory = w.arrays.get(tile.memory)?.memory ?? 'u16';
  const loaded = w.load('u32', memory, elements, (i) => names[i] as string);
  return [loaded[0] as Operand, loaded[1] as Operand];
}

/** A register of two 16-bit elements. */
function packed(w: ThreadWriter, low: Operand, high: Operand): Operand {
  const amount: Operand = { kind: 'literal', value: 16, dtype: 'u32' };
  const shifted = w.define(w.fresh('s_'), 'u32', {
    kind: 'binary',
    name: 'shiftLeft',
    a: high,
    b: amount,
  });
  return w.define(w.fresh('w_'), 'u32', { kind: 'binary', name: 'or', a: low, b: shifted });
}

/** Each bundle multiplies its rows of a by its columns of b, one depth of the unit at a time. */
export function mapMatrixDot(w: ThreadWriter, id: ValueId, o: Dot): void {
  const unit = bundleUnitOf(o.unit ?? '');
  if (unit === undefined) throw refused(`matrix unit ${o.unit}`, 'threads do not know it');
  const { k: depthOfCall } = unit.unit;
  const layout = w.use(w.demands.home(w.typeOf(id).shape));
  const depth = w.typeOf(o.a).shape[1] ?? 1;
  if (depth % depthOfCall !== 0) throw refused(`a depth of ${depth}`, `${o.unit} cannot take it`);
  const [a, b] = [w.tile(o.a), w.tile(o.b)];
  const sums = Array.from({ length: registersOf(layout) }, (_, r) =>
    variableOf(w, w.fresh(`d${id}_`), w.register(o.accumulator, layout, r)),
  );
  const index = w.fresh('k_');
  const k = variable(index, depth);
  w.divisors.set(index, depthOfCall);
  const named = (value: Expression, extent: number): Expression => {
    const name = w.fresh('at_');
    w.push({ kind: 'index', name, value });
    return variable(name, extent);
  };
  const inside = modulo(variable(laneName, layout.group), unit.threads);
  const group = named(floorDivide(inside, unit.columns), unit.rows);
  const member = named(modulo(inside, unit.columns), unit.columns);
  const body = w.inside(() => {
    const at = (tile: SharedTile, row: Expression, column: Expression): Expression =>
      add(multiply(row, tile.rowStep), multiply(column, tile.columnStep));
    // Depths that the thread holds: two neighbours, and two more half a call further.
    const depths = [0, half].map((from) => add(k, multiply(2, member), from));
    const rows = layout.rows / layout.threadRows;
    const left = Array.from({ length: rows }, (_, i) =>
      depths.map((d) => {
        const [low, high] = pairAt(w, a, at(a, positionAt(layout, 0, i), d), a.columnStep);
        return packed(w, low, high);
      }),
    );
    const blocks = layout.columns / layout.threadColumns / layout.blockColumns;
    for (let block = 0; block < blocks; block++) {
      const right = rightOf(w, b, layout, block, group, member, depths, at);
      for (let i = 0; i < rows; i += 2) {
        for (const [p, registers] of right.entries()) {
          const [upper, lower] = [left[i] ?? [], left[i + 1] ?? []];
          const column = block * layout.blockColumns + p;
          const sumsOf = (row: number) =>
            [0, 2].map((e) => sums[registerAt(layout, row, column + e)] as Operand);
          w.push({
            kind: 'matrix',
            unit: unit.unit.name,
            sums: [...sumsOf(i), ...sumsOf(i + 1)].map((sum) => (sum as { name: string }).name),
            left: [upper[0], lower[0], upper[1], lower[1]] as readonly Operand[],
            right: registers,
          });
        }
      }
    }
  });
  w.push({ kind: 'for', index, start: 0, end: depth, step: depthOfCall, unroll: 2, body });
  w.setRegisters(id, layout, sums);
  passOn(w, id, layout, sums);
}

/** Registers of the right operand for the two calls of a block of columns. */
function rightOf(
  w: ThreadWriter,
  b: SharedTile,
  layout: Layout,
  block: number,
  group: Expression,
  member: Expression,
  depths: readonly Expression[],
  at: (tile: SharedTile, row: Expression, column: Expression) => Expression,
): readonly (readonly Operand[])[] {
  // The block of the bundle's first thread, then two columns for each thread of its column.
  const first = add(
    positionAt(layout, 1, block * layout.blockColumns),
    multiply(-layout.blockColumns, member),
  );
  const column = add(first, multiply(2, group));
  const pairs = depths.map((d) => {
    const alongDepth = b.rowStep === 1;
    const step = alongDepth ? b.rowStep : b.columnStep;
    const at2 = alongDepth
      ? [at(b, d, column), at(b, d, add(column, 1))]
      : [at(b, d, column), at(b, add(d, 1), column)];
    return at2.map((place) => pairAt(w, b, place, step));
  });
  return [0, 1].map((p) =>
    pairs.map((pair) => {
      const [one, two] = pair as [readonly [Operand, Operand], readonly [Operand, Operand]];
      // Neighbours along the columns are sorted into neighbours along the depth.
      return b.rowStep === 1
        ? packed(w, ...(p === 0 ? one : two))
        : packed(w, one[p] as Operand, two[p] as Operand);
    }),
  );
}
