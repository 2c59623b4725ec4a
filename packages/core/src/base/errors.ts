/**
 * Errors with five parts: code, what, where, fix, link. Texts come from one table per language,
 * keyed by code, so that a missing translation does not compile.
 */
import { messagesEnglish } from './messages.en.js';

/** What a message table gives for a code. `{name}` marks are filled from the details. */
export interface Message {
  readonly what: string;
  readonly fix: string;
}

export type ErrorCode = keyof typeof messagesEnglish;

/** Whether the same call may succeed later, elsewhere, or with less work. */
export type Retry = 'never' | 'reopen' | 'other-device' | 'smaller';

/** What kind of end this is; the command line maps it to its exit code. */
export type FailureKind = 'wrong' | 'usage' | 'refused' | 'unavailable' | 'transient';

export type Details = Readonly<
  Record<string, string | number | bigint | boolean | readonly (number | string | bigint)[]>
>;

export interface FailureOptions {
  /** File, field, node or user's line. */
  readonly where?: string;
  readonly retry?: Retry;
  readonly kind?: FailureKind;
  readonly cause?: unknown;
}

export type Language = 'en' | 'zh';

let language: Language = 'en';
let wanted: Language = 'en';
let messages: Readonly<Record<ErrorCode, Message>> = messagesEnglish;

/**
 * Chooses the language of error texts; the front door calls it once from LANG. Texts other than
 * English are loaded by the first who wants them: errors made before it resolves stay as they were.
 */
export async function setLanguage(next: Language): Promise<void> {
  wanted = next;
  const table =
    next === 'zh' ? (await import('./messages.zh.js')).messagesChinese : messagesEnglish;
  // Another may have been chosen meanwhile.
  if (wanted !== next) return;
  language = next;
  messages = table;
}

const longestDetail = 200;

/** Untrusted text made safe to print: one line, no control characters, at most 200 characters. */
export function quoteText(text: string): string {
  const head = text.length > longestDetail ? `${text.slice(0, longestDetail)}…` : text;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return head.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/g, '�');
}

function fill(template: string, details: Details): string {
  return template.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = details[name];
    if (value === undefined) return `{${name}}`;
    return quoteText(Array.isArray(value) ? `[${value.join(',')}]` : String(value));
  });
}

/** The one error type of OpenCLAW. `message` holds all parts; the fields hold them apart. */
export class OpenClawError extends Error {
  readonly code: ErrorCode;
  readonly what: string;
  readonly where: string;
  readonly fix: string;
  readonly link: string;
  readonly retry: Retry;
  readonly kind: FailureKind;
  readonly details: Details;

  constructor(code: ErrorCode, details: Details, options: FailureOptions) {
    const text = messages[code];
    const what = fill(text.what, details);
    const fix = fill(text.fix, details);
    const where = options.where === undefined ? '' : quoteText(options.where);
    const link = `docs/${language}/errors.md#${code.toLowerCase()}`;
    const lines = [`${code}  ${what}`];
    if (where !== '') lines.push(`  at   ${where}`);
    lines.push(`  fix  ${fix}`, `  see  ${link}`);
    super(lines.join('\n'), options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'OpenClawError';
    this.code = code;
    this.what = what;
    this.where = where;
    this.fix = fix;
    this.link = link;
    this.retry = options.retry ?? 'never';
    this.kind = options.kind ?? 'wrong';
    this.details = details;
  }
}

/** Makes an error; the caller throws it. */
export function failure(
  code: ErrorCode,
  details: Details = {},
  options: FailureOptions = {},
): OpenClawError {
  return new OpenClawError(code, details, options);
}

/** An unsupported thing, refused by name before anything runs. */
export function refused(subject: string, reason: string, where?: string): OpenClawError {
  const options: FailureOptions = { kind: 'refused', retry: 'other-device' };
  return failure(
    'OC-REFUSED-01',
    { subject, reason },
    where === undefined ? options : { ...options, where },
  );
}

/** A resource of the target is too small; the kernel room answers by a smaller tile. */
export function tooLarge(resource: string, need: number, have: number): OpenClawError {
  return failure('OC-REFUSED-02', { resource, need, have }, { kind: 'refused', retry: 'smaller' });
}

export function isFailure(error: unknown): error is OpenClawError {
  return error instanceof OpenClawError;
}

/** A broken rule inside OpenCLAW itself: always a bug here, never the user's doing. */
export function internal(what: string): OpenClawError {
  return failure('OC-INTERNAL-01', { what });
}
