/** Runs tile code on plain JavaScript: elementwise code over arrays, for tests of kernels. */

import { templateTarget } from '../../devices/template/src/target.js';
import { multiply, variable } from '../../packages/core/src/base/expression.js';
import type { ComputeType, MemoryType, Target } from '../../packages/core/src/base/target.js';
import { scriptLanguage } from '../../packages/core/src/codegen/script.js';
import { KernelBuilder, type Value } from '../../packages/core/src/kernel/builder.js';
import type { TileProgram } from '../../packages/core/src/kernel/tile.js';
import { verifyProgram } from '../../packages/core/src/kernel/verify.js';

export const scriptTarget: Target = templateTarget;

type Numbers =
  | Float32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer>;

const arrays = {
  f32: Float32Array,
  f64: Float64Array,
  i8: Int8Array,
  i16: Int16Array,
  i32: Int32Array,
  i64: BigInt64Array,
  u8: Uint8Array,
  u16: Uint16Array,
  u32: Uint32Array,
  u64: BigUint64Array,
};

export interface Column {
  readonly memory: MemoryType;
  /** Type of the value in the kernel. */
  readonly compute: ComputeType;
  readonly data: Numbers;
}

export const column = (data: Numbers): Column => {
  const memory = (Object.keys(arrays) as MemoryType[]).find((m) => data instanceof arrays[m]);
  if (memory === undefined) throw new Error('no such memory');
  const compute = memory === 'u8' || memory === 'u16' ? 'u32' : memory;
  return { memory, compute: compute === 'i8' || compute === 'i16' ? 'i32' : compute, data };
};

/** Calls the kernels of a program on bytes. */
export function runProgram(
  program: TileProgram,
  buffers: readonly Uint8Array[],
  sizes: readonly number[],
  tasks: number,
): void {
  const source = scriptLanguage.emit([program], scriptTarget);
  const functions = new Function(source.text as string)();
  functions[program.name](buffers, sizes, 0, tasks);
}

/** write(columns' elements) for every element, in tiles of `lanes`; the result as `memory`. */
export function runTile(
  columns: readonly Column[],
  memory: MemoryType,
  write: (b: KernelBuilder, values: readonly Value[]) => Value,
  lanes = 4,
): Numbers {
  const count = columns[0]?.data.length ?? 0;
  if (count % lanes !== 0) throw new Error(`${count} elements in tiles of ${lanes}`);
  const b = new KernelBuilder('i32');
  const address = multiply(lanes, variable('g', count / lanes));
  const shape = lanes === 1 ? [] : [lanes];
  const strides = lanes === 1 ? [] : [1];
  const values = columns.map(({ compute }, i) =>
    b.load({ dtype: compute, shape }, { buffer: `b${i}`, address, strides }),
  );
  const raw = write(b, values);
  const value = raw.type.dtype === 'bool' ? b.convert(raw, 'u32') : raw;
  b.store({ buffer: 'out', address, strides }, b.broadcast(value, shape));
  const program: TileProgram = {
    contract: 1,
    name: 'kernel0',
    target: scriptTarget.id,
    lanes: 1,
    group: 1,
    buffers: [
      ...columns.map(({ memory: m }, i) => ({ name: `b${i}`, memory: m, access: 'read' as const })),
      { name: 'out', memory, access: 'write' as const },
    ],
    sizes: [],
    indexType: 'i32',
    scratch: [],
    grid: [{ name: 'g', extent: count / lanes }],
    body: b.body,
    mayFail: b.mayFail,
  };
  verifyProgram(program);
  const out = new arrays[memory](count) as Numbers;
  const bytes = [...columns.map(({ data }) => data), out].map(
    (a) => new Uint8Array(a.buffer, a.byteOffset, a.byteLength),
  );
  runProgram(program, [...bytes, new Uint8Array(4)], [], count / lanes);
  return out;
}
