/** Hints about memory as WebAssembly, which has none: a load whose value nobody takes. */
import { bytesOfMemory } from '../base/memory-type.js';
import { lineBytes } from '../kernel/streaming.js';
import type { Statement } from '../kernel/tile.js';
import { bufferOf, type Context } from './wasm-context.js';
import { type Code, constant32, constant64, instruction, memoryAccess } from './wasm-encode.js';

const pageBits = 16;

/** Beyond the end of the linear memory a load would end the program: there it is the last line. */
export function touch(c: Context, s: Extract<Statement, { kind: 'touch' }>): void {
  const { base, memory } = bufferOf(c, s.buffer);
  const { addressType: type } = c.index;
  const constant = type === 'i64' ? constant64 : constant32;
  const bytes = bytesOfMemory[memory];
  const size = instruction(`${type}.shl`, [...instruction('memory.size'), 0], constant(pageBits));
  const line = instruction(`${type}.sub`, size, constant(lineBytes));
  const last = c.f.hoist(0, 'last line', type, line);
  const { code, offset } = c.index.address(base, s.address, bytes);
  for (let from = 0; from < s.count * bytes; from += lineBytes) {
    const wanted: Code = instruction(`${type}.add`, code, constant(offset + from));
    const at = c.f.define(type, wanted);
    const inside = instruction('select', at, last, instruction(`${type}.lt_u`, at, last));
    c.f.emit(instruction('drop', memoryAccess('i32.load8_u', 0, inside)));
  }
}
