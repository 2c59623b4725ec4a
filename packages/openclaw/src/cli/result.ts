/** What a command gives back, how it is printed, and which exit code its end has. */

import { isFailure, type OpenClawError } from '@open-claw/core/face';
import { internal } from '@open-claw/core/internal';
import type { BackendFacts } from '../devices/choose.js';

export interface CommandResult {
  readonly facts: BackendFacts;
  readonly json: Readonly<Record<string, unknown>>;
  readonly text: string;
  /** 0 unless given. */
  readonly exit?: number;
}

/** 0 done, 1 failed or wrong, 2 wrong use, 3 refused or unavailable, 4 may be tried again. */
export function exitOf({ kind, retry }: OpenClawError): number {
  switch (kind) {
    case 'usage':
      return 2;
    case 'refused':
    case 'unavailable':
      return 3;
    case 'transient':
      return 4;
    default:
      return retry === 'reopen' ? 4 : 1;
  }
}

export const noDevice: BackendFacts = { device: 'none', driver: 'none', evidence: 'none' };

/** Everything that can be thrown as one error type; what is not ours is a bug here. */
export function asFailure(error: unknown): OpenClawError {
  if (isFailure(error)) return error;
  return internal(error instanceof Error ? error.message : String(error));
}

/**
 * JSON of one line of facts and the command's own fields; 64-bit integers and numbers that are not
 * finite as strings. Control and direction characters of names are escaped, so that printing it
 * cannot steer a terminal.
 */
export function jsonText(
  command: string,
  facts: BackendFacts,
  fields: Readonly<Record<string, unknown>>,
): string {
  const whole = { schema: 1, command, ...facts, ...fields };
  const text = JSON.stringify(whole, plain, 2);
  return `${text.replace(steering, escaped)}\n`;
}

/** Controls beyond ASCII, line separators, and what turns the direction of writing. */
const steering = /[\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

const escaped = (character: string): string =>
  `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

function plain(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  return value;
}

export const errorFields = ({ code, what, where, fix, link, retry }: OpenClawError) => ({
  error: { code, what, where, fix, link, retry },
});
