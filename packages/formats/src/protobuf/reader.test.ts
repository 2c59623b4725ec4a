import { describe, expect, it } from 'vitest';
import { codeOf } from '../base/testing.js';
import { defaultWireLimits, WireReader } from './reader.js';
import { WireWriter } from './writer.js';

function open(bytes: Uint8Array | readonly number[], limits = {}): WireReader {
  return new WireReader(Uint8Array.from(bytes), 'file.bin', { ...defaultWireLimits, ...limits });
}

describe('WireReader', () => {
  it('reads 64-bit integers exactly', () => {
    const values = [0n, 1n, -1n, 127n, 128n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)];
    const writer = new WireWriter();
    for (const value of values) writer.varint(1, value);
    writer.packedVarints(1, values);
    const reader = open(writer.finish());
    const found: bigint[] = [];
    while (reader.next()) reader.int64s('v', found);
    expect(found).toEqual([...values, ...values]);
  });

  it('reads safe integers and refuses others', () => {
    const read = (value: bigint): number => {
      const reader = open(new WireWriter().varint(1, value).finish());
      reader.next();
      return reader.safeInteger('v');
    };
    for (const value of [0, -1, -5_000_000_000, 2 ** 53 - 1, -(2 ** 53) + 1, -(2 ** 32)]) {
      expect(read(BigInt(value))).toBe(value);
    }
    expect(codeOf(() => read(2n ** 53n))).toBe('OC-PB-08');
    expect(codeOf(() => read(-(2n ** 63n)))).toBe('OC-PB-08');
  });

  it('joins packed and unpacked runs and gives views where it can', () => {
    const floats = Float32Array.of(1.5, -2, 3);
    const bytes = new WireWriter().float(1, 7).float(1, 8).finish();
    const reader = open(bytes);
    reader.next();
    expect([...reader.floatRun('f')]).toEqual([7, 8]);
    expect(reader.next()).toBe(false);
    const aligned = new Uint8Array(16);
    aligned.set([0x78, 1, 0x0a, 12], 0);
    aligned.set(new Uint8Array(floats.buffer), 4);
    const second = new WireReader(aligned, 'file.bin', defaultWireLimits);
    second.next();
    second.skip();
    second.next();
    const run = second.floatRun('f');
    expect([...run]).toEqual([1.5, -2, 3]);
    expect(run.buffer).toBe(aligned.buffer);
  });

  it('moves large contents of its own file to where they are aligned', () => {
    for (let before = 0; before < 8; before++) {
      const content = Uint8Array.from({ length: 8192 }, (_, i) => (i * 7) % 251);
      const bytes = new WireWriter()
        .blob(1, new Uint8Array(before))
        .blob(9, content)
        .blob(2, Uint8Array.of(1, 2))
        .finish();
      for (const isOwn of [false, true]) {
        const file = bytes.slice();
        const reader = new WireReader(file, 'file.bin', defaultWireLimits, isOwn);
        reader.next();
        reader.skip();
        reader.next();
        const found = reader.blob('raw');
        expect(Buffer.compare(found, content)).toBe(0);
        expect(found.buffer).toBe(file.buffer);
        if (isOwn) expect(found.byteOffset % 4).toBe(0);
        else expect(Buffer.compare(file, bytes)).toBe(0);
        reader.next();
        expect([...reader.blob('end')]).toEqual([1, 2]);
      }
    }
  });

  it('cuts int32 as protobuf does', () => {
    const reader = open(new WireWriter().packedVarints(5, [-1n, 0xffffffffn, 65535n]).finish());
    reader.next();
    expect([...reader.int32Run('v')]).toEqual([-1, -1, 65535]);
  });

  it('refuses each kind of damage by its own code', () => {
    const text = (bytes: readonly number[]) => () => {
      const reader = open(bytes);
      reader.next();
      return reader.text('name');
    };
    const next = (bytes: readonly number[]) => () => open(bytes).next();
    const skip = (bytes: readonly number[]) => () => {
      const reader = open(bytes);
      while (reader.next()) reader.skip();
    };
    expect(codeOf(text([0x0a, 5, 65]))).toBe('OC-PB-01');
    expect(codeOf(text([0x0a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]))).toBe('OC-PB-01');
    expect(codeOf(next([0x80]))).toBe('OC-PB-01');
    expect(codeOf(next(Array(11).fill(0x80)))).toBe('OC-PB-02');
    expect(codeOf(skip([8, ...Array(9).fill(0xff), 2]))).toBe('OC-PB-02');
    expect(codeOf(text([0x08, 1]))).toBe('OC-PB-03');
    expect(codeOf(next([0, 1]))).toBe('OC-PB-04');
    expect(codeOf(skip([0x0b, 1]))).toBe('OC-PB-04');
    expect(codeOf(text([0x0a, 2, 0xc0, 0x80]))).toBe('OC-PB-06');
    expect(codeOf(text([0x0a, 3, 0xed, 0xa0, 0x80]))).toBe('OC-PB-06');
    expect(codeOf(() => open([1, 2, 3], { bytes: 2 }))).toBe('OC-PB-09');
  });

  it('keeps a number inside its packed block', () => {
    const reader = open([0x0a, 1, 0x80, 1]);
    reader.next();
    expect(codeOf(() => reader.int64s('v', []))).toBe('OC-PB-01');
    const run = open([0x0a, 1, 0x80, 1]);
    run.next();
    expect(codeOf(() => run.int64Run('v'))).toBe('OC-PB-01');
  });

  it('bounds depth and names the place', () => {
    const nest = (depth: number): Uint8Array => {
      let bytes: Uint8Array = new Uint8Array(0);
      for (let i = 0; i < depth; i++) bytes = new WireWriter().blob(1, bytes).finish();
      return bytes;
    };
    const walk = (reader: WireReader): number => {
      let depth = 0;
      while (reader.next()) depth = 1 + reader.message('inner', walk, 0);
      return depth;
    };
    expect(walk(open(nest(256)))).toBe(256);
    expect(codeOf(() => walk(open(nest(257))))).toBe('OC-PB-05');
    const damaged = Uint8Array.from([0x0a, 4, 0x0a, 2, 0x0a, 9]);
    try {
      walk(open(damaged));
      expect.unreachable();
    } catch (error) {
      expect(String(error)).toContain('file.bin: inner[0].inner[0].inner[0] at byte 4');
    }
  });
});
