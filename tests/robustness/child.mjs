/**
 * Runs commands of `claw` one after the other in this process and tells how each ended: exit code,
 * output, milliseconds and how far memory grew. Takes the name of a JSON file with the commands.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { runCommandLine } from '../../packages/openclaw/dist/cli/run.js';

const [, , file = ''] = process.argv;
/** @type {{ commands: { words: string[], env: Record<string, string>, watch?: string }[] }} */
const { commands } = JSON.parse(readFileSync(file, 'utf8'));

const results = [];
for (const { words, env, watch } of commands) {
  Object.assign(process.env, env);
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  let highest = before;
  let text = '';
  const take = (/** @type {string} */ part) => {
    text += part;
    highest = Math.max(highest, process.memoryUsage().rss);
  };
  const start = performance.now();
  const exit = await runCommandLine(words, {
    out: take,
    err: take,
    isTerminal: false,
    env: process.env,
    signal: new AbortController().signal,
  });
  const ms = performance.now() - start;
  highest = Math.max(highest, process.memoryUsage().rss);
  const written = watch === undefined ? [] : listed(watch);
  results.push({ exit, text, ms, growth: highest - before, written });
}
writeFileSync(file, JSON.stringify({ results }));
process.exit(0);

/** @param {string} folder @returns {string[]} */
function listed(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
