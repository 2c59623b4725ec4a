/** Hand-made tile programs for tests: a small builder, and a runner on an opened device. */
import type {
  Access,
  ComputeType,
  Device,
  DevicePlugin,
  Expression,
  MemoryType,
  Operation,
  Statement,
  TileProgram,
  ValueId,
} from '@open-claw/core/device/contract';
import { expressions } from '@open-claw/core/device/contract';

export const e = expressions;

export interface Builder {
  readonly statements: Statement[];
  let(dtype: ComputeType, shape: readonly number[], operation: Operation): ValueId;
  load(dtype: ComputeType, shape: readonly number[], access: Access, other?: number): ValueId;
  literal(dtype: ComputeType, value: number | bigint): ValueId;
  store(access: Access, value: ValueId): void;
  /** Statements of a nested body, with numbers from the same count. */
  body(write: (inner: Builder) => void): readonly Statement[];
}

export function builder(counter = { next: 0 }): Builder {
  const statements: Statement[] = [];
  const self: Builder = {
    statements,
    let(dtype, shape, operation) {
      const id = counter.next++;
      statements.push({ kind: 'let', id, type: { dtype, shape }, operation });
      return id;
    },
    load: (dtype, shape, access, other) =>
      self.let(dtype, shape, {
        kind: 'load',
        access,
        ...(other === undefined ? {} : { other }),
      }),
    literal: (dtype, value) => self.let(dtype, [], { kind: 'literal', value }),
    store: (access, value) => void statements.push({ kind: 'store', access, value }),
    body(write) {
      const inner = builder(counter);
      write(inner);
      return inner.statements;
    },
  };
  return self;
}

export type Data =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

const memoryOf: Readonly<Record<string, MemoryType>> = {
  Float32Array: 'f32',
  Float64Array: 'f64',
  Int8Array: 'i8',
  Uint8Array: 'u8',
  Int16Array: 'i16',
  Uint16Array: 'u16',
  Int32Array: 'i32',
  Uint32Array: 'u32',
  BigInt64Array: 'i64',
  BigUint64Array: 'u64',
};

export interface Case {
  readonly lanes: number;
  readonly buffers: Readonly<Record<string, Data>>;
  readonly sizes?: Readonly<Record<string, number>>;
  readonly grid?: readonly (readonly [string, Expression])[];
  readonly scratch?: TileProgram['scratch'];
  readonly mayFail?: boolean;
  readonly write: (b: Builder) => void;
}

let names = 0;

export function programOf(target: string, c: Case): TileProgram {
  const b = builder();
  c.write(b);
  return {
    contract: 1,
    name: `k${names++}`,
    target,
    lanes: c.lanes,
    group: 1,
    buffers: Object.entries(c.buffers).map(([name, data]) => ({
      name,
      memory: memoryOf[data.constructor.name] as MemoryType,
      access: 'readWrite',
    })),
    sizes: Object.keys(c.sizes ?? {}),
    indexType: 'i64',
    scratch: c.scratch ?? [],
    grid: (c.grid ?? [['g', 1]]).map(([name, extent]) => ({ name, extent })),
    body: b.statements,
    mayFail: c.mayFail ?? false,
  };
}

export const bytesOf = (data: Data): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Runs one case; the arrays hold what the kernel left in its buffers. Gives the status word. */
export async function runCase(plugin: DevicePlugin, device: Device, c: Case): Promise<number> {
  const target = (device as unknown as { options: { target: { id: string } } }).options.target.id;
  const program = programOf(target, c);
  const facts = plugin.targets.find(({ id }) => id === target);
  if (facts === undefined) throw new Error(`no target ${target}`);
  await plugin.language.ready?.();
  const binary = await plugin.compile(plugin.language.emit([program], facts), facts);
  const module = await device.load(binary);
  const status = new Int32Array([0x7fffffff]);
  const all: Data[] = [...Object.values(c.buffers), ...(c.mayFail === true ? [status] : [])];
  const memories = await Promise.all(all.map((data) => device.allocate(data.byteLength)));
  for (const [i, data] of all.entries()) {
    await device.write(memories[i] as never, 0, bytesOf(data));
  }
  const sizes = c.sizes ?? {};
  device.submit([
    {
      kind: 'launch',
      module,
      entry: program.name,
      grid: program.grid.map(({ extent }) => e.evaluate(extent, (name) => sizes[name])),
      buffers: all.map((data, i) => ({
        memory: memories[i] as never,
        offset: 0,
        bytes: data.byteLength,
        access: 'readWrite',
      })),
      sizes: Object.values(sizes),
      microseconds: 1,
    },
  ]);
  for (const [i, data] of all.entries()) await device.read(memories[i] as never, 0, bytesOf(data));
  for (const memory of memories) device.free(memory);
  device.free(module);
  return status[0] as number;
}
