/**
 * The language of the WebAssembly device: tile programs in, one module's bytes out.
 *
 * The module imports its memory as ("env", "memory") and exports one function per kernel with the
 * parameters (address of the buffer addresses, address of the i64 sizes, address of scratch, i64
 * first task, i64 end of tasks). Addresses are i32, or i64 on a target whose addresses have 64
 * bits. Buffers start at or above `lowestAddress`.
 */
import { build } from '../base/build.js';
import { refused, tooLarge } from '../base/errors.js';
import { type Expression, product } from '../base/expression.js';
import { bytesOfMemory } from '../base/memory-type.js';
import type { Target } from '../base/target.js';
import type { TileProgram } from '../kernel/tile.js';
import type { Entry, Language } from './language.js';
import type { Buffer, Context } from './wasm-context.js';
import {
  append,
  branch,
  type Code,
  constant32,
  constant64,
  encodeModule,
  getLocal,
  instruction,
  loop,
  memoryAccess,
  setLocal,
  type WasmFunction,
} from './wasm-encode.js';
import { FunctionBuilder } from './wasm-function.js';
import { type AddressType, IndexBuilder } from './wasm-index.js';
import { findSplatLoads, findWaitingLoads } from './wasm-splat.js';
import { statements } from './wasm-statements.js';
import type { Lanes } from './wasm-value.js';

export const wasmLanguage: Language = {
  name: 'wasm',
  build,
  emit(kernels, target) {
    const functions = kernels.map((kernel) => kernelFunction(kernel, target));
    const bytes = encodeModule(functions, addressTypeOf(target));
    return { language: 'wasm', target: target.id, bytes, entries: kernels.map(entryOf) };
  },
};

const addressTypeOf = ({ addressBits }: Target): AddressType =>
  addressBits === 64 ? 'i64' : 'i32';

/** Limits of the JavaScript interface of WebAssembly. */
const maxLocals = 50_000;
const maxBodyBytes = 7_654_321;

const scratchAlignment = 16;
const scratchSize = (kernel: TileProgram): number =>
  kernel.scratch.reduce((at, s) => aligned(at) + s.length * bytesOfMemory[s.memory], 0);
const aligned = (at: number): number => Math.ceil(at / scratchAlignment) * scratchAlignment;

function entryOf(kernel: TileProgram): Entry {
  const buffers = kernel.buffers.map(({ name, access }) => ({ name, write: access !== 'read' }));
  return {
    name: kernel.name,
    group: [1, 1, 1],
    sharedBytes: 0,
    scratchBytes: scratchSize(kernel),
    buffers: kernel.mayFail ? [...buffers, { name: 'status', write: true }] : buffers,
    sizes: kernel.sizes,
    indexType: kernel.indexType,
    axes: kernel.grid.length,
  };
}

const [blockParameter, sizesParameter, scratchParameter, beginParameter, endParameter] = [
  0, 1, 2, 3, 4,
];

function lanesOf(kernel: TileProgram): Lanes {
  const { lanes } = kernel;
  if (kernel.group !== 1 || (lanes !== 1 && lanes !== 2 && lanes !== 4)) {
    const reason = `${lanes} lanes, groups of ${kernel.group}`;
    throw refused(`kernel ${kernel.name}`, `it is not made for 128-bit vectors: ${reason}`);
  }
  return lanes;
}

function kernelFunction(kernel: TileProgram, target: Target): WasmFunction {
  if (kernel.contract !== 1) throw refused('tile program', `contract ${kernel.contract}`);
  const lanes = lanesOf(kernel);
  const address = addressTypeOf(target);
  const f = new FunctionBuilder([address, address, address, 'i64', 'i64']);
  const index = new IndexBuilder(f, kernel.indexType, address);
  bindSizes(kernel, f, index);
  const context: Context = {
    f,
    index,
    lanes,
    fused: target.fusedMultiplyAdd,
    buffers: bindBuffers(kernel, f, address),
    values: new Map(),
    variables: new Map(),
    splatLoads: findSplatLoads(kernel.body, lanes),
    waitingLoads: findWaitingLoads(kernel.body),
    status: kernel.mayFail ? bufferAddress(f, address, kernel.buffers.length) : undefined,
  };
  taskLoop(kernel, context);
  if (f.locals.length > maxLocals) {
    throw tooLarge('locals of a WebAssembly function', f.locals.length, maxLocals);
  }
  if (f.body.length > maxBodyBytes) {
    throw tooLarge('bytes of a WebAssembly function', f.body.length, maxBodyBytes);
  }
  return { name: kernel.name, parameters: f.parameters, locals: f.locals, body: f.body };
}

