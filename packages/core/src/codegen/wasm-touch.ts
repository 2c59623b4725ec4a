/** Hints about memory as WebAssembly, which has none: a load whose value nobody takes. */
import { add, type Expression } from '../base/expression.js';
import { bytesOfMemory } from '../base/memory-type.js';
import { lineBytes } from '../kernel/streaming.js';
import type { Access, Statement } from '../kernel/tile.js';
import { bufferOf, type Context } from './wasm-context.js';
import {
  branch,
  type Code,
  constant32,
  constant64,
  getLocal,
  instruction,
  memoryAccess,
  setLocal,
} from './wasm-encode.js';

const pageBits = 16;
/** What the operating system maps at once, and where the hardware's own hints begin anew. */
const mappedBytes = 4096;
/** A memory has more. */
const mostLines = 1024;

/** Beyond the end of the linear memory a load would end the program: there it is the last lines. */
export function touch(c: Context, s: Extract<Statement, { kind: 'touch' }>): void {
  const bytes = bytesOfMemory[bufferOf(c, s.buffer).memory];
  const lines = Math.min(mostLines, Math.ceil((s.count * bytes) / lineBytes));
  c.f.emit(touchLines(c, addressOf(c, s.buffer, s.address), lines));
}

/**
 * For a tile in a walk through memory: where its elements so far on are the first of a page, one of
 * them is touched. Within a page the hardware sees what comes.
 */
export function touchAhead(
  c: Context,
  { buffer, address, ahead = 0 }: Pick<Access, 'buffer' | 'address' | 'ahead'>,
  count: number,
): void {
  const { addressType: type } = c.index;
  const at = addressOf(c, buffer, add(address, ahead));
  const span = count * bytesOfMemory[bufferOf(c, buffer).memory];
  const inPage = instruction(`${type}.and`, at, constantOf(c, mappedBytes - 1));
  const isFirst = instruction(`${type}.lt_u`, inPage, constantOf(c, span));
  c.f.emit(branch(isFirst, touchLines(c, at, 1)));
}

const constantOf = ({ index }: Context, value: number): Code =>
  index.addressType === 'i64' ? constant64(value) : constant32(value);

function addressOf(c: Context, buffer: string, element: Expression): Code {
  const { base, memory } = bufferOf(c, buffer);
  const { addressType: type } = c.index;
  const { code, offset } = c.index.address(base, element, bytesOfMemory[memory]);
  return c.f.define(type, instruction(`${type}.add`, code, constantOf(c, offset)));
}

function touchLines(c: Context, at: Code, lines: number): Code {
  const { addressType: type } = c.index;
  const size = instruction(
    `${type}.shl`,
    [...instruction('memory.size'), 0],
    constantOf(c, pageBits),
  );
  const before = instruction(`${type}.sub`, size, constantOf(c, lines * lineBytes));
  const last = c.f.hoist(0, `last ${lines} lines`, type, before);
  const inside = instruction('select', at, last, instruction(`${type}.lt_u`, at, last));
  const first = c.f.newLocal(type);
  const loads = Array.from({ length: lines }, (_, line) =>
    instruction('drop', memoryAccess('i32.load8_u', line * lineBytes, getLocal(first))),
  );
  return [...setLocal(first, inside), ...loads.flat()];
}
