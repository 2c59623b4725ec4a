import { describe, expect, it } from 'vitest';
import { isOfKind } from './values.js';

describe('bools', () => {
  const isBool = (data: Uint8Array<ArrayBuffer>): boolean =>
    isOfKind(
      { dtype: 'bool', shape: [data.length], data },
      { dtype: 'bool', shape: [data.length] },
    );

  it('are bytes of 0 and 1, wherever the array begins and ends', () => {
    for (let offset = 0; offset < 5; offset++) {
      for (let length = 0; length < 12; length++) {
        // What lies around the array does not count.
        const all = new Uint8Array(20).fill(7);
        const data = new Uint8Array(all.buffer, offset, length).fill(1);
        expect(isBool(data)).toBe(true);
        for (let at = 0; at < length; at++) {
          for (const other of [2, 128, 255]) {
            data[at] = other;
            expect(isBool(data)).toBe(false);
          }
          data[at] = 0;
          expect(isBool(data)).toBe(true);
        }
      }
    }
  });
});
