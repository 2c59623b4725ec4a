/** Codes of a driver as errors: what they mean, whether to try again, and the driver's own text. */
import { failure, type OpenClawError, type Retry } from '@open-claw/core/device';
import type { Calls } from './calls.js';
import type { GpuRow } from './row.js';
import type { Part } from './signatures.table.js';

/** broken: the context is void, a new one may work. lost: the card is gone. */
export type Meaning = 'success' | 'notReady' | 'memory' | 'broken' | 'lost' | 'other';

/** Codes of the CUDA driver interface, which HIP and CoreX share. */
const known: ReadonlyMap<number, Meaning> = new Map([
  [2, 'memory'],
  [600, 'notReady'],
  ...[46, 100, 101, 214].map((code) => [code, 'lost'] as const),
  ...[4, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 999].map(
    (code) => [code, 'broken'] as const,
  ),
]);

const texts: readonly (readonly [Meaning, RegExp])[] = [
  ['notReady', /not ?ready/i],
  ['memory', /out.?of.?memory|memory.?allocation/i],
  ['lost', /lost|unavailable|no .*device|fallen off|removed|uncorrectable/i],
  ['broken', /illegal|launch.?fail|hardware|misaligned|assert|time.?d? ?out|unknown error/i],
];

export function textOfCode(calls: Calls, code: number): string {
  const text = calls.text('errorTextOut', code) || calls.text('errorText', code);
  return text === '' ? `code ${code}` : `${text} (code ${code})`;
}

/** What a code means: by its number where the row knows them, else by the driver's text. */
export function meaningOf(row: GpuRow, calls: Calls, code: number): Meaning {
  if (code === 0) return 'success';
  if (row.knownCodes) return known.get(code) ?? 'other';
  const text = textOfCode(calls, code);
  return texts.find(([, pattern]) => pattern.test(text))?.[0] ?? 'other';
}

export const retryOf: Readonly<Record<Meaning, Retry>> = {
  success: 'never',
  notReady: 'reopen',
  memory: 'smaller',
  broken: 'reopen',
  lost: 'other-device',
  other: 'never',
};

/** The reason of a failed call: its symbol and the driver's text. */
export const reasonOf = (calls: Calls, part: Part, code: number): string =>
  `${calls.symbol(part)}: ${textOfCode(calls, code)}`;

/** The error of a failed call; `command` is the command's index, or the symbol where none ran. */
export function callFailure(
  row: GpuRow,
  calls: Calls,
  part: Part,
  code: number,
  command: number | string = calls.symbol(part),
): OpenClawError {
  const meaning = meaningOf(row, calls, code);
  const reason = reasonOf(calls, part, code);
  const kind = meaning === 'other' ? 'wrong' : 'transient';
  return failure('OC-DEVICE-02', { command, reason }, { kind, retry: retryOf[meaning] });
}
