/** Gather, scatter and atomics as WebAssembly: one element after the other. */
import { refused } from '../base/errors.js';
import { bytesOfMemory } from '../base/memory-type.js';
import type { Statement, TileType, ValueId } from '../kernel/tile.js';
import { binaryScalar } from './wasm-arithmetic.js';
import { bufferOf, type Context, naturalType, valueNamed } from './wasm-context.js';
import { convert } from './wasm-convert.js';
import {
  atomicAccess,
  branch,
  type Code,
  constant32,
  constant64,
  getLocal,
  instruction,
  loop,
  setLocal,
} from './wasm-encode.js';
import type { AddressType } from './wasm-index.js';
import { loadElement, storeElement } from './wasm-memory.js';
import {
  constantOf,
  elementOf,
  elementsOf,
  fromElements,
  scalarType,
  type Value,
} from './wasm-value.js';

const count = (value: Value): readonly number[] =>
  Array.from({ length: elementsOf(value.type) }, (_, i) => i);

/** Address of the element that a lane of an index tile names. */
function elementAddress(c: Context, buffer: string, index: Value, lane: number) {
  const { base, memory } = bufferOf(c, buffer);
  const element = elementOf(index, c.lanes, lane);
  const type = c.index.addressType;
  const own = scalarType(index.type.dtype) === type ? element : castIndex(type, index, element);
  const wide = type === 'i64';
  const size = bytesOfMemory[memory];
  const bytes = wide
    ? instruction('i64.mul', own, constant64(size))
    : instruction('i32.mul', own, constant32(size));
  const sum = instruction(wide ? 'i64.add' : 'i32.add', base.code, bytes);
  return { code: c.f.define(type, sum), offset: 0 };
}

function castIndex(to: AddressType, index: Value, element: Code): Code {
  if (to === 'i32') return instruction('i32.wrap_i64', element);
  const { dtype } = index.type;
  return instruction(dtype === 'u32' ? 'i64.extend_i32_u' : 'i64.extend_i32_s', element);
}

const maskOf = (c: Context, mask: ValueId | undefined): Value | undefined =>
  mask === undefined ? undefined : valueNamed(c, mask);

export function gather(
  c: Context,
  type: TileType,
  operation: { readonly buffer: string; readonly index: ValueId; readonly mask?: ValueId },
): Value {
  const { memory } = bufferOf(c, operation.buffer);
  const index = valueNamed(c, operation.index);
  const mask = maskOf(c, operation.mask);
  const natural = naturalType(memory);
  const elements = count({ ...index, type }).map((lane) => {
    const at = elementAddress(c, operation.buffer, index, lane);
    const local = c.f.newLocal(scalarType(natural));
    const read = setLocal(local, loadElement(memory, at));
    const zero = setLocal(local, constantOf(natural, 0));
    c.f.emit(mask ? branch(elementOf(mask, c.lanes, lane), read, zero) : read);
    return getLocal(local);
  });
  return convert(c, fromElements(c.f, { ...type, dtype: natural }, c.lanes, elements), type.dtype);
}

export function scatter(c: Context, s: Extract<Statement, { kind: 'scatter' }>): void {
  const { memory } = bufferOf(c, s.buffer);
  const index = valueNamed(c, s.index);
  const value = convert(c, valueNamed(c, s.value), naturalType(memory));
  const mask = maskOf(c, s.mask);
  for (const lane of count(index)) {
    const at = elementAddress(c, s.buffer, index, lane);
    const write = storeElement(memory, at, elementOf(value, c.lanes, lane));
    c.f.emit(mask ? branch(elementOf(mask, c.lanes, lane), write) : write);
  }
}

/** Tasks may run on several threads. */
export function atomic(c: Context, s: Extract<Statement, { kind: 'atomic' }>): void {
  const { memory } = bufferOf(c, s.buffer);
  if (memory !== 'i32' && memory !== 'u32') {
    throw refused(`atomic ${s.name} on ${memory}`, 'only 32-bit integers have it');
  }
  const index = valueNamed(c, s.index);
  const value = convert(c, valueNamed(c, s.value), memory);
  const mask = maskOf(c, s.mask);
  for (const lane of count(index)) {
    const { code: at } = elementAddress(c, s.buffer, index, lane);
    const given = elementOf(value, c.lanes, lane);
    const write = atomicUpdate(c, s.name, memory, at, given);
    c.f.emit(mask ? branch(elementOf(mask, c.lanes, lane), write) : write);
  }
}

/** The word at an address becomes `name` of what it was and what is given; both are pure code. */
export function atomicUpdate(
  c: Context,
  name: 'add' | 'minimum' | 'maximum' | 'exchange',
  memory: 'i32' | 'u32',
  at: Code,
  given: Code,
): Code {
  if (name === 'add') return drop(atomicAccess('i32.atomic.rmw.add', 0, at, given));
  if (name === 'exchange') return drop(atomicAccess('i32.atomic.rmw.xchg', 0, at, given));
  const old = c.f.newLocal('i32');
  const read = setLocal(old, atomicAccess('i32.atomic.load', 0, at));
  const next = binaryScalar(name, memory, getLocal(old), given);
  const seen = atomicAccess('i32.atomic.rmw.cmpxchg', 0, at, getLocal(old), next);
  const changed = instruction('i32.ne', seen, getLocal(old));
  return loop([...read, ...instruction('br_if', changed), 0]);
}

const drop = (value: Code): Code => instruction('drop', value);
