/** The user's line: the first stack frame outside of OpenCLAW's own packages. */
import { type ErrorCode, failure, isFailure, type OpenClawError } from '../base/errors.js';

const place =
  /(?:\(|@|at (?:async )?)((?:file:\/\/|https?:\/\/|node:|\/|[A-Za-z]:\\)[^()]*:\d+:\d+)\)?$/;

const placesOf = (stack: string): string[] =>
  stack.split('\n').flatMap((line) => place.exec(line.trim())?.[1] ?? []);

/** Folders of core and of nn, from a place in this module or in the file it is rolled into. */
function foldersAround(here: string): readonly string[] {
  const core = here.replace(/[\\/](?:(?:src|dist)[\\/]tensor|rolled)[\\/][^\\/]*$/, '');
  if (core === here) return [];
  return [core, core.replace(/core$/, 'nn')].flatMap((folder) => [`${folder}/`, `${folder}\\`]);
}

let ownFolders: readonly string[] | undefined;

/** Asked first when something failed: the place of a line costs more than a start has to spare. */
function isOwn(frame: string): boolean {
  ownFolders ??= foldersAround(placesOf(new Error().stack ?? '')[0] ?? '');
  return !frame.includes('.test.') && ownFolders.some((folder) => frame.startsWith(folder));
}

const longestStack = 64;

/** A stack to ask later; formatting waits until `lineOf`. */
export function captureStack(): Error {
  const engine = Error as { stackTraceLimit?: number };
  const before = engine.stackTraceLimit;
  engine.stackTraceLimit = longestStack;
  const error = new Error();
  if (before !== undefined) engine.stackTraceLimit = before;
  return error;
}

/** `file:line:column` of the user's call; empty where the engine gives no stack. */
export function lineOf(captured: Error): string {
  const frame = placesOf(captured.stack ?? '').find((text) => !isOwn(text) && !/^node:/.test(text));
  return (frame ?? '').replace(/^file:\/\//, '');
}

/** The same failure with the user's line, if it names no place yet. */
function located(error: OpenClawError, captured: Error): OpenClawError {
  const where = lineOf(captured);
  if (error.where !== '' || where === '') return error;
  const { code, details, retry, kind } = error;
  return failure(code, details, { where, retry, kind, cause: error });
}

/** Runs what builds a tensor; a failure names the user's line. */
export function atUserLine<T>(build: () => T): T {
  try {
    return build();
  } catch (error) {
    throw isFailure(error) ? located(error, captureStack()) : error;
  }
}

/** As `atUserLine` for work that goes on after the call has returned. */
export async function atUserLineLater<T>(work: () => Promise<T>): Promise<T> {
  const captured = captureStack();
  try {
    return await work();
  } catch (error) {
    throw isFailure(error) ? located(error, captured) : error;
  }
}

/** A wrong use of the tensor interface. */
export const misuse = (
  code: ErrorCode,
  details: Readonly<Record<string, string | number>> = {},
): OpenClawError => failure(code, details, { kind: 'usage' });
