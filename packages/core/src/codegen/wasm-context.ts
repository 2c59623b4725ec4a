/** What the lowering of one kernel to WebAssembly shares between its parts. */
import { internal } from '../base/errors.js';
import type { ComputeType, MemoryType } from '../base/target.js';
import type { TileType, ValueId, VariableId } from '../kernel/tile.js';
import type { Code } from './wasm-encode.js';
import type { FunctionBuilder } from './wasm-function.js';
import type { Base, IndexBuilder } from './wasm-index.js';
import { constantOf, isVector, type Lanes, type Value, vectorConstant } from './wasm-value.js';

export interface Buffer {
  readonly base: Base;
  readonly memory: MemoryType;
}

export interface Context {
  readonly f: FunctionBuilder;
  readonly index: IndexBuilder;
  readonly lanes: Lanes;
  /** The relaxed instructions are there; multiplyAdd rounds once. */
  readonly fused: boolean;
  readonly buffers: ReadonlyMap<string, Buffer>;
  readonly values: Map<ValueId, Value>;
  readonly variables: Map<VariableId, { readonly type: TileType; readonly locals: number[] }>;
  /** Loads whose elements are only used in every lane of a vector. */
  readonly splatLoads: ReadonlySet<ValueId>;
  /** Those of them that wait for the dot that uses them, with what its result is assigned to. */
  readonly waitingLoads: ReadonlyMap<ValueId, VariableId>;
  /** Address of the status word. */
  readonly status: Code | undefined;
}

export function valueNamed(c: Context, id: ValueId): Value {
  const value = c.values.get(id);
  if (value === undefined) throw internal(`value ${id} is used before it is made`);
  return value;
}

export function bufferOf(c: Context, name: string): Buffer {
  const buffer = c.buffers.get(name);
  if (buffer === undefined) throw internal(`buffer ${name} is not declared`);
  return buffer;
}

/** The compute type that holds every value of a memory type. */
export function naturalType(memory: MemoryType): ComputeType {
  if (memory === 'i8' || memory === 'i16') return 'i32';
  return memory === 'u8' || memory === 'u16' ? 'u32' : memory;
}

/** A piece of a tile of this type with one number everywhere. */
export const filledPiece = (type: TileType, lanes: Lanes, value: number): Code =>
  isVector(type, lanes)
    ? vectorConstant(type.dtype, lanes, new Array<number>(lanes).fill(value))
    : constantOf(type.dtype, value);
