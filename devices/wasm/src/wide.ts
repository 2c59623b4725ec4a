/**
 * Memories with addresses of 64 bits. They are made by a small module that defines one: the
 * JavaScript interface for them has had two forms, and Node.js 20 ends both at 4 GiB.
 */
import { encodeUnsigned } from '@open-claw/core/device/wasm';

export const pageBytes = 65536;
/** Pages that the JavaScript interface allows a memory: 16 GiB. */
export const widePages = 262144;
/** Pages that addresses of 32 bits reach. */
export const narrowPages = 65536;

const hasMaximum = 0x01;
const isSharedFlag = 0x02;
const isWideFlag = 0x04;

const section = (id: number, content: readonly number[]): readonly number[] => [
  id,
  ...encodeUnsigned(content.length),
  ...content,
];

/** A module that defines the memory and exports it as "m". */
function definition(initial: number, maximum: number, shared: boolean): Uint8Array<ArrayBuffer> {
  const flags = isWideFlag + hasMaximum + (shared ? isSharedFlag : 0);
  const limits = [flags, ...encodeUnsigned(initial), ...encodeUnsigned(maximum)];
  const exported = [1, 1, 'm'.charCodeAt(0), 0x02, 0];
  const head = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
  return Uint8Array.from([...head, ...section(5, [1, ...limits]), ...section(7, exported)]);
}

/** Throws the engine's RangeError where it cannot give so much, and where it has none at all. */
export function wideMemory(initial: number, maximum: number, shared: boolean): WebAssembly.Memory {
  const module = new WebAssembly.Module(definition(initial, maximum, shared));
  return new WebAssembly.Instance(module).exports['m'] as WebAssembly.Memory;
}

/** Adds pages; engines want the number as an integer of the memory's own kind, or of the other. */
export function grow(memory: WebAssembly.Memory, pages: number): void {
  try {
    memory.grow(pages);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    (memory.grow as (pages: unknown) => number).call(memory, BigInt(pages));
  }
}

export type Width =
  /** No memory has addresses of 64 bits. */
  | 'none'
  /** A memory beyond 4 GiB has its size from the start. */
  | 'fixed'
  /** It grows on demand. */
  | 'growing';

let found: Width | undefined;

/** What the engine has, by trying; nothing is touched, so it costs address space only. */
export function widthOfEngine(): Width {
  found ??= lookForWidth();
  return found;
}

function lookForWidth(): Width {
  try {
    if (!WebAssembly.validate(definition(1, widePages, false))) return 'none';
    const memory = wideMemory(narrowPages, narrowPages + 1, false);
    try {
      grow(memory, 1);
      return 'growing';
    } catch {
      return wideMemory(narrowPages + 1, narrowPages + 1, false).buffer.byteLength ===
        (narrowPages + 1) * pageBytes
        ? 'fixed'
        : 'none';
    }
  } catch {
    return 'none';
  }
}

interface NodeProcess {
  getBuiltinModule?(name: 'node:os'): { totalmem(): number } | undefined;
}

/** What such a memory may have by default: all that is allowed, but not more than the machine. */
export function wideBytes(): number {
  const { process } = globalThis as { process?: NodeProcess };
  // A browser does not say what the machine has.
  const machine = process?.getBuiltinModule?.('node:os')?.totalmem() ?? widePages * pageBytes;
  return Math.min(widePages, Math.floor(machine / pageBytes)) * pageBytes;
}
