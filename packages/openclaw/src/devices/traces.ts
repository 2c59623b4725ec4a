/** Traces of drivers as files, by every plug-in that writes and plays them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { isTraced, loadedPlugins, type TraceReport } from '@open-claw/core/face';
import { failure } from '@open-claw/core/internal';

const reasonOf = (cause: unknown): string =>
  cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);

/** Rows whose driver opened; a file is written where there is one. Throws OC-USAGE-04. */
export async function writeTrace(path: string): Promise<readonly string[]> {
  const texts: string[] = [];
  for (const plugin of await loadedPlugins())
    if (isTraced(plugin)) texts.push(await plugin.trace());
  const text = texts.join('');
  if (text === '') return [];
  try {
    writeFileSync(path, text);
  } catch (cause) {
    throw failure('OC-USAGE-04', { path, reason: reasonOf(cause) }, { kind: 'usage', cause });
  }
  const heads = text.split('\n').filter((line) => line.startsWith('{"trace":'));
  return heads.map((line) => (JSON.parse(line) as { readonly row: string }).row);
}

/** A larger file is no trace of ours. */
const longestTrace = 2 ** 27;

/**
 * What every plug-in does with the rows of a trace; of a row that several know, the first that
 * agrees counts. Throws OC-USAGE-03, OC-TRACE-01.
 */
export async function replayTraces(path: string): Promise<readonly TraceReport[]> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw failure('OC-USAGE-03', { path, reason: reasonOf(cause) }, { kind: 'usage', cause });
  }
  if (text.length > longestTrace) {
    const reason = `more than ${longestTrace} characters`;
    throw failure('OC-USAGE-03', { path, reason }, { kind: 'usage' });
  }
  const all: (readonly TraceReport[])[] = [];
  for (const plugin of await loadedPlugins())
    if (isTraced(plugin)) all.push(await plugin.replay(text));
  const [first = []] = all;
  return first.map((report, i) => {
    const others = all.flatMap((reports) => reports[i] ?? []);
    const known = others.find(({ steps }) => steps.length > 0);
    return others.find(({ agrees }) => agrees) ?? known ?? report;
  });
}
