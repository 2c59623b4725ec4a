import { describe, expect, it } from 'vitest';
import {
  constant32,
  constant64,
  encodeModule,
  getLocal,
  instruction,
  maybeInstruction,
  memoryAccess,
  signed,
  unsigned,
} from './wasm-encode.js';

describe('LEB128', () => {
  it('encodes unsigned numbers', () => {
    expect(unsigned(0)).toEqual([0]);
    expect(unsigned(127)).toEqual([0x7f]);
    expect(unsigned(128)).toEqual([0x80, 0x01]);
    expect(unsigned(624485)).toEqual([0xe5, 0x8e, 0x26]);
    expect(unsigned(2 ** 32 - 1)).toEqual([0xff, 0xff, 0xff, 0xff, 0x0f]);
  });
  it('encodes signed numbers', () => {
    expect(signed(0n)).toEqual([0]);
    expect(signed(63n)).toEqual([63]);
    expect(signed(64n)).toEqual([0xc0, 0x00]);
    expect(signed(-64n)).toEqual([0x40]);
    expect(signed(-65n)).toEqual([0xbf, 0x7f]);
    expect(signed(-123456n)).toEqual([0xc0, 0xbb, 0x78]);
  });
  it('wraps constants to their width', () => {
    expect(constant32(2 ** 32 - 1)).toEqual(constant32(-1));
    expect(constant64(2n ** 64n - 1n)).toEqual(constant64(-1));
  });
});

describe('instructions', () => {
  it('puts operands before the opcode, with its prefix', () => {
    expect(instruction('i32.add', getLocal(0), getLocal(1))).toEqual([0x20, 0, 0x20, 1, 0x6a]);
    expect(instruction('f32x4.add')).toEqual([0xfd, 0xe4, 0x01]);
    expect(instruction('i32.trunc_sat_f32_s')).toEqual([0xfc, 0x00]);
  });
  it('knows which vector instructions do not exist', () => {
    expect(maybeInstruction('i64x2.min_s')).toBeUndefined();
    expect(maybeInstruction('i64x2.add')).toBeDefined();
  });
});

describe('modules', () => {
  it('are valid, share the memory and export every function', () => {
    const store = (value: number) => memoryAccess('i32.store', 300, getLocal(0), constant32(value));
    const bytes = encodeModule([
      { name: 'one', parameters: ['i32'], locals: ['f32', 'f32', 'i64'], body: store(1) },
      { name: 'two', parameters: ['i32', 'i64'], locals: [], body: store(2) },
    ]) as Uint8Array<ArrayBuffer>;
    expect(WebAssembly.validate(bytes)).toBe(true);
    const memory = new WebAssembly.Memory({ initial: 1 });
    const module = new WebAssembly.Module(bytes);
    const { one, two } = new WebAssembly.Instance(module, { env: { memory } }).exports as Record<
      string,
      (...parameters: (number | bigint)[]) => void
    >;
    one?.(0);
    two?.(4, 0n);
    expect([...new Int32Array(memory.buffer, 300, 2)]).toEqual([1, 2]);
  });
});
