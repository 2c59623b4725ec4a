import { constants, deflateRawSync } from 'node:zlib';
import { deflateSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { randomIntegers } from '../base/testing.js';
import { inflateInto } from './inflate.js';

const random = randomIntegers(7);
const bytes = (length: number, most: number): Uint8Array =>
  Uint8Array.from({ length }, () => random(most));

function repeated(part: Uint8Array): Uint8Array {
  const whole = new Uint8Array(3 * part.length);
  for (let i = 0; i < 3; i++) whole.set(part, i * part.length);
  return whole;
}

const contents: Readonly<Record<string, Uint8Array>> = {
  nothing: new Uint8Array(0),
  'one byte': Uint8Array.of(7),
  zeros: new Uint8Array(100_000),
  'few letters': bytes(70_000, 3),
  'all letters': bytes(70_000, 256),
  'far repetitions': repeated(bytes(32_000, 200)),
  numbers: new Uint8Array(Float32Array.from({ length: 20_000 }, (_, i) => Math.sin(i)).buffer),
};

const packers: readonly ((content: Uint8Array) => Uint8Array)[] = [
  ...[0, 1, 6, 9].map(
    (level) => (content: Uint8Array) => deflateSync(content, { level: level as 0 | 1 | 6 | 9 }),
  ),
  ...[constants.Z_FIXED, constants.Z_RLE, constants.Z_HUFFMAN_ONLY].map(
    (strategy) => (content: Uint8Array) => new Uint8Array(deflateRawSync(content, { strategy })),
  ),
  (content) => new Uint8Array(deflateRawSync(content, { level: 0 })),
];

describe('inflate', () => {
  it.each(Object.entries(contents))('gives back %s', (_, content) => {
    for (const pack of packers) {
      const to = new Uint8Array(content.length + 1);
      expect(inflateInto(pack(content), to)).toBe(content.length);
      expect(Buffer.compare(to.subarray(0, content.length), content)).toBe(0);
    }
  });

  it('stops where the memory is full', () => {
    for (const pack of packers) {
      const content = contents['few letters'] as Uint8Array;
      const to = new Uint8Array(1000);
      expect(inflateInto(pack(content), to)).toBe(1000);
      expect(Buffer.compare(to, content.subarray(0, 1000))).toBe(0);
    }
  });

  it('refuses streams that end early, and ends on any others', () => {
    for (const pack of packers) {
      const packed = pack((contents['few letters'] as Uint8Array).subarray(0, 3000));
      const to = new Uint8Array(4000);
      for (let length = 0; length < packed.length; length += 7) {
        expect(() => inflateInto(packed.subarray(0, length), to)).toThrow('damaged');
      }
      for (let i = 0; i < 300; i++) {
        const changed = packed.slice();
        changed[random(packed.length)] = random(256);
        try {
          expect(inflateInto(changed, to)).toBeLessThanOrEqual(to.length);
        } catch (error) {
          expect(String(error)).toContain('damaged');
        }
      }
    }
  });
});
