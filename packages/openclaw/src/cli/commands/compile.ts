/** `claw compile MODEL --target T -o BUNDLE`: one file that runs where there is no compiler. */
import { writeFileSync } from 'node:fs';
import { failure } from '@open-claw/core/internal';
import { compileBundle } from '../../bundle/compile.js';
import { readSource } from '../../model/load.js';
import type { Context } from '../context.js';
import { type GivenOptions, type ParsedOptions, usage } from '../options.js';
import type { CommandResult } from '../result.js';
import { bytesText, factLines, msText } from '../table.js';
import { fill } from '../text.js';
import { chooseTarget } from './target.js';

export async function compileModel(
  source: string,
  given: GivenOptions,
  options: ParsedOptions,
  context: Context,
): Promise<CommandResult> {
  const { texts, signal } = context;
  const path = given.output;
  if (path === undefined) throw usage(fill(texts.missingOption, { name: '-o' }));
  const { target, facts } = await chooseTarget(given, options, context);
  const started = performance.now();
  const model = await readSource(source, { ...options.load, signal });
  const { bytes, kernels } = await compileBundle(model, target, options.load);
  try {
    writeFileSync(path, bytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw failure('OC-USAGE-04', { path, reason }, { kind: 'usage', cause: error });
  }
  const ms = performance.now() - started;
  const lines = factLines([
    [texts.file, path],
    [texts.target, target.id],
    [texts.kernels, String(kernels)],
    [texts.bytes, bytesText(bytes.length)],
    [texts.time, msText(ms)],
  ]);
  const json = { file: path, target: target.id, kernels, bytes: bytes.length, ms };
  return { facts, json, text: lines };
}
