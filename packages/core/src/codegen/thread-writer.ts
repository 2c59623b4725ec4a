/**
 * What the thread mapping writes into: the statements so far, the registers that hold each tile
 * value, and the shared arrays. Stateful while one kernel is being mapped.
 */
import { internal, tooLarge } from '../base/errors.js';
import { add, type Expression, multiply } from '../base/expression.js';
import { bytesOfMemory } from '../base/memory-type.js';
import type { ComputeType, MemoryType } from '../base/target.js';
import type { TileType, ValueId } from '../kernel/tile.js';
import type { Demands } from './thread-demand.js';
import { elementOf, type Layout, ownerGuard, registersOf } from './thread-layout.js';
import type {
  Element,
  Guard,
  Operand,
  ScalarOperation,
  SharedArray,
  ThreadStatement,
} from './thread-program.js';
import { runsOf } from './thread-vector.js';

/** A tile that lies in shared memory, row by row or column by column. */
export interface SharedTile {
  readonly memory: string;
  /** Elements from row to row, and from column to column. */
  readonly rowStep: number;
  readonly columnStep: number;
}

/** What a target says about accesses and exchanges of threads. */
export interface AccessFacts {
  /** Most bytes of one access; 0: one element. */
  readonly accessBytes: number;
  readonly bundles: boolean;
}

export class ThreadWriter {
  readonly group: number;
  /** Whether bundles of threads combine values on their own. */
  readonly bundles: boolean;
  readonly demands: Demands;
  readonly layouts = new Map<string, Layout>();
  readonly arrays = new Map<string, SharedArray>();
  /** What is known to divide names in expressions. */
  readonly divisors: Map<string, number>;
  /** Most bytes of one access; 0: one element. */
  readonly accessBytes: number;
  private readonly registers = new Map<ValueId, Map<string, readonly Operand[]>>();
  private readonly tiles = new Map<ValueId, SharedTile>();
  /** Uniform values that a reader of the text could prove to be uniform. */
  private readonly proven = new Set<ValueId>();
  private statements: ThreadStatement[] = [];
  private next = 0;

  constructor(demands: Demands, group: number, { accessBytes, bundles }: AccessFacts) {
    this.demands = demands;
    this.divisors = new Map(demands.divisors);
    this.group = group;
    this.bundles = bundles;
    this.accessBytes = accessBytes;
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

  private runs(elements: readonly Element[], memory: MemoryType): readonly (readonly number[])[] {
    const known = (name: string): number => this.divisors.get(name) ?? 1;
    return runsOf(elements, memory, this.accessBytes, known);
  }

  /** Loads elements of one memory under names, several at once where they lie side by side. */
  load(
    dtype: ComputeType,
    memory: MemoryType,
    elements: readonly Element[],
    nameOf: (i: number) => string,
    other = 0,
  ): readonly Operand[] {
    // A word of narrow elements that are not there is 0.
    const isWide = other === 0 || bytesOfMemory[memory] >= 4;
    const runs = isWide ? this.runs(elements, memory) : elements.map((_, i) => [i]);
    for (const run of runs) {
      const element = elements[run[0] as number] as Element;
      const names = run.map(nameOf);
      const operation: ScalarOperation = { kind: 'load', element, other };
      if (run.length === 1) this.define(names[0] as string, dtype, operation);
      else this.push({ kind: 'loadVector', names, dtype, element, other });
    }
    return elements.map((_, i) => ({ kind: 'name', name: nameOf(i), dtype }));
  }

  /** Stores elements of one memory, several at once where they lie side by side. */
  store(memory: MemoryType, elements: readonly Element[], values: readonly Operand[]): void {
    for (const run of this.runs(elements, memory)) {
      const element = elements[run[0] as number] as Element;
      const [first] = run;
      if (run.length > 1) {
        const each = run.map((i) => values[i] as Operand);
        this.push({ kind: 'storeVector', element, values: each });
      } else this.push({ kind: 'store', element, value: values[first as number] as Operand });
    }
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

/** Bytes of all arrays, each begun at a multiple of an access; throws tooLarge above `limit`. */
export function sharedBytesOf(
  arrays: readonly SharedArray[],
  limit: number,
  accessBytes: number,
): number {
  const unit = Math.max(8, accessBytes);
  const sizes = arrays.map((a) => Math.ceil((a.length * bytesOfMemory[a.memory]) / unit) * unit);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total > limit) throw tooLarge('shared memory of a group', total, limit);
  return total;
}

/** Place of a layout's register in a shared tile. */
export function placeIn(tile: SharedTile, layout: Layout, register: number): Expression {
  const where = elementOf(layout, register);
  const [row, column] = where.length === 2 ? where : [0, where[0]];
  return add(multiply(row ?? 0, tile.rowStep), multiply(column ?? 0, tile.columnStep));
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
  const elements = registers.map((_, r) => ({
    ...cell(tile.memory, placeIn(tile, layout, r), layout.key),
    guard,
  }));
  w.store(w.arrays.get(tile.memory)?.memory as MemoryType, elements, registers);
}

/** Registers of a layout from a shared tile, under names of their numbers. */
export const loadTile = (
  w: ThreadWriter,
  dtype: ComputeType,
  tile: SharedTile,
  layout: Layout,
  nameOf: (register: number) => string,
): readonly Operand[] =>
  w.load(
    dtype,
    w.arrays.get(tile.memory)?.memory as MemoryType,
    Array.from({ length: registersOf(layout) }, (_, r) =>
      cell(tile.memory, placeIn(tile, layout, r)),
    ),
    nameOf,
  );
