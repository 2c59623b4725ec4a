/** What the JavaScript engine around us can do, found by trying. */
import type { MatrixUnit, Target, TileProgram } from '@open-claw/core/device/contract';
import { wasmLanguage } from '@open-claw/core/device/wasm';
import { entryFunctions } from './memory.js';
import { isWide, targets } from './target.js';
import { wideMemory, widthOfEngine } from './wide.js';

type Type = Extract<TileProgram['body'][number], { kind: 'let' }>['type'];
type Operation = Extract<TileProgram['body'][number], { kind: 'let' }>['operation'];
const at = (buffer: string, strides: readonly number[]) => ({ buffer, address: 0, strides });

/** A kernel of d from a, b and c by one operation; each of 16 bytes. */
function probeProgram(
  target: Target,
  memory: 'f32' | 'i32',
  types: readonly [a: Type, b: Type, c: Type],
  operation: Operation,
): TileProgram {
  const type = types[2];
  const strides = ({ shape }: Type): readonly number[] => [0, 1].slice(2 - shape.length);
  const buffers = ['a', 'b', 'c', 'd'];
  return {
    contract: 1,
    name: 'probe',
    target: target.id,
    lanes: target.vectorBytes / 4 || 1,
    group: 1,
    buffers: buffers.map((name) => ({ name, memory, access: 'readWrite' })),
    sizes: [],
    indexType: 'i32',
    scratch: [],
    grid: [],
    body: [
      ...types.map((each, id) => {
        const access = at(buffers[id] as string, strides(each));
        return { kind: 'let', id, type: each, operation: { kind: 'load', access } } as const;
      }),
      { kind: 'let', id: 3, type, operation },
      { kind: 'store', access: at('d', strides(type)), value: 3 },
    ],
    mayFail: false,
  };
}

/** Bytes of d for those of a, b and c; undefined where the engine has no such instructions. */
async function run(
  program: TileProgram,
  target: Target,
  given: readonly ArrayBufferView[],
): Promise<ArrayBuffer | undefined> {
  const { bytes } = wasmLanguage.emit([program], target);
  const code = bytes as Uint8Array<ArrayBuffer>;
  if (!WebAssembly.validate(code)) return undefined;
  const wide = isWide(target);
  const memory = wide ? wideMemory(2, 2, false) : new WebAssembly.Memory({ initial: 2 });
  const { instance } = await WebAssembly.instantiate(code, { env: { memory } });
  const start = 65536;
  const addresses = [start, start + 16, start + 32, start + 48];
  if (wide) new BigInt64Array(memory.buffer, 0, 4).set(addresses.map(BigInt));
  else new Uint32Array(memory.buffer, 0, 4).set(addresses);
  given.forEach(({ buffer, byteOffset, byteLength }, i) => {
    const from = new Uint8Array(buffer, byteOffset, byteLength);
    new Uint8Array(memory.buffer, start + 16 * i, 16).set(from);
  });
  entryFunctions(instance.exports, wide)['probe']?.(0, 0, 0, 0n, 1n);
  return memory.buffer.slice(start + 48, start + 64) as ArrayBuffer;
}

/** (1 + e)(1 − e) − 1 for e = 2⁻¹³: −2⁻²⁶ with one rounding, 0 with two; undefined if invalid. */
async function residual(target: Target): Promise<number | undefined> {
  const type: Type = { dtype: 'f32', shape: [target.vectorBytes / 4 || 1] };
  const operation: Operation = { kind: 'multiplyAdd', a: 0, b: 1, c: 2 };
  const e = 2 ** -13;
  const given = [1 + e, 1 - e, -1].map((value) => new Float32Array(4).fill(value));
  const program = probeProgram(target, 'f32', [type, type, type], operation);
  const found = await run(program, target, given);
  return found && new Float32Array(found)[0];
}

/**
 * Whether products of bytes are exact, also the largest: engines may take the sum of two in 16
 * bits, or the unsigned factors as signed ones.
 */
async function isExact(target: Target, unit: MatrixUnit | undefined): Promise<boolean> {
  if (unit === undefined) return false;
  const types = [
    [1, 1],
    [1, 4],
    [1, 4],
  ].map((shape, i): Type => {
    return { dtype: i < 2 ? 'u32' : 'i32', shape };
  });
  const operation: Operation = { kind: 'dot', a: 0, b: 1, accumulator: 2, unit: unit.name };
  const program = probeProgram(target, 'i32', types as [Type, Type, Type], operation);
  for (const [left, right] of [
    [255, 127],
    [255, -128],
    [1, -1],
  ] as const) {
    const given = [
      new Uint8Array(16).fill(left),
      new Int8Array(16).fill(right),
      new Int32Array(4).fill(7),
    ];
    const found = await run(program, target, given);
    if (found === undefined || new Int32Array(found).some((sum) => sum !== 7 + 4 * left * right)) {
      return false;
    }
  }
  return true;
}

/** Rows that were found to hold, which no later look can change. */
const found = new Map<boolean, readonly Target[]>();

/**
 * The rows with wide or narrow addresses that this engine runs, fastest last. An engine that has
 * the instructions of a row has those of the rows before it, so the fastest is tried first.
 */
export async function availableTargets(wide: boolean): Promise<readonly Target[]> {
  const known = found.get(wide);
  if (known !== undefined) return known;
  if (typeof WebAssembly === 'undefined') return [];
  if (wide && widthOfEngine() === 'none') return [];
  const rows = targets.filter((target) => isWide(target) === wide);
  const plain = rows.filter((target) => bytesOf(target) === undefined);
  while (plain.length > 0) {
    const fastest = plain.at(-1) as Target;
    if (await holds(fastest)) break;
    plain.pop();
  }
  if (plain.at(-1)?.fusedMultiplyAdd !== true) return plain;
  const more = rows.filter((target) => bytesOf(target) !== undefined);
  const exact = await Promise.all(more.map((target) => isExact(target, bytesOf(target))));
  const all = [...plain, ...more.filter((_, at) => exact[at] === true)];
  found.set(wide, all);
  return all;
}

const bytesOf = ({ matrixUnits }: Target): MatrixUnit | undefined =>
  matrixUnits.find(({ left }) => left === 'u8');

/** A relaxed multiply-add that rounds twice is not what its row says. */
async function holds(target: Target): Promise<boolean> {
  const found = await residual(target);
  return target.fusedMultiplyAdd ? found === -(2 ** -26) : found !== undefined;
}

/** The engine's name and version as far as it tells. */
export function engineName(): string {
  const { process, navigator } = globalThis as {
    process?: { versions?: { v8?: string; node?: string } };
    navigator?: { userAgent?: string };
  };
  const versions = process?.versions;
  if (versions?.v8 !== undefined) return `V8 ${versions.v8}, Node.js ${versions.node ?? ''}`.trim();
  return navigator?.userAgent ?? 'unknown engine';
}
