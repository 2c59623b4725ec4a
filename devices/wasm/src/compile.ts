/** From bytes to the engine's modules; what is compiled once in this process stays so. */
import { failure } from '@open-claw/core/device/contract';
import { encodeUnsigned } from '@open-claw/core/device/wasm';
import { narrowPages, widePages } from './wide.js';

interface Made {
  readonly bytes: Uint8Array;
  readonly module: WebAssembly.Module;
}

const compiled = { own: new WeakMap<Uint8Array, Made>(), shared: new WeakMap<Uint8Array, Made>() };

/**
 * The module of these bytes, for a memory of its own or one that threads share. Rejects with the
 * engine's own text.
 */
export async function moduleOf(given: Uint8Array, shared: boolean): Promise<Made> {
  const cache = shared ? compiled.shared : compiled.own;
  const known = cache.get(given);
  if (known !== undefined) return known;
  try {
    const bytes = shared ? withSharedMemory(given) : given;
    const module = await WebAssembly.compile(bytes as Uint8Array<ArrayBuffer>);
    cache.set(given, { bytes, module });
    return { bytes, module };
  } catch (error) {
    throw failure('OC-DEVICE-07', { reason: String(error) }, { cause: error });
  }
}

const importSection = 2;
/** The ends of the section as the language prints it: a memory of at least one page. */
const ownMemory = [0x02, 0x00, 0x01];
const ownWideMemory = [0x02, 0x04, 0x01];
/** At least one page, at most so many, shared. */
const sharedMemory = [0x02, 0x03, 0x01, ...encodeUnsigned(narrowPages)];
const sharedWideMemory = [0x02, 0x07, 0x01, ...encodeUnsigned(widePages)];

/**
 * The same module for a memory that is shared: only the type of its import differs, so programs
 * are compiled and kept without a thought to threads.
 */
export function withSharedMemory(bytes: Uint8Array): Uint8Array {
  let at = 8;
  while (at < bytes.length) {
    const { value: size, next } = readUnsigned(bytes, at + 1);
    const end = next + size;
    if (bytes[at] === importSection) {
      const content = bytes.subarray(next, end);
      const kept = content.length - ownMemory.length;
      const endsWith = (memory: readonly number[]): boolean =>
        memory.every((byte, i) => content[kept + i] === byte);
      const wide = endsWith(ownWideMemory);
      if (!wide && !endsWith(ownMemory)) break;
      const imports = [...content.subarray(0, kept), ...(wide ? sharedWideMemory : sharedMemory)];
      const head = [...bytes.subarray(0, at + 1), ...encodeUnsigned(imports.length), ...imports];
      const made = new Uint8Array(head.length + bytes.length - end);
      made.set(head);
      made.set(bytes.subarray(end), head.length);
      return made;
    }
    at = end;
  }
  throw new Error('the module imports no memory');
}

/** Unsigned LEB128. */
function readUnsigned(bytes: Uint8Array, start: number): { value: number; next: number } {
  let value = 0;
  for (let at = start, scale = 1; ; at++, scale *= 0x80) {
    const byte = bytes[at] ?? 0;
    value += (byte % 0x80) * scale;
    if (byte < 0x80) return { value, next: at + 1 };
  }
}
