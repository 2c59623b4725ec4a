/** Whole models for tests: a folder beside the checkout or in CLAW_TEST_DATA; never required. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

const beside = fileURLToPath(new URL('../../../shared/data', import.meta.url));
const folder = process.env['CLAW_TEST_DATA'] ?? beside;

/** Why the tests of a model are skipped; undefined where its folder is there. */
export const missing = (name: string): string | undefined =>
  existsSync(join(folder, name)) ? undefined : `${name} is missing: set CLAW_TEST_DATA`;

export const pathOf = (...parts: readonly string[]): string => join(folder, ...parts);

export const bytesOf = (...parts: readonly string[]): Uint8Array =>
  new Uint8Array(readFileSync(pathOf(...parts)));

export const unpacked = (...parts: readonly string[]): Uint8Array =>
  new Uint8Array(gunzipSync(bytesOf(...parts)));

export const textOf = (...parts: readonly string[]): string =>
  readFileSync(pathOf(...parts), 'utf8');

/** The values of a table `Index,Value`. */
export const indexed = (...parts: readonly string[]): readonly number[] =>
  textOf(...parts)
    .trim()
    .split('\n')
    .slice(1)
    .map((line) => Number(line.split(',')[1]));

export function largest(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) {
    if ((values[i] as number) > (values[best] as number)) best = i;
  }
  return best;
}
