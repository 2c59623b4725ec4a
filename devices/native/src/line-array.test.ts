import { expect, test } from 'vitest';
import { lineArray } from './line-array.js';

test.each([0, 16, 40, 63])('an array behind a header of %i bytes begins at a line', (header) => {
  const start = 4096 + header;
  const addressOf = ({ byteOffset }: Uint8Array): number => start + byteOffset;
  const array = lineArray(1000, addressOf);
  expect(addressOf(array) % 64).toBe(0);
  expect(array.byteLength).toBe(1000);
  expect(array.byteOffset + 1000).toBeLessThanOrEqual(array.buffer.byteLength);
});
