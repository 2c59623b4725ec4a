/** Hints about memory as WebAssembly, which has none: a load whose value nobody takes. */
import { bytesOfMemory } from '../base/memory-type.js';
import type { Statement } from '../kernel/tile.js';
import { bufferOf, type Context } from './wasm-context.js';
import { type Code, constant32, instruction, memoryAccess } from './wasm-encode.js';

/** What CPUs load at a time. */
const lineBytes = 64;
const pageBits = 16;

/** Beyond the end of the linear memory a load would end the program: there it is the last line. */
export function touch(c: Context, s: Extract<Statement, { kind: 'touch' }>): void {
  const { base, memory } = bufferOf(c, s.buffer);
  const bytes = bytesOfMemory[memory];
  const last = c.f.hoist(0, 'last line', 'i32', lastLine);
  const { code, offset } = c.index.address(base, s.address, bytes);
  for (let line = 0; line < s.count * bytes; line += lineBytes) {
    const at = c.f.define('i32', instruction('i32.add', code, constant32(offset + line)));
    const inside = instruction('select', at, last, instruction('i32.lt_u', at, last));
    c.f.emit(instruction('drop', memoryAccess('i32.load8_u', 0, inside)));
  }
}

const lastLine: Code = instruction(
  'i32.sub',
  instruction('i32.shl', [...instruction('memory.size'), 0], constant32(pageBits)),
  constant32(lineBytes),
);
