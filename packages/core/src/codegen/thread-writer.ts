/**
 * What the thread mapping writes into: the statements so far, the registers that hold each tile
 * value, and the shared arrays. Stateful while one kernel is being mapped.
 */
import { internal, tooLarge } from '../base/errors.js';
import { add, type Expression, multiply } from '../base/expression.js';
import type { ComputeType, MemoryType } from '../base/target.js';
import type { TileType, ValueId } from '../kernel/tile.js';
import type { Demands } from './thread-demand.js';
import { elementOf, type Layout, ownerGuard } from './thread-layout.js';
import type {
  Element,
  Guard,
  Operand,
  ScalarOperation,
  SharedArray,
  ThreadStatement,
} from './thread-program.js';

/** A tile that lies in shared memory, row by row. */
export interface SharedTile {
  readonly memory: string;
  /** Elements from row to row. */
  readonly pitch: number;
}

export class ThreadWriter {
  readonly group: number;
  /** Whether bundles of threads combine values on their own. */
  readonly bundles: boolean;
  readonly demands: Demands;
  readonly layouts = new Map<string, Layout>();
  readonly arrays = new Map<string, SharedArray>();
  private readonly registers = new Map<ValueId, Map<string, readonly Operand[]>>();
  private readonly tiles = new Map<ValueId, SharedTile>();
  /** Uniform values that a reader of the text could prove to be uniform. */
  private readonly proven = new Set<ValueId>();
  private statements: ThreadStatement[] = [];
  private next = 0;

  constructor(demands: Demands, group: number, bundles = false) {
    this.demands = demands;
    this.group = group;
    this.bundles = bundles;
  }

  push(...statements: readonly ThreadStatement[]): void {
    this.statements.push(...statements);
  }

  /** Statements that `write` pushes, apart from the others. */
  inside(write: () => void): readonly ThreadStatement[] {
    const outer = this.statements;
    this.statements = [];
    write();
    const inner = this.statements;
    this.statements = outer;
    return inner;
  }

  fresh(prefix: string): string {
    return `${prefix}${this.next++}`;
  }

  define(name: string, dtype: ComputeType, operation: ScalarOperation): Operand {
    this.push({ kind: 'let', name, dtype, operation });
    return { kind: 'name', name, dtype };
  }

  /** Makes the layout's thread places known to the kernel's beginning. */
  use(layout: Layout): Layout {
    this.layouts.set(layout.key, layout);
    return layout;
  }

  typeOf(id: ValueId): TileType {
    const type = this.demands.types.get(id);
    if (type === undefined) throw internal(`tile value ${id} is used before it is made`);
    return type;
  }

  isUniform(id: ValueId): boolean {
    return this.typeOf(id).shape.length === 0;
  }

  /** Registers of a value in a layout; a uniform value has one, under any layout. */
  setRegisters(id: ValueId, layout: Layout | undefined, operands: readonly Operand[]): void {
    const known = this.registers.get(id) ?? new Map<string, readonly Operand[]>();
    known.set(layout?.key ?? 'uniform', operands);
    this.registers.set(id, known);
  }

  register(id: ValueId, layout: Layout | undefined, register: number): Operand {
    const uniform = this.isUniform(id);
    const key = uniform || layout === undefined ? 'uniform' : layout.key;
    const operand = this.registers.get(id)?.get(key)?.[uniform ? 0 : register];
    if (operand === undefined) throw internal(`tile value ${id} is missing in layout ${key}`);
    return operand;
  }

  uniform(id: ValueId): Operand {
    return this.register(id, undefined, 0);
  }

  setProven(id: ValueId): void {
    this.proven.add(id);
  }

  isProven(id: ValueId): boolean {
    return this.proven.has(id);
  }

  setTile(id: ValueId, tile: SharedTile): void {
    this.tiles.set(id, tile);
  }

  tile(id: ValueId): SharedTile {
    const tile = this.tiles.get(id);
    if (tile === undefined) throw internal(`tile value ${id} is not in shared memory`);
    return tile;
  }

  /** Names a shared array of at least `length` elements; arrays of one name are one array. */
  array(name: string, memory: MemoryType, length: number): string {
    const known = this.arrays.get(name);
    this.arrays.set(name, { name, memory, length: Math.max(known?.length ?? 0, length) });
    return name;
  }

  /** The array through which threads pass values of a type for a moment. */
  exchangeArray(dtype: ComputeType, length: number): string {
    return this.array(`exchange_${dtype}`, sharedType(dtype), length);
  }

  finish(): readonly ThreadStatement[] {
    return this.statements;
  }
}

/** How values of a compute type lie in shared memory. */
export const sharedType = (dtype: ComputeType): MemoryType => (dtype === 'bool' ? 'u32' : dtype);

const bytesOfMemory: Readonly<Record<MemoryType, number>> = {
  f64: 8,
  i64: 8,
  u64: 8,
  f32: 4,
  i32: 4,
  u32: 4,
  i16: 2,
  u16: 2,
  i8: 1,
  u8: 1,
};

/** Bytes of all arrays, each begun at a multiple of 8; throws tooLarge above `limit`. */
export function sharedBytesOf(arrays: readonly SharedArray[], limit: number): number {
  const sizes = arrays.map((a) => Math.ceil((a.length * bytesOfMemory[a.memory]) / 8) * 8);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total > limit) throw tooLarge('shared memory of a group', total, limit);
  return total;
}

/** Place of a layout's register in a shared tile. */
export function placeIn(pitch: number, layout: Layout, register: number): Expression {
  const where = elementOf(layout, register);
  const [row, column] = where.length === 2 ? where : [0, where[0]];
  return add(multiply(row ?? 0, pitch), column ?? 0);
}

/** An element of shared memory without a guard. */
export const cell = (memory: string, address: Expression, pattern = ''): Element => ({
  memory,
  address,
  guard: [],
  pattern,
});

/** Copies registers of a layout to a shared tile; threads with copies of others stay away. */
export function storeTile(
  w: ThreadWriter,
  tile: SharedTile,
  layout: Layout,
  registers: readonly Operand[],
): void {
  const guard: Guard = ownerGuard(layout);
  for (const [r, value] of registers.entries()) {
    const place = placeIn(tile.pitch, layout, r);
    w.push({ kind: 'store', element: { ...cell(tile.memory, place, layout.key), guard }, value });
  }
}
