import { describe, expect, it } from 'vitest';
import { decodeUtf8, encodeUtf8 } from './text.js';

describe('UTF-8', () => {
  it('agrees with TextEncoder and TextDecoder on every code point', () => {
    for (let point = 0; point <= 0x10ffff; point += point < 0x3000 ? 1 : 97) {
      if (point >= 0xd800 && point <= 0xdfff) continue;
      const text = String.fromCodePoint(point);
      const bytes = new TextEncoder().encode(text);
      expect([...encodeUtf8(text)]).toEqual([...bytes]);
      expect(decodeUtf8(bytes)).toBe(text);
    }
  });

  it('agrees with a strict TextDecoder on all pairs and many triples of bytes', () => {
    const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const expected = (bytes: Uint8Array): string | null => {
      try {
        return strict.decode(bytes);
      } catch {
        return null;
      }
    };
    for (let i = 0; i < 65536; i++) {
      const pair = Uint8Array.of(i >> 8, i & 255);
      if (decodeUtf8(pair) !== expected(pair)) expect([...pair]).toEqual('differs');
    }
    let state = 7;
    for (let i = 0; i < 50_000; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      const four = Uint8Array.of(
        0xe0 + ((state >>> 28) & 15),
        state >>> 20,
        state >>> 12,
        state >>> 4,
      );
      for (const bytes of [four, four.subarray(0, 3)]) {
        if (decodeUtf8(bytes) !== expected(bytes)) expect([...bytes]).toEqual('differs');
      }
    }
  });

  it('decodes long text and replaces lone surrogates', () => {
    const long = 'a漢😀'.repeat(10_000);
    expect(decodeUtf8(encodeUtf8(long))).toBe(long);
    expect(decodeUtf8(encodeUtf8('\ud800'))).toBe('\ufffd');
  });
});
