/** The state of printing a kernel that uses a matrix unit: what its tile registers hold. */
import type { Operation, ValueId, VariableId } from '../kernel/tile.js';
import type { TileRegisters } from './c-units.table.js';

/** What of a kernel lives in tile registers, and which of them are taken. */
export interface MatrixState {
  readonly machine: TileRegisters;
  readonly variables: ReadonlySet<VariableId>;
  /** Loads and reads that are operands, accumulators or results of a unit's dot. */
  readonly values: ReadonlySet<ValueId>;
  /** Broadcasts of the literal 0. */
  readonly zeros: ReadonlySet<ValueId>;
  readonly free: number[];
  readonly ofValue: Map<ValueId, number>;
  readonly ofVariable: Map<VariableId, number>;
  /** Loads that go straight into a variable's register. */
  readonly pending: Map<ValueId, Operation & { readonly kind: 'load' }>;
  /** Uses of each value that are still to come. */
  readonly left: Map<ValueId, number>;
  /** The variable that a value was read from. */
  readonly reads: Map<ValueId, VariableId>;
}
