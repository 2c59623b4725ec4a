/** Lines of a trace and their reader: a trace comes from strangers, so every field is checked. */
import { failure } from '@open-claw/core/device';
import { type Part, signatures } from './signatures.table.js';
import type { WalkStep } from './walk.js';

/** First line of every row. */
export interface HeadLine {
  readonly trace: 1;
  readonly row: string;
  /** How many folders were looked into, one after the other, for a driver with cards. */
  readonly folders: number;
}

/** First line of each library: what opened and what it has, or why nothing opened. */
export interface LibraryLine {
  readonly library: readonly string[];
  readonly stub?: boolean;
  readonly absent?: string;
  readonly symbols?: Readonly<Record<string, string>>;
}

export interface CallLine {
  readonly part: Part;
  readonly symbol: string;
  readonly code: number;
  /** What the call wrote, in base64, one per array. */
  readonly out?: readonly string[];
}

export interface TextLine {
  readonly text: string;
  readonly of: number;
}

/** What an offline compiler made. */
export interface CompiledLine {
  /** Its beginning, in base64. */
  readonly compiled: string;
  readonly bytes: number;
  readonly toolchain: string;
}

export type Line = HeadLine | LibraryLine | CallLine | TextLine | CompiledLine | WalkStep;

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isNumber: Check = (value) => Number.isInteger(value);
const isTexts: Check = (value) => Array.isArray(value) && value.every(isText);
const isTable: Check = (value) =>
  typeof value === 'object' && value !== null && Object.values(value).every(isText);
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);

/** As the reader of compiled code takes them. */
const mostBytes = 2 ** 28;
const mostFolders = 100;

const isSize =
  (most: number): Check =>
  (value) =>
    isNumber(value) && (value as number) >= 0 && (value as number) <= most;

/** Fields of each kind of line, the telling one first. */
const kinds: readonly Readonly<Record<string, Check>>[] = [
  {
    trace: (value) => value === 1,
    row: isText,
    folders: isSize(mostFolders),
  },
  {
    library: isTexts,
    stub: optional((value) => typeof value === 'boolean'),
    absent: optional(isText),
    symbols: optional(isTable),
  },
  {
    part: (value) => isText(value) && Object.hasOwn(signatures, value as string),
    symbol: isText,
    code: isNumber,
    out: optional(isTexts),
  },
  { text: isText, of: isNumber },
  { compiled: isText, bytes: isSize(mostBytes), toolchain: isText },
  { step: isText, outcome: isText },
];

/** The lines of a trace by row. Throws OC-TRACE-01. */
export function readTrace(trace: string): readonly (readonly Line[])[] {
  const rows: Line[][] = [];
  for (const [i, text] of trace.split('\n').entries()) {
    if (text.trim() === '') continue;
    const wrong = (reason: string): Error =>
      failure('OC-TRACE-01', { line: i + 1, reason }, { kind: 'usage' });
    let value: Readonly<Record<string, unknown>>;
    try {
      value = JSON.parse(text);
    } catch {
      throw wrong('it is no JSON');
    }
    const kind = kinds.find((fields) => {
      return typeof value === 'object' && value !== null && (Object.keys(fields)[0] ?? '') in value;
    });
    if (kind === undefined) throw wrong('it is of no known kind');
    const field = Object.keys(kind).find((name) => kind[name]?.(value[name]) !== true);
    if (field !== undefined) throw wrong(`the field ${field} is missing or wrong`);
    if ('trace' in value) rows.push([]);
    const row = rows.at(-1);
    if (row === undefined) throw wrong('no line before it names a row');
    row.push(value as unknown as Line);
  }
  return rows;
}
