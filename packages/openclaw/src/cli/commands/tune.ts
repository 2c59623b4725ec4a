/** `claw tune MODEL`: measures choices for its steps, and keeps what is faster in a file. */
import { existsSync, writeFileSync } from 'node:fs';
import { tune } from '@open-claw/core';
import { failure, refused } from '@open-claw/core/internal';
import { flattenInputs } from '@open-claw/formats';
import { factsOf, openBackend } from '../../devices/choose.js';
import { usePlugins, wantedIds } from '../../devices/plugins.js';
import { readSource } from '../../model/load.js';
import { makeModel } from '../../model/options.js';
import { identityOf, readTuningFile, withEntry } from '../../model/tuning-file.js';
import type { Context } from '../context.js';
import { gatherInputs, randomInputs } from '../input/gather.js';
import type { GivenOptions, ParsedOptions } from '../options.js';
import type { CommandResult } from '../result.js';
import { factLines, msText, tableText } from '../table.js';

/** Milliseconds without --time-limit. */
const usualBudget = 30_000;

/** Inputs that the user does not give are random ones of this seed. */
const usualSeed = 1;

export async function tuneModel(
  source: string,
  given: GivenOptions,
  options: ParsedOptions,
  context: Context,
): Promise<CommandResult> {
  const { texts, signal } = context;
  const { load, timeLimit = usualBudget } = options;
  await usePlugins(load);
  const backend = await openBackend(wantedIds(load));
  const { proto, name } = await readSource(source, { ...load, signal });
  const identity = identityOf(proto, backend, load);
  if (identity === undefined || backend.kind === 'interpreter') {
    throw refused('device interpreter', 'it has no choices');
  }
  const model = await makeModel(proto, backend, load, name);
  try {
    const files = gatherInputs(model.inputs, given, texts);
    const inputs = { ...files, ...randomInputs(model.inputs, files, usualSeed) };
    const values = await model.valuesOf(inputs);
    const { imported } = await model.programFor(inputs);
    const { precision } = load;
    const found = await tune(imported.graph, backend.opened, flattenInputs(imported, values), {
      budget: timeLimit,
      now: () => performance.now(),
      ...(precision === undefined ? {} : { precision }),
    });
    const path = given.output;
    if (path !== undefined) {
      const old = existsSync(path) ? readTuningFile(path) : undefined;
      const file = withEntry(old, { ...identity, tuning: found.tuning });
      write(path, `${JSON.stringify(file, undefined, 2)}\n`);
    }
    const { candidates, steps, before, after, tuning } = found;
    const head = [texts.steps, ...candidates.map((each) => textOf(each, texts.usual)), ''];
    const rows = steps.map(({ key, times, choice }) => [
      key,
      ...candidates.map((_, i) => (times[i] === undefined ? '' : msText(times[i]))),
      Object.hasOwn(tuning, key) ? textOf(candidates[choice] ?? {}, texts.usual) : '',
    ]);
    const lines = factLines([
      [texts.time, `${msText(before)} → ${msText(after)}`],
      ...(path === undefined ? [] : ([[texts.file, path]] as const)),
    ]);
    const json = { ...identity, candidates, steps, before, after, tuning, file: path ?? null };
    return { facts: factsOf(backend), json, text: `${tableText(head, rows)}\n${lines}` };
  } finally {
    await model.dispose();
  }
}

const textOf = (candidate: Readonly<Record<string, number>>, usual: string): string =>
  Object.entries(candidate)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ') || usual;

function write(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw failure('OC-USAGE-04', { path, reason }, { kind: 'usage', cause: error });
  }
}
