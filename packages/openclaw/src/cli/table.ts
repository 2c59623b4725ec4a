/** Tables and small formats of the command line. Text from models is cleaned here. */
import { quoteText } from '@open-claw/core/internal';
import Table from 'cli-table3';
import colors from 'picocolors';

const plainBorder = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

/** Columns without lines between them; every cell is cleaned. */
export function tableText(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const table = new Table({
    head: head.map((each) => colors.bold(each)),
    chars: plainBorder,
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
  });
  for (const row of rows) table.push(row.map((cell) => cleanLines(String(cell))));
  return `${table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')}\n`;
}

/** Cleaned, but with its own line breaks kept. */
export const cleanLines = (text: string): string => text.split('\n').map(quoteText).join('\n');

/** `key  value` lines. */
export function factLines(facts: readonly (readonly [string, string | number])[]): string {
  return facts
    .map(([key, value]) => `${colors.bold(key)}  ${cleanLines(String(value))}\n`)
    .join('');
}

export function bytesText(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit + 1 < units.length) [value, unit] = [value / 1024, unit + 1];
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

export const msText = (ms: number): string =>
  ms >= 100
    ? `${ms.toFixed(0)} ms`
    : ms >= 1
      ? `${ms.toFixed(2)} ms`
      : `${(ms * 1e3).toFixed(1)} µs`;

export const shapeText = (shape: readonly (number | string | null)[] | undefined): string =>
  shape === undefined ? '[…]' : `[${shape.map((size) => size ?? '?').join(', ')}]`;