function bufferAddress(f: FunctionBuilder, type: AddressType, position: number): Code {
  const [opcode, bytes] = type === 'i64' ? (['i64.load', 8] as const) : (['i32.load', 4] as const);
  return f.define(type, memoryAccess(opcode, bytes * position, getLocal(blockParameter)));
}

function bindSizes(kernel: TileProgram, f: FunctionBuilder, index: IndexBuilder): void {
  kernel.sizes.forEach((name, i) => {
    const size = memoryAccess('i64.load', 8 * i, getLocal(sizesParameter));
    const code = index.type === 'i64' ? size : instruction('i32.wrap_i64', size);
    index.bind(name, f.define(index.type, code));
  });
}

function bindBuffers(
  kernel: TileProgram,
  f: FunctionBuilder,
  type: AddressType,
): ReadonlyMap<string, Buffer> {
  const buffers = new Map<string, Buffer>();
  kernel.buffers.forEach(({ name, memory }, i) => {
    buffers.set(name, { base: { name, code: bufferAddress(f, type, i) }, memory });
  });
  let at = 0;
  for (const { name, memory, length } of kernel.scratch) {
    at = aligned(at);
    const scratch = getLocal(scratchParameter);
    const start =
      type === 'i64'
        ? instruction('i64.add', scratch, constant64(at))
        : instruction('i32.add', scratch, constant32(at));
    buffers.set(name, { base: { name, code: f.define(type, start) }, memory });
    at += length * bytesOfMemory[memory];
  }
  return buffers;
}

/** Runs the body for every task in [begin, end); grid coordinates count along. */
function taskLoop(kernel: TileProgram, c: Context): void {
  const { f, index } = c;
  const task = f.newLocal('i64');
  const extents = kernel.grid.map(({ extent }) => f.define(index.type, index.value(extent)));
  const coordinates = kernel.grid.map(() => f.newLocal(index.type));
  f.emit(setLocal(task, getLocal(beginParameter)));
  kernel.grid.forEach((_, axis) => {
    const inner = product(kernel.grid.slice(axis + 1).map(({ extent }) => extent));
    f.emit(setLocal(coordinates[axis] as number, firstCoordinate(c, inner, extents[axis] as Code)));
  });
  const scope = f.inScope(() => {
    kernel.grid.forEach(({ name }, axis) => {
      index.bind(name, getLocal(coordinates[axis] as number));
    });
    statements(c, kernel.body);
  });
  const more = instruction('i64.lt_s', getLocal(task), getLocal(endParameter));
  const body: number[] = [];
  append(body, scope.body);
  append(body, setLocal(task, instruction('i64.add', getLocal(task), constant64(1))));
  append(body, nextCoordinates(c, coordinates, extents));
  append(body, [...instruction('br_if', more), 0]);
  f.emit(scope.before);
  f.emit(branch(more, loop(body)));
}

/** begin / inner mod extent; an extent of 0 has no tasks, but must not trap. */
function firstCoordinate(c: Context, inner: Expression, extent: Code): Code {
  const wide = (code: Code): Code =>
    c.index.type === 'i64' ? code : instruction('i64.extend_i32_u', code);
  const divisor = (code: Code): Code =>
    instruction('select', code, constant64(1), instruction('i64.ne', code, constant64(0)));
  const steps = wide(c.f.define(c.index.type, c.index.value(inner)));
  const quotient = instruction('i64.div_u', getLocal(beginParameter), divisor(steps));
  const coordinate = instruction('i64.rem_u', quotient, divisor(wide(extent)));
  return c.index.type === 'i64' ? coordinate : instruction('i32.wrap_i64', coordinate);
}

/** The last axis counts up; at its extent it starts again and carries. */
function nextCoordinates(
  { index }: Context,
  coordinates: readonly number[],
  extents: readonly Code[],
): Code {
  const { type } = index;
  let code: Code = [];
  coordinates.forEach((local, axis) => {
    const up = setLocal(local, instruction(`${type}.add`, getLocal(local), index.constant(1)));
    const full = instruction(`${type}.eq`, getLocal(local), extents[axis] as Code);
    const carry = axis === 0 ? [] : branch(full, [...setLocal(local, index.constant(0)), ...code]);
    code = [...up, ...carry];
  });
  return code;
}
