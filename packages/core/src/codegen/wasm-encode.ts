/** Encoder of WebAssembly modules: LEB128, instructions, sections. Takes code, gives bytes. */
import { type Opcode, opcodes } from './wasm-opcodes.js';

export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';

/** Instructions as bytes; where it is an operand, it pushes one value. */
export type Code = readonly number[];

/** One exported function; parameters are its first locals. */
export interface WasmFunction {
  readonly name: string;
  readonly parameters: readonly ValueType[];
  readonly locals: readonly ValueType[];
  readonly body: Code;
}

const typeBytes: Readonly<Record<ValueType, number>> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
};

/** Unsigned LEB128 of an integer in [0, 2^53). */
export function unsigned(value: number): Code {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return [...bytes, rest];
}

/** Signed LEB128. */
export function signed(value: bigint): Code {
  const bytes: number[] = [];
  let rest = value;
  while (rest < -64n || rest > 63n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  return [...bytes, Number(rest & 0x7fn)];
}

const opcodeBytes = new Map<string, Code>(
  Object.entries(opcodes).map(([name, { prefix, code }]) => [
    name,
    prefix === undefined ? [code] : [prefix, ...unsigned(code)],
  ]),
);

/** Appends in place; a spread of a long body would overflow the engine's argument stack. */
export function append(target: number[], code: Code): void {
  for (const byte of code) target.push(byte);
}

/** Operands in order, then the instruction. */
export function instruction(name: Opcode, ...operands: readonly Code[]): Code {
  return [...operands.flat(), ...(opcodeBytes.get(name) as Code)];
}

/** An instruction whose name was put together; undefined where there is none of that name. */
export function maybeInstruction(name: string, ...operands: readonly Code[]): Code | undefined {
  return opcodeBytes.has(name) ? instruction(name as Opcode, ...operands) : undefined;
}

export const getLocal = (local: number): Code => [...instruction('local.get'), ...unsigned(local)];
export const setLocal = (local: number, value: Code): Code => [
  ...instruction('local.set', value),
  ...unsigned(local),
];

/** A 32-bit constant; larger values wrap. */
export const constant32 = (value: number | bigint): Code => [
  ...instruction('i32.const'),
  ...signed(BigInt.asIntN(32, BigInt(value))),
];
export const constant64 = (value: number | bigint): Code => [
  ...instruction('i64.const'),
  ...signed(BigInt.asIntN(64, BigInt(value))),
];

const bytesOf = (array: ArrayBufferView): Code => [
  ...new Uint8Array(array.buffer, array.byteOffset, array.byteLength),
];

export const constantF32 = (value: number): Code => [
  ...instruction('f32.const'),
  ...bytesOf(new Float32Array([value])),
];
export const constantF64 = (value: number): Code => [
  ...instruction('f64.const'),
  ...bytesOf(new Float64Array([value])),
];
export const constantVector = (lanes: Int32Array | BigInt64Array): Code => [
  ...instruction('v128.const'),
  ...bytesOf(lanes),
];

/** Memory access: operands, then alignment hint 2^0 and a constant byte offset. */
export const memoryAccess = (name: Opcode, offset: number, ...operands: readonly Code[]): Code => [
  ...instruction(name, ...operands),
  0,
  ...unsigned(offset),
];

/** As memoryAccess, for the atomic accesses of 32 bits: their alignment is the whole word's. */
export const atomicAccess = (name: Opcode, offset: number, ...operands: readonly Code[]): Code => [
  ...instruction(name, ...operands),
  2,
  ...unsigned(offset),
];

/** Bytes 0–15 of the first vector and 16–31 of the second, in the order named. */
export const shuffle = (bytes: readonly number[], a: Code, b: Code): Code => [
  ...instruction('i8x16.shuffle', a, b),
  ...bytes,
];

const emptyBlock = 0x40;
export const block = (body: Code): Code => wrapped('block', body);
export const loop = (body: Code): Code => wrapped('loop', body);

function wrapped(name: 'block' | 'loop', body: Code): Code {
  const code: number[] = [...instruction(name), emptyBlock];
  append(code, body);
  append(code, instruction('end'));
  return code;
}

/** Runs `then` where the condition (i32) is not 0, else `otherwise`. */
export function branch(condition: Code, then: Code, otherwise: Code = []): Code {
  const code: number[] = [...instruction('if', condition), emptyBlock];
  append(code, then);
  if (otherwise.length > 0) {
    append(code, instruction('else'));
    append(code, otherwise);
  }
  append(code, instruction('end'));
  return code;
}

const lengthPrefixed = (bytes: Code): Code => {
  const code: number[] = [...unsigned(bytes.length)];
  append(code, bytes);
  return code;
};

const list = (items: readonly Code[]): Code => {
  const code: number[] = [...unsigned(items.length)];
  for (const item of items) append(code, item);
  return code;
};

const text = (ascii: string): Code =>
  lengthPrefixed([...ascii].map((character) => character.charCodeAt(0)));

/** Neighbours of one type share a declaration. */
function localDeclarations(locals: readonly ValueType[]): Code {
  const runs: { type: ValueType; count: number }[] = [];
  for (const type of locals) {
    const last = runs.at(-1);
    if (last?.type === type) last.count++;
    else runs.push({ type, count: 1 });
  }
  return list(runs.map(({ type, count }) => [...unsigned(count), typeBytes[type]]));
}

function functionBody({ locals, body }: WasmFunction): Code {
  const code: number[] = [...localDeclarations(locals)];
  append(code, body);
  append(code, instruction('end'));
  return lengthPrefixed(code);
}

const functionType = (parameters: readonly ValueType[]): Code => [
  0x60,
  ...list(parameters.map((type) => [typeBytes[type]])),
  ...list([]),
];

/** The kinds of memories, by the bits of their flags. */
const memoryKind = { i32: 0x00, i64: 0x04 };

/**
 * A module that imports its memory as ("env", "memory"), whose addresses are of the type, and
 * exports every function by name.
 */
export function encodeModule(
  functions: readonly WasmFunction[],
  addressType: 'i32' | 'i64' = 'i32',
): Uint8Array {
  const memory = [0x02, memoryKind[addressType], ...unsigned(1)];
  const importedMemory = [...text('env'), ...text('memory'), ...memory];
  const sections: readonly (readonly [number, Code])[] = [
    [1, list(functions.map(({ parameters }) => functionType(parameters)))],
    [2, list([importedMemory])],
    [3, list(functions.map((_, i) => unsigned(i)))],
    [7, list(functions.map(({ name }, i) => [...text(name), 0x00, ...unsigned(i)]))],
    [10, list(functions.map(functionBody))],
  ];
  const bytes: number[] = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
  for (const [id, content] of sections) {
    bytes.push(id);
    append(bytes, lengthPrefixed(content));
  }
  return Uint8Array.from(bytes);
}
