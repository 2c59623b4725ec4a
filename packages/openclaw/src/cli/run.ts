/** Runs the command line: arguments in, text or JSON out, an exit code back. */
import { writeFileSync } from 'node:fs';
import { closeDevices, debug, type OpenClawError } from '@open-claw/core/face';
import { failure, setLanguage } from '@open-claw/core/internal';
import { CommanderError } from 'commander';
import { applyEnvironment, languageOf } from '../environment.js';
import type { Context, Output } from './context.js';
import type { GivenOptions } from './options.js';
import { buildProgram, usageError } from './program.js';
import {
  asFailure,
  type CommandResult,
  errorFields,
  exitOf,
  jsonText,
  noDevice,
} from './result.js';
import { textsOf } from './text.js';

export interface RunCommandLine extends Output {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

/** Gives the exit code; never throws. */
export async function runCommandLine(
  words: readonly string[],
  io: RunCommandLine,
): Promise<number> {
  await applyEnvironment();
  const language = languageOf(io.env);
  await setLanguage(language);
  const texts = textsOf(language);
  const context: Context = { ...io, texts };
  let exit = 0;
  const program = buildProgram(context, async (name, given, work) => {
    exit = await perform(name, given, work, context);
  });
  try {
    await program.parseAsync(withJsonValue(words), { from: 'user' });
  } catch (error) {
    const known = error instanceof CommanderError ? usageError(error, texts) : error;
    if (known === undefined) return 0;
    // Without a command there is none to name.
    const name = words.find((word) => !word.startsWith('-')) ?? 'claw';
    const json = words.some((word) => word.startsWith('--json'));
    exit = fail(name, json ? { json: true } : {}, asFailure(known), context);
  } finally {
    await closeDevices().catch(() => {});
  }
  return exit;
}

/** `--json` takes a value only where it is plainly a file's name, never the model's path. */
function withJsonValue(words: readonly string[]): readonly string[] {
  const given: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const [word, next] = [words[i] as string, words[i + 1]];
    if (word !== '--json') given.push(word);
    else if (next !== undefined && /^[^-].*\.json$/.test(next)) given.push(`--json=${words[++i]}`);
    else given.push('--json=-');
  }
  return given;
}

async function perform(
  name: string,
  given: GivenOptions,
  work: () => Promise<CommandResult>,
  context: Context,
): Promise<number> {
  try {
    const { facts, json, text, exit = 0 } = await work();
    if (given.json === undefined) context.out(text);
    else if (writeJson(given.json, jsonText(name, facts, json), context)) context.out(text);
    return exit;
  } catch (error) {
    if (debug.level >= 1 && error instanceof Error) context.err(`${error.stack}\n`);
    return fail(name, given, asFailure(error), context);
  }
}

function fail(name: string, given: GivenOptions, error: OpenClawError, context: Context): number {
  if (given.json === undefined) context.err(`${error.message}\n`);
  else {
    const facts = { ...noDevice, device: given.device ?? noDevice.device };
    try {
      const toFile = writeJson(given.json, jsonText(name, facts, errorFields(error)), context);
      if (toFile) context.err(`${error.message}\n`);
    } catch (unwritable) {
      context.err(`${asFailure(unwritable).message}\n`);
    }
  }
  return exitOf(error);
}

/** Gives whether it went to a file. Throws OC-USAGE-04. */
function writeJson(json: string | boolean, text: string, { out }: Context): boolean {
  if (typeof json === 'boolean' || json === '-' || json === '') {
    out(text);
    return false;
  }
  try {
    writeFileSync(json, text);
    return true;
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw failure('OC-USAGE-04', { path: json, reason }, { kind: 'usage', cause });
  }
}
